from libc.stdint cimport uint32_t, uint64_t

cdef extern from "include/crc.h" nogil:
    void axds_crc_init()
    uint32_t axds_crc32(uint32_t seed, const void *data, size_t size)
    uint32_t axds_crc32c(uint32_t seed, const void *data, size_t size)
    uint32_t axds_crc32c_joined(uint32_t first, uint32_t second, uint64_t size)
