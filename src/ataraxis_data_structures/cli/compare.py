"""Tell which files two folders do not share, or hold with different contents; status 1 if there are any.

Example:
    axds compare /data/session_01 /backup/session_01
"""

import argparse

from ..files.checksum import compare_directories
from .places import local_folder
from .render import add_json, print_json, shows_progress
from .terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("first", type=local_folder)
    parser.add_argument("second", type=local_folder)
    parser.add_argument("--threads", type=int, metavar="N", help="how many threads work (default: all CPUs but two)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences."""
    found = compare_directories(
        arguments.first, arguments.second, arguments.threads, progress=shows_progress(arguments)
    )
    if arguments.json:
        kinds = {"only_first": found.only_first, "only_second": found.only_second, "changed": found.changed}
        print_json({"same": not found, **kinds})
        return int(bool(found))
    for said, names in (("changed", found.changed), ("only in the first", found.only_first),
                        ("only in the second", found.only_second)):  # fmt: skip
        for name in names:
            print_line(f"{said}: {name}")
    if not found:
        print_line("the same files with the same contents")
    return int(bool(found))
