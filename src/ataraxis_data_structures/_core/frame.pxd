from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from .crc cimport axds_crc_init


cdef extern from "include/frame.h" nogil:
    enum:
        AXDS_MARK
        AXDS_RECORD_BYTES
        AXDS_PAD
        AXDS_MESSAGE
        AXDS_GAP
        AXDS_CHECKPOINT
        AXDS_FOOTER
        AXDS_EXTERNAL

    ctypedef struct axds_record:
        uint32_t check
        uint32_t length
        uint64_t time
        uint64_t seq
        uint32_t claim
        uint8_t source
        uint8_t flags
        uint16_t mark

    ctypedef struct axds_external:
        uint64_t number
        uint64_t place
        uint64_t total
        axds_record header

    ctypedef struct axds_row:
        uint64_t offset

    ctypedef struct axds_scan:
        uint64_t position
        uint64_t damage_start
        uint64_t damage_stop

    uint64_t axds_record_span(uint32_t length)
    void axds_record_seal(axds_record *header, uint32_t salt)
    bint axds_record_valid(const unsigned char *bytes, uint64_t size, uint32_t salt, axds_record *header)
    uint64_t axds_scan_rows(const unsigned char *bytes, uint64_t stop, uint32_t salt, axds_row *rows,
                            uint64_t max_rows, axds_scan *scan)
