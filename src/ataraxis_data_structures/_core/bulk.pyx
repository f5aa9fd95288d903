# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Bytes in bulk, without the interpreter between two calls: small files, syncs, maps, and sorted coordinates.

Opening files is for the callers; it is done here, relative to a descriptor of theirs, because reading a small file costs
4.2 us this way, 5.3 us by os.open and os.readv and 9.6 us by open(), and because a whole batch gives the interpreter's
lock away once.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AsString
from libc.errno cimport EACCES, EEXIST, EINTR, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, errno
from libc.math cimport NAN, isfinite, isinf
from libc.stdint cimport int64_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen

import os

cdef extern from "include/metadata.h":
    """
    /* A pipe must not make us wait, so nothing is opened to be waited for. Reading leaves the time of access alone
     * where that is permitted: `quiet` is cleared at the first file of somebody else. */
    static int axds_open(int folder, const char *name, int follow, int *quiet) {
        int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
        int fd = openat(folder, name, flags | (*quiet ? O_NOATIME : 0));
        if (fd >= 0 || errno != EPERM || !*quiet) return fd;
        *quiet = 0;
        return openat(folder, name, flags);
    }

    static int axds_create(int folder, const char *name, int mode) {
        return openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0777);
    }

    static int axds_is_regular(const struct stat *status) { return S_ISREG(status->st_mode); }

    static int axds_has_holes(const struct stat *status) {
        return status->st_size >= 4096 && (int64_t)status->st_blocks * 512 < (int64_t)status->st_size;
    }
    """
    ctypedef struct timespec:
        int64_t tv_sec, tv_nsec
    ctypedef struct status_t "struct stat":
        int64_t st_size, st_ino
        int st_mode
        timespec st_atim, st_mtim, st_ctim
    enum:
        AXDS_LOST_TIME
        AXDS_LOST_ATTRIBUTES
    int fstat(int fd, status_t *status) nogil
    int axds_open(int folder, const char *name, int follow, int *quiet) nogil
    int axds_create(int folder, const char *name, int mode) nogil
    int axds_is_regular(const status_t *status) nogil
    int axds_has_holes(const status_t *status) nogil
    int axds_copy_metadata(int source, int target, const status_t *like, int fresh, int *lost) nogil
    int axds_same_attributes(int first, int second) nogil
    Py_ssize_t read(int fd, void *room, size_t size) nogil
    Py_ssize_t write(int fd, const void *data, size_t size) nogil
    int close(int fd) nogil
    int unlinkat(int folder, const char *name, int flags) nogil

cdef enum Left:  # what a file can be left as, instead of a position in the buffer
    LARGE = -1
    EXISTS = -2
    CHANGED = -3
    CLOSED = -4

LEFT_LARGE, LEFT_EXISTS, LEFT_CHANGED, LEFT_CLOSED = LARGE, EXISTS, CHANGED, CLOSED
LOST_TIME, LOST_ATTRIBUTES = AXDS_LOST_TIME, AXDS_LOST_ATTRIBUTES
ROW = 8  # columns of what `load_files` tells of a file


cdef Py_ssize_t fill(int fd, uint8_t *room, Py_ssize_t size) noexcept nogil:
    """Read up to `size` bytes; fewer only at the end of the file, negative on failure."""
    cdef Py_ssize_t done = 0, got
    while done < size:
        got = read(fd, room + done, size - done)
        if got == 0:
            break
        if got > 0:
            done += got
        elif errno != EINTR:
            return -1
    return done


