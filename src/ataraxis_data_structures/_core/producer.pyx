# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The producer's end of the log queue: from a LogPackage to a published record without a detour through Python."""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport strcmp

from .frame cimport (
    LogPackage, as_payload, as_rows, as_source, as_times, as_word, axds_crc_use, axds_external, axds_record_span,
    crc_tables,
)
from .lane cimport (
    AXDS_CLOSED, AXDS_LANE_HEAD, AXDS_NEW, Hub, axds_count, axds_external_waiting, axds_forks, axds_futex_off,
    axds_lane, axds_lane_init, axds_load32, axds_load64, axds_message_needs, axds_now_ns, axds_put, axds_put_external,
    axds_put_rows, axds_seal, axds_wait_for_space, axds_wait_for_taking, axds_watch_forks, axds_write_gaps, axds_writer,
    axds_writer_fits, axds_writer_init, axds_payload_place, axds_placed,
)

import errno
from threading import Lock, get_ident
import warnings

import numpy as np

axds_crc_use(&crc_tables)
if axds_watch_forks():
    raise MemoryError("expected room for a fork handler, got none")

cdef uint64_t SLICE_NS = 50_000_000     # the longest sleep before signals and the state are looked at
cdef uint64_t LONG_COPY_BYTES = 262144  # from here on a copy lets other threads run
cdef uint64_t NEVER = 0xFFFFFFFFFFFFFFFF
cdef uint64_t LARGEST_BYTES = 2147483648 # payload of a message
cdef uint64_t STARVING_NS = 100_000_000 # a put that waits for so long has room kept for it from then on
cdef uint64_t EXTERNAL_BYTES = sizeof(axds_external)
cdef uint64_t EXTERNAL_LANES = 8        # bytes of large messages that may wait, in sizes of the lane


cdef struct Placed:  # where a message lies in the lane
    uint64_t start, end


cdef object LaneFullError = BlockingIOError    # until `raise_as` says better
cdef object QueueClosedError = ValueError


