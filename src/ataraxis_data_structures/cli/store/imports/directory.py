"""Take over a tree that datamate wrote into a new store: arrays, tables, files and configurations.

The tree is only read. Arrays need the extra hdf5, tables (.csv) the extra tables.

Example:
    axds store import-directory experiments/old /data/experiment
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from ....store.imports.datamate import import_directory
from ...places import local_folder
from ...render import add_json, print_json
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("source", type=Path, metavar="FOLDER", help="the folder that datamate wrote")
    parser.add_argument("store", type=local_folder, metavar="STORE", help="the folder of the new store")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was taken over; status 1 if something was not."""
    report = import_directory(arguments.source, arguments.store)
    if arguments.json:
        print_json(asdict(report))
        return 1 if report.left else 0
    print_line(f"{len(report.items)} items in {arguments.store}")
    for name in report.as_files:
        print_line(f"as a file {name}: not an array, table or record of datamate's")
    for name, reason in report.left.items():
        print_line(f"left      {name}: {reason}")
    return 1 if report.left else 0
