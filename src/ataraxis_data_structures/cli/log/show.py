"""Show the sources of a log: messages, rates, intervals and gaps.

Works on archives and on journals and files that are not assembled yet, also while they are recorded.

Example:
    axds log show /data/session_01/rig_data_log
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...logs.assembly.split import Group
from ..render import add_json, human_bytes, human_seconds, human_time, print_json, print_table
from ..terminal import print_line
from .inspection.options import add_gap_limit, gap_limit_us
from .report_page.figures import figures_of
from .session import Contents, load_series, require_log, tell_passed_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_gap_limit(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each source."""
    contents = require_log(arguments.directory)
    tell_passed_over(contents)
    series, account = load_series(contents)
    figures = [figures_of(one, gap_limit_us(arguments)) for one in series]
    dropped = contents.dropped(account)
    groups = contents.groups()
    if arguments.json:
        common = {"state": contents.state, "sessions": max(len(groups), 1)}
        print_json([one.document() | {"dropped": dropped.get(_number(one.source), 0)} | common for one in figures])
        return 0
    rows = [
        {
            "source": one.source,
            "messages": one.messages,
            "payload": human_bytes(one.payload_bytes),
            "from": human_time(one.first_us) if one.onset_us is not None else "no onset",
            "for": human_seconds(one.duration_s),
            "rate Hz": one.rate_hz,
            "median": human_seconds(one.interval_median_us / 1e6),
            "p99": human_seconds(one.interval_p99_us / 1e6),
            "longest": human_seconds(one.longest_gap_us / 1e6),
            "gaps": len(one.gaps),
        }
        for one in figures
    ]
    if rows:
        print_table(rows, tuple(rows[0]))
    else:
        print_line("no message is in its files yet")
    for line in _remarks(contents, groups, dropped):
        print_line(line)
    return 0


def _remarks(contents: Contents, groups: Sequence[Group], dropped: dict[int, int]) -> Iterator[str]:
    """Yield what the table does not show, each with the next command."""
    if contents.state == "interrupted":
        yield f"its recording was interrupted: `axds log recover {contents.directory}` completes it"
    if len(groups) > 1:
        onsets = ", ".join(human_time(min(group.onsets.values())) for group in groups if group.onsets)
        yield (f"{len(groups)} sessions lie mixed here (onsets {onsets}): "
               f"`axds log split {contents.directory}` gives each its own folder")  # fmt: skip
    if dropped:
        yield f"dropped while recording: {', '.join(f'{n:,} of source {s}' for s, n in dropped.items())}"


def _number(source: str) -> int:
    return int(source) if source.isdigit() else -1
