"""List the items of a store.

Example:
    axds store ls /data/experiment
    axds store ls /data/experiment 'raw/*' --kind array --at paper-v1
"""

import argparse

from ..render import add_json, print_json, print_table
from ..stores import add_at, add_store, document_of, for_reading, row_of
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("pattern", nargs="?", default="*", help="names to list; * matches / too")
    parser.add_argument("--kind", help="list items of this kind only")
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each item."""
    store = for_reading(arguments.store, arguments.at)
    items = [store.info(name) for name in store.list(arguments.pattern, arguments.kind)]
    if arguments.json:
        print_json([document_of(item) for item in items])
    elif items:
        print_table([row_of(item) for item in items], ("name", "version", "kind", "bytes", "made", "note"))
    else:
        print_line("no items")
    return 0
