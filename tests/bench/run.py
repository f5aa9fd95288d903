"""Run the benchmarks of this folder and print their tables: python tests/bench/run.py [-o FILE] [ROOM ...]."""

import argparse
import importlib
import sys
from pathlib import Path

import measure

NOT_A_ROOM = {"run", "peers", "measure"}


def main():
    rooms = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_A_ROOM)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"any of: {', '.join(rooms)} (default: all)")
    parser.add_argument("-o", "--output", type=Path, help="also write the tables to this Markdown file")
    arguments = parser.parse_args()
    if unknown := set(arguments.rooms) - set(rooms):
        parser.error(f"expected rooms among {', '.join(rooms)}, got {', '.join(sorted(unknown))}")
    document = [f"# Benchmarks\n\nMeasured on {measure.machine()}.\n"]
    for room in arguments.rooms or rooms:
        document.extend(table.markdown() for table in importlib.import_module(room).main())
    if arguments.output:
        arguments.output.write_text("\n".join(document))
    return int(" NO |" in "".join(document))


if __name__ == "__main__":
    sys.exit(main())
