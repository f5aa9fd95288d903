"""Check every message of a log; status 1 if one is damaged, lost or dropped, or the log is not what it should be.

Besides check sums: an interrupted recording, sessions that lie mixed, dropped messages, gaps between messages, and
failed jobs of the trackers in the log's directory and in the one above.

Example:
    axds log verify /data/session_01/rig_data_log
"""

import argparse
from pathlib import Path

from ...errors import ArchiveError
from ...logs.journal.messages import Account
from ...logs.recovery.recover import scan_journals
from ..render import add_json, print_json, shows_progress
from ..terminal import print_line
from .inspection.checks import check_all
from .inspection.options import add_gap_limit, gap_limit_us
from .inspection.trackers import jobs_beside
from .report_page.figures import Figures, figures_of
from .session import Contents, load_series, require_log

_MARKS = {True: "ok", False: "BAD", None: "--"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_gap_limit(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each thing that was checked."""
    contents = require_log(arguments.directory)
    figures, account = _figures(contents, gap_limit_us(arguments))
    jobs = jobs_beside(contents)
    checks = check_all(contents, figures, account, jobs, progress=shows_progress(arguments))
    sound = all(check.passed is not False for check in checks)
    if arguments.json:
        print_json({"sound": sound, "checks": [vars(check) for check in checks]})
    else:
        for check in checks:
            print_line(f"{_MARKS[check.passed]:<4} {check.name}: {check.said}")
    return 0 if sound else 1


def _figures(contents: Contents, limit_us: float | None) -> tuple[list[Figures], Account]:
    """Return the figures of each source; none where an archive is too damaged for them, which the checks tell."""
    try:
        series, account = load_series(contents)
    except (ArchiveError, OSError):
        return [], Account() if not contents.journals else scan_journals(contents.directory)
    return [figures_of(one, limit_us) for one in series], account
