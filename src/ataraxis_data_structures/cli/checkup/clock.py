"""Is the clock sane: does it go forward, finely, steadily, and is somebody setting it?"""

import ctypes
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ..render import human_seconds
from .finding import Finding

_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_SLOW_SOURCES = ("hpet", "acpi_pm", "jiffies", "pit")
_UNSYNCHRONISED = 5  # TIME_ERROR, what adjtimex returns
_TIMEX_BYTES = 256  # more than struct timex has
_LOOKS = 20_000
_FIRST_SANE_YEAR = 2024


def examine_clock() -> list[Finding]:
    """Look at the clock that stamps messages and at the one that people read."""
    return [_resolution(), _steadiness(), *_synchronisation()]


def _resolution() -> Finding:
    begun = time.perf_counter_ns()
    stamps = [time.perf_counter_ns() for _ in range(_LOOKS)]
    cost_ns = (time.perf_counter_ns() - begun) / _LOOKS
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    finest = min((step for step in steps if step > 0), default=0)
    backwards = sum(step < 0 for step in steps)
    source = _SOURCE.read_text(encoding="ascii").strip() if _SOURCE.exists() else "unknown"
    good = not backwards and 0 < finest <= 10_000 and source not in _SLOW_SOURCES
    said = f"steps of {human_seconds(finest / 1e9)} from {source}, a look costs {cost_ns:.0f} ns"
    advice = "" if good else "choose another clock source (boot with clocksource=tsc): this one is coarse or goes back"
    return Finding("clock", said, good, advice, {"step_ns": finest, "cost_ns": cost_ns, "source": source})


def _steadiness(seconds: float = 0.3) -> Finding:
    wall, steady = time.time_ns(), time.monotonic_ns()
    time.sleep(seconds)
    wall, steady = time.time_ns() - wall, time.monotonic_ns() - steady
    off_ms = (wall - steady) / 1e6
    good = abs(off_ms) < 1
    advice = "" if good else "the time of day was set meanwhile: let one service set it, and slew rather than step"
    said = f"{off_ms:+.3f} ms against the steady clock in {seconds:g} s"
    return Finding("time of day", said, good, advice, {"difference_ms": off_ms})


def _synchronisation() -> list[Finding]:
    year = datetime.now(UTC).year
    if year < _FIRST_SANE_YEAR:
        advice = "set the date: onsets of logs would be wrong"
        return [Finding("date", f"the year is {year}", passed=False, advice=advice)]
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return []
    synchronised = state not in (_UNSYNCHRONISED, -1)
    advice = "" if synchronised else "if hosts are to be compared, run chrony or systemd-timesyncd"
    said = "yes" if synchronised else "not that is known"
    return [Finding("synchronised", said, synchronised or None, advice)]