def raise_as(lane_full, queue_closed) -> None:
    """Take the exceptions that puts raise: lane_full(message, accepted), and queue_closed alike."""
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
    cdef uint64_t forks
    cdef bint busy
    cdef bint gaps
    cdef bint warned
    cdef uint64_t confirmed     # the end of the last message whose put did not see CLOSED
    cdef uint64_t reserved      # bytes kept for a put that has waited for long
    cdef object reserved_by     # and its thread, whose signal handlers may take them
    cdef uint64_t numbered      # files of large messages so far
    cdef uint64_t staged        # bytes of those that are not in the lane yet

    def __init__(self, unsigned char[::1] memory not None, Hub hub not None, uint32_t claim, *, keep=None):
        cdef uint64_t capacity = <uint64_t>memory.shape[0] - AXDS_LANE_HEAD
        if <uint64_t>memory.shape[0] < AXDS_LANE_HEAD + 4096 or capacity & (capacity - 1):
            raise ValueError(f"expected {AXDS_LANE_HEAD} bytes and a power of two from 4096 on, got {memory.shape[0]}")
        self.memory = memory
        self.hub = hub
        self.keep = keep
        self.turn = Lock()
        self.forks = axds_forks
        axds_lane_init(<axds_lane *>&memory[0], capacity)
        axds_writer_init(&self.writer, hub.hub, <axds_lane *>&memory[0], capacity, claim, hub.hub.salt)

    @property
    def claim(self) -> int:
        return self.writer.claim

    @property
    def lane_bytes(self) -> int:
        """The size of the ring."""
        return self.writer.capacity

    @property
    def largest(self) -> int:
        """The most bytes that a message of the lane itself has."""
        return self.writer.largest

    @property
    def inherited(self) -> bool:
        """Whether this process was forked off the lane's owner, and must claim a lane of its own."""
        return self.forks != axds_forks

    @property
    def full(self) -> bool:
        """Whether a put of one byte would have to wait."""
        return not axds_writer_fits(&self.writer, axds_message_needs(&self.writer, 1))

    @property
    def closed(self) -> bool:
        """Whether the logger was stopped for good."""
        return axds_load32(self.writer.hub.state) == AXDS_CLOSED

    @property
    def accepted_to(self) -> int:
        """Seal the lane of a closed queue; return up to where its messages are accepted."""
        return axds_seal(self.writer.lane, self.confirmed)

    # Threads: with the GIL held, a put that fits is one step. Only what lets go of the GIL takes the turn, and `busy`
    # sends the other threads to wait for theirs. No Python runs while it is held, and nobody sleeps: so a signal
    # handler never finds it held by its own thread, and other threads wait for a copy at most.

    cdef int take_turn(self) except -1:
        self.turn.acquire()
        self.busy = True
        return 0

    cdef int leave_turn(self) except -1:
        self.busy = False
        self.turn.release()
        return 0

    # Fairness: a large message finds room only if smaller ones do not take it again and again.

    cdef uint64_t needed(self, uint64_t need):
        """Return the room that a put needs: its own, and what is kept for another that has waited longer."""
        if self.reserved and self.reserved_by != get_ident():
            return min(need + self.reserved, self.writer.capacity)
        return need

    cdef int reserve(self, uint64_t need) except -1:
        if not self.reserved:
            self.reserved, self.reserved_by = need, get_ident()
        return 0

    cdef int unreserve(self) except -1:
        if self.reserved and self.reserved_by == get_ident():
            self.reserved, self.reserved_by = 0, None
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

    def _stage(self, payload, claim, number, on_disk):
        """Write the payload of a large message into a file of its own; OSError with ENOSPC if there is no room."""
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

    def _refused(self, writer) -> None:
        """Hear that the lane is sealed; what was accepted is written by others."""

    cdef Writer _ready(self, bint block, timeout):
        cdef uint32_t state = axds_load32(self._hub.hub.state)
        if state >= AXDS_CLOSED:
            self._refuse(state)
        if self._writer is None or self._writer.forks != axds_forks:
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
        get_bytes(payload, &view)
        try:
            return self._put_view(source, stamp, &view, block, timeout)
        finally:
            PyBuffer_Release(&view)

    cdef int _put_view(self, uint8_t source, uint64_t stamp, Py_buffer *view, bint block, timeout) except -1:
        cdef Writer writer = self._ready(block, timeout)
        cdef Placed placed
        placed.start = writer.writer.tail
        if (writer.busy or writer.gaps or writer.reserved or <uint64_t>view.len >= LONG_COPY_BYTES
                or <uint64_t>view.len > writer.writer.largest
                or not axds_put(&writer.writer, source, stamp, <const unsigned char *>view.buf, view.len)):
            if not self._put_slowly(writer, source, stamp, <const unsigned char *>view.buf, view.len, block,
                                    deadline_ns(self._timeout if timeout is None else timeout), &placed):
                return 0
        else:
            placed.end = writer.writer.tail
        self._confirm(writer, placed)
        return 0

    cdef int _confirm(self, Writer writer, Placed placed) except -1:
        """Return if a message that lies in the lane is accepted; lane.h tells how a put and the end of a queue agree."""
        if axds_load32(self._hub.hub.state) != AXDS_CLOSED:
            writer.confirmed = max(writer.confirmed, placed.end)
        # Not behind what lies before this message: that of another thread, whose put has not returned, may be refused.
        elif axds_seal(writer.writer.lane, writer.confirmed) < placed.end:
            self._refused(writer)
            self._refuse(AXDS_CLOSED)
        return 0

    cdef bint _put_slowly(self, Writer writer, uint8_t source, uint64_t stamp, const unsigned char *payload,
                          uint64_t length, bint block, uint64_t deadline, Placed *placed) except -1:
        """Put a message once there is room; false if it was dropped instead."""
        cdef bint done
        cdef uint64_t need, began = axds_now_ns()
        if length > writer.writer.largest:
            return self._put_external(writer, source, stamp, payload, length, block, deadline, placed)
        try:
            while True:
                writer.take_turn()
                try:
                    self._tell_gaps(writer)
                    # Each time again: another put may have moved the tail to where a pad is needed.
                    need = writer.needed(axds_message_needs(&writer.writer, length))
                    done = axds_writer_fits(&writer.writer, need)
                    if done:
                        placed.start = writer.writer.tail
                        with nogil:
                            axds_put(&writer.writer, source, stamp, payload, length)
                        placed.end = writer.writer.tail
                finally:
                    writer.leave_turn()
                if done:
                    return True
                if not self._wait(writer, need, NEVER, source, 1, block, deadline, began):
                    return False
        finally:
            writer.unreserve()

    cdef bint _put_external(self, Writer writer, uint8_t source, uint64_t stamp, const unsigned char *payload,
                            uint64_t length, bint block, uint64_t deadline, Placed *placed) except -1:
        """Put a message that is too large for the lane: its payload into a file, then a record that names the file."""
        cdef uint64_t size = axds_record_span(<uint32_t>length), need, began = axds_now_ns(), number, place
        cdef uint32_t check
        cdef bint done
        if length > LARGEST_BYTES:
            raise ValueError(f"expected a message of at most {LARGEST_BYTES} bytes, got {length}")
        if not self._wait_for_allowance(writer, size, source, block, deadline):
            return False
        draft = None
        try:
            number = writer.numbered = writer.numbered + 1
            draft = self._stage_file(writer, <const unsigned char[:length]>payload, number, source, block, deadline)
            if draft is None:
                return False
            check, place = draft.check, draft.place
            while True:
                writer.take_turn()
                try:
                    self._tell_gaps(writer)
                    need = writer.needed(axds_message_needs(&writer.writer, EXTERNAL_BYTES))
                    done = axds_writer_fits(&writer.writer, need)
                    if done:
                        placed.start = writer.writer.tail
                        axds_put_external(&writer.writer, source, stamp, <uint32_t>length, check, number, place)
                        placed.end = writer.writer.tail
                        draft.published = True
                finally:
                    writer.leave_turn()
                if done:
                    return True
                if not self._wait(writer, need, NEVER, source, 1, block, deadline, began):
                    return False
        finally:
            writer.staged -= size
            writer.unreserve()
            if draft is not None:
                draft.close()

    cdef bint _wait_for_allowance(self, Writer writer, uint64_t size, uint8_t source, bint block,
                                  uint64_t deadline) except -1:
        """Wait until shared memory may hold a further large message; one alone always may."""
        cdef uint64_t taken, waiting
        while True:
            taken = axds_load64(writer.writer.lane.external_taken)
            waiting = axds_external_waiting(&writer.writer) + writer.staged
            if not waiting or waiting + size <= EXTERNAL_LANES * writer.writer.capacity:
                writer.staged += size
                return True
            if not self._wait(writer, 0, taken, source, 1, block, deadline, NEVER):
                return False

    cdef object _stage_file(self, Writer writer, const unsigned char[::1] payload, uint64_t number, uint8_t source,
                            bint block, uint64_t deadline):
        """Return the file of a large message, None if it was dropped: in the log directory if nothing frees memory."""
        cdef uint64_t taken
        while True:
            taken = axds_load64(writer.writer.lane.external_taken)
            on_disk = not axds_external_waiting(&writer.writer)
            try:
                return self._stage(payload, writer.writer.claim, number, False)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            if on_disk:
                return self._stage(payload, writer.writer.claim, number, True)
            if not self._wait(writer, 0, taken, source, 1, block, deadline, NEVER):
                return None

    cdef bint _wait(self, Writer writer, uint64_t need, uint64_t taken, uint8_t source, uint64_t messages, bint block,
                    uint64_t deadline, uint64_t began) except -1:
        """Wait a slice for room, or for an external record to be taken: false if the message was dropped instead."""
        cdef uint64_t start = axds_now_ns(), slice_ns, tail
        cdef uint32_t state = axds_load32(self._hub.hub.state)
        if state >= AXDS_CLOSED:
            self._refuse(state)
        if self._hub.hub.drop_newest:
            return self._drop(writer, source, messages)
        if not block or state == AXDS_NEW or start >= deadline:
            self._raise_full(writer, state, block, taken != NEVER)
        if began != NEVER and start - began >= STARVING_NS:
            writer.reserve(need)
        slice_ns = min(deadline - start, SLICE_NS)
        tail = writer.writer.tail
        with nogil:
            if taken == NEVER:
                axds_wait_for_space(writer.writer.lane, writer.writer.capacity, tail, need, slice_ns)
            else:
                axds_wait_for_taking(writer.writer.lane, taken, slice_ns)
        axds_count(writer.writer.lane.blocked_ns, axds_now_ns() - start)
        PyErr_CheckSignals()
        if axds_now_ns() - start >= SLICE_NS and self._is_abandoned():
            raise ChildProcessError("expected a living logger, but its process and the one that started it ended; "
                                    "the lanes keep what was put for the recovery of the log directory")
        return True

    cdef int _raise_full(self, Writer writer, uint32_t state, bint block, bint is_external) except -1:
        size = f"a lane of {writer.writer.capacity} bytes"
        if is_external:
            size = f"{EXTERNAL_LANES * writer.writer.capacity} bytes for large messages"
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

    def _put_list(self, uint8_t source, times, payloads, bint block, uint64_t deadline):
        cdef const uint64_t[::1] stamps = times
        cdef Py_ssize_t row
        cdef uint64_t now
        for row, payload in enumerate(payloads):
            now = axds_now_ns()
            left_s = None if deadline == NEVER else max(<double>deadline - <double>now, 0.0) / 1e9
            try:
                self._put_bytes(source, stamps[row], payload, block, left_s)
            except LaneFullError as error:
                raise LaneFullError(str(error), row) from None
            except QueueClosedError as error:
                raise QueueClosedError(str(error), row) from None

    def _put_rows(self, uint8_t source, times, rows, bint block, timeout, uint64_t deadline):
        cdef const uint64_t[::1] stamps = times
        cdef const unsigned char[:, :] bytes_of = rows
        cdef uint64_t count = bytes_of.shape[0], length = bytes_of.shape[1], stride = bytes_of.strides[0], row = 0, done
        cdef uint64_t began = axds_now_ns(), need
        cdef const unsigned char *first = <const unsigned char *>&bytes_of[0, 0] if length else <const unsigned char *>&stamps[0]
        cdef Writer writer = self._ready(block, timeout)
        cdef Placed placed
        batches = []  # (where it starts, rows)
        if not length:
            stride = 0
        try:
            while row < count:
                if length > writer.writer.largest:
                    if self._put_external(writer, source, stamps[row], first + row * stride, length, block, deadline,
                                          &placed):
                        self._confirm(writer, placed)
                    row += 1
                    continue
                writer.take_turn()
                try:
                    self._tell_gaps(writer)
                    need = writer.needed(axds_message_needs(&writer.writer, length))
                    if not writer.gaps and axds_writer_fits(&writer.writer, need):
                        placed.start = writer.writer.tail
                        with nogil:
                            done = axds_put_rows(&writer.writer, source, &stamps[row], first + row * stride, length,
                                                 stride, count - row)
                        batches.append((placed.start, done))
                        row += done
                finally:
                    writer.leave_turn()
                if row < count and not self._wait(writer, need, NEVER, source, count - row, block, deadline, began):
                    break
            self._confirm_rows(writer, batches, length, row)
        except LaneFullError as error:
            self._confirm_rows(writer, batches, length, row)
            raise LaneFullError(str(error), row) from None
        except QueueClosedError as error:
            if error.accepted:
                raise
            self._confirm_rows(writer, batches, length, row)
            raise QueueClosedError(str(error), row) from None
        finally:
            writer.unreserve()

    cdef int _confirm_rows(self, Writer writer, list batches, uint64_t length, uint64_t row) except -1:
        """Return if all rows that lie in the lane are accepted."""
        cdef uint64_t last, accepted = row, end, put
        if not batches:
            return 0
        if axds_load32(self._hub.hub.state) != AXDS_CLOSED:
            writer.confirmed = max(writer.confirmed, writer.writer.tail)
            return 0
        last = axds_seal(writer.writer.lane, writer.confirmed)
        for end, put in batches:
            for _ in range(put):
                end += axds_placed(writer.writer.capacity, end, <uint32_t>length)
                accepted -= end > last
        if accepted < row:
            self._refused(writer)
            raise QueueClosedError("expected a logger that takes messages, got one that was stopped", accepted)
        return 0

    def _lend(self, Writer writer not None, source_id, uint64_t length, bint block=True, timeout=None):
        """Return where in a lane's memory the payload of its next message will lie; None if that would be dropped.

        The lane is one that nothing else is put into, and its owner fills the place. Until `_publish_lent`, nobody sees what lies there.
        """
        cdef uint8_t source = as_source(source_id)
        cdef uint64_t need, began = axds_now_ns(), deadline = deadline_ns(self._timeout if timeout is None else timeout)
        if length > writer.writer.largest:
            raise ValueError(f"expected at most {writer.writer.largest} bytes, got {length}")
        while True:
            self._tell_gaps(writer)
            need = axds_message_needs(&writer.writer, length)
            if not writer.gaps and axds_writer_fits(&writer.writer, need):
                break
            if not self._wait(writer, need, NEVER, source, 1, block, deadline, NEVER):
                return None
        return <uint64_t>(axds_payload_place(&writer.writer, <uint32_t>length) - &writer.memory[0])

    def _publish_lent(self, Writer writer not None, source_id, acquisition_time, uint64_t length) -> None:
        """Publish what was filled at the place that `_lend` returned."""
        cdef uint8_t source = as_source(source_id)
        cdef uint64_t stamp = as_word(acquisition_time)
        cdef uint32_t state = axds_load32(self._hub.hub.state)
        cdef const unsigned char *place
        cdef Placed placed
        if state >= AXDS_CLOSED:
            self._refuse(state)
        place = axds_payload_place(&writer.writer, <uint32_t>length)
        placed.start = writer.writer.tail
        with nogil:
            axds_put(&writer.writer, source, stamp, place, length)
        placed.end = writer.writer.tail
        self._confirm(writer, placed)


