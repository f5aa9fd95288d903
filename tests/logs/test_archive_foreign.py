"""Archives that other programs wrote or touched: what zipfile reads is read."""

import zipfile

import numpy as np
import pytest

from ataraxis_data_structures import ArchiveError, LogArchiveReader, assemble_log_archives
from log_files import contents, name_of, save, session_archive, stored

MESSAGES = [(time, [time % 256] * 50) for time in range(1, 30)]
METHODS = {"stored": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2,
           "lzma": zipfile.ZIP_LZMA}  # fmt: skip


def packed(path, method):
    """Write an archive anew with another compression."""
    aside = session_archive(path.with_name("plain.npz"), MESSAGES)
    with zipfile.ZipFile(aside) as source, zipfile.ZipFile(path, "w", method) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    aside.unlink()
    return path


def check(path):
    times, payloads = LogArchiveReader(path, onset_us=0).read_all_messages()
    assert list(zip(times.tolist(), [payload.tolist() for payload in payloads], strict=True)) == MESSAGES


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_compression_of_the_standard_library_is_read_and_merged(tmp_path, method):
    path = packed(tmp_path / "1_log.npz", method)
    check(path)
    save(tmp_path, 1, 1000, [1, 2, 3])
    assemble_log_archives(tmp_path, 1)
    got = contents(path)
    assert sorted(time for time, _ in got.values()) == [0, *(time for time, _ in MESSAGES), 1000]
    with zipfile.ZipFile(path) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("tail", [b"\0", bytes(512), b"PK\5\6", b"x" * 60_000], ids=["1", "512", "magic", "60000"])
def test_bytes_behind_the_end_record_are_passed_over(tmp_path, tail):
    path = session_archive(tmp_path / "1_log.npz", MESSAGES)
    with path.open("ab") as file:
        file.write(tail)
    check(path)


def unpackable(path, method, size):
    """Write an archive whose only entry claims to unpack to so many bytes."""
    packed(path, method)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\1\2")
    data[start + 24 : start + 28] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [1, 100_000, 0x80000000, 0xFFFFFFFE])
def test_an_entry_that_unpacks_to_another_size_is_a_named_error(tmp_path, method, size):
    path = unpackable(tmp_path / "1_log.npz", method, size)
    with pytest.raises(ArchiveError, match=r"1_log\.npz"):
        LogArchiveReader(path).read_all_messages()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_each_wrong_byte_of_a_compressed_entry_is_a_named_error_or_changes_nothing(tmp_path, method):
    path = tmp_path / "1_log.npz"
    array = stored(1, 5, range(200))
    with zipfile.ZipFile(path, "w", method) as archive, archive.open(f"{name_of(1, 5)}.npy", "w") as member:
        np.save(member, array)
    whole = path.read_bytes()
    for place in range(30 + len(name_of(1, 5)) + 4, whole.index(b"PK\1\2")):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            _, payloads = LogArchiveReader(path, onset_us=0).read_all_messages()
        except ArchiveError as error:
            assert "1_log.npz" in str(error)  # noqa: PT017 either is right
        else:
            assert payloads[0].tolist() == list(range(200))
