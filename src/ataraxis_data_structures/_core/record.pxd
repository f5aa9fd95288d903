from libc.stdint cimport uint8_t, uint64_t


cdef class LogPackage:
    cdef readonly object source_id
    cdef readonly object acquisition_time
    cdef readonly object serialized_data


cdef uint64_t as_word(object value) except? 0xFFFFFFFFFFFFFFFF
cdef uint8_t as_source(object value) except? 0xFF
cdef object as_payload(object value)
cdef object as_times(object values)
cdef object as_rows(object payloads)
