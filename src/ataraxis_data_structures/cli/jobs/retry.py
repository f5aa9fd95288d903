"""Schedule the failed jobs of a tracker anew.

Example:
    axds jobs retry /data/session_01/processing_tracker.yaml
    axds jobs retry /data/session_01/processing_tracker.yaml --abandoned
"""

import argparse

from ..render import add_json, print_json
from ..terminal import print_line
from .tracker import add_tracker, names_of, open_tracker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_tracker(parser)
    parser.add_argument(
        "--abandoned", action="store_true", help="those whose process died, instead of those that failed"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Schedule the jobs and print their names."""
    tracker = open_tracker(arguments.tracker)
    ids = tracker.reschedule_abandoned() if arguments.abandoned else tracker.retry_failed_jobs()
    if arguments.json:
        print_json({"scheduled": ids})
        return 0
    names = names_of(tracker)
    for job_id in ids:
        print_line(f"scheduled {names.get(job_id, job_id)}")
    if not ids:
        print_line("no job was abandoned" if arguments.abandoned else "no job has failed")
    return 0
