# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Log messages and records: a message as a package, a record as bytes, and records found again, checked, counted.

include/frame.h draws the layout of a record.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.long cimport PyLong_AsUnsignedLongLong
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from dataclasses import FrozenInstanceError, dataclass

axds_crc_init(&crc_tables)

RECORD_BYTES = <int>AXDS_RECORD_BYTES
PAD = <int>AXDS_PAD
MESSAGE = <int>AXDS_MESSAGE
GAP = <int>AXDS_GAP
CHECKPOINT = <int>AXDS_CHECKPOINT
FOOTER = <int>AXDS_FOOTER
EXTERNAL = <int>AXDS_EXTERNAL

# The fields of a row of Scanner.next, as numpy.dtype takes them; `offset` is where the record's header starts.
ROW = [
    ("offset", "<u8"), ("time", "<u8"), ("seq", "<u8"), ("length", "<u4"), ("claim", "<u4"),
    ("source", "u1"), ("flags", "u1"), ("unused", "V6"),
]
ROW_FORMAT = "<3Q2I2B6x"  # the same for struct


def crc32(const unsigned char[::1] data not None, uint32_t seed=0) -> int:
    """Return the CRC-32 (IEEE 802.3, as in zip) of a buffer, continued from `seed`."""
    cdef uint32_t result = seed
    if data.shape[0]:
        with nogil:
            result = axds_crc32(seed, &data[0], <size_t>data.shape[0])
    return result


def crc32c_joined(uint32_t first, uint32_t second, uint64_t size) -> int:
    """Return the CRC-32C of two buffers, one behind the other, from those of each and the size of the second."""
    return axds_crc32c_joined(first, second, size)


def crc32c(const unsigned char[::1] data not None, uint32_t seed=0) -> int:
    """Return the CRC-32C (Castagnoli, as in RFC 3720) of a buffer, continued from `seed`."""
    cdef uint32_t result = seed
    if data.shape[0]:
        with nogil:
            result = axds_crc32c(seed, &data[0], <size_t>data.shape[0])
    return result


def span(uint32_t length) -> int:
    """Return the bytes that a record with `length` bytes of payload occupies."""
    return axds_record_span(length)


def pack(
    uint32_t salt, const unsigned char[::1] payload not None, *,
    uint8_t source=0, uint64_t time=0, uint64_t seq=0, uint32_t claim=0, uint8_t flags=MESSAGE,
) -> bytes:
    """Return one sealed record; the payload may hold at most 2**32 - 40 bytes."""
    if payload.shape[0] > 0xFFFFFFFF - 39:
        raise ValueError(f"expected at most {0xFFFFFFFF - 39} bytes of payload in a record, got {payload.shape[0]}")
    cdef uint32_t length = <uint32_t>payload.shape[0]
    cdef bytearray room = bytearray(axds_record_span(length))
    cdef axds_record *record = <axds_record *>PyByteArray_AS_STRING(room)
    record.length = length
    record.time = time
    record.seq = seq
    record.claim = claim
    record.source = source
    record.flags = flags
    if length:
        memcpy(record + 1, &payload[0], length)
    axds_record_seal(record, salt)
    return bytes(room)


@cython.auto_pickle(False)
@cython.final
cdef class Scanner:
    """Walks the records of a buffer in order and skips what is damaged; `damaged` lists the skipped spans."""

    cdef const unsigned char[::1] _buffer
    cdef uint64_t _stop
    cdef uint32_t _salt
    cdef axds_scan _scan
    cdef readonly list damaged

    def __init__(self, const unsigned char[::1] buffer not None, uint32_t salt, *, uint64_t start=0, stop=None):
        cdef uint64_t size = <uint64_t>buffer.shape[0]
        self._stop = size if stop is None else stop
        if start > self._stop or self._stop > size:
            raise ValueError(f"expected 0 <= start <= stop <= {size}, got start {start} and stop {self._stop}")
        self._buffer = buffer
        self._salt = salt
        self._scan.position = start
        self.damaged = []

    @property
    def position(self) -> int:
        """Where the next record is looked for."""
        return self._scan.position

    def next(self, uint64_t max_rows) -> bytes:
        """Return the next rows, at most `max_rows` and at least one before the end; empty at the end."""
        cdef bytearray rows = bytearray(max_rows * sizeof(axds_row))
        cdef axds_row *first = <axds_row *>PyByteArray_AS_STRING(rows)
        cdef uint64_t count = 0
        while not count and max_rows and self._scan.position < self._stop:
            with nogil:
                count = axds_scan_rows(&self._buffer[0], self._stop, self._salt, first, max_rows, &self._scan)
            if self._scan.damage_stop > self._scan.damage_start:
                self.damaged.append((self._scan.damage_start, self._scan.damage_stop))
        return bytes(memoryview(rows)[:count * sizeof(axds_row)])


