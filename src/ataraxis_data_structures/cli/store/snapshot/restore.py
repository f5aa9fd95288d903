"""Make the items what they were at a snapshot or transaction; what was since stays in the history.

Example:
    axds store snapshot restore /data/experiment paper-v1
"""

import argparse

from ...render import add_json, print_json
from ...stores import add_store, for_writing, state
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("state", type=state, help="a snapshot or the number of a transaction")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the transaction."""
    version = for_writing(arguments.store).restore(arguments.state)
    if arguments.json:
        print_json({"restored": arguments.state, "version": version})
    else:
        print_line(f"restored {arguments.state} in transaction {version}")
    return 0
