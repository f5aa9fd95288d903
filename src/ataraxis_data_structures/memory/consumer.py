"""The consuming end of a queue: the logger process drains it, recovery salvages it."""

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from .._core import frame
from .._core.frame import LogPackage
from .._core.lane import HUB_BYTES, Hub, monotonic_ns
from ..errors import QueueBusyError, SegmentError
from ..system import platform, process
from ..system.process import is_alive, own_identity, pid_of
from . import external
from .lane import Lane, Lanes, find_lanes, lane_name, queue_name
from .names import Names
from .segment import Kind, Segment, creator_alive

RECORDED = 8
"""Which of the hub's notes says that the owner record of a log directory names the queue."""

_BUSY_MESSAGES = 16  # a round with as many has producers that would pay for a wake again and again
_NAP_S = 0.0002
_PATIENCE_S = 5.0  # a `get` of another process holds the seat for an instant
_taken: set[tuple[int, str]] = set()  # seats of this process, which its threads must not share; a child's differ
_seats = threading.Condition()
os.register_at_fork(after_in_child=_seats.__init__)  # type: ignore[misc]


class LogDrain:
    """Everything that producers put into a queue, for the one process that consumes it.

    A drain over a living queue is made by `attach`, one over what a dead queue left by `salvage`. Each lane gives spans
    of whole records; what was written elsewhere is then released. Close it, or use it as a context.
    """

    def __init__(
        self,
        name: str,
        block: Segment | None,
        hub: Hub | None,
        lanes: list[Lane],
        directory: Path | None = None,
        names: Names | None = None,
    ) -> None:
        self.name = name
        self._names = names
        self._block = block
        self._hub = hub
        self.unreadable: dict[str, str] = {}
        """Lanes that can't be read, by name: why. Whatever they hold stays in them."""
        self._salvaged = {lane.claim: lane for lane in lanes}
        self._lanes = None if hub is None else Lanes(name, hub, directory)
        self._directory = directory
        self._state_seen = "new"
        self._round_messages = 0
        self._seated = False
        self._lost: Counter[int] = Counter()
        self.vanished = 0
        """How many lanes others removed that no living process has mapped: what they held is not known."""
        memory = memoryview(bytearray(8192)) if hub is None else hub.sources
        self.sources: memoryview = memory.cast("Q")
        """For each source four words that the consumer keeps: messages written, synced, bytes written, dropped."""

    @classmethod
    def attach(
        cls,
        name: str,
        *,
        directory: Path | None = None,
        patience_s: float = _PATIENCE_S,
        abandoned: bool = False,
        names: Names | None = None,
    ) -> Self:
        """Become the consumer of a queue; QueueBusyError if another one that lives stays it for `patience_s`.

        `directory` is where the log directory of the queue is now, which may have been renamed. `abandoned` says that
        all processes of the queue are known to be dead: then it may be of another pid namespace. `remove` looks for
        what is to go among `names` if they are given.
        """
        try:
            block, hub = open_hub(name, abandoned=abandoned)
        except FileNotFoundError:  # somebody removed the name: its owner still maps it, if it lives
            block, hub = _open_removed_hub(name)
        drain = cls(name, block, hub, [], directory, names)
        drain.sit_down(patience_s)
        return drain

    @classmethod
    def salvage(cls, name: str, *, directory: Path | None = None, names: Names | None = None) -> Self:
        """Consume what a dead queue left, from its lanes alone; QueueBusyError while a process that lives does.

        Lanes whose owner still lives are among them: it may go on to put.
        """
        lanes, unreadable = [], {}
        for found in find_lanes(name, None if names is None else names.memory):
            try:
                lane = Lane(found, directory=directory)
            except FileNotFoundError:
                continue
            except (SegmentError, PermissionError) as error:
                unreadable[found] = str(error)
                continue
            lane.sit_down()
            lanes.append(lane)
        drain = cls(name, None, None, lanes, directory, names)
        drain.unreadable = unreadable
        return drain

    @property
    def hub(self) -> Hub:
        """The words of a living queue."""
        if self._hub is None:
            raise ValueError(f"expected a living queue, got the salvage of {self.name!r}")
        return self._hub

    @property
    def salt(self) -> int | None:
        """The salt of all records; None for a salvage, whose lanes tell it in their descriptions."""
        return None if self._hub is None else self._hub.salt

    @property
    def id(self) -> int | None:
        """The queue's random number; None for a salvage, whose lanes tell it in their descriptions."""
        return None if self._hub is None else self._hub.queue_id

    @property
    def creator_alive(self) -> bool:
        """Whether the process that made the queue still runs."""
        return self._block is not None and creator_alive(self.name, self._block.head)

    @property
    def state(self) -> str:
        """One of new, running, restarting, closing, closed, failed; a salvage is always "closed"."""
        self._state_seen = "closed" if self._hub is None else self._hub.state
        return self._state_seen

    @state.setter
    def state(self, state: str) -> None:
        if self._hub is None:
            raise ValueError(f"expected a living queue to call {state!r}, got a salvage")
        self._hub.state = state

    def dropped(self) -> dict[int, int]:
        """Return source -> messages that full lanes refused, those of lanes that are gone included.

        A record in a lane tells of them only once there was room again.
        """
        while True:
            retired = self.hub.last_retired
            counts = list(memoryview(self.hub.totals())[-8192:].cast("Q")[512:768])
            for lane in self.lanes():
                if lane.claim != retired:  # it may be in the totals, and still here
                    for source, count in enumerate(lane.tally.cast("Q")[512:768]):
                        counts[source] += count
            if self.hub.last_retired == retired:
                return {source: count for source, count in enumerate(counts) if count}

    def change_state(self, before: str, after: str) -> bool:
        """Store a state in place of the expected one; False, and nothing done, if another process was faster."""
        return self.hub.change_state(before, after)

    def held(self) -> list[Lane]:
        """Return the lanes by age, for looking only; new ones appear, those that were retired are gone."""
        return list(self._salvaged.values() if self._lanes is None else self._lanes.refresh().values())

    def lanes(self) -> list[Lane]:
        """Return the lanes by age, for consuming; new ones appear, those that were retired are gone."""
        lanes = self.held()
        for lane in lanes:
            if not lane.seated:
                lane.sit_down()
        if self._hub is not None and self._hub.state == "closed":
            for lane in lanes:
                lane.seal()
        if self._hub is not None and self._lanes is not None:
            for claim in self._lanes.missing:
                self.vanished += claim != self._hub.last_retired
                self._hub.forget(claim)
            self.unreadable = {lane_name(self.name, claim): why for claim, why in self._lanes.unreadable.items()}
        return lanes

    def turns(self, max_bytes: int = 1 << 18) -> Iterator[tuple[Lane, memoryview]]:
        """Yield (lane, span) for each lane that holds records, once, for the caller to write and release.

        Fair by bytes (deficit round robin): every lane gets `max_bytes` a round; what it left is granted in the next
        round, what a large record took beyond is taken off the next ones, unless nobody else is served meanwhile. One
        round; `wait` when it yielded nothing and `idle` says so.
        """
        start_ns, caught_up, self._round_messages = monotonic_ns(), True, 0
        lanes = self.lanes()
        _skip_empty_rounds(lanes, max_bytes)
        for lane in lanes:
            lane.credit_bytes = min(lane.credit_bytes + max_bytes, 2 * max_bytes)
            if lane.credit_bytes <= 0:
                caught_up = False
                continue
            span = lane.span(lane.credit_bytes)
            caught_up = caught_up and lane.at_tail
            if not span:
                lane.credit_bytes = 0
                continue
            lane.credit_bytes -= len(span)
            self._round_messages += lane.span_messages
            yield lane, span
        if caught_up and self._hub is not None:
            self._hub.caught_up_ns = start_ns

    @property
    def idle(self) -> bool:
        """Whether every lane is empty."""
        return all(lane.drained for lane in self.lanes())

    def wait(self, timeout_s: float) -> None:
        """Sleep until there are records, the state or the lanes change, or at most `timeout_s`; may return early."""
        if self._hub is None or self._lanes is None:
            time.sleep(min(timeout_s, 0.01))
            return
        if self._round_messages >= _BUSY_MESSAGES:
            self._round_messages = 0
            time.sleep(min(timeout_s, _NAP_S))
            return
        self._hub.wait(self.held(), self._lanes.seen, self._state_seen, timeout_s)

    def retire_finished(self) -> int:
        """Retire the lanes whose owner ended and that are empty; return how many."""
        finished = [lane for lane in self.lanes() if lane.drained and not lane.owner_alive() and not lane.mend_tail()]
        for lane in finished:
            self._lost += lane.lost
            lane.retire()
            self._salvaged.pop(lane.claim, None)
        return len(finished)

    @property
    def lost(self) -> Counter[int]:
        """Source -> large messages whose file was removed or damaged by others."""
        return sum((lane.lost for lane in self.held()), self._lost)

    def owners_alive(self) -> bool:
        """Tell whether any process that has a lane still runs."""
        return any(lane.owner_alive() for lane in self.lanes())

    def remove(self) -> None:
        """Remove a queue that is closed and drained, with its lanes, and let go of it; unreadable lanes stay."""
        keep = set(self.unreadable)
        names = self._names and self._names.with_memory(lane.name for lane in self.held())  # newer ones too
        self.close()
        remove_names(self.name, self._directory, keep, names)

    def pop(self) -> LogPackage | None:
        """Take the next whole message out of the queue, or None if there is none."""
        for lane in self.lanes():
            found = _pop(lane)
            if found is not None:
                return found
        return None

    def sit_down(self, patience_s: float = _PATIENCE_S) -> None:
        """Become the consumer of a living queue, in place of a dead one if need be."""
        if self._hub is None:
            raise ValueError(f"expected a living queue, got the salvage of {self.name!r}")
        take_seat(self._hub, self.name, patience_s)
        self._seated = True
        self._finish_retirement(self._hub)

    def stand_up(self) -> None:
        """Let another process consume, and keep the lanes at hand; what was not released stays in them."""
        if self._hub is None or not self._seated:
            return
        for lane in self.held():
            lane.stand_up()
        leave_seat(self._hub, self.name)
        self._seated = False

    def close(self) -> None:
        """Stop being the consumer; what was not released stays in the lanes."""
        self.stand_up()
        for lane in self._salvaged.values():
            lane.close()
        self._salvaged = {}
        if self._lanes is not None:
            self._lanes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _finish_retirement(self, hub: Hub) -> None:
        """Remove the lane whose counts the last consumer added to the totals before it died."""
        if hub.last_retired in hub.claims():
            try:
                Lane(lane_name(self.name, hub.last_retired), hub=hub).discard()
            except FileNotFoundError:
                hub.forget(hub.last_retired)


