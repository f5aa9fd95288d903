"""Schedule jobs of a tracker anew, whatever their state: all or none of those named.

Example:
    axds jobs reset /data/session_01/processing_tracker.yaml process_video:session_001
    axds jobs reset /data/session_01/processing_tracker.yaml 'process_video:*'
    axds jobs reset /data/session_01/processing_tracker.yaml --all
"""

import argparse

from ..render import add_json, print_json
from ..terminal import print_line
from .tracker import add_tracker, ids_of, names_of, open_tracker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_tracker(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "jobs", nargs="*", default=[], metavar="JOB", help="names, as `axds jobs status` lists them, patterns, or ids"
    )
    what.add_argument("--all", action="store_true", help="every job")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Schedule the jobs and print their names."""
    tracker = open_tracker(arguments.tracker)
    names = names_of(tracker)
    ids = tracker.reset_jobs(list(names) if arguments.all else ids_of(arguments.jobs, names))
    if arguments.json:
        print_json({"scheduled": ids})
        return 0
    for job_id in ids:
        print_line(f"scheduled {names[job_id]}")
    return 0
