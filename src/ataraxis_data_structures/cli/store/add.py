"""Store a file, or a JSON value, under a name.

A .npy, .npz or .json file becomes an array, a dictionary of arrays or a value; any other is kept as it is, and so is
every file with --as-file.

Example:
    axds store add /data/experiment figures/plot plot.png --note "rates of session 1"
    axds store add /data/experiment config --value '{"lr": 0.01}'
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..render import add_json, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the item")
    value = parser.add_mutually_exclusive_group(required=True)
    value.add_argument("file", nargs="?", type=Path, help="the file to store")
    value.add_argument("--value", type=_parsed, metavar="JSON", help="the value to store")
    parser.add_argument("--as-file", action="store_true", help="keep the file as it is, whatever it holds")
    parser.add_argument("--note", default="", help="what a person should know of it")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME", help="what it was made from, repeatable"
    )
    parser.add_argument("--new", action="store_true", help="fail if the name exists")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the version."""
    store = for_writing(arguments.store)
    value = arguments.value[0] if arguments.file is None else _value_of(arguments.file, as_file=arguments.as_file)
    version = store.add(arguments.name, value, note=arguments.note, inputs=arguments.input, overwrite=not arguments.new)
    if arguments.json:
        print_json({"name": arguments.name, "version": version})
    else:
        print_line(f"{arguments.name}@{version}")
    return 0


def _parsed(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON, got {text!r}: {error}") from None


def _value_of(path: Path, *, as_file: bool) -> Any:
    if as_file or path.suffix not in (".npy", ".npz", ".json"):
        return path
    if path.suffix == ".json":
        return json.loads(path.read_bytes())
    loaded = np.load(path, allow_pickle=False)
    return dict(loaded) if path.suffix == ".npz" else loaded
