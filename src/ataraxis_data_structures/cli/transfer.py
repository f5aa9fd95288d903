"""Copy a folder: what arrives is complete or visibly not, and may be checked against the source.

A second call after an interruption copies only what is missing. --verify reads back what was written; the source goes
only with --remove-source, and only after that check.

Example:
    axds transfer /data/session_01 /backup/session_01 --verify
"""

import argparse
from pathlib import Path

from ..files.remote import is_remote
from ..files.transfer import transfer_directory
from .advice import require_directory
from .places import local_folder
from .render import add_json, print_json, shows_progress
from .terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("source", type=local_folder)
    parser.add_argument("destination", type=_place, help="a folder, or a URL such as s3://bucket/session_01")
    parser.add_argument("--verify", action="store_true", help="compare the copy's checksum with the source's")
    parser.add_argument("--remove-source", action="store_true", help="delete the source once the copy is verified")
    parser.add_argument(
        "--reset", action="store_true", help="first delete files in the destination that the source lacks"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="how many threads copy (default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Copy the folder."""
    if not arguments.remove_source:
        require_directory(arguments.source)
    elif arguments.source == Path():  # an explicit `.`, which has no name to remove it by
        arguments.source = Path.cwd()
    verify = arguments.verify or arguments.remove_source
    transfer_directory(
        arguments.source,
        arguments.destination,
        arguments.threads,
        verify_integrity=verify,
        remove_source=arguments.remove_source,
        reset_dirty_destination=arguments.reset,
        progress=shows_progress(arguments),
    )
    if arguments.json:
        print_json({"source": arguments.source, "destination": arguments.destination, "verified": verify,
                    "source_removed": arguments.remove_source})  # fmt: skip
        return 0
    said = " and verified" if verify else ""
    print_line(
        f"copied{said}: {arguments.destination}" + (f"; removed {arguments.source}" if arguments.remove_source else "")
    )
    return 0


def _place(text: str) -> Path | str:
    return text if is_remote(text) else local_folder(text)
