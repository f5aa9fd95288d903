# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Arrays behind a lock that outlives its holders: the words are in shared memory, the waiting is here."""

cimport cython
from cpython.buffer cimport PyBUF_CONTIG, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.object cimport PyObject_GetItem, PyObject_SetItem

import numpy as np

cdef extern from "errno.h" nogil:
    int EBUSY, EDEADLK, ETIMEDOUT

# Slices: how late Ctrl-C, a death, or a lost wake can be noticed.
cdef uint64_t LOCK_SLICE_NS = 20_000_000
cdef uint64_t VERSION_SLICE_NS = 100_000_000
cdef double FOREVER = -1.0

cdef type ndarray = np.ndarray
cdef type void = np.void
cdef object add = np.add

MUTEX_BYTES: int = axds_mutex_bytes()

axds_watch_forks()


def set_identity(uint64_t identity):
    """Say how the portable backend knows this process; again after a fork."""
    axds_know_self(identity)


cdef double as_timeout(object timeout) except? -2.0:
    """Return seconds; FOREVER for None."""
    if timeout is None:
        return FOREVER
    cdef double seconds = timeout
    if not seconds >= 0:
        raise ValueError(f"expected a timeout of at least 0 s or None, got {timeout}")
    return seconds


cdef uint64_t deadline_after(double timeout_s) noexcept:
    """Return the time when a timeout is over; never, if it is FOREVER or too far to count."""
    if timeout_s < 0 or timeout_s > 1e9:
        return <uint64_t>-1
    return axds_now_ns() + <uint64_t>(timeout_s * 1e9)


@cython.auto_pickle(False)
@cython.final
cdef class Lock:
    """The lock in a piece of shared memory, which it keeps mapped.

    `is_alive` tells, with the portable backend, whether the process with an identity still runs; None takes the native one.
    """

    def __cinit__(self, memory, is_alive):
        PyObject_GetBuffer(memory, &self._buffer, PyBUF_CONTIG)
        if self._buffer.len < <Py_ssize_t>sizeof(axds_lock) or <size_t>self._buffer.buf % 64:
            raise ValueError(f"expected {sizeof(axds_lock)} bytes at a multiple of 64, got {self._buffer.len}")
        self.words = <axds_lock *>self._buffer.buf
        self._is_alive = is_alive
        self.portable = is_alive is not None

    def __dealloc__(self):
        PyBuffer_Release(&self._buffer)

    def initialize(self):
        """Make it an unlocked lock; only the creator does so, before anybody else knows the memory."""
        cdef int failed = axds_lock_init(self.words, self.portable)
        if failed:
            raise OSError(failed, "expected a robust mutex, got none")

    @property
    def mutex_bytes(self):
        """The size of a mutex as the creator's C library has it."""
        return self.words.mutex_bytes

    cdef inline int acquire(self, double timeout_s) except -1:
        cdef int got = axds_lock_try(self.words, self.portable)
        return self._wait(got, timeout_s) if got else 0

    cdef inline int release(self) except -1:
        cdef int failed = axds_lock_release(self.words, self.portable)
        if failed:
            raise RuntimeError(f"expected to hold the lock that is given back, got error {failed}")
        return 0

    cdef inline int write_end(self) except -1:
        """Count the write, give the lock back, and only then wake who waits for it: awake, they want the lock."""
        axds_write_end(self.words)
        self.release()
        axds_wake(self.words)
        return 0

    cdef int _wait(self, int got, double timeout_s) except -1:
        cdef uint64_t now = axds_now_ns(), since = now, deadline = deadline_after(timeout_s)
        cdef bint crowded = now - self._collided_ns < AXDS_CROWDED_NS
        self._collided_ns = now
        if got == EBUSY and timeout_s != 0:
            with nogil:
                got = axds_lock_wait_briefly(self.words, self.portable, crowded)
        while got == EBUSY or got == ETIMEDOUT:
            if now >= deadline:
                raise TimeoutError(f"expected the lock within {timeout_s:g} s, got none: somebody else holds it")
            with nogil:
                got = axds_lock_wait(self.words, self.portable, min(LOCK_SLICE_NS, deadline - now), since)
            if got == 0:
                return 0
            PyErr_CheckSignals()
            if self.portable and got == ETIMEDOUT:
                got = self._seize()
            now = axds_now_ns()
        if got == EDEADLK:
            raise RuntimeError("expected the lock to be free or held by others, got this thread: it is not re-entrant")
        if got:
            raise OSError(got, "expected a working lock, got one beyond repair")
        return 0

    def _seize(self):
        """Take the lock from an owner that the system calls dead; returns as the C functions do."""
        owner = axds_peek64(&self.words.owner)
        if owner == 0 or self._is_alive(owner):
            return EBUSY
        return axds_lock_seize(self.words, owner)


