"""Show where jobs stand; status 1 if one failed or was abandoned.

--watch shows the table anew until every job has ended. How fast jobs end and
how long the rest takes is told by the jobs that ended in the last hour, or in
the last day where jobs take hours.

Example:
    axds jobs status /data/session_01/processing_tracker.yaml
    axds jobs status /data/session_01/processing_tracker.yaml --watch
"""

import argparse
import sys
import time
from typing import Any

from ...jobs.tracker import ProcessingTracker
from ..render import add_json, human_time, print_json, table_lines
from ..screen import draw, screen
from .pace import Pace, bar, pace_of, told
from .tracker import add_tracker, name_of, open_tracker

_URGENCY = {"failed": 0, "abandoned": 1, "running": 2, "scheduled": 3}


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
    live = arguments.watch and not arguments.json and sys.stdout.isatty()
    with screen(live=live):
        while True:
            found = _look(tracker)
            if arguments.json:
                print_json(found)
            else:
                draw(_lines(found, every=arguments.all, live=live), live=live)
            counts = found["summary"]
            if not arguments.watch or not counts["running"] + counts["scheduled"]:
                return 1 if counts["failed"] or found["abandoned"] else 0
            sys.stdout.flush()
            time.sleep(max(arguments.every, 0.1))


def _look(tracker: ProcessingTracker) -> dict[str, Any]:
    found = tracker.summarize()
    pace = pace_of(found["jobs"], time.time_ns() // 1000)
    return found | {"abandoned": tracker.find_abandoned(), "jobs_per_s": pace.per_s, "seconds_left": pace.left_s}


def _lines(found: dict[str, Any], *, every: bool, live: bool) -> list[str]:
    """Return what is shown: the counts, the pace while jobs are to be done, and the jobs that want attention first."""
    counts, abandoned = found["summary"], found["abandoned"]
    lines = [f"{found['status']}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items())]
    pace = told(Pace(found["jobs_per_s"], found["seconds_left"])) if counts["running"] + counts["scheduled"] else ""
    if live:
        lines.append(f"{bar(counts['succeeded'] + counts['failed'], counts['total'])}  {pace}")
    elif pace:
        lines[0] += f"; {pace}"
    if abandoned:
        lines.append(f"{len(abandoned)} abandoned: their process is dead; `axds jobs retry --abandoned` schedules them")
    rows = [_row(job, abandoned) for job in found["jobs"] if every or job["status"] != "SUCCEEDED"]
    if live:  # of a long table the terminal holds the beginning
        rows.sort(key=lambda row: _URGENCY.get(row["status"], len(_URGENCY)))
    return lines + (table_lines(rows, ("job", "status", "executor", "started", "id", "error")) if rows else [])


def _row(job: dict[str, Any], abandoned: list[str]) -> dict[str, Any]:
    return {
        "job": name_of(job["job_name"], job["specifier"]),
        "status": "abandoned" if job["job_id"] in abandoned else str(job["status"]).lower(),
        "executor": job["executor_id"],
        "started": human_time(job["started_at"]),
        "id": job["job_id"],
        "error": " ".join((job.get("error_message") or "").split()),
    }
