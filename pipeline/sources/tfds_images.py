"""The source `tfds:NAME`: a data set for image classification of tensorflow-datasets, prepared or to be prepared."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.settings import IngestConfig
from pipeline.config.source import TFDS
from pipeline.sources.listing import SPLIT_NAMES, ImageFile, Listing, clean_name, make_listing
from pipeline.sources.tfds_source import prepare_errors, require_network
from shiftvit import progress
from shiftvit.errors import DataError, one_line
from shiftvit.features import TRAIN
from shiftvit.files import paths

_PNG = b"\x89PNG"
_REPORTED = 1000  # images between two reports of progress


@dataclass(frozen=True)
class TfdsImages:
    """A prepared data set of tensorflow-datasets.

    Attributes:
        name: as tensorflow-datasets has it, with configuration and version.
        builder: its builder.
        image: key of the feature that holds the image.
        label: key of the feature that holds the class.
        splits: our name of each split that is read, by theirs.
    """

    name: str
    builder: Any
    image: str
    label: str
    splits: dict[str, str]

    @property
    def kind(self) -> str:
        """As in SourceIdentity."""
        return f"{TFDS}-{self.name.replace('/', '-')}"

    @property
    def checksum(self) -> str:
        """A SHA-256, in hex, over name, version and the sizes of all shards."""
        shards = {split: list(self.builder.info.splits[split].shard_lengths) for split in self.splits}
        return hashlib.sha256(json.dumps([self.name, shards, self.class_names]).encode()).hexdigest()

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that its images take."""
        return int(self.builder.info.dataset_size)

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class id."""
        return tuple(clean_name(name, f"tfds:{self.name}") for name in self.builder.info.features[self.label].names)

    @property
    def image_size(self) -> int | None:
        """Pixels on each side of the images, or None if they have different sizes or are not square."""
        height, width, _ = self.builder.info.features[self.image].shape
        return height if height == width else None

    def extract(self, folder: Path, config: IngestConfig) -> Listing:
        """Writes the image files into the folder, as tensorflow-datasets stores them, and lists them.

        Splits that the data set lacks are taken from its training split.
        """
        files: dict[str | None, list[ImageFile]] = {}
        names, skipped = self.class_names, {"images without a label": 0}
        has_all = len(self.splits) == 3
        total, done = sum(self.builder.info.splits[split].num_examples for split in self.splits), 0
        for split, ours in self.splits.items():
            (folder / split).mkdir(parents=True)
            part = files.setdefault(None if ours == TRAIN and not has_all else ours, [])
            for index, (content, label) in enumerate(self._read(split)):
                if label < 0:
                    skipped["images without a label"] += 1
                else:
                    path = f"{split}/{index:07}{'.png' if content.startswith(_PNG) else '.jpg'}"
                    (folder / path).write_bytes(content)
                    part.append(ImageFile(path, names[label], len(content), 0))
                done += 1
                if done % _REPORTED == 0 or done == total:
                    progress.report(f"reading {self.name}", done, total, "image")
        found = {what: count for what, count in skipped.items() if count}
        return make_listing(folder, files, found, config, names)

    def _read(self, split: str) -> Iterator[tuple[bytes, int]]:
        """Yields encoded image and class id, in the order in which they are stored."""
        import tensorflow_datasets as tfds

        skip = {self.image: tfds.decode.SkipDecoding()}
        examples = self.builder.as_dataset(split=split, decoders=skip, shuffle_files=False)
        for example in examples.as_numpy_iterator():
            yield example[self.image], int(example[self.label])


def find(name: str, config: IngestConfig) -> TfdsImages:
    """Returns the data set of that name; downloads and prepares it unless it is in the data_dir.

    Raises:
        DataError: if there is none, it cannot be prepared, or it is no image classification.
    """
    import tensorflow_datasets as tfds

    folder = config.tfds_dir or tfds.core.constants.DATA_DIR
    try:
        builder = tfds.builder(name, data_dir=paths.plain(config.tfds_dir) if config.tfds_dir else None)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError, OSError) as error:
        reason = one_line(error)[:100]
        raise DataError(
            f"tfds:{name}: neither prepared in {folder} nor known to tensorflow-datasets ({reason}); ingest.tfds_dir "
            "sets the data_dir"
        ) from error
    if not builder.is_prepared():
        _prepare(builder, name)
    return _describe(builder, name)


def _prepare(builder: Any, name: str) -> None:
    import tensorflow_datasets as tfds

    place = paths.real(str(builder.data_dir))
    way_out = f"prepare it elsewhere, and set ingest.tfds_dir to its data_dir (it is not in {place})"
    for url in list(getattr(builder, "url_infos", None) or ())[:1]:
        require_network(url, f"tfds:{name}", way_out)
    tfds.disable_progress_bar()
    progress.report(f"preparing {name}", 0, 1, "dataset")
    try:
        builder.download_and_prepare()
    except prepare_errors() as error:
        raise DataError(f"tfds:{name}: {' '.join(str(error).split())}; {way_out}") from error
    progress.report(f"preparing {name}", 1, 1, "dataset")


def _describe(builder: Any, name: str) -> TfdsImages:
    import tensorflow_datasets as tfds

    features = builder.info.features
    kinds = {key: type(feature) for key, feature in features.items()}
    supervised = builder.info.supervised_keys or ()
    keys = []
    for kind in (tfds.features.Image, tfds.features.ClassLabel):
        found = [key for key, feature in kinds.items() if issubclass(feature, kind)]
        preferred = [key for key in found if key in supervised] or found
        if len(preferred) != 1:
            listed = ", ".join(f"{key} ({kind.__name__})" for key, kind in sorted(kinds.items()))
            raise DataError(f"tfds:{name}: not a set of images with one class each; its features are {listed}")
        keys += preferred
    splits: dict[str, str] = {}
    for split in builder.info.splits:
        ours = SPLIT_NAMES.get(split.lower())
        if ours and ours not in splits.values():
            splits[split] = ours
    if TRAIN not in splits.values():
        raise DataError(f"tfds:{name}: has no split train; its splits are {', '.join(builder.info.splits)}")
    image, label = keys
    return TfdsImages(builder.info.full_name, builder, image, label, splits)
