"""Schedule jobs of a tracker anew, whatever their state: all or none of those named.

Example:
    axds jobs reset /data/session_01/processing_tracker.yaml a0583411a46b8e94
    axds jobs reset /data/session_01/processing_tracker.yaml --all
"""

import argparse

from ..render import add_json, print_json
from ..terminal import print_line
from .tracker import add_tracker, open_tracker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_tracker(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("jobs", nargs="*", default=[], metavar="JOB", help="ids, as `axds jobs status` lists them")
    what.add_argument("--all", action="store_true", help="every job")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Schedule the jobs and print their ids."""
    tracker = open_tracker(arguments.tracker)
    ids = tracker.reset_jobs(list(tracker.snapshot()) if arguments.all else arguments.jobs)
    if arguments.json:
        print_json({"scheduled": ids})
        return 0
    for job_id in ids:
        print_line(f"scheduled {job_id}")
    return 0
