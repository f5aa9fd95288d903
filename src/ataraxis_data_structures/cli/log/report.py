"""Write one page about a log: sources, rates, gaps, drops, sizes, checks and jobs, with pictures.

The page needs nothing else: it can be mailed, read on a phone, and opened years from now. Jobs are those of the
trackers (.yaml files) in the log's directory, in the one above, or given with --tracker.

Example:
    axds log report /data/session_01/rig_data_log -o report.html
"""

import argparse
import time
from pathlib import Path

from ...system.atomic import atomic_write
from ..render import add_json, human_bytes, print_json, shows_progress
from ..terminal import print_line
from .inspection.checks import check_all
from .inspection.options import add_gap_limit, gap_limit_us
from .inspection.trackers import jobs_beside
from .report_page.figures import figures_of
from .report_page.page import Report, render
from .session import load_series, require_log, tell_passed_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory")
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="default: report.html, here")
    parser.add_argument("--title", help="default: the directory's name")
    parser.add_argument("--tracker", type=Path, action="append", default=[], help="a tracker's file; may be repeated")
    add_gap_limit(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the page; status 1 if a check failed."""
    report = _gather(arguments)
    page = render(report)
    with atomic_write(arguments.output) as file:
        file.write(page)
    failed = [check.name for check in report.checks if check.passed is False]
    if arguments.json:
        sources = [one.document() for one in report.figures]
        print_json({"output": arguments.output, "bytes": len(page.encode()), "sources": sources, "failed": failed})
    else:
        said = f"; look at: {', '.join(failed)}" if failed else ", all checks passed"
        print_line(f"{arguments.output}: {len(report.figures)} sources, {human_bytes(len(page.encode()))}{said}")
    return 1 if failed else 0


def _gather(arguments: argparse.Namespace) -> Report:
    contents = require_log(arguments.directory)
    series, account = load_series(contents)
    directory = contents.directory.resolve()
    figures = [figures_of(one, gap_limit_us(arguments)) for one in series]
    jobs = jobs_beside(contents, arguments.tracker)
    tell_passed_over(contents)
    dropped = contents.dropped(account)
    return Report(
        title=arguments.title or directory.name,
        path=str(directory),
        made_us=time.time_ns() // 1000,
        figures=figures,
        disk_bytes=contents.disk_bytes(),
        dropped={str(s): n for s, n in dropped.items()} if contents.journals or contents.sessions() else None,
        checks=check_all(contents, figures, account, jobs, progress=shows_progress(arguments)),
        jobs=jobs,
    )
