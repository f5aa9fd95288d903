# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The queue in shared memory: hub and lanes, the producer's put, the consumer's spans. lane.h draws the layout."""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .crc cimport axds_crc_init
from .frame cimport AXDS_FIRST, AXDS_LAST, axds_record_span
from .record cimport LogPackage, as_payload, as_rows, as_source, as_times, as_word

from queue import Full
from threading import Lock, get_ident
import warnings

import numpy as np

from ..errors import LaneFullError, QueueClosedError

axds_crc_init()
if axds_watch_forks():
    raise MemoryError("expected room for a fork handler, got none")

STATES = ("new", "running", "restarting", "closing", "closed", "failed")
HUB_BYTES = sizeof(axds_hub)
LANE_HEAD_BYTES = <int>AXDS_LANE_HEAD
SLOTS = <int>AXDS_SLOTS
FORMAT = <int>AXDS_LANE_FORMAT

cdef uint64_t SLICE_NS = 50_000_000     # the longest sleep before signals and the state are looked at
cdef uint64_t LONG_COPY_BYTES = 262144  # from here on a copy lets other threads run
cdef uint64_t NEVER = 0xFFFFFFFFFFFFFFFF


def use_polling(bint polling) -> None:
    """Wait by naps instead of futexes in this process, as platforms without a futex do."""
    global axds_futex_off
    axds_futex_off = polling


def monotonic_ns() -> int:
    """Return the clock that `Hub.caught_up_ns` is told in."""
    return axds_now_ns()


cdef uint64_t deadline_ns(timeout) except? 0:
    if timeout is None:
        return NEVER
    if timeout < 0:
        raise ValueError(f"expected a timeout of at least 0 s, got {timeout}")
    return axds_now_ns() + <uint64_t>min(timeout * 1e9, 9e18)


