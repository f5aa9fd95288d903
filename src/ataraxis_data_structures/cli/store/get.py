"""Check an item and print its value, or the path of its file; with -o write it to a file.

Example:
    axds store get /data/experiment config
    axds store get /data/experiment embeddings@12 -o embeddings.npy
"""

import argparse
import json
import shutil
from pathlib import Path

from ...store import jsontags
from ...system.atomic import atomic_write
from ..render import add_json, print_json
from ..stores import add_at, add_store, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the item, or NAME@VERSION")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write its bytes")
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the value or the path."""
    store = for_reading(arguments.store, arguments.at)
    item = store.info(arguments.name)
    path = store.checked_file(arguments.name)
    if arguments.output is not None and path is not None:
        with path.open("rb") as source, atomic_write(arguments.output, binary=True) as target:
            shutil.copyfileobj(source, target)
        path = arguments.output
    value = json.loads(jsontags.dumps(store.get(arguments.name))) if item.kind == "json" else None
    if arguments.json:
        print_json({"name": item.name, "version": item.version, "kind": item.kind, "path": path, "value": value})
    elif item.kind == "json" and arguments.output is None:
        print_line(json.dumps(value, ensure_ascii=False))
    else:
        print_line(item.uri if path is None else path)
    return 0