cdef struct Count:
    uint64_t messages
    uint64_t bytes
    uint64_t dropped


@cython.auto_pickle(False)
@cython.final
cdef class Tally:
    """Sums up the records that it was shown; `claims` maps a claim to the seq of its next record."""

    cdef Count _counts[256]
    cdef readonly dict claims

    def __cinit__(self):
        self.claims = {}

    def add(self, const unsigned char[::1] span not None, uint64_t[::1] words=None) -> int:
        """Count the records of a span of whole ones and return how many they are.

        `words` are 256 rows of (written, synced, bytes, dropped) that others read; all but synced are counted on.
        """
        if words is not None and words.shape[0] != 1024:
            raise ValueError(f"expected 1024 words, got {words.shape[0]}")
        cdef bint shared = words is not None
        cdef uint64_t position = 0, size = <uint64_t>span.shape[0], records = 0, count
        cdef axds_record header
        cdef uint32_t claim = 0
        cdef uint64_t seq = 0
        while position < size:
            if size - position < AXDS_RECORD_BYTES:
                raise ValueError(f"expected whole records, got {size - position} bytes at {position}")
            memcpy(&header, &span[position], AXDS_RECORD_BYTES)
            if axds_record_span(header.length) > size - position:
                raise ValueError(f"expected whole records, got one of {header.length} bytes cut at {size}")
            if header.claim != claim and claim:
                self.claims[claim] = seq
            claim, seq = header.claim, header.seq + 1
            if header.flags & AXDS_GAP and header.length >= 8:
                memcpy(&count, &span[position + AXDS_RECORD_BYTES], 8)
                self._counts[header.source].dropped += count
                if shared:
                    words[header.source * 4 + 3] += count
            elif not header.flags & AXDS_PAD:
                self._counts[header.source].bytes += header.length
                self._counts[header.source].messages += (header.flags & AXDS_MESSAGE) != 0
                if shared:
                    words[header.source * 4] += (header.flags & AXDS_MESSAGE) != 0
                    words[header.source * 4 + 2] += header.length
            position += axds_record_span(header.length)
            records += 1
        if claim:
            self.claims[claim] = seq
        return records

    def sources(self) -> list:
        """Return (source, messages, bytes, dropped) of each source that was seen."""
        cdef int source
        return [
            (source, count.messages, count.bytes, count.dropped)
            for source in range(256)
            for count in (self._counts[source],)
            if count.messages or count.bytes or count.dropped
        ]


@dataclass(frozen=True, eq=False)
class _Fields:
    """What dataclasses.fields, replace and asdict find on a LogPackage."""

    source_id: "np.uint8"
    acquisition_time: "np.uint64"
    serialized_data: "np.ndarray"


cdef object _numpy = None


cdef object numpy():
    """Return numpy, imported on first use: the logger process, which needs records alone, does without."""
    global _numpy
    if _numpy is None:
        import numpy as found
        _numpy = found
    return _numpy


cdef uint64_t as_word(object value) except? 0xFFFFFFFFFFFFFFFF:
    """Return a whole number that fits an unsigned 64-bit word; OverflowError or TypeError otherwise."""
    if type(value) is not int:
        value = PyNumber_Index(value)
    return PyLong_AsUnsignedLongLong(value)


