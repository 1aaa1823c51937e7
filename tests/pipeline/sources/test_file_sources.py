"""Sources whose images become files, and the size at which they are stored."""

from dataclasses import dataclass

import image_folders
import pytest

from pipeline.config.settings import PipelineConfig
from pipeline.sources import image_folder
from pipeline.sources.file_sources import ExtractedSource
from shiftvit.config import DataConfig


@dataclass(frozen=True)
class Drawn:
    """Images that claim a size."""

    image_size: int | None
    kind: str = "drawn"
    checksum: str = "0"
    disk_bytes: int = 0

    def extract(self, folder, config):
        image_folders.write_classes(folder, ["cat", "dog"])
        return image_folder.list_images(folder, config)


@pytest.mark.parametrize(
    ("native", "chosen", "stored"),
    [(28, 0, 28), (None, 0, 64), (28, 40, 40), (600, 0, 512), (4, 0, 8)],
)
def test_extracted_images_keep_their_size_where_it_can_be_stored(tmp_path, native, chosen, stored):
    config = PipelineConfig(data=DataConfig(image_size=chosen))

    assert ExtractedSource(Drawn(native), config).write(tmp_path).image_size == stored
