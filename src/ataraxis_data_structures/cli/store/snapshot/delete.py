"""End the name of a state; a later `axds store gc --history snapshots` may remove its versions.

Example:
    axds store snapshot delete /data/experiment paper-v1
"""

import argparse

from ...render import add_json, print_json
from ...stores import add_store, for_writing
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the snapshot")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print that it is gone."""
    for_writing(arguments.store).delete_snapshot(arguments.name)
    if arguments.json:
        print_json({"deleted": arguments.name})
    else:
        print_line(f"{arguments.name} is no snapshot any more")
    return 0
