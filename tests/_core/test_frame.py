import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from ataraxis_data_structures._core import frame

SALT = 0x5EED5EED
ROW = np.dtype(frame.ROW)

records = st.fixed_dictionaries(
    {
        "payload": st.binary(max_size=40),
        "source": st.integers(0, 255),
        "time": st.integers(0, 2**64 - 1),
        "seq": st.integers(0, 2**64 - 1),
        "claim": st.integers(0, 2**32 - 1),
        "flags": st.integers(0, 255),
    }
)


def pack(record, salt=SALT):
    return frame.pack(salt, **record)


def scan(data, salt=SALT, max_rows=3):
    scanner = frame.Scanner(data, salt)
    rows = []
    while got := scanner.next(max_rows):
        rows.extend(np.frombuffer(got, ROW))
    return rows, scanner.damaged


def test_a_row_is_forty_bytes():
    assert ROW.itemsize == 40


def test_a_packed_record_is_the_drawn_layout():
    want = struct.pack("<IQQIBBH", 3, 9, 2, 7, 1, frame.MESSAGE, 0xA5D5) + b"abc"
    check = oracles.crc32c(want, SALT)
    got = frame.pack(SALT, b"abc", source=1, time=9, seq=2, claim=7)
    assert got == struct.pack("<I", check) + want + bytes(5)
    assert len(got) == frame.span(3) == 40


@given(st.lists(records, max_size=8))
def test_what_is_packed_is_found_again(wanted):
    data = b"".join(map(pack, wanted))
    rows, damaged = scan(data)
    assert damaged == []
    for row, want in zip(rows, wanted, strict=True):
        for field in ("source", "time", "seq", "claim", "flags"):
            assert row[field] == want[field]
        start = int(row["offset"]) + frame.RECORD_BYTES
        assert data[start : start + int(row["length"])] == want["payload"]


@settings(max_examples=300)
@given(st.lists(records, min_size=3, max_size=5), st.data())
def test_one_harmed_record_is_reported_and_the_others_are_found(wanted, data):
    packed = list(map(pack, wanted))
    victim = data.draw(st.integers(0, len(packed) - 1))
    used = frame.RECORD_BYTES + len(wanted[victim]["payload"])
    bit = data.draw(st.integers(0, used * 8 - 1))
    harmed = bytearray(packed[victim])
    harmed[bit // 8] ^= 1 << bit % 8
    start = sum(map(len, packed[:victim]))
    stop = start + len(harmed)
    packed[victim] = bytes(harmed)
    rows, damaged = scan(b"".join(packed))
    assert damaged == [(start, stop)]
    assert len(rows) == len(packed) - 1


@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_a_cut_buffer_gives_the_whole_records_before_the_cut(wanted, data):
    packed = list(map(pack, wanted))
    joined = b"".join(packed)
    cut = data.draw(st.integers(0, len(joined)))
    whole = sum(1 for i in range(len(packed)) if sum(map(len, packed[: i + 1])) <= cut)
    rows, damaged = scan(joined[:cut])
    assert len(rows) == whole
    edge = sum(map(len, packed[:whole]))
    assert damaged == ([(edge, cut)] if cut > edge else [])


@given(records)
def test_a_record_of_another_session_is_damage(record):
    rows, damaged = scan(pack(record, salt=1), salt=2)
    assert rows == []
    assert damaged


@given(st.binary(max_size=400))
def test_foreign_bytes_are_damage_and_never_a_crash(data):
    rows, damaged = scan(data)
    assert rows == []
    assert damaged == ([(0, len(data))] if data else [])


@pytest.mark.parametrize(("start", "stop"), [(5, 4), (0, 99)])
def test_a_scan_outside_the_buffer_is_refused(start, stop):
    with pytest.raises(ValueError, match="expected 0 <= start <= stop <= 10"):
        frame.Scanner(bytes(10), SALT, start=start, stop=stop)
