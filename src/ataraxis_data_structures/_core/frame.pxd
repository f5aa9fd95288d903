from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "include/crc.h" nogil:
    ctypedef struct axds_crc_tables:
        pass

    void axds_crc_init(axds_crc_tables *tables)
    void axds_crc_use(const axds_crc_tables *tables)
    uint32_t axds_crc32(uint32_t seed, const void *data, size_t size)
    uint32_t axds_crc32c(uint32_t seed, const void *data, size_t size)
    uint32_t axds_crc32c_joined(uint32_t first, uint32_t second, uint64_t size)


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


cdef axds_crc_tables crc_tables  # of all compiled modules: `axds_crc_use(&crc_tables)`


cdef class LogPackage:
    cdef readonly object source_id
    cdef readonly object acquisition_time
    cdef readonly object serialized_data


cdef uint64_t as_word(object value) except? 0xFFFFFFFFFFFFFFFF
cdef uint8_t as_source(object value) except? 0xFF
cdef object as_payload(object value)
cdef object as_times(object values)
cdef object as_rows(object payloads)
