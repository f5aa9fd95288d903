"""LogArchiveReader and the functions that look for archives."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import (
    LOG_ARCHIVE_SUFFIX,
    LOG_DIRECTORY_SUFFIX,
    PARALLEL_PROCESSING_THRESHOLD,
    ArchiveError,
    LogArchiveReader,
    LogMessage,
    assemble_log_archives,
    discover_log_archives,
    find_log_archive,
    find_log_archives,
    read_archive_message_count,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "log_archives.json").read_text())


def outcome(deed):
    try:
        return deed()
    except (ValueError, FileNotFoundError) as error:
        return {"raises": "ValueError" if isinstance(error, ValueError) else type(error).__name__}


def listed(messages):
    return [[int(m.timestamp_us), m.payload.tolist()] for m in messages]


def described(path):
    """Say of an archive what the golden file says."""
    reader = LogArchiveReader(path)
    given = LogArchiveReader(path, onset_us=np.uint64(10))

    def read_all():
        times, payloads = reader.read_all_messages()
        return {
            "timestamps": {"dtype": str(times.dtype), "shape": list(times.shape), "values": times.tolist()},
            "payloads": [payload.tolist() for payload in payloads],
        }

    return {
        "onset": outcome(lambda: int(reader.onset_timestamp_us)),
        "message_count": outcome(lambda: reader.message_count),
        "batches": outcome(reader.get_batches),
        "messages": outcome(lambda: listed(reader.iter_messages())),
        "with_onset_10": {"count": given.message_count, "first": listed(given.iter_messages())[:1]},
        "read_all": outcome(read_all),
    }


def test_the_published_archives_are_read_as_published(tmp_path):
    for entry in GOLDEN["inputs"]:
        if isinstance(entry[0], int):
            log_files.save(tmp_path, *entry)
    assemble_log_archives(tmp_path)
    for name, want in GOLDEN["archives"].items():
        got = described(tmp_path / name)
        assert got == {key: want[key] for key in got}


@pytest.fixture
def path(tmp_path):
    return log_files.session_archive(tmp_path / "1_log.npz", [(5, [1]), (6, []), (9, [2, 3])])


def test_a_missing_archive_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        LogArchiveReader(tmp_path / "1_log.npz")


def test_the_representation_shows_path_and_given_onset(path):
    reader = LogArchiveReader(path)
    assert repr(reader) == f"LogArchiveReader(archive_path={path}, onset_us=not discovered)"
    assert repr(LogArchiveReader(path, 7)) == f"LogArchiveReader(archive_path={path}, onset_us=7)"


def test_the_onset_is_a_uint64_or_the_given_value_unchanged(path):
    assert type(LogArchiveReader(path).onset_timestamp_us) is np.uint64
    for given in (7, np.uint64(8)):
        assert LogArchiveReader(path, given).onset_timestamp_us is given


def test_a_message_is_a_frozen_pair_with_a_payload_of_its_own(path):
    assert [field.name for field in fields(LogMessage)] == ["timestamp_us", "payload"]
    first, empty, last = LogArchiveReader(path).iter_messages()
    assert type(first.timestamp_us) is np.uint64
    assert first.timestamp_us == log_files.ONSET + 5
    assert empty.payload.tolist() == []
    assert last.payload.dtype == np.uint8
    last.payload[0] = 77
    assert last.payload.flags.owndata
    assert LogMessage(np.uint64(1), first.payload) == LogMessage(np.uint64(1), first.payload)
    with pytest.raises(FrozenInstanceError):
        first.timestamp_us = np.uint64(0)
    assert not hasattr(first, "__dict__")
    assert pickle.loads(pickle.dumps(first)).payload.tolist() == [1]


def test_keys_choose_messages_in_their_order(path):
    reader = LogArchiveReader(path)
    keys = [log_files.name_of(1, 9), log_files.name_of(1, 5), log_files.name_of(1, 0), f"{log_files.name_of(1, 6)}.npy"]
    times = [int(m.timestamp_us) - log_files.ONSET for m in reader.iter_messages(keys)]
    assert times == [9, 5, 0, 6]
    assert list(reader.iter_messages(keys=[])) == []
    for unknown in ("nothing", log_files.name_of(1, 7), log_files.name_of(1, 5, 1), log_files.name_of(2, 5), "é"):
        with pytest.raises(KeyError):
            list(reader.iter_messages([unknown]))


@pytest.mark.parametrize(
    ("entries", "found", "given"),
    [
        ({"a": (1, 5, [1]), "b": (1, 3, [2])}, None, [[12, [1]], [10, [2]]]),
        ({"a": (1, 5, [1]), "b": (1, 0, log_files.onset_payload(100)), "c": (1, 2, [3])}, [[102, [3]]],
         [[12, [1]], [7, log_files.onset_payload(100)], [9, [3]]]),
        ({"001_00000000000000000005": (1, 5, [1]), "001_00000000000000000000": (1, 0, log_files.onset_payload(100)),
          "001_00000000000000000003": (1, 3, [2])}, [[103, [2]]], [[10, [2]]]),
        ({"x_00000000000000000000": (1, 9, [3]), "c": (1, 0, log_files.onset_payload(100)), "d": (1, 4, [1])},
         [[104, [1]]], [[7, log_files.onset_payload(100)], [11, [1]]]),
        ({"001_00000000000000000000": (1, 0, [1] * 9), "001_00000000000000000002": (1, 2, [3])}, None, [[9, [3]]]),
        ({}, None, []),
        ({"001_00000000000000000000": (1, 0, log_files.onset_payload(2**64 - 5)), "b": (1, 7, [3])}, [[2, [3]]],
         [[14, [3]]]),
    ],
)  # fmt: skip
def test_messages_follow_the_onset_message(tmp_path, entries, found, given):
    archive = log_files.archive(tmp_path / "o_log.npz", entries)
    reader = LogArchiveReader(archive)
    if found is None:
        for accessor in (lambda: reader.onset_timestamp_us, lambda: reader.message_count, reader.get_batches,
                         lambda: list(reader.iter_messages()), reader.read_all_messages):  # fmt: skip
            with pytest.raises(ValueError):
                accessor()
    else:
        assert listed(reader.iter_messages()) == found
        assert reader.message_count == len(found)
    assert listed(LogArchiveReader(archive, onset_us=7).iter_messages()) == given


def test_a_given_onset_counts_modulo_64_bits(path):
    assert [int(m.timestamp_us) for m in LogArchiveReader(path, -5).iter_messages()] == [0, 1, 4]
    assert LogArchiveReader(path, 2**64 - 5).read_all_messages()[0].tolist() == [0, 1, 4]


def test_batches_have_the_published_sizes(tmp_path, monkeypatch):
    path = log_files.session_archive(tmp_path / "1_log.npz", [(time, []) for time in range(1, 2501)])
    reader = LogArchiveReader(path)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for (workers, multiplier), want in {
        (2, 4): [313] * 7 + [309], (2, 1): [1250] * 2, (1, 4): [625] * 4, (-1, 4): [625] * 4, (64, 1): [1250] * 2,
    }.items():  # fmt: skip
        assert [len(batch) for batch in reader.get_batches(workers, multiplier)] == want
    assert [key for batch in reader.get_batches(2, 4) for key in batch] == [
        log_files.name_of(1, time) for time in range(1, 2501)
    ]
    assert len(reader.get_batches(workers=2, batch_multiplier=0)) == 1
    small = log_files.session_archive(tmp_path / "2_log.npz", [(time, []) for time in range(1, 2000)])
    assert [len(batch) for batch in LogArchiveReader(small).get_batches(2)] == [1999]
    assert PARALLEL_PROCESSING_THRESHOLD == 2000


@pytest.mark.parametrize("memory_mapping", [True, False])
def test_a_reader_travels_and_its_views_outlive_it(path, memory_mapping):
    reader = LogArchiveReader(path, 7, memory_mapping=memory_mapping)
    for other in (pickle.loads(pickle.dumps(reader)), copy.copy(reader)):
        assert repr(other) == repr(reader)
        assert listed(other.iter_messages()) == listed(reader.iter_messages())
    messages = reader.iter_messages()
    del reader
    path.unlink()
    assert len(listed(messages)) == 3


def test_compressed_archives_and_old_headers_are_read(tmp_path, path):
    with np.load(path) as entries:
        arrays = dict(entries)
    np.savez_compressed(tmp_path / "2_log.npz", **arrays)
    assert listed(LogArchiveReader(tmp_path / "2_log.npz").iter_messages()) == listed(
        LogArchiveReader(path).iter_messages()
    )


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros(4), "uint8"), (np.zeros((2, 9), np.uint8), "uint8"), (np.zeros(8, np.uint8), "short"),
        (np.array([{}], dtype=object), "objects"), (np.zeros(0, np.int8), "uint8"),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_message_is_named(tmp_path, array, what):
    archive = log_files.archive(
        tmp_path / "1_log.npz", {log_files.name_of(1, 0): (1, 0, log_files.onset_payload()), "odd": array}
    )
    with pytest.raises(ArchiveError, match=rf"1_log\.npz: odd: .*{what}"):
        list(LogArchiveReader(archive).iter_messages())


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive" * 10, bytes(100)])
def test_what_is_no_archive_is_an_archive_error(tmp_path, content):
    bad = tmp_path / "1_log.npz"
    bad.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"1_log\.npz"):
        LogArchiveReader(bad).message_count  # noqa: B018
    with pytest.raises(ArchiveError):
        read_archive_message_count(bad)


def test_every_cut_of_an_archive_is_an_archive_error(tmp_path, path):
    whole = path.read_bytes()
    cut = tmp_path / "cut_log.npz"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(ArchiveError):
            list(LogArchiveReader(cut).iter_messages())


def test_every_flipped_byte_leaves_the_right_messages_or_an_archive_error(tmp_path, path):
    whole = path.read_bytes()
    want = listed(LogArchiveReader(path).iter_messages())
    bad = tmp_path / "bad_log.npz"
    errors = 0
    for index in range(len(whole)):
        bad.write_bytes(whole[:index] + bytes([whole[index] ^ 0x41]) + whole[index + 1 :])
        try:
            assert listed(LogArchiveReader(bad).iter_messages()) == want
        except ArchiveError:
            errors += 1
    assert errors > len(whole) // 2


def test_counts_are_read_from_the_directory(tmp_path, path):
    assert read_archive_message_count(path) == 3
    assert read_archive_message_count(log_files.archive(tmp_path / "x.npz", {"a": (1, 0, [1])})) == 1
    with pytest.raises(FileNotFoundError):
        read_archive_message_count(tmp_path / "missing.npz")


@pytest.fixture
def tree(tmp_path):
    for name in ("1_log.npz", "n1/2_log.npz", "n1/1_log.npz", "_log.npz", "x_1_log.npz", "notes.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "3_log.npz").mkdir()
    return tmp_path


def test_one_archive_is_found_in_the_tree(tree):
    assert find_log_archive(tree, "2") == tree / "n1" / "2_log.npz"
    assert find_log_archive(tree, "x_1") == tree / "x_1_log.npz"
    for missing in ("9", "*", "3", "n1/2"):
        with pytest.raises(FileNotFoundError):
            find_log_archive(tree, missing)
    with pytest.raises(FileNotFoundError):
        find_log_archive(tree / "missing", "1")
    with pytest.raises(ValueError, match="expected one archive"):
        find_log_archive(tree, "1")


def test_several_archives_are_found_all_or_none(tree):
    assert find_log_archives(tree, ["2", "2"]) == {"2": tree / "n1" / "2_log.npz"}
    assert find_log_archives(tree, []) == {}
    for ids, error in ((["2", "9"], FileNotFoundError), (["2", "1"], ValueError)):
        with pytest.raises(error):
            find_log_archives(tree, ids)
    with pytest.raises(FileNotFoundError):
        find_log_archives(tree / "missing", [])


def test_archives_of_one_folder_are_discovered(tree):
    assert list(discover_log_archives(tree).items()) == [("1", tree / "1_log.npz"), ("x_1", tree / "x_1_log.npz")]
    with pytest.raises(FileNotFoundError):
        discover_log_archives(tree / "missing")


def test_suffixes_are_the_published_ones():
    assert (LOG_ARCHIVE_SUFFIX, LOG_DIRECTORY_SUFFIX) == ("_log.npz", "_data_log")
