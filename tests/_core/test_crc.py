import random
import zlib

from hypothesis import given
from hypothesis import strategies as st

import oracles
from ataraxis_data_structures._core import frame


def test_crc32c_of_the_standard_check_string():
    assert frame.crc32c(b"123456789") == 0xE3069283
    assert frame.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_crc32_is_the_one_of_zlib(data, seed):
    assert frame.crc32(data, seed) == zlib.crc32(data, seed)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_crc32c_equals_its_bitwise_twin(data, seed):
    assert frame.crc32c(data, seed) == oracles.crc32c(data, seed)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_seeds_chain(head, tail):
    assert frame.crc32c(tail, frame.crc32c(head)) == frame.crc32c(head + tail)


@given(st.integers(3000, 20_000), st.integers(1, 1000), st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_long_buffers_have_the_check_of_their_short_pieces(size, piece, seed, start):
    """Long ones go by several legs at a time; the twin vouches for short ones."""
    data = memoryview(random.Random(size).randbytes(start + size))[start:]
    want = seed
    for at in range(0, size, piece):
        want = frame.crc32c(data[at : at + piece], want)
    assert frame.crc32c(data, seed) == want


def test_crc32c_of_long_buffers_equals_its_bitwise_twin():
    for size in (3071, 3072, 3073, 6144, 12289):
        data = random.Random(size).randbytes(size)
        assert frame.crc32c(data, size) == oracles.crc32c(data, size)
