"""Name the present state of a store, which never changes under that name.

Example:
    axds store snapshot create /data/experiment paper-v1 --tag paper
"""

import argparse

from ...render import add_json, print_json
from ...stores import add_store, for_writing
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the snapshot")
    parser.add_argument("--note", default="", help="what a person should know of it")
    parser.add_argument("--tag", action="append", default=[], help="a word to find it by; repeatable")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the transaction that it names."""
    at = for_writing(arguments.store).snapshot(arguments.name, note=arguments.note, tags=arguments.tag)
    if arguments.json:
        print_json({"name": arguments.name, "at": at})
    else:
        print_line(f"{arguments.name} is transaction {at}")
    return 0
