"""What notebooks show of a store, an item and a snapshot: tables in HTML, every text of which is escaped."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from html import escape
from typing import Any

_ROWS = 100
_CHARACTERS = 200
_COLUMNS = ("name", "version", "kind", "bytes", "made", "note")


def store_html(title: str, items: Iterable[Any], count: int) -> str:
    """Return a table of the first items of a store."""
    rows = [
        [item.name, item.version, item.kind, f"{item.size_bytes:,}", _time(item.created_us), item.note]
        for item, _ in zip(items, range(_ROWS), strict=False)
    ]
    left = f"<p>... and {count - len(rows):,} more</p>" if count > len(rows) else ""
    return f"<p><b>{_text(title)}</b>: {count:,} items</p>{_table(rows, _COLUMNS)}{left}"


def record_html(record: Any) -> str:
    """Return a table of the fields of an item or a snapshot that say something."""
    shown = [(one.name, getattr(record, one.name)) for one in fields(record)]
    rows = [
        [name.removesuffix("_us"), _time(value) if name == "created_us" else value] for name, value in shown if value
    ]
    return _table(rows, ())


def _table(rows: list[list[Any]], columns: Iterable[str]) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _text(value: Any) -> str:
    text = str(value)
    return escape(text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}...")


def _time(stamp_us: int) -> str:
    try:
        return datetime.fromtimestamp(stamp_us / 1e6, UTC).isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):  # a forged ledger says anything
        return str(stamp_us)
