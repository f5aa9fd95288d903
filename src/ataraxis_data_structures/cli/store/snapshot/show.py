"""List the items of a snapshot.

Example:
    axds store snapshot show /data/experiment paper-v1
"""

import argparse

from ...render import add_json, print_json, print_table
from ...stores import add_store, document_of, for_reading, row_of
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the snapshot")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each item."""
    store = for_reading(arguments.store)
    past = store.at(arguments.name)
    items = [past.info(name) for name in past.list()]
    if arguments.json:
        print_json({"name": arguments.name, "at": past.version, "items": [document_of(item) for item in items]})
        return 0
    print_line(f"{arguments.name} is transaction {past.version} with {len(items)} items")
    if items:
        print_table([row_of(item) for item in items], ("name", "version", "kind", "bytes", "made", "note"))
    return 0
