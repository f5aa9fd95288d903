"""Take the edited plain file of an item as its new version.

Example:
    axds store adopt /data/experiment config
"""

import argparse

from ..render import add_json, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the item")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the version."""
    version = for_writing(arguments.store).adopt(arguments.name)
    if arguments.json:
        print_json({"name": arguments.name, "version": version})
    else:
        print_line(f"{arguments.name}@{version}")
    return 0