@cython.auto_pickle(False)
cdef class Stamper:
    """Puts arrays of one type and shape, with the time of a clock that all processes of a session share.

    Whoever inherits finds in `_converted` what is no such array already.
    """

    cdef Producer _producer
    cdef readonly int code
    cdef uint64_t _started_ns
    cdef bytes _format
    cdef tuple _lengths

    def __init__(self, Producer producer not None, code, started_ns, example):
        """Take the data type and the shape of `example`, and the nanoseconds of the monotonic clock at time 0."""
        self._producer = producer
        self.code = as_source(code)
        self._started_ns = as_word(started_ns)
        self._lengths = tuple(example.shape)
        try:
            self._format = memoryview(example).format.encode()
        except (ValueError, BufferError):  # a type that buffers do not know: always converted
            self._format = None

    def _converted(self, values):
        """Return the bytes of values that are no array of the type and shape; TypeError or ValueError if they can't be."""
        raise NotImplementedError

    def elapsed_us(self) -> int:
        """Return the time of the session's clock now: microseconds since its onset, at least 1."""
        return self._now_us()

    cdef uint64_t _now_us(self):
        cdef uint64_t now = axds_now_ns()
        return 1 if now < self._started_ns + 1000 else (now - self._started_ns) // 1000  # 0 is the onset's own time

    def put(self, values, time_us=None, bint block=True, timeout=None) -> None:
        """Hand an array of the source's type and shape to the logger; when this returns, no death can lose it.

        Args:
            values: The array, or what makes one without a loss: a number, a list.
            time_us: Microseconds since the onset of the session, from 1 on; None for now.
            block: Whether to wait for room.
            timeout: At most for how many seconds; None for what the logger was made with.

        Raises:
            TypeError, ValueError: `values` are of another type or shape, or `time_us` is 0.
            queue.Full, ChildProcessError: As `LogQueue.put` raises them.
        """
        cdef uint64_t stamp = self._now_us() if time_us is None else as_time(time_us)
        cdef Py_buffer view
        cdef bint fits
        if self._format is None:
            self._producer._put_bytes(self.code, stamp, self._converted(values), block, timeout)
            return
        try:
            PyObject_GetBuffer(values, &view, PyBUF_ND | PyBUF_FORMAT)
        except (BufferError, ValueError, TypeError):
            self._producer._put_bytes(self.code, stamp, self._converted(values), block, timeout)
            return
        try:
            fits = self._fits(&view)
            if fits:
                self._producer._put_view(self.code, stamp, &view, block, timeout)
        finally:
            PyBuffer_Release(&view)
        if not fits:
            self._producer._put_bytes(self.code, stamp, self._converted(values), block, timeout)

    cdef bint _fits(self, Py_buffer *view) except -1:
        cdef Py_ssize_t axis
        if view.format == NULL or view.ndim != len(self._lengths) or strcmp(view.format, <const char *>self._format):
            return False
        for axis in range(view.ndim):
            if view.shape[axis] != <Py_ssize_t>self._lengths[axis]:
                return False
        return True


cdef uint64_t as_time(time_us) except 0:
    cdef uint64_t stamp = as_word(time_us)
    if not stamp:
        raise ValueError("expected a time from 1 us after the onset on, got 0, which is the onset's own")
    return stamp
