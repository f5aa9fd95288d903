"""Describe the items of a store, by kind.

Example:
    axds store describe /data/experiment
"""

import argparse

from ..render import add_json, print_json
from ..stores import add_at, add_store, document_of, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("pattern", nargs="?", default="*", help="names to describe; * matches / too")
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the text."""
    store = for_reading(arguments.store, arguments.at)
    if arguments.json:
        print_json([document_of(store.info(name)) for name in store.list(arguments.pattern)])
        return 0
    for line in store.describe(arguments.pattern).split("\n"):
        print_line(line)
    return 0
