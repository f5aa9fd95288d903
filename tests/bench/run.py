"""Run the benchmarks of this folder: python tests/bench/run.py [-o FILE] [ROOM ...].

All of them are written to docs/benchmarks.md, a selection is only printed unless -o names a file. Status 1 if a figure
misses what is asked, or a room could not be measured.
"""

import argparse
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import measure

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
ROOMS = sorted({path.stem for path in HERE.glob("*.py")} - {"run", "peers", "measure"})
INTRODUCTION = """\
# Benchmarks

Measured by `tox -e bench` on {machine}, {day}.

Ours and theirs were measured side by side in one run, in turns; figures are medians. Theirs is the published
`ataraxis-data-structures` in an environment of its own, or what a line or its heading names. A ratio of at least (`>=`)
is how many times ours is better; one of at most (`<=`) is what ours costs for each part that theirs costs. Assembly
from a journal is asked to be 100 times the peer or half of C, so one of these two lines may ask nothing.
"""


def run_room(room):
    """Run one room's benchmarks, in a process that nothing else has warmed."""
    return import_module(room).main()


def measured(rooms):
    """Yield (room, tables); None in place of the tables of a room that failed."""
    for room in rooms:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            try:
                yield room, process.submit(run_room, room).result()
            except Exception:
                traceback.print_exc()
                yield room, None


def page(found):
    """Return the page with all lines in one table."""
    lines = [
        INTRODUCTION.format(machine=measure.machine(), day=f"{datetime.now(UTC):%Y-%m-%d}"),
        measure.HEAD.rstrip(),
    ]
    for room, tables in found:
        if tables is None:
            lines.append(f"| **{room}: could not be measured** | | | | | | NO |")
        for table in tables or ():
            lines += [f"| **{table.title}** | | | | | | |", *table.rows()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"any of: {', '.join(ROOMS)} (default: all)")
    parser.add_argument("-o", "--output", type=Path, help="write the table to this Markdown file")
    arguments = parser.parse_args()
    if unknown := set(arguments.rooms) - set(ROOMS):
        parser.error(f"expected rooms among {', '.join(ROOMS)}, got {', '.join(sorted(unknown))}")
    text = page(measured(arguments.rooms or ROOMS))
    output = arguments.output or (None if arguments.rooms else PAGE)
    if output:
        output.write_text(text)
        sys.stdout.write(f"{output}\n")
    return int("| NO |" in text)


if __name__ == "__main__":
    sys.exit(main())
