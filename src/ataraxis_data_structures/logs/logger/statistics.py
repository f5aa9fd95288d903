"""What a logger has done so far, by source and by producer, read from shared memory without asking anybody."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..._core.lane import monotonic_ns
from ...errors import SegmentError
from ...memory import segment
from ...memory.lane import Lane
from ...memory.queue import LogQueue
from ...memory.segment import Kind, Segment
from ...system.process import is_alive, pid_of
from ..control_words import Note
from ..names import LOG_DIRECTORY_SUFFIX


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """Messages of one source."""

    accepted: int
    written: int
    """In the journal: neither the death of any process nor that of shared memory can lose them."""
    synced: int
    """On the disk: a power cut can't either."""
    bytes: int
    """Payload bytes written."""
    dropped: int
    """Refused by a full lane, with overflow "drop_newest"."""


@dataclass(frozen=True, slots=True)
class ProducerStatistics:
    """Messages of one process that puts."""

    pid: int
    accepted: int
    bytes: int
    dropped: int
    blocked_s: float
    """How long its puts waited for room."""
    waiting_bytes: int
    high_water_bytes: int
    lane_bytes: int


@dataclass(frozen=True, slots=True)
class LoggerStatistics:
    """One moment of a logger."""

    state: str
    pid: int
    """Of the logger process; 0 if none runs."""
    restarts: int
    lag_s: float
    """How long ago the logger process had nothing left to write; 0 while it has nothing."""
    files: int
    """Files made from messages (storage "npy")."""
    sources: dict[int, SourceStatistics]
    producers: list[ProducerStatistics]
    """Those that live or whose messages are not all written."""


def logger_statistics(name: str) -> LoggerStatistics:
    """Return the statistics of the logger with this instance name, from any process of this machine.

    FileNotFoundError if there is none, ValueError if several directories have one.
    """
    return statistics_of(queue_of_logger(name))


def queue_of_logger(name: str) -> LogQueue:
    """Open the queue of the logger with this instance name; raises as `logger_statistics` does."""
    found = {}
    for segment_name in segment.list_segments():
        directory = _log_directory(segment_name)
        if directory is not None and directory.name == f"{name}{LOG_DIRECTORY_SUFFIX}":
            found[segment_name] = directory
    if not found:
        raise FileNotFoundError(f"expected a logger called {name!r} on this machine, got none")
    if len(found) > 1:
        raise ValueError(f"expected one logger called {name!r}, got {sorted(map(str, found.values()))}")
    return LogQueue.attach(next(iter(found)))


def running_loggers() -> dict[Path, LogQueue]:
    """Return log directory -> queue of each logger that takes messages on this machine and is this user's."""
    found = {}
    for segment_name in segment.list_segments():
        directory = _log_directory(segment_name)
        if directory is None:
            continue
        try:
            queue = LogQueue.attach(segment_name)
        except (OSError, SegmentError):  # it ended meanwhile
            continue
        if queue.state in ("running", "restarting", "closing"):
            found[directory] = queue
    return dict(sorted(found.items()))


def statistics_of(queue: LogQueue) -> LoggerStatistics:
    """Return the statistics of the logger that drains a queue."""
    hub = queue.hub
    lanes, tables = queue.counted()
    logger = hub.notes[Note.LOGGER]
    idle = all(lane.empty for lane in lanes)
    lag_s = 0.0 if idle else max(monotonic_ns() - hub.caught_up_ns, 0) / 1e9
    return LoggerStatistics(
        state=hub.state,
        pid=pid_of(logger) if is_alive(logger) else 0,
        restarts=hub.restarts,
        lag_s=lag_s if hub.caught_up_ns else 0.0,
        files=hub.notes[Note.EXPANDED],
        sources=_sources(queue, tables),
        producers=[_producer(lane) for lane in lanes],
    )


def _sources(queue: LogQueue, tables: NDArray[np.uint64]) -> dict[int, SourceStatistics]:
    accepted, _, dropped, _ = tables
    words = np.frombuffer(queue.hub.sources, np.uint64).reshape(256, 4)
    written, synced, size_bytes, _ = words.T
    return {
        source: SourceStatistics(
            int(max(accepted[source], written[source])),  # a put is counted a moment after it is done
            int(written[source]),
            int(synced[source]),
            int(size_bytes[source]),
            int(dropped[source]),
        )
        for source in np.flatnonzero(accepted | dropped | written).tolist()
    }


def _producer(lane: Lane) -> ProducerStatistics:
    put, put_bytes, drops, blocked_ns, _ = lane.counts
    return ProducerStatistics(
        pid=pid_of(lane.owner),
        accepted=put,
        bytes=put_bytes,
        dropped=drops,
        blocked_s=blocked_ns / 1e9,
        waiting_bytes=lane.queued_bytes,
        high_water_bytes=max(lane.high_water, lane.queued_bytes),
        lane_bytes=lane.lane_bytes,
    )


def _log_directory(name: str) -> Path | None:
    head = segment.peek(name)
    if head is None or head.kind != Kind.QUEUE:
        return None
    try:
        facts = json.loads(Segment.attach(name, kind=Kind.QUEUE).description)
    except (OSError, SegmentError, ValueError):
        return None
    return Path(facts["directory"]) if facts.get("directory") else None
