"""What a queue's producers and its consumer did, for anyone who knows the queue's name."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._core.lane import Hub, monotonic_ns
from .drain import open_hub
from .lane import Lane, Lanes
from .owner import is_alive, pid_of


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """Messages and bytes of one source: what put() accepted or dropped, what the logger wrote and synced."""

    accepted: int
    accepted_bytes: int
    dropped: int
    written: int
    written_bytes: int
    synced: int


@dataclass(frozen=True, slots=True)
class ProducerStatistics:
    """What one producer process did, and what waits in its lane."""

    claim: int
    pid: int
    alive: bool
    accepted: int
    accepted_bytes: int
    dropped: int
    blocked_s: float
    queued: int
    queued_bytes: int
    high_water_bytes: int
    lane_bytes: int


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A queue as a whole; the totals also count producers that are gone.

    `lag_s` tells how long ago the moment was up to which everything put is consumed: near zero while the logger
    keeps up. `logger_pid` is 0 while no process consumes.
    """

    state: str
    logger_pid: int
    restarts: int
    lag_s: float
    accepted: int
    accepted_bytes: int
    dropped: int
    blocked_s: float
    queued: int
    producers: tuple[ProducerStatistics, ...]
    sources: dict[int, SourceStatistics]


class QueueWatch:
    """Reads the statistics of a queue again and again, cheaply; FileNotFoundError if there is no such queue."""

    def __init__(self, queue_name: str) -> None:
        self._block, self._hub = open_hub(queue_name)
        self._lanes = Lanes(queue_name, self._hub)

    def read(self) -> QueueStatistics:
        """Return the statistics of this moment."""
        lanes, totals = self._counted_once()
        counts = totals[:5].astype(object) + sum((np.array(lane.counts, dtype=object) for lane in lanes), start=0)
        producers = tuple(_producer(lane) for lane in lanes)
        return QueueStatistics(
            state=self._hub.state,
            logger_pid=pid_of(self._hub.consumer) if is_alive(self._hub.consumer) else 0,
            restarts=self._hub.restarts,
            lag_s=self._lag_s(producers),
            accepted=counts[0],
            accepted_bytes=counts[1],
            dropped=counts[2],
            blocked_s=counts[3] / 1e9,
            queued=sum(producer.queued for producer in producers),
            producers=producers,
            sources=_sources(self._hub, lanes, totals[5:]),
        )

    def close(self) -> None:
        """Give back what was attached."""
        self._lanes.close()

    def _counted_once(self) -> tuple[list[Lane], NDArray[np.uint64]]:
        """Return the lanes and the totals of those retired before, with no lane in both."""
        while True:
            retired = self._hub.last_retired
            lanes = self._lanes.refresh()
            totals = np.frombuffer(self._hub.totals(), dtype=np.uint64)
            if self._hub.last_retired == retired and self._hub.lanes_changed == self._lanes.seen:
                return [lane for claim, lane in lanes.items() if claim != retired], totals

    def _lag_s(self, producers: tuple[ProducerStatistics, ...]) -> float:
        caught_up_ns = self._hub.caught_up_ns
        if not caught_up_ns or not any(producer.queued_bytes for producer in producers):
            return 0.0
        return max(monotonic_ns() - caught_up_ns, 0) / 1e9


def queue_statistics(queue_name: str) -> QueueStatistics:
    """Return the statistics of a queue once; a QueueWatch is cheaper for many times."""
    watch = QueueWatch(queue_name)
    try:
        return watch.read()
    finally:
        watch.close()


def _producer(lane: Lane) -> ProducerStatistics:
    put, put_bytes, drops, blocked_ns, taken = lane.counts
    queued_bytes = lane.queued_bytes
    return ProducerStatistics(
        claim=lane.claim,
        pid=pid_of(lane.owner),
        alive=lane.owner_alive(),
        accepted=put,
        accepted_bytes=put_bytes,
        dropped=drops,
        blocked_s=blocked_ns / 1e9,
        queued=max(put - taken, 0),
        queued_bytes=queued_bytes,
        high_water_bytes=max(lane.high_water, queued_bytes),
        lane_bytes=lane.lane_bytes,
    )


def _sources(hub: Hub, lanes: list[Lane], retired: NDArray[np.uint64]) -> dict[int, SourceStatistics]:
    tables = retired.copy()
    for lane in lanes:
        tables += np.frombuffer(lane.tally, dtype=np.uint64)
    accepted, accepted_bytes, dropped, _ = tables.reshape(4, 256)
    consumed = np.frombuffer(hub.sources, dtype=np.uint64).reshape(256, 4).copy()
    seen = np.flatnonzero(accepted | dropped | consumed[:, 0])
    return {
        int(source): SourceStatistics(
            accepted=int(accepted[source]),
            accepted_bytes=int(accepted_bytes[source]),
            dropped=int(dropped[source]),
            written=int(consumed[source, 0]),
            written_bytes=int(consumed[source, 2]),
            synced=int(consumed[source, 1]),
        )
        for source in seen
    }
