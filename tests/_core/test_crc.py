import random
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from ataraxis_data_structures import _core
from ataraxis_data_structures._core import frame

CRC_H = Path(_core.__file__).parent / "include" / "crc.h"
CRC32, CRC32C = 0x104C11DB7, 0x11EDC6F41  # with x^32, the highest bit first


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


def reversed_bits(number, width):
    return int(f"{number:0{width}b}"[::-1], 2)


def power_of_x(exponent, polynomial):
    """Return x^exponent modulo the polynomial."""
    rest = 1
    for _ in range(exponent):
        rest <<= 1
        rest ^= polynomial if rest >> 32 else 0
    return rest


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("POLY_CRC32", reversed_bits(CRC32 & 0xFFFFFFFF, 32)),
        ("POLY_CRC32C", reversed_bits(CRC32C & 0xFFFFFFFF, 32)),
        ("CRC32_FOLD_512_LOW", reversed_bits(power_of_x(512 + 32, CRC32), 33)),
        ("CRC32_FOLD_512_HIGH", reversed_bits(power_of_x(512 - 32, CRC32), 33)),
        ("CRC32_FOLD_128_LOW", reversed_bits(power_of_x(128 + 32, CRC32), 33)),
        ("CRC32_FOLD_128_HIGH", reversed_bits(power_of_x(128 - 32, CRC32), 33)),
        ("CRC32C_OVER_ONE_LEG", reversed_bits(power_of_x(8 * 1024 - 33, CRC32C), 32)),
        ("CRC32C_OVER_TWO_LEGS", reversed_bits(power_of_x(8 * 2048 - 33, CRC32C), 32)),
    ],
)
def test_each_constant_follows_from_its_polynomial(name, want):
    (got,) = re.findall(rf"#define AXDS_{name} +(0x[0-9a-fA-F]+)u?$", CRC_H.read_text(), re.MULTILINE)
    assert int(got, 16) == want


def test_one_module_fills_the_tables_that_all_use():
    sources = {path.name: path.read_text() for path in CRC_H.parents[1].glob("*.pyx")}
    assert [name for name, code in sources.items() if "axds_crc_init(&" in code] == ["frame.pyx"]
    borrowers = {name for name, code in sources.items() if "axds_crc_use(&crc_tables)" in code}
    assert borrowers == {"lane.pyx", "npz.pyx", "producer.pyx"}


def test_a_leg_is_what_the_factors_are_for():
    assert "#define AXDS_CRC_LEG 1024\n" in CRC_H.read_text()


def test_no_other_number_of_a_fold_stands_in_the_header():
    """Every hexadecimal number of more than 16 bits is a constant with a name of its own."""
    lines = [line for line in CRC_H.read_text().splitlines() if re.search(r"0x[0-9a-fA-F]{5,}", line)]
    assert [line for line in lines if not line.startswith("#define")] == [
        line for line in lines if "0x80000000u" in line or "0x00800000u" in line
    ]
