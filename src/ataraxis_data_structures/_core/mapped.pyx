# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""A file mapped without a descriptor; mmap.mmap keeps one for each map, and a process has few of them."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport errno

import os

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* start, size_t size, int protection, int flags, int fd, long long offset)
    int munmap(void* start, size_t size)
    int madvise(void* start, size_t size, int advice)
    int PROT_READ, PROT_WRITE, MAP_SHARED, MADV_DONTNEED
    void* MAP_FAILED


@cython.final
@cython.auto_pickle(False)
cdef class MappedFile:
    """The bytes of a file as a buffer, read-only unless asked otherwise; unmapped when its last view is gone."""

    cdef void* _start
    cdef Py_ssize_t _size
    cdef bint _writable

    def __cinit__(self, int fd, Py_ssize_t size, *, bint writable=False):
        if size < 1:
            raise ValueError(f"expected at least one byte to map, got {size}")
        start = mmap(NULL, size, PROT_READ | (PROT_WRITE if writable else 0), MAP_SHARED, fd, 0)
        if start == MAP_FAILED:
            error = errno
            raise OSError(error, os.strerror(error))
        self._start, self._size, self._writable = start, size, writable

    def __dealloc__(self):
        if self._start:
            munmap(self._start, self._size)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self._start, self._size, not self._writable, flags)

    def forget(self) -> None:
        """Take the pages out of this process's memory; they stay in the page cache."""
        madvise(self._start, self._size, MADV_DONTNEED)