@cython.auto_pickle(False)
@cython.final
cdef class Hub:
    """The words that all processes of a queue share; lives in the first HUB_BYTES of a writable buffer."""

    def __init__(self, unsigned char[::1] memory not None):
        if <uint64_t>memory.shape[0] < sizeof(axds_hub):
            raise ValueError(f"expected at least {sizeof(axds_hub)} bytes for a hub, got {memory.shape[0]}")
        self.memory = memory
        self.hub = <axds_hub *>&memory[0]

    def initialise(self, uint64_t queue_id, uint32_t salt, uint64_t creator, uint64_t pid_namespace, *,
                   bint drop_newest=False, uint32_t slots=AXDS_SLOTS) -> None:
        """Lay a new hub; nobody else may see the memory yet."""
        if not salt or not 0 < slots <= AXDS_SLOTS:
            raise ValueError(f"expected a salt and 1 to {AXDS_SLOTS} slots, got {salt} and {slots}")
        memset(self.hub, 0, sizeof(axds_hub))
        self.hub.queue_id = queue_id
        self.hub.salt = salt
        self.hub.creator = creator
        self.hub.pid_namespace = pid_namespace
        self.hub.drop_newest = drop_newest
        self.hub.slots = slots
        self.hub.next_claim = 1
        self.hub.format = AXDS_LANE_FORMAT

    def check(self) -> None:
        """Raise ValueError unless this is a hub of our format."""
        if self.hub.format != AXDS_LANE_FORMAT or not 0 < self.hub.slots <= AXDS_SLOTS:
            raise ValueError(f"expected a queue of format {AXDS_LANE_FORMAT}, got {self.hub.format}")

    @property
    def queue_id(self) -> int:
        return self.hub.queue_id

    @property
    def salt(self) -> int:
        return self.hub.salt

    @property
    def creator(self) -> int:
        """Identity of the process that made the queue."""
        return self.hub.creator

    @property
    def pid_namespace(self) -> int:
        return self.hub.pid_namespace

    @property
    def drop_newest(self) -> bool:
        return self.hub.drop_newest != 0

    @property
    def state(self) -> str:
        """One of STATES."""
        cdef uint32_t state = axds_load32(self.hub.state)
        return STATES[state] if state <= AXDS_FAILED else "failed"

    @state.setter
    def state(self, state):
        axds_store32(self.hub.state, STATES.index(state))
        axds_hub_wake(self.hub)

    @property
    def consumer(self) -> int:
        """Identity of the process that consumes, 0 for none."""
        return axds_load64(self.hub.consumer)

    def take_consumer_seat(self, uint64_t mine, uint64_t dead=0) -> int:
        """Sit down on a free seat, or on that of the dead; return who sits there afterwards."""
        cdef uint64_t seated = axds_take_seat(&self.hub.consumer, dead, mine)
        if seated == mine:
            axds_store64(self.hub.caught_up_ns, axds_now_ns())
        return seated

    def leave_consumer_seat(self, uint64_t mine) -> None:
        axds_take_seat(&self.hub.consumer, mine, 0)

    @property
    def restarts(self) -> int:
        """How often a logger process was started in place of a dead one."""
        return axds_load32(self.hub.restarts)

    @restarts.setter
    def restarts(self, uint32_t restarts):
        axds_store32(self.hub.restarts, restarts)

    @property
    def notes(self) -> memoryview:
        """64 words by which the owner of a logger and its process talk; their meaning is theirs."""
        start = <unsigned char *>self.hub.notes - <unsigned char *>self.hub
        return memoryview(self.memory)[start:start + sizeof(self.hub.notes)].cast("Q")

    def wake(self) -> None:
        """Have the consumer look around although nothing was put."""
        axds_store32(self.hub.event_waiting, 1)
        axds_hub_wake(self.hub)

    @property
    def caught_up_ns(self) -> int:
        """Everything put before this moment was consumed (CLOCK_MONOTONIC); 0 before there was a consumer."""
        return axds_load64(self.hub.caught_up_ns)

    @caught_up_ns.setter
    def caught_up_ns(self, uint64_t moment_ns):
        axds_store64(self.hub.caught_up_ns, moment_ns)

    @property
    def lanes_changed(self) -> int:
        """A count that moves whenever a lane comes or goes."""
        return axds_load32(self.hub.lanes_changed)

    def new_claim(self) -> int:
        """Return a number that no other lane of this queue has or had."""
        cdef uint32_t claim = axds_next_claim(self.hub)
        if claim == 0xFFFFFFFF:
            raise OverflowError("expected fewer than 2**32 lanes in the life of a queue")
        return claim

    def register(self, uint32_t claim) -> bool:
        """Make a finished lane known; False while every slot is taken."""
        return axds_register(self.hub, claim)

    def forget(self, uint32_t claim) -> None:
        axds_forget(self.hub, claim)

    def claims(self) -> list:
        """Return the claims of the lanes that exist, oldest first."""
        return sorted([axds_load32(self.hub.lanes[slot]) for slot in range(self.hub.slots)
                       if axds_load32(self.hub.lanes[slot])])

    @property
    def last_retired(self) -> int:
        """The claim that was last added to the totals, 0 for none."""
        return axds_load64(self.hub.retired) >> 1

    def add_to_totals(self, Reader lane not None) -> None:
        """Add a lane to the totals of retired ones; again for the same claim changes nothing."""
        axds_add_to_totals(self.hub, lane.reader.lane)

    def totals(self) -> bytes:
        """Return the totals of retired lanes: put, bytes, drops, blocked_ns, taken, then the tables of a tally."""
        cdef uint64_t before, after
        cdef const unsigned char *total
        while True:  # a retirement on the way switches the word
            before = axds_load64(self.hub.retired)
            total = <const unsigned char *>&self.hub.totals[before & 1]
            copied = total[:sizeof(axds_total)]
            after = axds_load64(self.hub.retired)
            if before == after:
                return copied

    @property
    def sources(self) -> memoryview:
        """256 rows of four u64 for the consumer to keep: messages written, synced, bytes written, dropped."""
        start = <unsigned char *>self.hub.sources - <unsigned char *>self.hub
        return memoryview(self.memory)[start:start + 256 * sizeof(axds_source)]

    def wait(self, list readers not None, uint32_t lanes_seen, str state_seen, double timeout_s) -> None:
        """Sleep until a reader has records, `lanes_changed` or the state differ from what was seen, or the timeout.

        Returns early at times; look again. Signal handlers run.
        """
        cdef uint64_t end = axds_now_ns() + <uint64_t>(max(timeout_s, 0.0) * 1e9), now = 0
        cdef uint32_t state = STATES.index(state_seen)
        cdef uint64_t count = len(readers), i
        cdef const axds_reader **each = <const axds_reader **>malloc((count + 1) * sizeof(axds_reader *))
        if each == NULL:
            raise MemoryError
        try:
            for i in range(count):
                each[i] = &(<Reader?>readers[i]).reader
            now = axds_now_ns()
            if now < end:
                with nogil:
                    axds_wait_for_records(self.hub, each, count, lanes_seen, state, min(end - now, SLICE_NS))
        finally:
            free(each)
        PyErr_CheckSignals()