@cython.auto_pickle(False)
cdef class LockedArray:
    """An array in shared memory: one lock around each access by index."""

    def _bind(self, array, Lock lock):
        """Begin to serve an array; a tear that nobody has mended is told at the first access."""
        self._told = axds_mended(lock.words)
        self._lock = lock
        self._array = array
        self._shape = array.shape
        self._items = <void *><size_t>array.ctypes.data
        self._item_bytes = array.itemsize
        # Long doubles and half floats are left to numpy.
        plain = array.dtype.isnative and (array.dtype.kind in "iu" or array.dtype.char in "fd")
        self._plain = ord(array.dtype.kind) if plain else 0

    def _unbind(self):
        """End it; whoever is inside an access keeps what it needs."""
        self._array = self._lock = None

    def _report_tear(self):
        """Tell the caller that a writer died inside; an exception here refuses the access."""
        raise NotImplementedError

    cdef Lock enter(self, double timeout_s):
        """Take the lock; whoever calls gives it back by the returned Lock, even if this array is unbound meanwhile."""
        cdef Lock lock = self._lock
        if lock is None:
            raise ConnectionError("expected a connected array, got one without its memory: call connect() first")
        lock.acquire(timeout_s)
        while axds_tears(lock.words) != self._told:
            self._tell(lock)
            lock.acquire(timeout_s)
        return lock

    cdef int _tell(self, Lock lock) except -1:
        """Report a new tear with the lock given back: the report may run anything."""
        cdef uint32_t tears = axds_tears(lock.words)
        cdef bint mended = axds_mended(lock.words) == tears
        lock.release()
        if not mended:
            self._report_tear()
        self._told = tears
        return 0

    def __getitem__(self, key):
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        try:
            got = PyObject_GetItem(array, key)
            # A view, or a structured element, would show what others write later.
            if type(got) is ndarray or isinstance(got, void):
                return got.copy()
            return got
        finally:
            lock.release()

    def __setitem__(self, key, value):
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        axds_write_begin(lock.words)
        try:
            PyObject_SetItem(array, key, value)
        finally:
            lock.write_end()

    def array(self, *, bint with_lock=True, timeout=None, bint read_only=False):
        """Return a context that yields the live array, holding the lock unless told otherwise.

        The lock is not re-entrant: inside, index the yielded array, not this object. With `read_only` the array can't be
        written and `version` stays as it is. TimeoutError if the lock isn't free within `timeout` seconds.
        """
        return self._hold(self._array, with_lock, FOREVER if timeout is None else as_timeout(timeout), read_only)

    def lock(self, timeout=None):
        """Return a context that holds the lock, as `array` does, and yields nothing."""
        return self._hold(None, True, FOREVER if timeout is None else as_timeout(timeout), False)

    cdef Hold _hold(self, object yielded, bint locks, double timeout_s, bint read_only):
        if self._lock is None:
            raise ConnectionError("expected a connected array, got one without its memory: call connect() first")
        cdef Hold hold = Hold.__new__(Hold)
        hold._owner = self
        hold._timeout_s = timeout_s
        hold._locks = locks
        hold._writes = not read_only
        hold._yielded = yielded
        if read_only and yielded is not None:
            hold._yielded = yielded.view()
            hold._yielded.flags.writeable = False
        return hold

    def add(self, index, value):
        """Add to one element under one lock, so that no update is lost; wraps and casts as `+=`.

        Returns the sum, for integers and floats of up to 64 bits as a number of Python, which costs half of numpy's.
        `sma[0] += 1` is a read and a write, each with a lock of its own: what others write in between is lost.
        """
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        cdef Py_ssize_t at
        axds_write_begin(lock.words)
        try:
            at = self._place(index) if self._plain else -1
            if at >= 0 and self._add_number(at, value):
                return self._number(at)
            view = array[(*index, ...) if isinstance(index, tuple) else (index, ...)]
            if view.ndim or view.base is None:
                raise IndexError(f"expected the index of one element, got {index!r}")
            add(view, value, out=view, casting="same_kind")
            return view.item() if array.dtype.kind in "iuf" else PyObject_GetItem(array, index)
        finally:
            lock.write_end()

    cdef bint _add_number(self, Py_ssize_t at, object value) except -1:
        """Add a plain number to an element of a plain type; tells whether it could, and ufuncs are for all the rest."""
        cdef int overflow
        cdef int64_t whole
        if self._plain == c"f" and type(value) is float:
            return axds_add_real(self._items, at, self._item_bytes, value)
        if type(value) is not int:
            return False
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        return not overflow and axds_add_whole(self._items, at, self._plain, self._item_bytes, whole)

    cdef object _number(self, Py_ssize_t at):
        """Return an element of a plain type."""
        if self._plain == c"f":
            return axds_get_real(self._items, at, self._item_bytes)
        if self._plain == c"u":
            return axds_get_unsigned(self._items, at, self._item_bytes)
        return axds_get_signed(self._items, at, self._item_bytes)

    cdef Py_ssize_t _place(self, object index) except -2:
        """Return where in the buffer the element is that ints name, counting elements; -1 for any other index."""
        cdef Py_ssize_t dimensions = len(self._shape), place = 0, axis, size, at
        if type(index) is int:
            return self._along(0, index) if dimensions == 1 else -1
        if type(index) is not tuple or len(<tuple>index) != dimensions:
            return -1
        for axis in range(dimensions):
            at = self._along(axis, (<tuple>index)[axis])
            if at < 0:
                return -1
            size = (<tuple>self._shape)[axis]
            place = place * size + at
        return place

    cdef Py_ssize_t _along(self, Py_ssize_t axis, object part) except -2:
        """Return an index along one axis, counted from its front; -1 if it is none."""
        cdef Py_ssize_t size = (<tuple>self._shape)[axis], at
        if type(part) is not int:
            return -1
        at = part
        if at < 0:
            at += size
        return at if 0 <= at < size else -1

    def exchange(self, index, value):
        """Write one element and return what it held before, under one lock."""
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        axds_write_begin(lock.words)
        try:
            before = self._element(array, index)
            PyObject_SetItem(array, index, value)
            return before
        finally:
            lock.write_end()

    def compare_exchange(self, index, expected, value):
        """Write one element if it equals `expected`, under one lock; tells whether it did."""
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        cdef bint writes = False
        try:
            writes = self._element(array, index) == expected
            if writes:
                axds_write_begin(lock.words)
                PyObject_SetItem(array, index, value)
            return writes
        finally:
            if writes:
                lock.write_end()
            else:
                lock.release()

    cdef object _element(self, object array, object index):
        """Return a copy of one element."""
        got = PyObject_GetItem(array, index)
        if type(got) is ndarray:
            raise IndexError(f"expected the index of one element, got {index!r}")
        return got.copy() if isinstance(got, void) else got

    def read(self, out=None):
        """Return a copy of the whole array of one moment, in `out` if given: an array of the same shape and dtype."""
        cdef Lock lock = self.enter(FOREVER)
        cdef object array = self._array
        try:
            if out is None:
                return array.copy()
            if not isinstance(out, ndarray):
                raise TypeError(f"expected a numpy array as out, got {type(out).__name__}")
            if out.shape != array.shape or out.dtype != array.dtype:
                raise ValueError(f"expected out like {array.shape} {array.dtype}, got {out.shape} {out.dtype}")
            out[...] = array
            return out
        finally:
            lock.release()

    cdef Lock _words(self):
        if self._lock is None:
            raise ConnectionError("expected a connected array, got one without its memory: call connect() first")
        return self._lock

    @property
    def is_connected(self):
        """Whether this instance can reach the data."""
        return self._array is not None

    @property
    def version(self):
        """How often the array was written: by index, `add` and the like, or a lock that was held for writing."""
        return axds_peek64(&self._words().words.generation) >> 1

    def wait_for_change(self, uint64_t version, timeout=None):
        """Sleep until the version is another one than `version` and return it; TimeoutError if it stays for `timeout` s.

        The sleep is in the kernel, and the write that ends it wakes it.
        """
        cdef Lock lock = self._words()
        cdef uint64_t deadline = deadline_after(as_timeout(timeout)), now = axds_now_ns(), found
        while True:
            with nogil:
                found = axds_version_wait(lock.words, lock.portable, version, min(VERSION_SLICE_NS, deadline - now))
            if found != version:
                return found
            PyErr_CheckSignals()
            now = axds_now_ns()
            if now >= deadline:
                raise TimeoutError(f"expected a change of version {version} within {timeout} s, got none")
            self._find_dead_writer(lock)

    def _find_dead_writer(self, Lock lock):
        """Let a writer that died inside count as a change; the kernel tells who asks for the lock."""
        if not axds_peek64(&lock.words.generation) & 1:
            return
        cdef int got = axds_lock_try(lock.words, lock.portable)
        if got == EBUSY and lock.portable:
            got = lock._seize()
        if got == 0:
            lock.release()

    @property
    def tears(self):
        """How many processes died inside a write since the array was made."""
        return axds_tears(self._words().words)

    @property
    def owner_deaths(self):
        """How many processes died with the lock in their hands, reading or writing."""
        return axds_deaths(self._words().words)

    @property
    def torn(self):
        """Whether a process died inside a write and nobody has called `mend` since."""
        cdef Lock lock = self._words()
        return axds_tears(lock.words) != axds_mended(lock.words)

    def mend(self, values=None):
        """Declare the data whole again after a tear, for all processes, writing `values` into all of it first if given."""
        cdef Lock lock = self._words()
        cdef object array = self._array
        lock.acquire(FOREVER)
        axds_write_begin(lock.words)
        try:
            if values is not None:
                array[...] = values
            lock.words.mended = self._told = axds_tears(lock.words)
        finally:
            lock.write_end()


@cython.auto_pickle(False)
@cython.final
@cython.freelist(16)
@cython.no_gc
cdef class Hold:
    """The lock for the length of a `with` block."""

    def __enter__(self):
        if not self._locks:
            return self._yielded
        cdef Lock lock = self._owner.enter(self._timeout_s)
        if self._writes:
            axds_write_begin(lock.words)
        self._lock = lock
        self._forks = axds_forks
        self._thread = axds_thread()
        return self._yielded

    def __exit__(self, kind, error, trace):
        self._leave()

    cdef int _leave(self) except -1:
        cdef Lock lock = self._lock
        if lock is None:
            return 0
        if self._forks != axds_forks:  # a child of the holder: the lock is its parent's
            self._lock = None
            return 0
        if self._thread != axds_thread():
            raise RuntimeError("expected the thread that took the lock to give it back, got another one")
        self._lock = None
        if self._writes:
            lock.write_end()
        else:
            lock.release()
        return 0

    def __dealloc__(self):
        # The thread's own abandoned context; that of another thread can't be given back from here.
        if self._lock is not None and self._forks == axds_forks and self._thread == axds_thread():
            self._leave()
