"""Install the guard as the pre-commit hook of this repository, and add its patterns to .gitignore.

A hook of somebody else is left alone: add `axds data guard check` to it.

Example:
    axds data guard install
"""

import argparse
from pathlib import Path

from ....datasets import guard
from ...render import add_json, print_json
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("repository", nargs="?", type=Path, default=Path(), help="a folder of it (default: here)")
    parser.add_argument("--no-gitignore", action="store_true", help="leave .gitignore as it is")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was written."""
    written = guard.install(arguments.repository, gitignore=not arguments.no_gitignore)
    if arguments.json:
        print_json({"written": written})
        return 0
    for path in written:
        print_line(f"wrote {path}")
    if not written:
        print_line("installed already")
    return 0