cdef int drain(int fd, const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Write everything; return 0 or the errno."""
    cdef Py_ssize_t done = 0, put
    while done < size:
        put = write(fd, data + done, size - done)
        if put >= 0:
            done += put
        elif errno != EINTR:
            return errno
    return 0


cdef int put_copy(int source, int target, const char *name, const uint8_t *data, Py_ssize_t size, status_t *like,
                  int *lost) noexcept nogil:
    """Create a file with the contents, attributes, mode and time of an open one; return 0 or the errno."""
    cdef int failed, fd = axds_create(target, name, like.st_mode)
    if fd < 0:
        return errno
    failed = drain(fd, data, size)
    if not failed:
        failed = axds_copy_metadata(source, fd, like, 1, lost)
    if close(fd) and not failed:  # a quota or a network may refuse here what it took before
        failed = errno
    return failed


cdef int take(int source, int target, const char *name, uint8_t *room, Py_ssize_t limit, status_t *status,
              int64_t *size, int *lost) noexcept nogil:
    """Read one open file of at most `limit` bytes, and copy it if there is a target; return 0, a Left, or the errno."""
    cdef status_t after
    cdef int failed
    if fstat(source, status):
        return errno
    if not axds_is_regular(status):
        return EINVAL
    size[0] = status.st_size
    if status.st_size > limit or (target >= 0 and axds_has_holes(status)):
        return LARGE
    size[0] = fill(source, room, status.st_size + 1)  # one byte more finds the end, or that it moved
    if size[0] < 0:
        return errno
    if target < 0:
        return 0 if size[0] <= status.st_size else LARGE
    if fstat(source, &after):
        return errno
    if (size[0] != status.st_size or after.st_size != status.st_size or after.st_mtim.tv_sec != status.st_mtim.tv_sec
            or after.st_mtim.tv_nsec != status.st_mtim.tv_nsec):
        return CHANGED
    failed = put_copy(source, target, name, room, size[0], status, lost)
    return EXISTS if failed == EEXIST else failed


cdef Py_ssize_t load(int folder, int target, const char **names, Py_ssize_t count, uint8_t *room, Py_ssize_t size,
                     Py_ssize_t limit, int64_t *rows, int *failed) noexcept nogil:
    """Handle files until the buffer is full; return how many, and the errno of the next one if it failed."""
    cdef Py_ssize_t i, at = 0, length
    cdef status_t status
    cdef int fd, code, lost, quiet = 1
    cdef int64_t got = 0
    for i in range(count):
        length = strlen(names[i])
        if at + length + limit >= size:
            return i
        fd = axds_open(folder, names[i], target < 0, &quiet)
        if fd < 0 and errno == EACCES and target < 0:
            rows[0] = CLOSED
            rows += 8
            continue
        if fd < 0:
            failed[0] = errno
            return i
        memcpy(room + at, names[i], length)
        lost = 0
        code = take(fd, target, names[i], room + at + length, limit, &status, &got, &lost)
        close(fd)
        if code > 0:
            failed[0] = code
            return i
        rows[0] = at if code == 0 else code
        rows[1] = at + length + got if code == 0 else got
        rows[2], rows[3], rows[4] = status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec
        rows[5], rows[6], rows[7] = status.st_ctim.tv_sec, status.st_ctim.tv_nsec, lost
        rows += 8
        if code == 0:
            at += length + got
    return count


cdef const char **pointers(list names) except NULL:
    cdef Py_ssize_t i
    cdef const char **found = <const char **>malloc(max(1, len(names)) * sizeof(char *))
    if found == NULL:
        raise MemoryError
    try:
        for i in range(len(names)):
            found[i] = PyBytes_AsString(names[i])
    except BaseException:
        free(found)
        raise
    return found


def load_files(int folder, list names, uint8_t[::1] room, int64_t[:, ::1] rows, Py_ssize_t limit, int target=-1) -> int:
    """Put name and contents of each file into `room`, and copy it to `target`; return how many were handled.

    A row is start, end, inode, mtime and ctime in seconds and ns (64 bits of ns end in 2262), and what the copy lost; a
    negative start says why the file is left to the caller, and its end is then the size. `room` must hold more than
    `limit` bytes and a name; larger files are left.
    """
    if rows.shape[0] < len(names) or rows.shape[1] != ROW:
        raise ValueError(f"expected {len(names)} rows of {ROW}, got {rows.shape[0]} of {rows.shape[1]}")
    if room.shape[0] < limit + 8192:
        raise ValueError(f"expected a buffer of at least {limit + 8192} bytes, got {room.shape[0]}")
    if not names:
        return 0
    cdef const char **found = pointers(names)
    cdef Py_ssize_t count = len(names), handled
    cdef int failed = 0
    with nogil:
        handled = load(folder, target, found, count, &room[0], room.shape[0], limit, &rows[0, 0], &failed)
    free(found)
    if failed:
        raise OSError(failed, os.strerror(failed), os.fsdecode(names[handled]))
    return handled


def copy_metadata(int source, int target, accessed_ns) -> int:
    """Give an open file or folder the attributes, ACLs, mode and times of another; return what it could not store.

    `accessed_ns` is the source's time of access before it was read.
    """
    cdef status_t like
    cdef int lost = 0, failed
    cdef int64_t seconds = accessed_ns // 10**9, rest = accessed_ns % 10**9
    with nogil:
        failed = errno if fstat(source, &like) else 0
        like.st_atim.tv_sec, like.st_atim.tv_nsec = seconds, rest
        if not failed:
            failed = axds_copy_metadata(source, target, &like, 0, &lost)
    if failed:
        raise OSError(failed, os.strerror(failed))
    return lost


def same_attributes(int first, int second) -> bool:
    """Return whether two open files have the same ACL and attributes of users."""
    cdef int same
    with nogil:
        same = axds_same_attributes(first, second)
    if same < 0:
        raise OSError(errno, os.strerror(errno))
    return bool(same)


def unlink_files(int folder, list names) -> None:
    """Unlink names of one folder; one that is gone already is no failure."""
    cdef const char **found = pointers(names)
    cdef Py_ssize_t i, count = len(names)
    cdef int failed = 0
    with nogil:
        for i in range(count):
            if unlinkat(folder, found[i], 0) and errno != ENOENT:
                failed = errno
                break
    free(found)
    if failed:
        raise OSError(failed, os.strerror(failed), os.fsdecode(names[i]))


# What the os module leaves out about getting bytes onto a disk.

cdef extern from *:
    """
    #if defined(__linux__)
    #include <fcntl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    extern int syncfs(int fd);
    static int axds_exchange(const char *one, const char *other) {
        return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
    }
    static int axds_syncfs(int fd) { return syncfs(fd); }
    static void axds_write_back(int fd, long long start, long long size) {
        sync_file_range(fd, start, size, SYNC_FILE_RANGE_WRITE);
    }
    #else
    #include <errno.h>
    #include <unistd.h>
    static int axds_exchange(const char *one, const char *other) {
        (void)one, (void)other;
        errno = ENOSYS;
        return -1;
    }
    static int axds_syncfs(int fd) { (void)fd; sync(); return 0; }
    static void axds_write_back(int fd, long long start, long long size) { (void)fd, (void)start, (void)size; }
    #endif
    """
    int axds_exchange(const char *one, const char *other) nogil
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


def exchange(one: str, other: str) -> bool:
    """Swap the names of two files in one step; False where the system has no such call, or one of them is missing.

    Unlike a rename onto a file, it does not have ext4 start to write the file's bytes.
    """
    cdef bytes first = os.fsencode(one)
    cdef bytes second = os.fsencode(other)
    cdef const char *from_name = first
    cdef const char *to_name = second
    cdef int failed
    with nogil:
        failed = axds_exchange(from_name, to_name)
    if not failed:
        return True
    if errno in (EINVAL, ENOENT, ENOSYS, EOPNOTSUPP):
        return False
    raise OSError(errno, os.strerror(errno), one)


# Maps without a descriptor.

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


# Sorted coordinates.

ctypedef long double longdouble

ctypedef fused coordinate:
    int64_t
    uint64_t
    double
    longdouble

cdef inline Py_ssize_t locate(const coordinate *x, Py_ssize_t n, coordinate t, Py_ssize_t near) noexcept nogil:
    """Return how many coordinates are <= t, given that count for a target that mostly lies a little lower."""
    cdef Py_ssize_t low = near, high = n, reach = 4, middle
    if low and x[low - 1] > t:
        high, low = low, 0
    else:
        if low + 4 <= n:
            # Four compares without a branch: which one holds is a coin flip, and a wrong guess costs more than all.
            low += (x[low] <= t) + (x[low + 1] <= t) + (x[low + 2] <= t) + (x[low + 3] <= t)
            if low < near + 4:
                return low
        while low + reach <= n and x[low + reach - 1] <= t:
            low += reach
            reach *= 2
        high = min(n, low + reach - 1)
    while low < high:
        middle = (low + high) >> 1
        if x[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


@cython.cdivision(True)
cdef inline double portion(coordinate low, coordinate t, coordinate high) noexcept nogil:
    """Return (t - low) / (high - low); a difference of integers is taken exactly and rounded once."""
    cdef double width
    if coordinate is double:
        width = high - low
        if isinf(width) and not (isinf(low) or isinf(high)):
            return (t * 0.5 - low * 0.5) / (high * 0.5 - low * 0.5)
        return (t - low) / width
    elif coordinate is longdouble:
        return <double>((t - low) / (high - low))
    else:
        return <double>(<uint64_t>t - <uint64_t>low) / <double>(<uint64_t>high - <uint64_t>low)


cdef inline double between(double low, double high, double part) noexcept nogil:
    """Return the value at a part of the way; where it is none from the low end, from the high one, as numpy.interp."""
    cdef double rise = high - low, found
    if isinf(rise) and not (isinf(low) or isinf(high)):
        return low * (1 - part) + high * part
    found = low + rise * part
    if found != found:
        found = high + rise * (part - 1)
        if found != found and low == high:
            return low
    return found


cdef inline double beside_infinity(double low, double high, bint is_low, bint is_high) noexcept nogil:
    """Return the value between coordinates of which one or both are infinite: the slope there is none."""
    if low == high:
        return low
    return NAN if not isfinite(high - low) or is_low == is_high else high if is_low else low


def is_ascending(const coordinate[::1] x) -> bool:
    """Return whether no coordinate is below the one before it, and none is NaN."""
    cdef Py_ssize_t i, n = x.shape[0], falls = 0
    if n == 0:
        return True
    if coordinate is double or coordinate is longdouble:
        if x[0] != x[0]:
            return False
    with nogil:
        for i in range(1, n):
            falls += not (x[i - 1] <= x[i])
    return falls == 0


def last_at_or_before(const coordinate[::1] x, const coordinate[::1] targets, int64_t[::1] found) -> None:
    """Find the last source at or before each target: the first if it is below all, the last if it is NaN."""
    cdef Py_ssize_t i, n = x.shape[0], near = 0
    cdef const coordinate *first = &x[0]
    with nogil:
        for i in range(targets.shape[0]):
            if coordinate is double or coordinate is longdouble:
                if targets[i] != targets[i]:
                    found[i] = n - 1
                    continue
            near = locate(first, n, targets[i], near)
            found[i] = near - 1 if near else 0


def linear(const coordinate[::1] x, const double[:, ::1] values, const coordinate[::1] targets,
           double[:, ::1] out) -> None:
    """Interpolate every channel (column) at each target, clamped to the first and last value."""
    cdef Py_ssize_t i, k, at, n = x.shape[0], channels = values.shape[1], near = 0
    cdef const coordinate *first = &x[0]
    cdef coordinate t
    cdef double part
    with nogil:
        for i in range(targets.shape[0]):
            t = targets[i]
            if coordinate is double or coordinate is longdouble:
                if t != t:
                    for k in range(channels):
                        out[i, k] = NAN
                    continue
            near = locate(first, n, t, near)
            at = near - 1 if near else 0
            if near == 0 or near == n or t == first[at]:
                for k in range(channels):
                    out[i, k] = values[at, k]
                continue
            if coordinate is double or coordinate is longdouble:
                if isinf(<double>first[at]) or isinf(<double>first[at + 1]):
                    for k in range(channels):
                        out[i, k] = beside_infinity(values[at, k], values[at + 1, k], isinf(<double>first[at]),
                                                    isinf(<double>first[at + 1]))
                    continue
            part = portion(first[at], t, first[at + 1])
            for k in range(channels):
                out[i, k] = between(values[at, k], values[at + 1, k], part)
