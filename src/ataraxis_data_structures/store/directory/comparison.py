"""What two directories have and hold, side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def diff(one: Any, other: Any) -> dict[str, list[str]]:
    """Return, for each of two directories by its name, what it has or holds that the other has not."""
    names = one.path.name, other.path.name
    if names[0] == names[1]:
        names = str(one.path), str(other.path)
    found: dict[str, list[str]] = {names[0]: [], names[1]: []}
    _compare(one, other, "", *found.values())
    return found


def _compare(one: Any, other: Any, where: str, first: list[str], second: list[str]) -> None:
    keys, others = set(one.keys()), set(other.keys())
    first += [f"+ {where}{key}" for key in sorted(keys - others)]
    second += [f"+ {where}{key}" for key in sorted(others - keys)]
    for key in sorted(keys & others):
        mine, theirs = one[key], other[key]
        if _is_directory(mine) and _is_directory(theirs):
            _compare(mine, theirs, f"{where}{key}/", first, second)
        elif not is_equal(mine, theirs):
            first.append(f"≠ {where}{key}: {_described(mine)}")
            second.append(f"≠ {where}{key}: {_described(theirs)}")


def is_equal(one: Any, other: Any) -> bool:
    """Tell whether two values of directories are equal, dtype and shape included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    if isinstance(one, Path):
        return one.read_bytes() == Path(other).read_bytes()
    compare: Callable[[Any], Any] | None = getattr(one, "equals", None)
    return bool(compare(other) if compare else one == other)


def _is_directory(value: Any) -> bool:
    return hasattr(value, "keys") and hasattr(value, "path")


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return str(value.name) if isinstance(value, Path) else type(value).__name__


def tree_lines(home: Any, level: int) -> list[str]:
    """Return a line for each item below a directory, indented by depth."""
    store = home.reader()
    lines = [f"{home.path.name or home.path}/"]
    shown: set[str] = set()
    for name in home.names():
        parts = name.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in shown and (level < 0 or depth <= level):
                shown.add(folder)
                lines.append("    " * depth + parts[depth - 1] + "/")
        if level < 0 or len(parts) <= level:
            lines.append("    " * len(parts) + _item_text(parts[-1], store.info(home.item(name))))
    return lines if len(lines) > 1 else [f"{lines[0]} (empty)"]


def _item_text(name: str, item: Any) -> str:
    shape, dtype = item.about.get("shape"), item.about.get("dtype")
    file = item.path.name if item.path is not None else name
    if shape is None:
        return f"{file}  {item.size_bytes:,} bytes"
    return f"{file}  {dtype or item.kind} ({', '.join(map(str, shape))})"
