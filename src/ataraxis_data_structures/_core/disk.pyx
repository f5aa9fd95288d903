# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""What the os module leaves out about getting bytes onto a disk."""

from libc.errno cimport EINTR, errno

import os

cdef extern from *:
    """
    #if defined(__linux__)
    #include <unistd.h>
    extern int syncfs(int fd);
    static int axds_syncfs(int fd) { return syncfs(fd); }
    #else
    #include <unistd.h>
    static int axds_syncfs(int fd) { (void)fd; sync(); return 0; }
    #endif
    """
    int axds_syncfs(int fd) nogil


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
