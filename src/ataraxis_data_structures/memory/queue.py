"""The queue that producers put log messages into, from any process."""

import errno
import json
import os
import secrets
import threading
import time
import warnings
import weakref
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .._core import lane as core
from .._core import producer
from .._core.frame import LogPackage
from .._core.lane import FORMAT, HUB_BYTES, LANE_HEAD_BYTES, SLOTS, Hub
from .._core.producer import Producer, Writer
from ..errors import LaneFullError, QueueClosedError
from ..system import platform, process
from ..system.disk import file_size_limit
from ..system.process import is_alive
from .consumer import LogDrain, open_hub, remove_names
from .external import DIRECTORY, MEMORY, Draft, path_of
from .lane import Lane, Lanes, holds_messages, lane_name, queue_name
from .segment import Kind, Segment
from .sweep import sweep_once

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["LogDrain", "LogQueue", "holds_messages"]

_SMALLEST_LANE_BYTES = 1 << 18
_SMALLEST_LIMITED_BYTES = 1 << 12
_DESCRIBED_BYTES = 1 << 16  # more than the description and header of a lane's segment take
_SLICE_S = 0.05
_CROWD_S = 2.0  # processes that size their lanes at the same time have done so by then

core.use_polling(platform.PORTABLE)
producer.use_polling(platform.PORTABLE)
producer.raise_as(LaneFullError, QueueClosedError)


