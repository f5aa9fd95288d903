# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The producer's end of the log queue: from a LogPackage to a published record without a detour through Python."""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .crc cimport axds_crc_init
from .frame cimport AXDS_FIRST, AXDS_LAST
from .lane cimport (
    AXDS_CLOSED, AXDS_LANE_HEAD, AXDS_NEW, Hub, axds_append, axds_count, axds_futex_off, axds_generation, axds_lane,
    axds_lane_init, axds_load32, axds_message_needs, axds_now_ns, axds_placed, axds_publish, axds_put, axds_put_rows,
    axds_tell, axds_wait_for_space, axds_watch_forks, axds_write_gaps, axds_writer, axds_writer_fits, axds_writer_init,
)
from .record cimport LogPackage, as_payload, as_rows, as_source, as_times, as_word

from threading import Lock, get_ident
import warnings

import numpy as np

axds_crc_init()
if axds_watch_forks():
    raise MemoryError("expected room for a fork handler, got none")

cdef uint64_t SLICE_NS = 50_000_000     # the longest sleep before signals and the state are looked at
cdef uint64_t LONG_COPY_BYTES = 262144  # from here on a copy lets other threads run
cdef uint64_t NEVER = 0xFFFFFFFFFFFFFFFF


cdef object LaneFullError = BlockingIOError    # until `raise_as` says better
cdef object QueueClosedError = ValueError


def raise_as(lane_full, queue_closed) -> None:
    """Take the exceptions that puts raise: lane_full(message, accepted) and queue_closed(message)."""
    global LaneFullError, QueueClosedError
    LaneFullError, QueueClosedError = lane_full, queue_closed


def use_polling(bint polling) -> None:
    """Wait by naps instead of futexes in this process's puts, as platforms without a futex do."""
    global axds_futex_off
    axds_futex_off = polling


cdef uint64_t deadline_ns(timeout) except? 0:
    if timeout is None:
        return NEVER
    if timeout < 0:
        raise ValueError(f"expected a timeout of at least 0 s, got {timeout}")
    return axds_now_ns() + <uint64_t>min(timeout * 1e9, 9e18)


@cython.auto_pickle(False)
@cython.final
cdef class Writer:
    """The producing end of a lane, shared by the threads of one process; `keep` is what holds the memory."""

    cdef unsigned char[::1] memory
    cdef axds_writer writer
    cdef Hub hub
    cdef readonly object keep
    cdef object turn
    cdef object turn_thread
    cdef uint32_t generation
    cdef bint busy
    cdef bint gaps
    cdef bint warned

    def __init__(self, unsigned char[::1] memory not None, Hub hub not None, uint64_t owner, uint32_t claim, *,
                 keep=None):
        cdef uint64_t capacity = <uint64_t>memory.shape[0] - AXDS_LANE_HEAD
        if <uint64_t>memory.shape[0] < AXDS_LANE_HEAD + 4096 or capacity & (capacity - 1):
            raise ValueError(f"expected {AXDS_LANE_HEAD} bytes and a power of two from 4096 on, got {memory.shape[0]}")
        self.memory = memory
        self.hub = hub
        self.keep = keep
        self.turn = Lock()
        self.generation = axds_generation
        axds_lane_init(<axds_lane *>&memory[0], capacity, owner, claim, hub.hub.salt)
        axds_writer_init(&self.writer, hub.hub, <axds_lane *>&memory[0])

    @property
    def claim(self) -> int:
        return self.writer.lane.claim

    @property
    def lane_bytes(self) -> int:
        """The size of the ring."""
        return self.writer.capacity

    @property
    def inherited(self) -> bool:
        """Whether this process was forked off the lane's owner, and must claim a lane of its own."""
        return self.generation != axds_generation

    @property
    def full(self) -> bool:
        """Whether a put of one byte would have to wait."""
        return not axds_writer_fits(&self.writer, axds_message_needs(&self.writer, 1))

    @property
    def closed(self) -> bool:
        """Whether the logger was stopped for good."""
        return axds_load32(self.writer.hub.state) == AXDS_CLOSED

    # Threads: with the GIL held, a put that fits is one step. Whatever lets go of the GIL holds the turn meanwhile, and
    # `busy` sends the other threads to wait for theirs.

    cdef int take_turn(self, bint block, uint64_t deadline) except -1:
        if self.busy and self.turn_thread == get_ident():
            raise RuntimeError("expected no put inside a put of the same thread, got one from a signal handler")
        now = axds_now_ns()
        wait_s = 0 if not block or deadline <= now else -1 if deadline == NEVER else (deadline - now) / 1e9
        if not (self.turn.acquire(blocking=False) if wait_s == 0 else self.turn.acquire(timeout=wait_s)):
            raise LaneFullError("expected another thread's put to end in time, and it did not")
        self.turn_thread = get_ident()
        self.busy = True
        return 0

    cdef int leave_turn(self) except -1:
        self.busy = False
        self.turn_thread = None
        self.turn.release()
        return 0


