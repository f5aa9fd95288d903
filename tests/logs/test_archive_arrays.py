"""What LogArchiveReader offers beyond the published library: arrays, slices, checks, batches on executors."""

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import log_files
from ataraxis_data_structures import (
    ArchiveError,
    BatchError,
    LogArchiveReader,
    assemble_log_archives,
    follow,
    map_archive,
    merge_archives,
)
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.logs.journal import layout


@pytest.fixture
def path(tmp_path):
    return log_files.session_archive(tmp_path / "1_log.npz", [(5, [1, 2]), (6, [3, 4]), (6_000_000, [5, 6])])


def listed(messages):
    return [(int(m.timestamp_us) - log_files.ONSET, m.payload.tolist()) for m in messages]


ALL = [(5, [1, 2]), (6, [3, 4]), (6_000_000, [5, 6])]


def test_timestamps_and_sizes_are_arrays(path):
    reader = LogArchiveReader(path)
    assert (reader.timestamps - np.uint64(log_files.ONSET)).tolist() == [5, 6, 6_000_000]
    assert reader.timestamps.dtype == np.uint64
    assert reader.payload_sizes.tolist() == [2, 2, 2]
    assert len(reader) == reader.message_count == 3
    with pytest.raises(ValueError, match="read-only"):
        reader.timestamps[0] = 1


def test_messages_are_indexed_and_sliced(path):
    reader = LogArchiveReader(path)
    for index in range(-3, 3):
        assert listed([reader[index]]) == [ALL[index]]
    for part in (slice(None), slice(1, None), slice(None, None, -1), slice(-2, 3), slice(5, 9)):
        assert listed(reader[part]) == ALL[part]
    for outside in (3, -4, 2**80):
        with pytest.raises(IndexError):
            reader[outside]
    assert listed(iter(reader.iter_range(1, 9))) == ALL[1:]


@pytest.mark.parametrize("in_order", [True, False])
def test_messages_between_two_times(tmp_path, in_order):
    messages = ALL if in_order else ALL[::-1]
    reader = LogArchiveReader(log_files.session_archive(tmp_path / "1_log.npz", messages))
    onset = log_files.ONSET
    for start, end, want in [(0, 2**64, 3), (onset + 5, onset + 6, 1), (onset + 6, onset + 6, 0), (-1, onset + 6, 1)]:
        got = listed(reader.between(start, end))
        assert got == [(at, payload) for at, payload in messages if start <= onset + at < end]
        assert len(got) == want


def test_payload_views_are_read_only_and_lie_in_the_archive(path):
    views = list(LogArchiveReader(path).payload_views())
    assert [view.tolist() for view in views] == [[1, 2], [3, 4], [5, 6]]
    assert not any(view.flags.writeable or view.flags.owndata for view in views)


@given(st.integers(1, 5), st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=25)
def test_a_matrix_has_the_payloads_as_rows(tmp_path_factory, items, count, repeats):
    folder = tmp_path_factory.mktemp("log")
    rng = np.random.default_rng(items * 100 + count)
    want = rng.integers(0, 2**63, (count, items), dtype=np.int64)
    for row, values in enumerate(want):  # equal times have names of other lengths, so rows are no even steps apart
        log_files.save(folder, 1, 7 if repeats else row + 1, values.tobytes(), row if repeats else 0)
    assemble_log_archives(folder)
    reader = LogArchiveReader(folder / "1_log.npz", onset_us=0)
    np.testing.assert_array_equal(reader.matrix("<i8"), want)
    np.testing.assert_array_equal(reader.matrix(), want.view(np.uint8))


def test_a_matrix_of_wide_rows_is_a_view_of_the_archive(tmp_path):
    reader = LogArchiveReader(
        log_files.session_archive(tmp_path / "1_log.npz", [(at, [at] * 4096) for at in (1, 2, 3)])
    )
    matrix = reader.matrix()
    assert matrix.tolist() == [[at] * 4096 for at in (1, 2, 3)]
    assert not matrix.flags.writeable
    assert np.shares_memory(matrix, next(reader.payload_views()))


