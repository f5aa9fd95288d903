"""Show the sources of a log: messages, rates, intervals and gaps.

Works on archives and on journals and files that are not assembled yet, also while they are recorded.

Example:
    axds log show /data/session_01/rig_data_log
"""

import argparse
from pathlib import Path

from ..render import add_json, human_bytes, human_seconds, human_time, print_json, print_table
from ..terminal import print_line
from .options import add_gap_limit, gap_limit_us
from .report_page.figures import figures_of
from .session import load_series, require_log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_gap_limit(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each source."""
    series, account = load_series(require_log(arguments.directory))
    figures = [figures_of(one, gap_limit_us(arguments)) for one in series]
    if arguments.json:
        print_json([one.document() for one in figures])
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
    print_table(rows, tuple(rows[0]))
    if account.dropped:
        print_line(
            f"dropped while recording: {', '.join(f'{n:,} of source {s}' for s, n in sorted(account.dropped.items()))}"
        )
    return 0
