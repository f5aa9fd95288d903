"""What a source's times and sizes say: rate, intervals, gaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..session import Series

GAP_FACTOR = 5.0
_MOST_BINS = 240
_FEWEST_IN_A_BIN = 10
_HISTOGRAM_BINS = 48


@dataclass(frozen=True)
class Figures:
    """The figures of one source; times are UTC microseconds where the onset is known."""

    source: str
    onset_us: int | None
    messages: int
    payload_bytes: int
    first_us: int | None
    last_us: int | None
    duration_s: float
    rate_hz: float
    interval_median_us: float
    interval_p99_us: float
    longest_gap_us: int
    gap_limit_us: float
    gaps: list[tuple[int, int]]
    """Start and length of each interval longer than the limit, in microseconds."""
    rate_hz_by_bin: NDArray[np.float64]
    """Messages a second in equal parts of the time from the first to the last message."""
    interval_edges_us: NDArray[np.float64]
    interval_counts: NDArray[np.int64]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON has them, without the series for pictures."""
        hidden = ("rate_hz_by_bin", "interval_edges_us", "interval_counts", "gaps")
        plain = {name: value for name, value in vars(self).items() if name not in hidden}
        return plain | {"gaps": len(self.gaps)}


def figures_of(series: Series, gap_limit_us: float | None = None) -> Figures:
    """Return the figures of a source; a gap is longer than `gap_limit_us`, or than five median intervals."""
    times = series.times_us
    intervals = np.diff(times).astype(np.float64)
    positive = intervals[intervals > 0]
    median = float(np.median(intervals)) if len(intervals) else 0.0
    limit = gap_limit_us or GAP_FACTOR * (median or (float(np.median(positive)) if len(positive) else 0.0))
    long = np.flatnonzero(intervals > limit) if limit else np.zeros(0, np.intp)
    duration_us = int(times[-1] - times[0]) if len(times) else 0
    edges, counts = _histogram(positive)
    return Figures(
        source=series.source,
        onset_us=series.onset_us,
        messages=len(times),
        payload_bytes=int(series.sizes.sum()),
        first_us=int(times[0]) if len(times) else None,
        last_us=int(times[-1]) if len(times) else None,
        duration_s=duration_us / 1e6,
        rate_hz=(len(times) - 1) / duration_us * 1e6 if duration_us else 0.0,
        interval_median_us=median,
        interval_p99_us=float(np.percentile(intervals, 99)) if len(intervals) else 0.0,
        longest_gap_us=int(np.max(intervals)) if len(intervals) else 0,
        gap_limit_us=limit,
        gaps=[(int(times[at]), int(intervals[at])) for at in long],
        rate_hz_by_bin=_rates(times, duration_us),
        interval_edges_us=edges,
        interval_counts=counts,
    )


def _rates(times: NDArray[np.uint64], duration_us: int) -> NDArray[np.float64]:
    if not duration_us:
        return np.zeros(0)
    bins = int(np.clip(len(times) // _FEWEST_IN_A_BIN, 1, _MOST_BINS))
    since = (times - times[0]).astype(np.float64)  # of differences: absolute times need more than 53 bits
    counts, _ = np.histogram(since, bins=bins, range=(0, duration_us))
    rates: NDArray[np.float64] = counts / (duration_us / 1e6 / bins)
    return rates


def _histogram(intervals: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return edges that grow by a constant factor, and how many intervals lie between them."""
    if not len(intervals):
        return np.zeros(0), np.zeros(0, np.int64)
    low, high = float(np.min(intervals)) * 0.9, float(np.max(intervals)) * 1.1
    edges = np.geomspace(low, high, _HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(intervals, bins=edges)
    return edges, counts.astype(np.int64)
