"""End items, all or none; their versions stay readable as NAME@VERSION.

Example:
    axds store rm /data/experiment temp1 temp2
"""

import argparse

from ..render import add_json, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("names", nargs="+", metavar="NAME")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the transaction."""
    version = for_writing(arguments.store).delete(arguments.names)
    if arguments.json:
        print_json({"deleted": arguments.names, "version": version})
    else:
        print_line(f"{len(arguments.names)} ended in transaction {version}")
    return 0
