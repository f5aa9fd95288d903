import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ataraxis_data_structures._core import npz

SOURCES = st.integers(0, 255)
TIMES = st.integers(0, 2**64 - 1)
LARGEST_REPEAT = 2**32 - 1


def saved(array, version=(1, 0)):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


@given(SOURCES, TIMES, st.binary(max_size=300))
def test_a_message_is_the_file_that_numpy_saves(source, time, payload):
    stored = bytes([source]) + time.to_bytes(8, "little") + payload
    want = saved(np.frombuffer(stored, dtype=np.uint8))
    assert npz.message_file(source, time, payload) == want
    assert npz.array_items(want) == (npz.HEADER_BYTES, len(stored))


@pytest.mark.parametrize("items", [0, 1, 9, 10, 2**31, 2**63, 2**64 - 1])
def test_a_header_of_any_size_has_128_bytes_that_numpy_reads(items):
    header = npz.array_header(items)
    assert len(header) == npz.HEADER_BYTES
    stream = io.BytesIO(header)
    assert np.lib.format.read_magic(stream) == (1, 0)
    assert np.lib.format.read_array_header_1_0(stream) == ((items,), False, np.dtype("u1"))


def test_fill_writes_a_message_where_it_is_told():
    room = bytearray(b"\xee" * 400)
    stop = npz.fill_message(room, 7, 1234567890, b"\1\2\3", 16)
    assert room[16:stop] == npz.message_file(7, 1234567890, b"\1\2\3")
    assert room[:16] + room[stop:] == b"\xee" * (400 - 140)


@pytest.mark.parametrize("start", [-1, 261, 400, 2**63 - 1])
def test_fill_refuses_a_message_without_room(start):
    with pytest.raises(ValueError, match="expected room for 140 bytes"):
        npz.fill_message(bytearray(400), 7, 0, b"\1\2\3", start)


@given(SOURCES, TIMES, st.integers(0, LARGEST_REPEAT))
def test_names_are_read_back(source, time, repeat):
    suffix = f"_{repeat}" if repeat else ""
    name = npz.file_name(source, time, repeat)
    assert name == f"{source:03d}_{time:020d}{suffix}.npy"
    assert npz.parse_name(name) == npz.parse_name(name.removesuffix(".npy")) == (source, time, repeat)


@pytest.mark.parametrize(
    "name",
    [
        "", ".npy", "notes.npy", "1_5.npy", "001_5.npy", "256_00000000000000000000.npy",
        "001_18446744073709551616.npy", "001_99999999999999999999.npy", "001-00000000000000000000.npy",
        "001_00000000000000000000_.npy", "001_00000000000000000000_0.npy", "001_00000000000000000000_01.npy",
        "001_00000000000000000000_4294967296.npy", "001_00000000000000000000_1x.npy", "001_0000000000000000000a.npy",
        "+01_00000000000000000000.npy", "001_00000000000000000000.npz", "001_00000000000000000000.npy.npy",
        "\udc80\udc80\udc80_00000000000000000000.npy", "١٢٣_00000000000000000000.npy",
    ],
)  # fmt: skip
def test_other_spellings_are_not_ours(name):
    assert npz.parse_name(name) is None


@pytest.mark.parametrize(
    "array",
    [np.zeros(3, np.int8), np.zeros((2, 2), np.uint8), np.zeros(3, bool), np.array(7, np.uint8), np.zeros(4, ">u2")],
)
def test_files_of_other_arrays_are_told_apart(array):
    assert npz.array_items(saved(array)) is None


def test_files_of_other_header_versions_and_paddings_are_told_apart_or_read():
    array = np.arange(12, dtype=np.uint8)
    assert npz.array_items(saved(array, (2, 0))) is None
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (12,), }"
    short = b"\x93NUMPY\x01\x00" + bytes([70, 0]) + text.ljust(69) + b"\n"  # numpy before 1.14 filled up to 16
    assert npz.array_items(short + array.tobytes()) == (80, 12)


@given(st.data())
def test_a_cut_or_changed_file_is_none_or_the_same_items(data):
    file = bytearray(npz.message_file(1, 2, b"payload"))
    file[data.draw(st.integers(0, npz.HEADER_BYTES - 1))] = data.draw(st.integers(0, 255))
    got = npz.array_items(file[: data.draw(st.integers(0, len(file)))])
    assert got in (None, (npz.HEADER_BYTES, 16))