class _Process:
    """What this process has of all queues; a forked child begins anew."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler may put while its thread claims a lane
        self.queues: weakref.WeakValueDictionary[int, LogQueue] = weakref.WeakValueDictionary()
        self.writers: dict[int, Writer] = {}
        self.lenders: dict[tuple[int, int], Writer] = {}


_process = _Process()
os.register_at_fork(after_in_child=_process.__init__)  # type: ignore[misc]


class LogQueue(Producer):
    """A queue of LogPackages that every process may put into; it crosses into others by any route.

    Each producer process fills a lane of its own in shared memory, so puts neither wait for each other nor die with
    anyone. `get`, `get_nowait` take messages back out as long as no logger process consumes the queue.
    """

    def __init__(self, block: Segment, hub: Hub) -> None:
        self._block = block
        self._settings: dict[str, Any] = json.loads(block.description)
        super().__init__(hub, self._settings["timeout"])
        self._hub = hub
        self._warning = ""
        self.name: str = block.name
        self.id: int = hub.queue_id
        self._lanes = Lanes(self.name, hub)
        self._drain = LogDrain(self.name, block, hub, [])

    @classmethod
    def create(
        cls,
        *,
        directory: Path | None = None,
        lane_bytes: int = 1 << 23,
        overflow: Literal["block", "drop_newest"] = "block",
        timeout: float | None = None,
        max_producers: int = SLOTS,
    ) -> Self:
        """Make a queue; `directory` is where recovery finds the log that its messages belong to.

        Each producer gets a lane of `lane_bytes` (a power of two), or less if shared memory is short. `timeout` is in
        seconds and holds for each put that gives none.
        """
        if lane_bytes < 4096 or lane_bytes & (lane_bytes - 1):
            raise ValueError(f"expected lane_bytes to be a power of two from 4096 on, got {lane_bytes}")
        if overflow not in ("block", "drop_newest"):
            raise ValueError(f"expected overflow 'block' or 'drop_newest', got {overflow!r}")
        if timeout is not None and timeout < 0:
            raise ValueError(f"expected a timeout of at least 0 s, got {timeout}")
        queue_id = secrets.randbits(64) | 1
        salt = secrets.randbits(32) or 1
        settings = {
            "format": FORMAT,
            "queue_id": queue_id,
            "salt": salt,
            **_described(directory),
            "boot_id": process.boot_id().hex(),
            "lane_bytes": lane_bytes,
            "timeout": timeout,
        }

        def prepare(block: Segment) -> None:
            Hub(block.payload).initialise(
                queue_id,
                salt,
                drop_newest=overflow == "drop_newest",
                slots=max_producers,
            )

        sweep_once()
        block = Segment.create(
            queue_name(queue_id),
            HUB_BYTES,
            kind=Kind.QUEUE,
            description=json.dumps(settings).encode(),
            prepare=prepare,
        )
        queue = cls(block, Hub(block.payload))
        _process.queues[block.id] = queue
        return queue

    @classmethod
    def attach(cls, name: str, *, id: int | None = None) -> "LogQueue":  # noqa: A002 the segment's word
        """Open a queue by name; FileNotFoundError if it is gone. Within a process it is the same object each time."""
        with _process.lock:
            known = _process.queues.get(id) if id is not None else None
            if known is None:
                block, hub = open_hub(name, id=id)
                known = _process.queues.get(block.id) or cls(block, hub)
                _process.queues[block.id] = known
            return known

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (self.name, self._block.id)

    @property
    def salt(self) -> int:
        """The seed of the check sums of this queue's records."""
        return self._hub.salt

    @property
    def state(self) -> str:
        """One of new, running, restarting, closing, closed, failed."""
        return self._hub.state

    @state.setter
    def state(self, state: str) -> None:
        self._hub.state = state

    @property
    def hub(self) -> Hub:
        """The words that all processes of the queue share."""
        return self._hub

    @property
    def directory(self) -> Path | None:
        """Where the log of this queue's messages is."""
        return None if self._settings["directory"] is None else Path(self._settings["directory"])

    def held_lanes(self) -> list[Lane]:
        """Return the lanes that exist, oldest first, for looking only."""
        return list(self._lanes.refresh().values())

    def counted(self) -> tuple[list[Lane], NDArray[np.uint64]]:
        """Return the lanes that exist, for looking only, and four rows by source that count those gone too.

        The rows are messages accepted, their bytes, dropped, dropped and told in a gap record.
        """
        while True:
            retired = self._hub.last_retired
            lanes = self._lanes.refresh()
            rows = np.frombuffer(self._hub.totals(), dtype=np.uint64)[-1024:].reshape(4, 256).copy()
            if self._hub.last_retired != retired or self._hub.lanes_changed != self._lanes.seen:
                continue  # a lane on its way into the totals could be counted twice, or not at all
            left = [lane for claim, lane in lanes.items() if claim != retired]
            for lane in left:
                rows += np.frombuffer(lane.tally, dtype=np.uint64).reshape(4, 256)
            return left, rows

    def get(self, block: bool = True, timeout: float | None = None) -> LogPackage:  # noqa: FBT001, FBT002 queue.Queue's
        """Take a message out, as queue.Queue.get does; QueueBusyError while a logger process consumes the queue."""
        deadline = time.monotonic() + (1e9 if timeout is None else timeout)
        while True:
            found = self._pop()
            if found is not None:
                return found
            left_s = deadline - time.monotonic()
            if not block or left_s <= 0:
                raise Empty
            self._drain.wait(min(left_s, _SLICE_S))

    def _pop(self) -> LogPackage | None:
        state = self._drain.state
        self._drain.sit_down(patience_s=5.0 if state == "new" else 0.0)
        try:
            return self._drain.pop()
        finally:
            self._drain.stand_up()

    def get_nowait(self) -> LogPackage:
        """Take a message out or raise queue.Empty."""
        return self.get(block=False)

    def qsize(self) -> int:
        """Return how many messages wait; a moment later it may be another number."""
        counts = [lane.counts for lane in self._lanes.refresh().values()]
        return sum(max(put - taken, 0) for put, _, _, _, taken in counts)

    def empty(self) -> bool:
        """Tell whether every message was consumed."""
        return all(lane.empty for lane in self._lanes.refresh().values())

    def full(self) -> bool:
        """Tell whether this process's next put would have to wait."""
        return self._lane is not None and self._lane.full

    def discard(self) -> int:
        """Remove the queue and all its lanes, and return how many messages were in them; the creator calls this."""
        lost = self.qsize()
        self._hub.state = "closed"
        self._drain.close()
        left = remove_names(self.name, self.directory)
        self._lanes.close()
        _process.writers.pop(self.id, None)
        for key in [key for key in _process.lenders if key[0] == self.id]:
            del _process.lenders[key]
        self._let_go()
        if left:
            raise PermissionError(errno.EPERM, f"expected the user that made them to remove {', '.join(left)}")
        return lost

    @property
    def removable(self) -> bool:
        """Whether this process may remove the queue: its creator may have become another user since."""
        try:
            owner = (platform.FOLDER / self.name).stat().st_uid
        except FileNotFoundError:
            return True
        return os.geteuid() in (0, owner)

    def warn_at_put(self, what: str) -> None:
        """Have the next put of this process warn of what is wrong with the log; its message is accepted anyway."""
        self._warning = what
        self._let_go()  # so that the put looks for its lane here

    def _warn(self) -> None:
        what, self._warning = self._warning, ""
        if what:
            warnings.warn(what, RuntimeWarning, stacklevel=3)

    def _stage(self, payload: "Buffer", claim: int, number: int, on_disk: bool) -> Draft:  # noqa: FBT001 called from C
        if on_disk and self.directory is None:
            raise OSError(errno.ENOSPC, f"expected {len(memoryview(payload))} bytes of shared memory, got less")
        if len(memoryview(payload)) + _DESCRIBED_BYTES > (limit := file_size_limit()):
            raise OSError(
                errno.EFBIG,
                f"expected a limit of file sizes (ulimit -f) above a message of {len(memoryview(payload))} bytes, "
                f"got {limit}",
            )
        place = DIRECTORY if on_disk else MEMORY
        return Draft(path_of(lane_name(self.name, claim), number, place, self.directory), place, memoryview(payload))

    def _refused(self, writer: Writer) -> None:
        if not writer.accepted_to:  # a lane that came after the end: nobody else knows of it
            self._hub.forget(writer.claim)  # first, or the consumer would miss it
            writer.keep.unlink()

    def _is_abandoned(self) -> bool:
        return not is_alive(self._hub.consumer) and not self._drain.creator_alive

    def lends(self, source: int, length: int, timeout: float | None = None) -> bool:
        """Tell whether a message of this length can be filled in place: it is at most half of its lane."""
        return length <= self._lender(source, timeout).largest

    def lend(self, source: int, length: int, timeout: float | None = None) -> "Loan | None":
        """Return the place of the next message of a source, to be filled; None if it would be dropped.

        Each source that borrows has a lane of its own in a process, so that other puts go on meanwhile.
        """
        writer = self._lender(source, timeout)
        start = self._lend(writer, source, length, timeout=timeout)
        return None if start is None else Loan(self, writer, source, start, length)

    def _lender(self, source: int, timeout: float | None) -> Writer:
        with _process.lock:
            writer = _process.lenders.get((self.id, source))
            if writer is None or writer.inherited or writer.closed:
                writer = _process.lenders[self.id, source] = self._new_lane(block=True, timeout=timeout)
            return writer

    def _claim_lane(self, block: bool, timeout: float | None) -> Writer:  # noqa: FBT001 called from C
        with _process.lock:
            known = _process.writers.get(self.id)
            if known is None:
                _drop_closed_lanes()
                known = _process.writers[self.id] = self._new_lane(block=block, timeout=timeout)
            self._warn()
            return known

    def _new_lane(self, *, block: bool, timeout: float | None) -> Writer:
        if process.pid_namespace() != self._block.head.pid_namespace:
            raise RuntimeError("expected a process of the same pid namespace as the queue, got one of another: its "
                               "death could not be told")  # fmt: skip
        patience_s = 0.0 if not block else 1e9 if timeout is None else timeout
        writer = self._make_lane(min(patience_s, _CROWD_S))
        try:
            self._register(writer, patience_s)
        except BaseException:
            writer.keep.unlink()
            raise
        return writer

    def _make_lane(self, patience_s: float) -> Writer:
        """Make the largest lane that leaves room for those of others: a container has 64 MB of shared memory for all.

        Many processes that do so at once each see the room that all of them then take, so a lane is given back for a
        smaller one if too little is left once its memory is allocated. What the others give back is waited for.
        """
        claim, lane_bytes, deadline = self._hub.new_claim(), self._allowed_lane_bytes(), time.monotonic() + patience_s
        while True:
            if lane_bytes <= _SMALLEST_LANE_BYTES or _free_bytes() >= 4 * lane_bytes:
                try:
                    return self._allocate_lane(claim, lane_bytes)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            if lane_bytes > _SMALLEST_LANE_BYTES:
                lane_bytes //= 2
            elif time.monotonic() > deadline:
                raise OSError(
                    errno.ENOSPC, f"expected room for a lane of {lane_bytes} bytes in shared memory, got none"
                )
            else:
                time.sleep(0.005)

    def _allowed_lane_bytes(self) -> int:
        """Return the size that lanes of this queue have, or the largest that a limit of file sizes lets a lane have."""
        lane_bytes: int = self._settings["lane_bytes"]
        limit = file_size_limit()
        while lane_bytes > _SMALLEST_LIMITED_BYTES and LANE_HEAD_BYTES + lane_bytes + _DESCRIBED_BYTES > limit:
            lane_bytes //= 2
        return lane_bytes

    def _allocate_lane(self, claim: int, lane_bytes: int) -> Writer:
        made: list[Writer] = []

        def prepare(block: Segment) -> None:
            if lane_bytes > _SMALLEST_LANE_BYTES and _free_bytes() < 3 * lane_bytes:
                raise OSError(errno.ENOSPC, "expected room for further lanes, got less")
            made.append(Writer(block.payload, self._hub, claim, keep=block))

        described = self._settings | {"claim": claim}
        Segment.create(
            lane_name(self.name, claim),
            LANE_HEAD_BYTES + lane_bytes,
            kind=Kind.LANE,
            description=json.dumps(described).encode(),
            prepare=prepare,
        )
        return made[0]

    def _register(self, writer: Writer, patience_s: float) -> None:
        """Make the lane known; where all slots are taken, wait for the lane of a dead producer to be retired."""
        deadline = time.monotonic() + patience_s
        while not self._hub.register(writer.claim):
            if time.monotonic() > deadline or self._hub.state == "new":
                raise LaneFullError(
                    f"expected fewer than {len(self._hub.claims())} producers at a time, got another one"
                )
            time.sleep(0.01)


