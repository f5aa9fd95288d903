"""References: what was recorded of data elsewhere, and how a change of them is told; URLs: tests/remote."""

import hashlib
import os
from pathlib import Path

import pytest

from ataraxis_data_structures import Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s", sync="process")


@pytest.fixture
def far(tmp_path):
    path = tmp_path / "far.bin"
    path.write_bytes(b"recorded")
    return path


def test_size_and_hash_of_a_file_are_recorded_and_it_opens(store, far):
    for number, uri in enumerate((str(far), far.as_uri())):
        store.reference(f"r{number}", uri)
        item = store.info(f"r{number}")
        assert (item.size_bytes, item.sha256) == (8, hashlib.sha256(b"recorded").hexdigest())
        assert store.drift(f"r{number}") == []
        assert store.get(f"r{number}") == uri
        with store.open(f"r{number}") as file:
            assert file.read() == b"recorded"


CHANGES = {
    "longer": (lambda path: path.write_bytes(b"recorded!"), ["expected bytes 8, got 9"]),
    "other bytes": (lambda path: path.write_bytes(b"Recorded"), ["expected sha256"]),
    "gone": (Path.unlink, ["expected data at"]),
    "touched": (lambda path: os.utime(path, (1, 1)), []),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told(store, far, what):
    store.reference("r", str(far))
    change, texts = CHANGES[what]
    change(far)
    found = store.drift("r")
    assert len(found) == (2 if what == "longer" else len(texts))
    assert all(text in line for text, line in zip(texts, found, strict=False))


def test_what_was_recorded_is_of_a_version_and_comes_back_with_it(store, far):
    store.reference("r", str(far))
    store.snapshot("v1")
    far.write_bytes(b"changed")
    store.reference("r", str(far))
    assert store.drift("r") == []
    assert store.drift("r@1") != []
    store.restore("v1")
    assert store.drift("r") != []


def test_nothing_is_looked_at_where_that_was_not_asked_for(store, far, tmp_path):
    store.reference("url", "s3://bucket/raw.parquet")
    store.reference("missing", str(tmp_path / "missing"))
    store.reference("told", "s3://bucket/x", sha256="0" * 64)
    store.reference("unseen", str(far), look=False)
    store.reference("unhashed", str(far), sha256=False)
    store.reference("folder", str(tmp_path))
    assert [store.info(name).size_bytes for name in store] == [0, 0, 0, 8, 0, 0]
    assert [store.info(name).sha256 for name in ("told", "unhashed")] == ["0" * 64, None]
    for name in ("url", "missing", "unseen", "folder"):
        with pytest.raises(StoreError, match="recorded"):
            store.drift(name)
    with pytest.raises(FileNotFoundError):
        store.reference("missing", str(tmp_path / "missing"), look=True)
    with pytest.raises(TypeError):
        store.reference("wrong", str(far), sha256=5)
    store.add("a", 1)
    with pytest.raises(StoreError, match="expected a reference"):
        store.drift("a")


def test_a_reference_takes_no_space_and_is_whole_whatever_became_of_its_data(store, far):
    store.reference("r", str(far))
    far.unlink()
    assert store.verify() == []
    assert store.status().history_bytes == 0
    assert store.gc(grace_s=0).size_bytes == 0
