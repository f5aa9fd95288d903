"""What commands print: tables for people, JSON for scripts."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from .interrupts import import_uninterrupted
from .terminal import escaped, print_line


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the `--json` flag that every command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def print_json(document: object) -> None:
    """Print a document as JSON; paths become strings and numpy numbers plain ones."""
    print(json.dumps(document, indent=2, default=_plain))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under their column names, numbers to the right."""
    for line in table_lines(rows, columns):
        print_line(line)


def table_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Return the lines of a table, the first of which names the columns."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [any(_is_number(row.get(column)) for row in rows) for column in columns]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in (list(columns), *cells)
    ]


def human_bytes(size: float) -> str:
    """Return a size as people say it: `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """Return a length of time as people say it: `850 us`, `2.50 s`, `1 h 02 min`."""
    if 0 < seconds < 1e-6:
        return f"{seconds * 1e9:.0f} ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def human_time(time_us: int | None) -> str:
    """Return UTC microseconds as date and time; a number that no calendar holds stays a number."""
    if time_us is None:
        return "-"
    try:
        return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{time_us} us"


def shows_progress(arguments: argparse.Namespace) -> bool:
    """Tell whether somebody watches: bars go to stderr, and only to a terminal."""
    return not arguments.json and sys.stderr is not None and sys.stderr.isatty()


def require(module: str, extra: str) -> ModuleType:
    """Import a library of an extra, or say how to install it."""
    try:
        return import_uninterrupted(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(
            f"this needs {name}, which is not installed: pip install 'ataraxis-data-structures[{extra}]'"
        ) from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return escaped(value)


def _plain(value: Any) -> object:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"expected something that JSON can hold, got {type(value).__name__}")
