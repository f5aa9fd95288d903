"""Make a folder a store, or say that it is one.

Example:
    axds store init /data/experiment
"""

import argparse

from ...store.store import Store
from ..render import add_json, print_json
from ..stores import add_store
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print where the store is."""
    store = Store(arguments.store)
    if arguments.json:
        print_json({"path": store.path, "uuid": store.uuid, "version": store.version})
    else:
        print_line(f"{store.path}: a store with {len(store)} items, version {store.version}")
    return 0
