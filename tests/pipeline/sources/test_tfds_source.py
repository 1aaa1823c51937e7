import dataclasses
import socket

import pytest
from cifar_files import SPLITS, left_behind, make_archive, make_binary, prepare, splits
from known_data import CLASS_NAMES
from waiting import HANG_SECONDS

from pipeline.sources import cifar, cifar_published, tfds_source
from shiftvit.errors import DataError


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small archive in place of the published one; tensorflow-datasets expects its checksum."""
    import tensorflow_datasets as tfds

    known = tfds.builder_cls("cifar10").url_infos
    assert known[tfds_source.URL].checksum == cifar_published.CIFAR10_BINARY
    path = make_archive(make_binary(tmp_path / "data"))
    expected = dataclasses.replace(
        known[tfds_source.URL],
        checksum=cifar.file_checksum(path),
        size=type(known[tfds_source.URL].size)(path.stat().st_size),
    )
    monkeypatch.setitem(known, tfds_source.URL, expected)
    monkeypatch.setattr(tfds_source, "SHA256", expected.checksum)
    return path


def test_tensorflow_datasets_reads_a_local_archive_in_the_official_order(published, tmp_path):
    source = prepare(f"tfds:{published}", tmp_path)
    assert splits(source) == SPLITS
    identity = source.identity
    assert (identity.kind, identity.sha256, identity.published) == ("tfds", cifar.file_checksum(published), True)
    assert identity.class_names == CLASS_NAMES
    assert list((tmp_path / "workspace/sources").iterdir()) == [source.folder]
    assert prepare("tfds", tmp_path).folder == source.folder  # nothing is downloaded again


def test_only_the_published_archive_is_accepted(tmp_path):
    archive = make_archive(make_binary(tmp_path))
    with pytest.raises(DataError, match=r"reads only the published.*give its path without tfds:"):
        prepare(f"tfds:{archive}", tmp_path)
    with pytest.raises(DataError, match=r"gone\.tar\.gz: no such file; tfds:ARCHIVE takes a local copy"):
        prepare("tfds:gone.tar.gz", tmp_path)


@pytest.mark.parametrize("answer, reason", [("refused", "refused"), ("silence", r"timed out|no answer in 1 second")])
def test_without_a_network_tfds_is_not_started_and_the_error_says_what_to_do(answer, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_source, "_PROBE_SECONDS", 1 if answer == "silence" else HANG_SECONDS)
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        if answer == "silence":
            proxy.listen()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(DataError, match=rf"cannot download .*({reason}).*use a local copy with --data tfds:"):
            prepare("tfds", tmp_path)
    assert not left_behind(tmp_path)
