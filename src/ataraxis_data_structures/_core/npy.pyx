# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Log messages as .npy files: their bytes and their names. The layout is drawn in npy.h."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy

HEADER_BYTES = <int>AXDS_NPY_HEADER_BYTES
STAMP_BYTES = <int>AXDS_NPY_STAMP_BYTES
PREFIX_BYTES = <int>AXDS_NPY_PREFIX_BYTES


def header(uint64_t items) -> bytes:
    """Return the header of a .npy file of a uint8 vector."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, AXDS_NPY_HEADER_BYTES)
    axds_npy_header(<unsigned char *>PyBytes_AS_STRING(room), items)
    return room


cdef void _fill(unsigned char *room, uint8_t source, uint64_t time, const unsigned char[::1] payload) noexcept:
    cdef size_t length = <size_t>payload.shape[0]
    axds_npy_prefix(room, source, time, length)
    if length:
        memcpy(room + AXDS_NPY_PREFIX_BYTES, &payload[0], length)


def fill(
    unsigned char[::1] room not None, uint8_t source, uint64_t time, const unsigned char[::1] payload not None,
    Py_ssize_t start=0,
) -> int:
    """Write the whole file of a message into `room` from `start` on; return where it ends."""
    cdef Py_ssize_t size = <Py_ssize_t>AXDS_NPY_PREFIX_BYTES + payload.shape[0]
    if start < 0 or start > room.shape[0] or size > room.shape[0] - start:
        raise ValueError(f"expected room for {size} bytes from {start} on, got {room.shape[0]} bytes in all")
    _fill(&room[start], source, time, payload)
    return start + size


def message(uint8_t source, uint64_t time, const unsigned char[::1] payload not None) -> bytes:
    """Return the whole file of a message."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, AXDS_NPY_PREFIX_BYTES + payload.shape[0])
    _fill(<unsigned char *>PyBytes_AS_STRING(room), source, time, payload)
    return room


def file_name(uint8_t source, uint64_t time, uint32_t repeat=0) -> str:
    """Return the name of a message's file; `repeat` counts the messages of one source and time from 0."""
    cdef char room[AXDS_NPY_NAME_BYTES]
    cdef unsigned size = axds_npy_name(room, source, time, repeat)
    return room[:size].decode("ascii")


def parse_name(str name not None) -> tuple | None:
    """Return source, time and repeat of a message's file name or archive key; None for any other spelling."""
    cdef Py_ssize_t size
    cdef uint8_t source
    cdef uint64_t time
    cdef uint32_t repeat
    if not name.isascii():  # a file name that is no text has no UTF-8
        return None
    cdef const char *text = PyUnicode_AsUTF8AndSize(name, &size)
    if not axds_npy_parse_name(text, <uint64_t>size, &source, &time, &repeat):
        return None
    return source, time, repeat


def items(const unsigned char[::1] file not None) -> tuple | None:
    """Return start and count of the items in a whole .npy file of a uint8 vector; None for any other header."""
    cdef uint64_t start, count
    if not file.shape[0] or not axds_npy_items(&file[0], <uint64_t>file.shape[0], &start, &count):
        return None
    return start, count