def test_a_matrix_needs_equal_and_whole_payloads(tmp_path, path):
    with pytest.raises(ValueError, match="whole int64 items, got 2 bytes"):
        LogArchiveReader(path).matrix(np.int64)
    uneven = log_files.session_archive(tmp_path / "2_log.npz", [(1, [1]), (2, [1, 2])])
    with pytest.raises(ArchiveError, match="expected 1 bytes of payload"):
        LogArchiveReader(uneven).matrix()
    empty = log_files.session_archive(tmp_path / "3_log.npz", [])
    assert LogArchiveReader(empty).matrix().shape == (0, 0)
    nothing = log_files.session_archive(tmp_path / "4_log.npz", [(1, []), (2, [])])
    assert LogArchiveReader(nothing).matrix().shape == (2, 0)


def test_verify_names_the_damaged_entries(path):
    reader = LogArchiveReader(path)
    assert reader.verify() == []
    data = bytearray(path.read_bytes())
    for payload in ([1, 2], [5, 6]):
        data[data.index(bytes(payload), 128)] ^= 0x80
    path.write_bytes(data)
    faults = LogArchiveReader(path).verify()
    assert [fault.key for fault in faults] == [log_files.name_of(1, 5), log_files.name_of(1, 6_000_000)]
    assert "CRC-32" in faults[0].what


def test_verify_names_what_is_no_message_or_misnamed(tmp_path):
    entries = {
        "a": np.zeros(3),
        log_files.name_of(1, 5): (1, 6, []),
        log_files.name_of(1, 7): (1, 7, []),
        "b": (1, 1, []),
    }
    found = LogArchiveReader(log_files.archive(tmp_path / "1_log.npz", entries)).verify()
    assert [fault.key for fault in found] == ["a", log_files.name_of(1, 5)]
    assert "uint8" in found[0].what
    packed = LogArchiveReader(log_files.archive(tmp_path / "2_log.npz", entries, compressed=True)).verify()
    assert [fault.key for fault in packed] == [fault.key for fault in found]


def total(messages):
    return sum(int(message.payload.sum()) for message in messages)


def fail_on_large(messages):
    if max(int(message.payload[0]) for message in messages) == 200:
        raise LookupError("200")


@pytest.fixture
def long(tmp_path):
    messages = [(at, [at % 199]) for at in range(1, 2400)] + [(2400, [200])]
    return log_files.session_archive(tmp_path / "9_log.npz", messages)


@pytest.mark.parametrize("executor_type", [None, ThreadPoolExecutor, ProcessPoolExecutor])
def test_batches_are_mapped_in_their_order_on_any_executor(long, executor_type):
    reader = LogArchiveReader(long)
    want = [sum(reader[a:b][i].payload[0].item() for i in range(b - a)) for a, b in reader.batch_ranges(2)]
    if executor_type is None:
        assert map_archive(reader, total, workers=2) == want
        return
    with executor_type(2) as executor:
        assert map_archive(long, total, executor, workers=2) == want
        with pytest.raises(BatchError, match="LookupError") as caught:
            map_archive(long, fail_on_large, executor, workers=2)
    assert caught.value.batch == reader.batch_ranges(2)[-1]


def test_archives_are_merged_by_time(tmp_path):
    one = log_files.session_archive(tmp_path / "1_log.npz", [(1, [1]), (5, [5]), (9, [9])])
    two = log_files.session_archive(tmp_path / "2_log.npz", [(1, [2]), (6, [6])], source=2)
    readers = [LogArchiveReader(one), LogArchiveReader(two)]
    got = [(readers.index(reader), *listed([message])[0]) for reader, message in merge_archives(readers)]
    assert got == [(0, 1, [1]), (1, 1, [2]), (0, 5, [5]), (1, 6, [6]), (0, 9, [9])]


def test_a_journal_is_followed_while_it_grows(tmp_path):
    header = layout.Header(0xFEED, 0, 7, layout.JOURNAL, log_files.ONSET, bytes(16))
    records = [frame.pack(7, bytes([seq] * seq), source=seq % 3, time=seq, seq=seq, claim=1) for seq in range(40)]
    journal = tmp_path / header.name
    journal.write_bytes(header.pack())
    ended = threading.Event()

    def write():
        with journal.open("ab", buffering=0) as file:
            for record in records:
                file.write(record[:20])  # a torn tail must be looked at again
                file.write(record[20:])
        ended.set()

    writer = threading.Thread(target=write)
    got = follow(tmp_path, poll_s=0.001, stop=ended.is_set)
    writer.start()
    assert [(m.source_id, m.acquisition_time, m.payload) for m in got] == [
        (seq % 3, seq, bytes([seq] * seq)) for seq in range(40)
    ]
    writer.join()
