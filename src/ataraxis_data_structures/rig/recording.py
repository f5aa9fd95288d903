"""A recording as a rig file has it: devices are opened, then recorded until the end, and put away."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..logs.logger.logger import DataLogger
from ..logs.logger.statistics import LoggerStatistics
from .plan import RigPlan
from .worker import Worker, end_all

_LOOKS_HZ = 20.0

Tell = Callable[[str], object]
Show = Callable[[LoggerStatistics, float], object]


@dataclass
class RecordedSource:
    """What became of one source."""

    name: str
    code: int
    messages: int
    """Accepted by the logger, the onset left out."""
    rate_hz: float
    dropped: int
    """Refused by a full lane, or dropped by the system before they were read."""
    skipped: int
    """Datagrams, lines or bytes that are no message of the source."""
    error: str = ""
    """Why its process ended early or what was skipped; empty if all went well."""
    failed: bool = False


@dataclass
class Recorded:
    """What a recording brought."""

    directory: Path
    duration_s: float
    sources: list[RecordedSource] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether the process of a source died."""
        return any(source.failed for source in self.sources)


def record_rig(
    plan: RigPlan,
    directory: Path,
    *,
    duration_s: float | None = None,
    tell: Tell = print,
    begun: Callable[[DataLogger], object] = lambda _: None,
    show: Show = lambda *_: None,
) -> Recorded:
    """Record what a rig file describes, until Ctrl-C, SIGTERM, the end of the duration or of all producers.

    Args:
        plan: What `read_rig` returned.
        directory: The folder in which the log directory is made.
        duration_s: When to end; None for what the file says.
        tell: Called with a line when something happens to a source.
        begun: Called with the logger when it runs.
        show: Called often with the statistics and the seconds since the beginning.

    Raises:
        ValueError: A device can't be opened; nothing was recorded then.
    """
    workers: list[Worker] = []
    try:
        for one in plan.sources:
            workers.append(Worker(one, plan.file.resolve().parent))  # noqa: PERF401 those before a failure are put away
        described = [worker.wait_until_open() for worker in workers]
        logger = DataLogger(Path(directory), plan.log, **plan.logger)
        sources = [_describe(logger, worker, known) for worker, known in zip(workers, described, strict=True)]
        with logger:
            try:
                for worker, source in zip(workers, sources, strict=True):
                    worker.begin(source)
                for worker in workers:
                    worker.wait_until_begun()
                began_s = time.monotonic()
                turns = logger.running(rate_hz=_LOOKS_HZ, duration_s=duration_s or plan.duration_s)
                for first in islice(turns, 1):  # from now on a Ctrl-C ends the loop
                    begun(logger)
                    _watch(plan, workers, chain([first], turns), tell, lambda s: show(logger.statistics, s))
            finally:
                end_all(workers)
            elapsed_s = time.monotonic() - began_s
        return _summary(logger, workers, elapsed_s)
    finally:
        for worker in workers:
            worker.put_away()


def _describe(logger: DataLogger, worker: Worker, known: dict[str, Any]) -> Any:
    plan = worker.plan
    given: dict[str, Any] = {"dtype": plan.dtype, "shape": plan.shape, "rate_hz": plan.rate_hz}
    facts = known | {name: value for name, value in given.items() if value is not None}
    return logger.source(plan.code, name=plan.name, unit=plan.unit, **facts, **{"device": plan.kind, **plan.metadata})


def _watch(
    plan: RigPlan, workers: list[Worker], turns: Iterator[float], tell: Tell, show: Callable[[float], object]
) -> None:
    told: set[str] = set()
    for elapsed_s in turns:
        for worker in workers:
            if worker.look() is None or worker.plan.name in told:
                continue
            told.add(worker.plan.name)
            goes_on = plan.on_error == "continue" or not worker.ended
            tell(f"{_ending(worker)}; the recording {'goes on' if goes_on and len(told) < len(workers) else 'ends'}")
            if not goes_on:
                return
        if len(told) == len(workers):
            return
        show(elapsed_s)


def _ending(worker: Worker) -> str:
    status = worker.ended or 0
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    error = f": {worker.error}" if worker.error else ""
    return f"source {worker.plan.name} ended with {how}{error}"


def _summary(logger: DataLogger, workers: list[Worker], elapsed_s: float) -> Recorded:
    counted = logger.statistics.sources
    found = Recorded(logger.output_directory, elapsed_s)
    for worker in workers:
        plan, losses = worker.plan, worker.losses
        count = counted.get(plan.code)
        messages = max(count.accepted - 1, 0) if count else 0
        failed = bool(worker.ended) or bool(worker.error)
        found.sources.append(
            RecordedSource(
                plan.name, plan.code, messages, messages / elapsed_s if elapsed_s else 0.0,
                (count.dropped if count else 0) + losses.dropped, losses.skipped,
                _ending(worker) if failed else losses.why, failed,
            )
        )  # fmt: skip
    return found