@cython.auto_pickle(False)
@cython.final
cdef class Writer:
    """The producing end of a lane, shared by the threads of one process; `keep` is what holds the memory."""

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
            need = axds_message_needs(&writer.writer, length)
            if need > writer.writer.capacity:
                return self._put_in_parts(writer, source, stamp, payload, length, block, deadline)
            while not done:
                with nogil:
                    done = axds_put(&writer.writer, source, stamp, payload, length)
                need = axds_message_needs(&writer.writer, length)
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
        if axds_now_ns() - start >= SLICE_NS and self._is_abandoned():
            raise ChildProcessError("expected a living logger, but its process and the one that started it ended; the "
                                    "lanes keep what was put for the recovery of the log directory")
        if yield_turn:  # a signal handler may put too
            writer.leave_turn()
            try:
                PyErr_CheckSignals()
            finally:
                writer.take_turn(True, NEVER)
        else:
            PyErr_CheckSignals()
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
            except Full as error:
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
        except Full as error:
            raise LaneFullError(str(error), row) from None
        finally:
            writer.leave_turn()


@cython.auto_pickle(False)
cdef class Reader:
    """The consuming end of a lane, over the lane's memory."""

    def __init__(self, unsigned char[::1] memory not None):
        cdef uint64_t size = memory.shape[0], capacity
        cdef axds_lane *lane = <axds_lane *>&memory[0] if size else NULL
        if size < AXDS_LANE_HEAD + 4096 or lane.format != AXDS_LANE_FORMAT:
            raise ValueError(f"expected a lane of format {AXDS_LANE_FORMAT}, got other memory of {size} bytes")
        capacity = lane.capacity
        if capacity & (capacity - 1) or capacity != size - AXDS_LANE_HEAD:
            raise ValueError(f"expected a ring of {size - AXDS_LANE_HEAD} bytes, got one that says {capacity}")
        self.memory = memory
        self.ring = memoryview(memory)[AXDS_LANE_HEAD:].toreadonly()
        axds_reader_init(&self.reader, lane)

    @property
    def claim(self) -> int:
        """The number of this lane, unique in the life of its queue."""
        return self.reader.claim

    @property
    def salt(self) -> int:
        return self.reader.salt

    @property
    def span_messages(self) -> int:
        """How many messages end in the last span."""
        return self.reader.span_messages

    @property
    def at_tail(self) -> bool:
        """Whether the last span held all that was put by then."""
        return self.reader.at_tail

    @property
    def owner(self) -> int:
        """Identity of the process that fills the lane."""
        return self.reader.lane.owner

    @property
    def lane_bytes(self) -> int:
        """The size of the ring."""
        return self.reader.capacity

    @property
    def empty(self) -> bool:
        """Whether everything that was put is released."""
        return axds_lane_empty(self.reader.lane)

    @property
    def queued_bytes(self) -> int:
        """Bytes that were put and not yet released."""
        return axds_load64(self.reader.lane.tail) - axds_load64(self.reader.lane.head)

    @property
    def damaged_bytes(self) -> int:
        """Bytes that were skipped because no record of ours was there: some program wrote over them."""
        return self.reader.damaged_bytes

    @property
    def high_water(self) -> int:
        """The most bytes that the consumer found waiting."""
        return axds_load64(self.reader.lane.high_water)

    @property
    def counts(self) -> tuple:
        """Messages put, their bytes, messages dropped, nanoseconds blocked, messages taken."""
        cdef axds_lane *lane = self.reader.lane
        return (axds_load64(lane.put), axds_load64(lane.put_bytes), axds_load64(lane.drops),
                axds_load64(lane.blocked_ns), axds_load64(lane.taken))

    @property
    def tally(self) -> memoryview:
        """Four tables of 256 u64, by source: messages accepted, their bytes, dropped, dropped and told in a GAP."""
        start = <unsigned char *>&self.reader.lane.tally - <unsigned char *>self.reader.lane
        return memoryview(self.memory)[start:start + sizeof(axds_tally)].toreadonly()

    def take_seat(self, uint64_t mine, uint64_t dead=0) -> int:
        """Become the reader of this lane if the seat is free or left by the dead; return who sits there afterwards."""
        seated = axds_take_seat(&self.reader.lane.reader, dead, mine)
        if seated == mine:
            axds_reader_init(&self.reader, self.reader.lane)
        return seated

    def leave_seat(self, uint64_t mine) -> None:
        axds_take_seat(&self.reader.lane.reader, mine, 0)

    def span(self, uint64_t max_bytes) -> memoryview:
        """Return the next whole records as they lie in memory, for the caller to write or read and then release.

        At most `max_bytes`, but at least one record if there is one; empty if there is none. The headers are checked,
        the check sums are not. The view is of shared memory: after `release` the producer writes over it.
        """
        axds_reader_span(&self.reader, max_bytes)
        cdef uint64_t start = self.reader.head & (self.reader.capacity - 1)
        return self.ring[start:start + self.reader.span_bytes]

    def release(self, uint64_t size) -> None:
        """Give the first `size` bytes of the span back to the producer; they must end where a record ends."""
        if not axds_release(&self.reader, size):
            raise ValueError(f"expected the end of a record within {self.reader.span_bytes} bytes, got {size}")
