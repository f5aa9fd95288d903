"""Write the plain files of a state into a new folder, all bytes checked.

Example:
    axds store export /data/experiment /tmp/paper --at paper-v1
"""

import argparse

from ..places import local_folder
from ..render import add_json, print_json
from ..stores import add_at, add_store, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("target", type=local_folder, metavar="FOLDER", help="a folder that is new or empty")
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print how many files were written."""
    count = for_reading(arguments.store, arguments.at).export(arguments.target)
    if arguments.json:
        print_json({"files": count, "path": arguments.target})
    else:
        print_line(f"{count} files in {arguments.target}")
    return 0
