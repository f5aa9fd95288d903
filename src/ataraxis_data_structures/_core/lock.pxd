from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "include/lock.h" nogil:
    const uint64_t AXDS_CROWDED_NS
    ctypedef struct axds_lock:
        uint64_t generation
        uint64_t owner
        uint32_t mutex_bytes
        uint32_t mended

    uint64_t axds_forks
    int axds_watch_forks()
    size_t axds_mutex_bytes()
    void axds_know_self(uint64_t identity)
    uint64_t axds_now_ns()
    uint64_t axds_thread()
    uint64_t axds_peek64(const uint64_t *word)
    uint32_t axds_tears(const axds_lock *lock)
    uint32_t axds_mended(const axds_lock *lock)
    uint32_t axds_deaths(const axds_lock *lock)
    int axds_lock_init(axds_lock *lock, int portable)
    void axds_write_begin(axds_lock *lock)
    void axds_write_end(axds_lock *lock)
    void axds_wake(axds_lock *lock)
    int axds_lock_seize(axds_lock *lock, uint64_t dead)
    int axds_lock_try(axds_lock *lock, int portable)
    int axds_lock_wait_briefly(axds_lock *lock, int portable, bint crowded)
    int axds_lock_wait(axds_lock *lock, int portable, uint64_t slice_ns, uint64_t waiting_since)
    int axds_lock_release(axds_lock *lock, int portable)
    uint64_t axds_version_wait(axds_lock *lock, int portable, uint64_t seen, uint64_t slice_ns)
    int axds_add_real(void *items, ptrdiff_t at, ptrdiff_t item_bytes, double value)
    int axds_add_whole(void *items, ptrdiff_t at, char kind, ptrdiff_t item_bytes, int64_t value)
    double axds_get_real(const void *items, ptrdiff_t at, ptrdiff_t item_bytes)
    int64_t axds_get_signed(const void *items, ptrdiff_t at, ptrdiff_t item_bytes)
    uint64_t axds_get_unsigned(const void *items, ptrdiff_t at, ptrdiff_t item_bytes)


cdef class Lock:
    cdef axds_lock *words
    cdef int portable
    cdef Py_buffer _buffer
    cdef object _is_alive
    cdef uint64_t _collided_ns

    cdef int acquire(self, double timeout_s) except -1
    cdef int release(self) except -1
    cdef int write_end(self) except -1
    cdef int _wait(self, int got, double timeout_s) except -1


cdef class Hold


cdef class LockedArray:
    cdef object _array
    cdef Lock _lock
    cdef uint32_t _told
    cdef void *_items  # for add: plain numbers in C order, in the memory that the lock keeps mapped
    cdef tuple _shape
    cdef Py_ssize_t _item_bytes
    cdef char _plain  # kind of the numbers, 0 for those that only numpy adds
    cdef public bint strict

    cdef Lock enter(self, double timeout_s)
    cdef int _tell(self, Lock lock) except -1
    cdef Hold _hold(self, object yielded, bint locks, double timeout_s, bint read_only)
    cdef Lock _words(self)
    cdef object _element(self, object array, object index)
    cdef bint _add_number(self, Py_ssize_t at, object value) except -1
    cdef object _number(self, Py_ssize_t at)
    cdef Py_ssize_t _place(self, object index) except -2
    cdef Py_ssize_t _along(self, Py_ssize_t axis, object part) except -2


cdef class Hold:
    cdef LockedArray _owner
    cdef Lock _lock
    cdef object _yielded
    cdef double _timeout_s
    cdef bint _locks
    cdef bint _writes
    cdef uint64_t _forks
    cdef uint64_t _thread

    cdef int _leave(self) except -1
