"""Pictures as inline SVG; colours come from the page, so that they follow light and dark."""

import math
from html import escape

from ...render import human_seconds
from .figures import Figures

_WIDTH, _HEIGHT = 360, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 12, 26
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM
_MOST_MARKS = 400


def rate_chart(figures: Figures) -> str:
    """Draw messages a second over time."""
    rates = figures.rate_hz_by_bin.tolist()
    if not rates:
        return _empty("rate over time", "too few messages for a rate")
    top = _ceiling(max(rates))
    step = _PLOT_WIDTH / len(rates)
    points = [(_LEFT + (at + 0.5) * step, _y(rate, top)) for at, rate in enumerate(rates)]
    if len(points) == 1:
        points = [(_LEFT, points[0][1]), (_LEFT + _PLOT_WIDTH, points[0][1])]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    floor = _TOP + _PLOT_HEIGHT
    area = f"{points[0][0]:.1f},{floor} {line} {points[-1][0]:.1f},{floor}"
    body = f'<polygon class="area" points="{area}"/><polyline class="line" points="{line}"/>'
    return _chart("rate over time", _grid(top) + body + _time_axis(figures.duration_s))


def interval_chart(figures: Figures) -> str:
    """Draw how many intervals between messages are how long; the height of a bar is logarithmic."""
    counts = figures.interval_counts.tolist()
    if not counts:
        return _empty("intervals", "too few messages for intervals")
    top = math.log10(max(counts) + 1) * 1.08
    step = _PLOT_WIDTH / len(counts)
    edges = figures.interval_edges_us.tolist()
    bars = [
        f'<rect class="bar" x="{_LEFT + at * step + 0.5:.1f}" y="{_y(math.log10(count + 1), top):.1f}" '
        f'width="{step - 1:.1f}" height="{_PLOT_HEIGHT * math.log10(count + 1) / top:.1f}">'
        f"<title>{count:,} intervals of {_us(edges[at])} to {_us(edges[at + 1])}</title></rect>"
        for at, count in enumerate(counts)
        if count
    ]
    decades = [10**power for power in range(int(math.log10(max(counts))) + 1)]
    grid = "".join(_grid_line(_y(math.log10(count + 1), top), _short(count)) for count in decades[-4:])
    ends = [(_LEFT, "start", edges[0]), (_LEFT + _PLOT_WIDTH, "end", edges[-1])]
    marks = "".join(_label(x, _HEIGHT - 8, _us(edge), anchor) for x, anchor, edge in ends)
    middle = _label(_LEFT + _PLOT_WIDTH / 2, _HEIGHT - 8, _us(math.sqrt(edges[0] * edges[-1])), "middle")
    return _chart("intervals between messages", grid + "".join(bars) + marks + middle)


def gap_chart(figures: Figures) -> str:
    """Draw when gaps were and how long, beside the limit."""
    if not figures.duration_s or figures.first_us is None:
        return _empty("gaps", "too few messages for gaps")
    if not figures.gaps:
        return _empty("gaps", f"no gap longer than {_us(figures.gap_limit_us)}", good=True)
    worst = sorted(figures.gaps, key=lambda gap: -gap[1])[:_MOST_MARKS]
    top = _ceiling(worst[0][1] / 1e6)
    marks = []
    for start_us, length_us in worst:
        x = _LEFT + _PLOT_WIDTH * (start_us - figures.first_us) / 1e6 / figures.duration_s
        width = max(_PLOT_WIDTH * length_us / 1e6 / figures.duration_s, 2)
        y = _y(length_us / 1e6, top)
        said = f"{_us(length_us)} without a message, {human_seconds((start_us - figures.first_us) / 1e6)} in"
        marks.append(
            f'<rect class="gap" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{_TOP + _PLOT_HEIGHT - y:.1f}"><title>{escape(said)}</title></rect>'
        )
    grid = "".join(_grid_line(_y(top * part, top), _brief(top * part)) for part in (0.5, 1))
    return _chart("gaps", _grid_line(_TOP + _PLOT_HEIGHT, "0") + grid + "".join(marks) + _time_axis(figures.duration_s))


def spark(figures: Figures) -> str:
    """Draw the rate as a small line for a row of a table."""
    rates = figures.rate_hz_by_bin.tolist()
    top = max(rates, default=0) * 1.15 or 1
    step = 120 / max(len(rates) - 1, 1)
    rates = rates * 2 if len(rates) == 1 else rates
    line = " ".join(f"{at * step:.1f},{26 - 24 * rate / top:.1f}" for at, rate in enumerate(rates))
    return (
        f'<svg class="spark" viewBox="0 0 120 28" role="img" aria-label="rate of source {escape(figures.source)}">'
        f'<polyline class="line" points="{line}"/></svg>'
    )


def timeline(all_figures: list[Figures]) -> str:
    """Draw, a row for each source, when it had messages; in HTML, so that its words keep their size on a phone."""
    known = [one for one in all_figures if one.first_us is not None]
    first = min((one.first_us or 0 for one in known), default=0)
    span = (max((one.last_us or 0 for one in known), default=0) - first) or 1
    rows = []
    for one in known:
        marks = [_mark("presence", (one.first_us or 0) - first, one.duration_s * 1e6, span, "messages")]
        for start_us, length_us in sorted(one.gaps, key=lambda gap: -gap[1])[:_MOST_MARKS]:
            marks.append(_mark("gap", start_us - first, length_us, span, f"{_us(length_us)} without a message"))
        rows.append(f'<b>{escape(one.source)}</b><div class="track">{"".join(marks)}</div>')
    axis = f'<b></b><div class="ends"><span>0</span><span>{_us(span)}</span></div>'
    return f'<div class="timeline">{"".join(rows)}{axis}</div>'


def _mark(kind: str, start_us: float, length_us: float, span_us: float, said: str) -> str:
    left, width = 100 * start_us / span_us, 100 * length_us / span_us
    return f'<i class="{kind}" style="left:{left:.3f}%;width:{width:.3f}%" title="{escape(said)}"></i>'


def _chart(title: str, body: str) -> str:
    return (
        f'<figure><figcaption>{title}</figcaption><svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{title}">{body}</svg></figure>'
    )


def _empty(title: str, said: str, *, good: bool = False) -> str:
    said = f"✓ {said}" if good else said
    return (
        f'<figure><figcaption>{title}</figcaption><p class="empty{" good" if good else ""}">{escape(said)}</p></figure>'
    )


def _y(value: float, top: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - value / top)


def _grid(top: float) -> str:
    return "".join(_grid_line(_y(top * part, top), _short(top * part)) for part in (0, 0.5, 1))


def _grid_line(y: float, text: str) -> str:
    return f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>' + _label(
        _LEFT - 6, y + 4, text, "end"
    )


def _time_axis(duration_s: float) -> str:
    ends = (_LEFT, "start", 0.0), (_LEFT + _PLOT_WIDTH / 2, "middle", 0.5), (_LEFT + _PLOT_WIDTH, "end", 1.0)
    return "".join(
        _label(x, _HEIGHT - 8, human_seconds(duration_s * part) if part else "0", anchor) for x, anchor, part in ends
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ceiling(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if value <= step * power * 1.0000001)


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _brief(seconds: float) -> str:
    """Return a length of time for the narrow side of a chart."""
    factor, unit = next(
        pair for pair in ((1e6, "us"), (1e3, "ms"), (1, "s")) if seconds < 1000 / pair[0] or pair[0] == 1
    )
    return f"{seconds * factor:.4g} {unit}"


def _us(value_us: float) -> str:
    return human_seconds(value_us / 1e6)
