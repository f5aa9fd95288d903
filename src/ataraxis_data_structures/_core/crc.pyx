# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Check sums of buffers: CRC-32C for log records, CRC-32 for zip members."""

axds_crc_init()


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
