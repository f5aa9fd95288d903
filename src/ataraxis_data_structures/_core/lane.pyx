# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The queue in shared memory: the hub that all share, and the consumer's end of a lane. lane.h draws the layout."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .frame cimport axds_crc_use, axds_record, crc_tables

axds_crc_use(&crc_tables)

STATES = ("new", "running", "restarting", "closing", "closed", "failed")
HUB_BYTES = sizeof(axds_hub)
LANE_HEAD_BYTES = <int>AXDS_LANE_HEAD
SLOTS = <int>AXDS_SLOTS
FORMAT = <int>AXDS_LANE_FORMAT

cdef uint64_t SLICE_NS = 50_000_000     # the longest sleep before signals and the state are looked at


def use_polling(bint polling) -> None:
    """Wait by naps instead of futexes for this process's records, as platforms without a futex do."""
    global axds_futex_off
    axds_futex_off = polling


def monotonic_ns() -> int:
    """Return the clock that `Hub.caught_up_ns` is told in."""
    return axds_now_ns()


@cython.auto_pickle(False)
@cython.final
cdef class Hub:
    """The words that all processes of a queue share; lives in the first HUB_BYTES of a writable buffer."""

    def __init__(self, unsigned char[::1] memory not None):
        if <uint64_t>memory.shape[0] < sizeof(axds_hub):
            raise ValueError(f"expected at least {sizeof(axds_hub)} bytes for a hub, got {memory.shape[0]}")
        self.memory = memory
        self.hub = <axds_hub *>&memory[0]

    def initialise(self, uint64_t queue_id, uint32_t salt, *, bint drop_newest=False, uint32_t slots=AXDS_SLOTS) -> None:
        """Lay a new hub; nobody else may see the memory yet."""
        if not salt or not 0 < slots <= AXDS_SLOTS:
            raise ValueError(f"expected a salt and 1 to {AXDS_SLOTS} slots, got {salt} and {slots}")
        memset(self.hub, 0, sizeof(axds_hub))
        self.hub.queue_id = queue_id
        self.hub.salt = salt
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

    def change_state(self, str before, str after) -> bool:
        """Store a state in place of the expected one by compare-and-swap; False, and nothing done, if it is another."""
        return axds_change_state(self.hub, STATES.index(before), STATES.index(after))

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
        axds_add_to_totals(self.hub, lane.reader.lane, lane.reader.claim)

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
        cdef axds_reader **each = <axds_reader **>malloc((count + 1) * sizeof(axds_reader *))
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
cdef class Reader:
    """The consuming end of a lane, over the lane's memory, which any program that maps it may write over."""

    def __init__(self, unsigned char[::1] memory not None, uint32_t claim, uint32_t salt, Hub hub=None):
        cdef uint64_t capacity = <uint64_t>memory.shape[0] - AXDS_LANE_HEAD
        if <uint64_t>memory.shape[0] < AXDS_LANE_HEAD + 4096 or capacity & (capacity - 1):
            raise ValueError(f"expected {AXDS_LANE_HEAD} bytes and a power of two from 4096 on, got {memory.shape[0]}")
        self.memory = memory
        self.ring = memoryview(memory)[AXDS_LANE_HEAD:].toreadonly()
        self.hub = hub
        axds_reader_init(&self.reader, <axds_lane *>&memory[0], capacity, claim, salt,
                         NULL if hub is None else &hub.hub.state)

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
    def lane_bytes(self) -> int:
        """The size of the ring."""
        return self.reader.capacity

    @property
    def empty(self) -> bool:
        """Whether everything that was put is released."""
        return axds_lane_empty(self.reader.lane, self.reader.capacity)

    @property
    def drained(self) -> bool:
        """Whether nothing is left that the consumer, which this object is, could take."""
        return axds_reader_done(&self.reader)

    def mend_tail(self) -> bool:
        """Make what a dead producer's records prove readable, whatever its tail says; True if there is something."""
        return axds_mend_tail(&self.reader)

    @property
    def head(self) -> int:
        """The position up to which the consumer, which this object is, released the lane."""
        return self.reader.head

    @property
    def tail(self) -> int:
        """The position up to which there is something to take."""
        return axds_takeable(&self.reader)

    @property
    def queued_bytes(self) -> int:
        """Bytes that were put and not yet released; 0 while a position is damaged."""
        return axds_lane_queued(self.reader.lane, self.reader.capacity)

    @property
    def damaged(self) -> bool:
        """Whether a position is one that neither the producer nor the consumer stored."""
        return axds_lane_damaged(self.reader.lane, self.reader.capacity)

    @property
    def damaged_bytes(self) -> int:
        """Bytes that were skipped because no record of this queue was there: some program wrote over them."""
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
            axds_reader_init(&self.reader, self.reader.lane, self.reader.capacity, self.reader.claim, self.reader.salt,
                             NULL if self.hub is None else &self.hub.hub.state)
        return seated

    def leave_seat(self, uint64_t mine) -> None:
        axds_take_seat(&self.reader.lane.reader, mine, 0)

    def seal(self) -> int:
        """Refuse what is put from now on, once the queue is closed; return up to where messages were accepted."""
        return axds_seal(self.reader.lane, axds_readable_tail(&self.reader))

    @property
    def external_bytes(self) -> int:
        """Bytes of records in files of their own that were put and not yet released."""
        waiting = axds_load64(self.reader.lane.external) - axds_load64(self.reader.lane.external_taken)
        return waiting if axds_load64(self.reader.lane.external_taken) <= axds_load64(self.reader.lane.external) else 0

    @property
    def external(self) -> tuple | None:
        """Number, place, and journal header of the file that the span names, if it does; ValueError if it is damaged."""
        cdef axds_external found
        if not self.reader.external or not self.reader.span_bytes:
            return None
        if not axds_read_external(&self.reader, &found):
            raise ValueError(f"expected a whole record at {self.reader.head}, got a damaged one")
        return found.number, found.place, (<const unsigned char *>&found.header)[:sizeof(axds_record)]

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
