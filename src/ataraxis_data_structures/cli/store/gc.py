"""Remove files that killed writers left; with `--history snapshots` also old versions that no snapshot has.

Example:
    axds store gc /data/experiment
    axds store gc /data/experiment --history snapshots
"""

import argparse
from dataclasses import asdict

from ..render import add_json, human_bytes, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument(
        "--history", choices=("keep", "snapshots"), default="keep", help="which old versions are kept (default: all)"
    )
    parser.add_argument("--grace", type=float, default=3600, metavar="S", help="how old a file must be (3600 s)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was freed."""
    freed = for_writing(arguments.store).gc(grace_s=arguments.grace, history=arguments.history)
    if arguments.json:
        print_json(asdict(freed))
    else:
        print_line(
            f"{len(freed.files)} files removed, {human_bytes(freed.size_bytes)} freed, {freed.versions} versions ended"
        )
    return 0