def open_hub(
    name: str,
    *,
    id: int | None = None,  # noqa: A002 the segment's word
    abandoned: bool = False,
) -> tuple[Segment, Hub]:
    """Map the words that all processes of a queue share; one of another pid namespace only if it is abandoned."""
    block = Segment.attach(name, id=id, kind=Kind.QUEUE)
    hub = _hub_of(block)
    if not abandoned and block.head.pid_namespace != process.pid_namespace():
        raise RuntimeError("expected a process of the same pid namespace as the queue: in another one, a dead producer "
                           "could not be told from a living one")  # fmt: skip
    return block, hub


def _open_removed_hub(name: str) -> tuple[Segment, Hub]:
    block = Segment.attach_removed(
        name, Kind.QUEUE, lambda facts: isinstance(facts.get("queue_id"), int) and queue_name(facts["queue_id"]) == name
    )
    return block, _hub_of(block)


def _hub_of(block: Segment) -> Hub:
    if block.size_bytes < HUB_BYTES:
        raise SegmentError(f"expected {HUB_BYTES} bytes in the queue {block.name!r}, got {block.size_bytes}")
    hub = Hub(block.payload)
    try:
        hub.check()
    except ValueError as error:
        raise SegmentError(f"expected a queue in {block.name!r}: {error}") from error
    return hub


