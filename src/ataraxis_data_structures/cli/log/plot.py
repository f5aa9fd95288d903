"""Draw rate over time, intervals and gaps of each source of a log, as PNG or SVG.

The ending of --output decides. This needs matplotlib: pip install 'ataraxis-data-structures[plot]'.

Example:
    axds log plot /data/session_01/rig_data_log -o rates.png
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ...system.atomic import atomic_write
from ..render import add_json, print_json, require
from ..terminal import print_error, print_line
from .inspection.options import add_gap_limit, gap_limit_us
from .report_page.figures import Figures, figures_of
from .session import Contents, load_series, require_log, tell_passed_over

_FORMATS = ("png", "svg")
_ACCENT, _GAP, _QUIET = "#2563c9", "#c9470d", "#616b7a"
_MOST_ROWS = 64  # a taller picture than this no viewer opens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    parser.add_argument("-o", "--output", type=Path, default=Path("log.png"), help="default: log.png, here")
    parser.add_argument("--source", action="append", help="this source only; may be repeated")
    parser.add_argument("--dpi", type=int, default=130, help="of a PNG (default 130)")
    add_gap_limit(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the picture."""
    kind = arguments.output.suffix.lstrip(".").lower()
    if kind not in _FORMATS:
        raise ValueError(f"{arguments.output}: expected a name that ends in .png or .svg")
    contents = require_log(arguments.directory)
    tell_passed_over(contents)
    series, _ = load_series(contents)
    wanted = arguments.source or [one.source for one in series]
    missing = set(wanted) - {one.source for one in series}
    if missing:
        known = ", ".join(one.source for one in series)
        raise ValueError(f"expected sources among {known}, got {', '.join(sorted(missing))}")
    if len(wanted) > _MOST_ROWS:
        raise ValueError(f"expected at most {_MOST_ROWS} sources in a picture, got {len(wanted)}; choose with --source")
    figures = [figures_of(one, gap_limit_us(arguments)) for one in series if one.source in wanted]
    if not figures:
        raise ValueError(f"{arguments.directory}: expected messages to draw, got none{_next(contents)}")
    drawn = _draw(figures)
    with atomic_write(arguments.output, binary=True) as file:
        drawn.savefig(file, format=kind, dpi=arguments.dpi)
    if arguments.json:
        print_json({"output": arguments.output, "sources": [one.document() for one in figures]})
    else:
        print_line(f"{arguments.output}: {len(figures)} sources")
    if remark := _next(contents):
        print_error(f"{arguments.output} shows what is in the files{remark}")
    return 0


def _next(contents: Contents) -> str:
    if contents.state != "interrupted":
        return ""
    return f"; its recording was interrupted: `axds log recover {contents.directory}` completes it"


def _draw(figures: list[Figures]) -> Any:
    # Not pyplot: that would look for a display.
    figure = require("matplotlib.figure", "plot").Figure(
        figsize=(13, 0.6 + 2.4 * max(len(figures), 1)), layout="constrained"
    )
    grid = figure.subplots(max(len(figures), 1), 3, squeeze=False)
    for axes, one in zip(grid, figures, strict=False):
        _draw_rate(axes[0], one)
        _draw_intervals(axes[1], one)
        _draw_gaps(axes[2], one)
        for each in axes:
            each.spines[["top", "right"]].set_visible(False)
            each.tick_params(colors=_QUIET, labelsize=8)
    return figure


def _draw_rate(axes: Any, one: Figures) -> None:
    axes.set_title(f"source {one.source}: {one.messages:,} messages, {one.rate_hz:,.1f} Hz", loc="left", fontsize=10)
    rates = one.rate_hz_by_bin
    if len(rates):
        edges = np.linspace(0, one.duration_s, len(rates) + 1)
        axes.stairs(rates, edges, color=_ACCENT, fill=True, alpha=0.15)
        axes.stairs(rates, edges, color=_ACCENT, linewidth=1.3)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("messages/s", fontsize=8)
    axes.set_xlabel("s", fontsize=8)


def _draw_intervals(axes: Any, one: Figures) -> None:
    axes.set_title("intervals", loc="left", fontsize=10)
    if len(one.interval_counts):
        axes.stairs(one.interval_counts, one.interval_edges_us / 1000, color=_ACCENT, fill=True)
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel("ms", fontsize=8)


def _draw_gaps(axes: Any, one: Figures) -> None:
    limit = f" longer than {one.gap_limit_us / 1000:.3g} ms" if one.gap_limit_us else ""
    axes.set_title(f"{len(one.gaps):,} gaps{limit}", loc="left", fontsize=10)
    if one.gaps and one.first_us is not None:
        starts = [(start - one.first_us) / 1e6 for start, _ in one.gaps]
        lengths = [length / 1000 for _, length in one.gaps]
        axes.vlines(starts, 0, lengths, color=_GAP, linewidth=1.5)
    axes.set_xlim(0, one.duration_s or 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("s", fontsize=8)
    axes.set_ylabel("ms", fontsize=8)
