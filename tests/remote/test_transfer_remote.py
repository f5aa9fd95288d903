"""Transfers to an S3-compatible server on loopback, in a process of its own."""

import os

import pytest
from s3fs.core import S3File

import oracle_files
from ataraxis_data_structures import IntegrityError, transfer_directory

FILES = {"a": b"1", "empty": b"", "sub/b": os.urandom(3000), "big": os.urandom(7_000_000), "é": b"2"}


@pytest.fixture
def source(tmp_path):
    for name, contents in FILES.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(contents)
    return tmp_path / "source"


def held(bucket):
    files, name = bucket
    files.invalidate_cache()
    return {path[len(name) + 3 :]: files.cat_file(path) for path in files.find(f"{name}/t")}


@pytest.mark.parametrize("threads", [1, 4])
def test_a_folder_is_uploaded_read_back_and_removed(source, bucket, options, threads):
    want = oracle_files.checksum(source)
    url = f"s3://{bucket[1]}/t"
    transfer_directory(source, url, threads, verify_integrity=True, remove_source=True, storage_options=options)
    assert held(bucket) == FILES | {"ax_checksum.txt": want.encode()}
    assert not source.exists()


def test_unknown_objects_stay_stop_or_go_as_in_a_folder(source, bucket, options):
    files, name = bucket
    files.pipe_file(f"{name}/t/mine", b"m")
    with pytest.raises(RuntimeError, match="mine"):
        transfer_directory(source, f"s3://{name}/t", verify_integrity=True, storage_options=options)
    assert held(bucket) == {"mine": b"m"}
    transfer_directory(source, f"s3://{name}/t", storage_options=options)
    assert held(bucket) == FILES | {"mine": b"m"}
    transfer_directory(
        source, f"s3://{name}/t", verify_integrity=True, reset_dirty_destination=True, storage_options=options
    )
    assert held(bucket).keys() == FILES.keys() | {"ax_checksum.txt"}


def test_an_interrupted_upload_is_marked_and_gone_on_with(source, bucket, options):
    files, name = bucket
    for done in ("a", "big"):
        files.pipe_file(f"{name}/t/{done}", FILES[done])
    files.pipe_file(f"{name}/t/sub/b", b"x" * 3000)
    files.pipe_file(f"{name}/t/.axds.partial", b"")
    before = {done: files.info(f"{name}/t/{done}")["LastModified"] for done in ("a", "big")}
    (source / "closed").symlink_to("a")
    with pytest.raises(RuntimeError):  # links have no place there, also with symlinks=True
        transfer_directory(source, f"s3://{name}/t", symlinks=True, storage_options=options)
    assert ".axds.partial" in held(bucket)
    (source / "closed").unlink()
    transfer_directory(source, f"s3://{name}/t", storage_options=options)
    assert held(bucket) == FILES
    files.invalidate_cache()
    assert before == {done: files.info(f"{name}/t/{done}")["LastModified"] for done in before}


def test_what_was_stored_wrongly_is_found_the_file_is_named_and_the_source_is_kept(
    source, bucket, options, monkeypatch
):
    write = S3File.write
    flip = lambda self, data: write(self, bytes([data[0] ^ 1]) + data[1:] if self.path.endswith("sub/b") else data)  # noqa: E731
    monkeypatch.setattr(S3File, "write", flip)
    with pytest.raises(IntegrityError) as caught:
        transfer_directory(source, f"s3://{bucket[1]}/t", remove_source=True, storage_options=options)
    assert caught.value.paths == ("sub/b",)
    assert (source / "sub/b").exists()
    assert ".axds.partial" in held(bucket)
    monkeypatch.undo()
    transfer_directory(source, f"s3://{bucket[1]}/t", remove_source=True, storage_options=options)
    assert held(bucket) == FILES


def test_a_file_url_is_a_place_too(source, tmp_path):
    transfer_directory(source, f"file://{tmp_path}/there", verify_integrity=True)
    assert (tmp_path / "there/sub/b").read_bytes() == FILES["sub/b"]
    assert not (tmp_path / "there/.axds.partial").exists()
