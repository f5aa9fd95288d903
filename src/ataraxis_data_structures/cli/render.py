"""What commands print: tables for people, JSON for scripts."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the `--json` flag that every command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def print_json(document: object) -> None:
    """Print a document as JSON; paths become strings and numpy numbers plain ones."""
    print(json.dumps(document, indent=2, default=_plain))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under their column names, numbers to the right."""
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [bool(rows) and isinstance(rows[0].get(column), int | float) for column in columns]
    for line in (list(columns), *cells):
        justified = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(justified).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> object:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"expected something that JSON can hold, got {type(value).__name__}")