cdef uint8_t as_source(object value) except? 0xFF:
    cdef uint64_t word = as_word(value)
    if word > 255:
        raise OverflowError(f"expected a source_id from 0 to 255, got {value}")
    return <uint8_t>word


cdef object as_payload(object value):
    """Return the payload as a contiguous 1-D array of uint8; wider unsigned elements are narrowed one by one."""
    np = numpy()
    array = np.asarray(value) if isinstance(value, np.ndarray) else np.asarray(memoryview(value))
    if array.dtype.kind not in "ub":
        raise TypeError(f"expected serialized_data of an unsigned or bool type, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"expected one-dimensional serialized_data, got the shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.uint8)


cdef object as_times(object values):
    """Return acquisition times as a contiguous 1-D array of uint64."""
    np = numpy()
    times = np.asarray(values)
    if times.ndim != 1:
        raise ValueError(f"expected one-dimensional acquisition_times, got the shape {times.shape}")
    if not len(times):
        return times.astype(np.uint64)
    if times.dtype.kind not in "ui":
        raise TypeError(f"expected whole numbers as acquisition_times, got {times.dtype}")
    if times.dtype.kind == "i" and times.min() < 0:
        raise OverflowError(f"expected acquisition_times from 0 to 2**64 - 1, got {times.min()}")
    return np.ascontiguousarray(times, dtype=np.uint64)


cdef object as_rows(object payloads):
    """Return a 2-D array as rows of uint8, each of which is contiguous."""
    if payloads.dtype.kind not in "ub":
        raise TypeError(f"expected payloads of an unsigned or bool type, got {payloads.dtype}")
    np = numpy()
    rows = payloads.astype(np.uint8, copy=False)
    return rows if rows.strides[1] == 1 and rows.strides[0] >= 0 else np.ascontiguousarray(rows)


# No garbage collection: a payload is a plain array, and a burst of packages must not trigger collections.
@cython.no_gc
@cython.freelist(32)
cdef class LogPackage:
    """One message for the logger: who sent it, when it was acquired, and its bytes.

    `acquisition_time` counts microseconds since the onset of its source, from 0 to 2**64 - 1. `serialized_data` is a
    1-D array of uint8; bool and wider unsigned elements are narrowed one by one, anything else is a TypeError where
    the package is put or its `data` read.
    """

    __match_args__ = ("source_id", "acquisition_time", "serialized_data")
    __dataclass_fields__ = _Fields.__dataclass_fields__
    __dataclass_params__ = _Fields.__dataclass_params__

    def __init__(self, source_id, acquisition_time, serialized_data):
        self.source_id = source_id
        self.acquisition_time = acquisition_time
        self.serialized_data = serialized_data

    @property
    def data(self) -> tuple:
        """The file name of the message, and its stored bytes: source, time (8 bytes, little-endian), payload."""
        cdef uint8_t source = as_source(self.source_id)
        cdef uint64_t stamp = as_word(self.acquisition_time)
        np = numpy()
        payload = as_payload(self.serialized_data)
        stored = np.empty(9 + payload.size, dtype=np.uint8)
        stored[0] = source
        stored[1:9] = np.frombuffer(int(stamp).to_bytes(8, "little"), dtype=np.uint8)
        stored[9:] = payload
        return f"{int(source):03d}_{int(stamp):020d}.npy", stored

    def __setattr__(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other):
        # A dataclass would compare the arrays by truth, which is an error for most of them; equal means equal here.
        if type(other) is not type(self):
            return NotImplemented
        cdef LogPackage that = <LogPackage>other
        if self.source_id != that.source_id or self.acquisition_time != that.acquisition_time:
            return False
        return self.serialized_data is that.serialized_data or bool(
            numpy().array_equal(self.serialized_data, that.serialized_data))

    def __hash__(self):
        return hash((self.source_id, self.acquisition_time, self.serialized_data))

    def __repr__(self):
        return (f"{type(self).__qualname__}(source_id={self.source_id!r}, acquisition_time={self.acquisition_time!r}, "
                f"serialized_data={self.serialized_data!r})")

    def __reduce__(self):
        return type(self), (self.source_id, self.acquisition_time, self.serialized_data)
