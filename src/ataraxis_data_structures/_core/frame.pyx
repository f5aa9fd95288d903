# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Log records as bytes: packed, and found again in a buffer that may be damaged. The layout is drawn in frame.h."""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memcpy

axds_crc_init()

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