def _skip_empty_rounds(lanes: list[Lane], max_bytes: int) -> None:
    """Grant what as many rounds would in which each lane that holds records still pays for a large one."""
    waiting = [lane for lane in lanes if not lane.drained]
    if not waiting or any(lane.credit_bytes + max_bytes > 0 for lane in waiting):
        return
    rounds = min(-lane.credit_bytes // max_bytes for lane in waiting)
    for lane in waiting:
        lane.credit_bytes += rounds * max_bytes


def remove_names(
    name: str, directory: Path | None, keep: Collection[str] = (), names: Names | None = None
) -> list[str]:
    """Remove the segments and files of a queue, and return the names that only another user may remove."""
    left, names = [], names or Names.look(directory)
    for found in (*find_lanes(name, names.memory), name):  # the queue last: it leads to the others
        if found in keep:
            continue
        if found != name:
            external.remove(external.files_of(found, directory, names))
        try:
            (platform.FOLDER / found).unlink(missing_ok=True)
        except PermissionError:
            left.append(found)
    return left


def take_seat(hub: Hub, name: str, patience_s: float = _PATIENCE_S) -> None:
    """Become the one consumer, also in place of a dead one; waits a moment for another's `get`."""
    mine, deadline, dead = own_identity(), time.monotonic() + patience_s, 0
    with _seats:
        while (mine, name) in _taken or (seated := hub.take_consumer_seat(mine, dead)) != mine:
            dead = 0
            if (mine, name) not in _taken and seated and not is_alive(seated):
                dead = seated
            elif time.monotonic() > deadline:
                raise QueueBusyError(f"expected nobody to consume {name!r}, got process {pid_of(hub.consumer)}")
            else:
                _seats.wait(0.0005)
        _taken.add((mine, name))


def leave_seat(hub: Hub, name: str) -> None:
    """Stop being the consumer."""
    with _seats:
        _taken.discard((own_identity(), name))
        hub.leave_consumer_seat(own_identity())
        _seats.notify_all()


def _pop(lane: Lane) -> LogPackage | None:
    import numpy as np  # noqa: PLC0415 it costs a logger process, which does without, half of its start

    while span := lane.span(0):  # one record
        row = lane.rows(span)
        if not len(row) or row[0]["flags"] & frame.GAP:
            lane.release(len(span))
            continue
        payload = np.array(span[frame.RECORD_BYTES : frame.RECORD_BYTES + int(row[0]["length"])], dtype=np.uint8)
        lane.release(len(span))
        return LogPackage(row[0]["source"], row[0]["time"], payload)
    return None
