"""How fast jobs end, and when the last one will: from the times that the tracker holds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..render import human_seconds

_WINDOWS_S = (3_600, 86_400)  # the last hour, or the last day where jobs take hours
_ENOUGH = 5  # ends in a window
_BAR_WIDTH = 24


class Pace(NamedTuple):
    """Jobs that end in a second, and seconds until all have; None where nothing tells."""

    per_s: float | None
    left_s: float | None


def pace_of(jobs: Sequence[Mapping[str, Any]], now_us: int) -> Pace:
    """Return the pace of the jobs of `ProcessingTracker.summarize`, as it was in the last hour or day."""
    ended = [job for job in jobs if job["status"] in ("SUCCEEDED", "FAILED") and job["completed_at"] is not None]
    rates = [_rate(ended, now_us, window) for window in _WINDOWS_S]
    counts = [count for count, _ in rates]
    chosen = 0 if counts[0] >= _ENOUGH or counts[0] == counts[1] else 1
    per_s = rates[chosen][1]
    unfinished = sum(job["status"] in ("RUNNING", "SCHEDULED") for job in jobs)
    return Pace(per_s, unfinished / per_s if per_s else None)


def _rate(ended: list[Mapping[str, Any]], now_us: int, window_s: int) -> tuple[int, float | None]:
    """Return how many jobs ended in a window, and how many in a second of it since the first of them began."""
    first_us = now_us - window_s * 1_000_000
    recent = [job for job in ended if first_us <= job["completed_at"] <= now_us]
    if not recent:
        return 0, None
    began_us = min(job["started_at"] if job["started_at"] is not None else job["completed_at"] for job in recent)
    elapsed_us = now_us - max(began_us, first_us)
    return len(recent), len(recent) * 1e6 / elapsed_us if elapsed_us > 0 else None


def bar(ended: int, total: int) -> str:
    """Return a bar of what is done: `[######------------------]  25 %`."""
    share = ended / total if total else 0.0
    full = int(share * _BAR_WIDTH)
    return f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {int(share * 100):3} %"


def told(pace: Pace) -> str:
    """Return a pace as people say it: `12.0 jobs/min, about 4 min left`; nothing where it is not known."""
    if not pace.per_s or pace.left_s is None:
        return ""
    unit, size_s = ("s", 1) if pace.per_s >= 1 else ("min", 60) if pace.per_s * 60 >= 1 else ("h", 3_600)
    rate = f"{pace.per_s * size_s:.1f} jobs/{unit}"
    return f"{rate}, about {human_seconds(pace.left_s)} left" if pace.left_s else rate
