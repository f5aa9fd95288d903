"""Tell what changed between two states; status 1 if something did.

Example:
    axds store snapshot diff /data/experiment paper-v1
    axds store snapshot diff /data/experiment paper-v1 paper-v2
"""

import argparse
from dataclasses import asdict

from ...render import add_json, print_json
from ...stores import add_store, for_reading, state
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("first", type=state, help="a snapshot or the number of a transaction")
    parser.add_argument("second", type=state, nargs="?", default="HEAD", help="the like (default: the present state)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each name."""
    found = for_reading(arguments.store).diff(arguments.first, arguments.second)
    if arguments.json:
        print_json({"same": not found, **asdict(found)})
        return int(bool(found))
    for what, names in asdict(found).items():
        for name in names:
            print_line(f"{what}: {name}")
    if not found:
        print_line("the same items with the same values")
    return int(bool(found))
