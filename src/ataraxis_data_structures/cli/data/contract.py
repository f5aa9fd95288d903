"""Check a data set against a contract, or make one that keeps it; status 1 if something is wrong.

Reads headers only: a file of any size takes milliseconds, and no pickle in it is ever opened. --values reads the data
too. --convert mends older names and wider dtypes into a new file. Without --contract, `.h5` and `.hdf5` files are held
against ptychodus-product@1.0, anything else against ptycho-npz@1.

Example:
    axds data contract datasets/fly001.npz
    axds data contract datasets/fly001_old.npz --convert datasets/fly001.npz
"""

import argparse
from pathlib import Path

from ..render import add_json, print_json
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("source", help="an .npz or HDF5 file, a folder of .npy files, or a URL")
    parser.add_argument("--contract", metavar="NAME", help="a contract by its name")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--values", action="store_true", help="check the values too: limits, NaN and infinities")
    what.add_argument("--convert", type=Path, metavar="FILE", help="write a file that keeps the contract")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem, or what was written."""
    from ...datasets.conversion import convert  # noqa: PLC0415 NumPy, for a run and not for --help
    from ...datasets.known import check, default_contract  # noqa: PLC0415

    contract = arguments.contract or default_contract(arguments.source)
    if arguments.convert:
        convert(arguments.source, contract, arguments.convert)
    report = check(arguments.convert or arguments.source, contract, values=arguments.values)
    if arguments.json:
        print_json(report.to_dict())
        return 0 if report.ok else 1
    for line in str(report).splitlines():
        print_line(f"{arguments.convert or arguments.source}: {line}")
    return 0 if report.ok else 1
