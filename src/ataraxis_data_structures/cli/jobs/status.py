"""Show where the jobs of a tracker stand; status 1 if one failed or was abandoned.

--watch shows the table anew until every job has ended.

Example:
    axds jobs status /data/session_01/processing_tracker.yaml
    axds jobs status /data/session_01/processing_tracker.yaml --watch
"""

import argparse
import sys
import time
from typing import Any

from ...jobs.tracker import ProcessingTracker
from ..render import add_json, human_time, print_json, print_table
from ..terminal import print_line
from .tracker import add_tracker, open_tracker

_CLEAR = "\x1b[H\x1b[J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_tracker(parser)
    parser.add_argument("--watch", action="store_true", help="go on until every job has ended")
    parser.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between two looks (default 2)")
    parser.add_argument("--all", action="store_true", help="list the jobs that succeeded too")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the counts and the jobs that are not done."""
    tracker = open_tracker(arguments.tracker)
    while True:
        found = _look(tracker)
        _show(found, arguments)
        counts = found["summary"]
        if not arguments.watch or not counts["running"] + counts["scheduled"]:
            return 1 if counts["failed"] or found["abandoned"] else 0
        sys.stdout.flush()
        time.sleep(max(arguments.every, 0.1))


def _look(tracker: ProcessingTracker) -> dict[str, Any]:
    return tracker.summarize() | {"abandoned": tracker.find_abandoned()}


def _show(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(found)
        return
    if arguments.watch and sys.stdout.isatty():
        sys.stdout.write(_CLEAR)
    counts = found["summary"]
    print_line(f"{found['status']}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    rows = [_row(job, found["abandoned"]) for job in found["jobs"] if arguments.all or job["status"] != "SUCCEEDED"]
    if rows:
        print_table(rows, ("id", "job", "for", "status", "executor", "started", "error"))
    if found["abandoned"]:
        print_line(
            f"{len(found['abandoned'])} abandoned: their process is dead; `axds jobs retry --abandoned` schedules them"
        )


def _row(job: dict[str, Any], abandoned: list[str]) -> dict[str, Any]:
    return {
        "id": job["job_id"],
        "job": job["job_name"],
        "for": job["specifier"],
        "status": "abandoned" if job["job_id"] in abandoned else str(job["status"]).lower(),
        "executor": job["executor_id"],
        "started": human_time(job["started_at"]),
        "error": " ".join((job.get("error_message") or "").split()),
    }