cdef int get_bytes(object payload, Py_buffer *view) except -1:
    """Get the payload's bytes; a plain array of uint8 costs no copy."""
    try:
        PyObject_GetBuffer(payload, view, PyBUF_ND | PyBUF_FORMAT)
    except (BufferError, ValueError, TypeError):
        PyObject_GetBuffer(as_payload(payload), view, PyBUF_ND | PyBUF_FORMAT)
        return 0
    if view.ndim == 1 and view.itemsize == 1 and (view.format == NULL or view.format[0] in (66, 63)):  # "B", "?"
        return 0
    PyBuffer_Release(view)
    PyObject_GetBuffer(as_payload(payload), view, PyBUF_ND | PyBUF_FORMAT)
    return 0


@cython.auto_pickle(False)
cdef class Producer:
    """The put of a queue; whoever inherits finds the lane in `_claim_lane` and the living in `_is_abandoned`."""

    cdef Hub _hub
    cdef Writer _writer
    cdef object _timeout

    def __init__(self, Hub hub not None, timeout):
        deadline_ns(timeout)
        self._hub = hub
        self._timeout = timeout

    def _claim_lane(self, block, timeout) -> Writer:
        raise NotImplementedError

    def _is_abandoned(self) -> bool:
        return False

    @property
    def _lane(self):
        """This process's lane, or None before its first put."""
        return None if self._writer is None or self._writer.inherited else self._writer

    def _let_go(self) -> None:
        """Forget the lane; the next put claims another."""
        self._writer = None

    cdef Writer _ready(self, bint block, timeout):
        cdef uint32_t state = axds_load32(self._hub.hub.state)
        if state >= AXDS_CLOSED:
            self._refuse(state)
        if self._writer is None or self._writer.generation != axds_generation:
            self._writer = self._claim_lane(block, self._timeout if timeout is None else timeout)
        return self._writer

    cdef int _refuse(self, uint32_t state) except -1:
        if state == AXDS_CLOSED:
            raise QueueClosedError("expected a logger that takes messages, got one that was stopped")
        raise ChildProcessError("expected a living logger process, got one that was given up; its lanes keep what "
                                "was put before")

    def put(self, package, bint block=True, timeout=None) -> None:
        """Hand a LogPackage to the logger; when this returns, the death of any process can't lose it.

        If the lane of this process is full, waits up to `timeout` seconds (None: what the queue was made with), then
        raises queue.Full; at once if `block` is false or the logger was not started yet. With overflow "drop_newest"
        the message is dropped instead and counted. Anything but a LogPackage is a TypeError; a logger that was given up
        is a ChildProcessError.
        """
        self._put_package(package, block, timeout)

    def put_nowait(self, package) -> None:
        """Hand a LogPackage to the logger, or raise queue.Full."""
        self._put_package(package, False, None)

    cdef int _put_package(self, package, bint block, timeout) except -1:
        if not isinstance(package, LogPackage):
            raise TypeError(f"expected a LogPackage, got {type(package).__name__}")
        cdef LogPackage message = <LogPackage>package
        return self._put_bytes(as_source(message.source_id), as_word(message.acquisition_time),
                               message.serialized_data, block, timeout)

    cdef int _put_bytes(self, uint8_t source, uint64_t stamp, payload, bint block, timeout) except -1:
        cdef Py_buffer view
        cdef Writer writer
        get_bytes(payload, &view)
        try:
            writer = self._ready(block, timeout)
            if (writer.busy or writer.gaps or <uint64_t>view.len >= LONG_COPY_BYTES
                    or not axds_put(&writer.writer, source, stamp, <const unsigned char *>view.buf, view.len)):
                self._put_slowly(writer, source, stamp, <const unsigned char *>view.buf, view.len, block,
                                 deadline_ns(self._timeout if timeout is None else timeout))
        finally:
            PyBuffer_Release(&view)
        # Pairs with the closing: state stored, then the last look at the tails. Ours may have come after it.
        if axds_load32(self._hub.hub.state) == AXDS_CLOSED:
            self._refuse(AXDS_CLOSED)
        return 0

    cdef int _put_slowly(self, Writer writer, uint8_t source, uint64_t stamp, const unsigned char *payload,
                         uint64_t length, bint block, uint64_t deadline) except -1:
        cdef bint done = False
        cdef uint64_t need
        writer.take_turn(block, deadline)
        try:
            self._tell_gaps(writer)
            while not done:
                # Anew each time: another put, as of a signal handler, may have moved the tail to where pads need more.
                need = axds_message_needs(&writer.writer, length)
                if need > writer.writer.capacity:
                    return self._put_in_parts(writer, source, stamp, payload, length, block, deadline)
                with nogil:
                    done = axds_put(&writer.writer, source, stamp, payload, length)
                if not done and not self._wait(writer, need, source, 1, block, deadline, True):
                    return 0
        finally:
            writer.leave_turn()
        return 0

    cdef int _put_in_parts(self, Writer writer, uint8_t source, uint64_t stamp, const unsigned char *payload,
                           uint64_t length, bint block, uint64_t deadline) except -1:
        """Put a message larger than the lane; a reader ignores it until its LAST part is there."""
        cdef axds_writer *raw = &writer.writer
        cdef uint8_t flags = AXDS_FIRST
        cdef uint64_t left = length, part, need
        while True:
            part = min(left, raw.largest)
            need = axds_placed(raw.capacity, raw.tail, <uint32_t>part)
            while not axds_writer_fits(raw, need):
                if not self._wait(writer, need, source, 1, block, deadline, False):
                    return 0
            left -= part
            with nogil:
                axds_append(raw, source, stamp, flags | (0 if left else AXDS_LAST), payload, <uint32_t>part)
                axds_publish(raw)
            if not left:
                axds_tell(raw, source, 1, length)
                return 0
            payload += part
            flags = 0

    cdef bint _wait(self, Writer writer, uint64_t need, uint8_t source, uint64_t messages, bint block,
                    uint64_t deadline, bint yield_turn) except -1:
        """Wait a slice for space: true to try again, false if the message was dropped instead."""
        cdef uint64_t start = axds_now_ns(), slice_ns
        cdef uint32_t state = axds_load32(self._hub.hub.state)
        if state >= AXDS_CLOSED:
            self._refuse(state)
        if self._hub.hub.drop_newest:
            return self._drop(writer, source, messages)
        if not block or state == AXDS_NEW or start >= deadline:
            self._raise_full(writer, state, block)
        slice_ns = min(deadline - start, SLICE_NS)
        with nogil:
            axds_wait_for_space(&writer.writer, need, slice_ns)
        axds_count(writer.writer.lane.blocked_ns, axds_now_ns() - start)
        if yield_turn:  # a signal handler may put too
            writer.leave_turn()
        try:
            PyErr_CheckSignals()
            if axds_now_ns() - start >= SLICE_NS and self._is_abandoned():
                raise ChildProcessError("expected a living logger, but its process and the one that started it ended; "
                                        "the lanes keep what was put for the recovery of the log directory")
        finally:
            if yield_turn:
                writer.take_turn(True, NEVER)
        return True

    cdef int _raise_full(self, Writer writer, uint32_t state, bint block) except -1:
        size = f"a lane of {writer.writer.capacity} bytes"
        if state == AXDS_NEW:
            raise LaneFullError(f"expected room in {size}, got none; nothing drains it before the logger is started")
        raise LaneFullError(f"expected room in {size}" + (" in time" if block else "") + ", got none")

    cdef bint _drop(self, Writer writer, uint8_t source, uint64_t messages) except -1:
        axds_count(writer.writer.lane.drops, messages)
        axds_count(writer.writer.lane.tally.dropped[source], messages)
        writer.gaps = True
        if not writer.warned:
            writer.warned = True
            warnings.warn(f"the log queue is full: a message of source {source} was dropped; further ones are counted "
                          "without a warning", RuntimeWarning, stacklevel=1)
        return False

    cdef int _tell_gaps(self, Writer writer) except -1:
        if not writer.gaps:
            return 0
        axds_write_gaps(&writer.writer)
        writer.gaps = False
        for source in range(256):
            if writer.writer.lane.tally.dropped[source] != writer.writer.lane.tally.gapped[source]:
                writer.gaps = True
                break
        return 0

    def put_many(self, source_id, acquisition_times, payloads, bint block=True, timeout=None) -> None:
        """Hand many messages of one source to the logger: a 2-D array of uint8 or a list, one message a row.

        `acquisition_times` holds as many unsigned 64-bit numbers. If the lane stays full, LaneFullError (a queue.Full)
        tells in `accepted` how many rows, from the first on, were taken.
        """
        cdef uint8_t source = as_source(source_id)
        cdef uint64_t deadline = deadline_ns(self._timeout if timeout is None else timeout)
        times = as_times(acquisition_times)
        if len(times) != len(payloads):
            raise ValueError(f"expected as many times as payloads, got {len(times)} and {len(payloads)}")
        if not len(payloads):
            return
        if isinstance(payloads, np.ndarray) and payloads.ndim == 2:
            self._put_rows(source, times, as_rows(payloads), block, timeout, deadline)
        else:
            self._put_list(source, times, [as_payload(payload) for payload in payloads], block, deadline)
        if axds_load32(self._hub.hub.state) == AXDS_CLOSED:
            self._refuse(AXDS_CLOSED)

    def _put_list(self, uint8_t source, times, payloads, bint block, uint64_t deadline):
        cdef const uint64_t[::1] stamps = times
        cdef Py_ssize_t row, now_ns
        for row, payload in enumerate(payloads):
            now = axds_now_ns()
            left_s = None if deadline == NEVER else max(<double>deadline - <double>now, 0.0) / 1e9
            try:
                self._put_bytes(source, stamps[row], payload, block, left_s)
            except LaneFullError as error:
                raise LaneFullError(str(error), row) from None

    def _put_rows(self, uint8_t source, times, rows, bint block, timeout, uint64_t deadline):
        cdef const uint64_t[::1] stamps = times
        cdef const unsigned char[:, :] bytes_of = rows
        cdef uint64_t count = bytes_of.shape[0], length = bytes_of.shape[1], stride = bytes_of.strides[0], row = 0, done
        cdef const unsigned char *first = <const unsigned char *>&bytes_of[0, 0] if length else <const unsigned char *>&stamps[0]
        cdef Writer writer = self._ready(block, timeout)
        if not length:
            stride = 0
        writer.take_turn(block, deadline)
        try:
            while row < count:
                self._tell_gaps(writer)
                if axds_message_needs(&writer.writer, length) > writer.writer.capacity:
                    self._put_in_parts(writer, source, stamps[row], first + row * stride, length, block, deadline)
                    row += 1
                    continue
                if not writer.gaps:
                    with nogil:
                        done = axds_put_rows(&writer.writer, source, &stamps[row], first + row * stride, length,
                                             stride, count - row)
                    row += done
                if row < count and not self._wait(writer, axds_message_needs(&writer.writer, length), source,
                                                  count - row, block, deadline, True):
                    return
        except LaneFullError as error:
            raise LaneFullError(str(error), row) from None
        finally:
            writer.leave_turn()
