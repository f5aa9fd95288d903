from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "include/npy.h" nogil:
    enum:
        AXDS_NPY_HEADER_BYTES
        AXDS_NPY_STAMP_BYTES
        AXDS_NPY_PREFIX_BYTES
        AXDS_NPY_NAME_BYTES

    void axds_npy_header(unsigned char *room, uint64_t items)
    void axds_npy_prefix(unsigned char *room, uint8_t source, uint64_t time, uint64_t length)
    uint64_t axds_npy_time(const unsigned char *stamp)
    unsigned axds_npy_name(char *room, uint8_t source, uint64_t time, uint32_t repeat)
    bint axds_npy_parse_name(const char *name, uint64_t size, uint8_t *source, uint64_t *time, uint32_t *repeat)
    bint axds_npy_items(const unsigned char *bytes, uint64_t size, uint64_t *start, uint64_t *items)
