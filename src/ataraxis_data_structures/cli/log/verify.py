"""Check every message of a log: the check sums of archives and journals; status 1 if one is damaged or lost.

Example:
    axds log verify /data/session_01/rig_data_log
"""

import argparse
from pathlib import Path

from ..render import add_json, print_json, shows_progress
from ..terminal import print_line
from .checks import check_log
from .session import require_log

_MARKS = {True: "ok", False: "BAD", None: "--"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each thing that was checked."""
    checks = check_log(require_log(arguments.directory), progress=shows_progress(arguments))
    sound = all(check.passed is not False for check in checks)
    if arguments.json:
        print_json({"sound": sound, "checks": [vars(check) for check in checks]})
    else:
        for check in checks:
            print_line(f"{_MARKS[check.passed]:<4} {check.name}: {check.said}")
    return 0 if sound else 1