class Loan:
    """The place of a message that is being filled; nobody sees it before `publish`."""

    def __init__(self, queue: LogQueue, writer: Writer, source: int, start: int, length: int) -> None:
        self.memory = memoryview(writer.keep.payload)[start : start + length]
        self._queue, self._writer, self._source, self._length = queue, writer, source, length

    def publish(self, acquisition_time: int) -> None:
        """Hand the message to the logger."""
        self._queue._publish_lent(self._writer, self._source, acquisition_time, self._length)  # noqa: SLF001 its other half


def _described(directory: Path | None) -> dict[str, Any]:
    """Return what leads to a log directory: it may be renamed, or another one may take its path."""
    if directory is None:
        return {"directory": None}
    try:
        status = directory.stat()
    except FileNotFoundError:  # then its path is all that is known of it
        return {"directory": str(directory)}
    return {"directory": str(directory), "device": status.st_dev, "inode": status.st_ino}


def _free_bytes() -> int:
    room = os.statvfs(platform.FOLDER)
    return room.f_bavail * room.f_frsize


def _drop_closed_lanes() -> None:
    for queue_id, writer in list(_process.writers.items()):
        if writer.closed:
            del _process.writers[queue_id]
    for key, writer in list(_process.lenders.items()):
        if writer.closed:
            del _process.lenders[key]


def _attach(name: str, block_id: int) -> LogQueue:
    return LogQueue.attach(name, id=block_id)
