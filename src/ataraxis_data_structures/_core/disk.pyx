# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""What the os module leaves out about getting bytes onto a disk."""

from libc.errno cimport EINTR, errno

import os

cdef extern from *:
    """
    #if defined(__linux__)
    #include <fcntl.h>
    #include <unistd.h>
    extern int syncfs(int fd);
    static int axds_syncfs(int fd) { return syncfs(fd); }
    static void axds_write_back(int fd, long long start, long long size) {
        sync_file_range(fd, start, size, SYNC_FILE_RANGE_WRITE);
    }
    #else
    #include <unistd.h>
    static int axds_syncfs(int fd) { (void)fd; sync(); return 0; }
    static void axds_write_back(int fd, long long start, long long size) { (void)fd, (void)start, (void)size; }
    #endif
    """
    int axds_syncfs(int fd) nogil
    void axds_write_back(int fd, long long start, long long size) nogil


def syncfs(int fd) -> None:
    """Return when everything written to the file system of a descriptor is on its disk."""
    cdef int failed
    while True:
        with nogil:
            failed = axds_syncfs(fd)
        if not failed:
            return
        if errno != EINTR:
            raise OSError(errno, os.strerror(errno))


def write_back(int fd, long long start, long long size) -> None:
    """Have the disk begin with bytes that a later sync will wait for; only a hint, so an error is left to that sync."""
    with nogil:
        axds_write_back(fd, start, size)
