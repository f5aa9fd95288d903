from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from .crc cimport axds_crc_init


cdef extern from "include/zipdir.h" nogil:
    enum:
        AXDS_ZIP_FINE
        AXDS_ZIP_OVERLAP
        AXDS_ZIP_OTHER_ARRAY
        AXDS_ZIP_SHORT
        AXDS_ZIP_STORED
        AXDS_ZIP_DEFLATED
        AXDS_ZIP_OURS
        AXDS_ZIP_ZERO
        AXDS_ZIP_UTF8
        AXDS_ZIP_KEPT
        AXDS_ZIP_ENTRY_BYTES
        AXDS_ZIP_MEMBER_BYTES
        AXDS_ZIP_MEMBER_EXTRA_BYTES

    ctypedef struct axds_zip_row:
        uint64_t offset
        uint64_t size
        uint64_t time
        uint64_t entry
        uint32_t crc
        uint32_t repeat
        uint16_t name_length
        uint8_t method
        uint8_t kind
        uint8_t source

    ctypedef struct axds_zip_end:
        uint64_t start
        uint64_t stop
        uint64_t count

    ctypedef struct axds_zip_span:
        uint64_t start
        uint64_t length
        uint64_t time

    int axds_zip_read_end(const unsigned char *bytes, uint64_t size, axds_zip_end *end)
    int axds_zip_read_entries(const unsigned char *bytes, const axds_zip_end *end, axds_zip_row *rows, uint64_t *bad,
                              bint *ordered)
    int axds_zip_read_entry(const unsigned char *bytes, const axds_zip_end *end, uint64_t *at, axds_zip_row *row,
                            uint64_t *unpacked)
    int axds_zip_locate(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row, uint64_t *start)
    int axds_zip_message(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row, bint check,
                         axds_zip_span *span)
    uint64_t axds_zip_member_span(uint64_t name_length, uint64_t size)
    unsigned char *axds_zip_put(unsigned char *room, uint64_t number, int count)
    unsigned char *axds_zip_put_member(unsigned char *room, const char *name, uint64_t name_length, uint32_t crc,
                                       uint64_t size, bint utf8)
    unsigned char *axds_zip_put_entry(unsigned char *room, const char *name, uint64_t name_length, uint32_t crc,
                                      uint64_t size, uint64_t offset, bint utf8, bint kept)
