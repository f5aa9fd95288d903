"""Take the edited plain file of an item as its new version, or complete the logs of killed sessions as items.

Example:
    axds store adopt /data/experiment config
    axds store adopt /data/experiment
"""

import argparse

from ..render import add_json, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", nargs="?", help="the item (default: all logs that are no items yet)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the version, or the names of logs."""
    if arguments.name is None:
        names = for_writing(arguments.store).adopt_logs()
        if arguments.json:
            print_json({"names": names})
        for name in () if arguments.json else names or ("every log is an item",):
            print_line(name)
        return 0
    version = for_writing(arguments.store).adopt(arguments.name)
    if arguments.json:
        print_json({"name": arguments.name, "version": version})
    else:
        print_line(f"{arguments.name}@{version}")
    return 0
