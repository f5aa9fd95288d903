# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Counts of the records in a span, for each source and each claim."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from .frame cimport AXDS_GAP, AXDS_MESSAGE, AXDS_PAD, AXDS_RECORD_BYTES, axds_record, axds_record_span


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
