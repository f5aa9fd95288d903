"""Find folders by the marker files in them, and name what makes each path its own."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path


def discover_marker_files(directory: Path, marker_name: str) -> list[Path]:
    """Return the files called `marker_name` at any depth, sorted; links to files count, linked folders are not entered.

    Raises:
        OSError: A folder is missing (FileNotFoundError) or cannot be read.
    """
    return sorted(path for _, path in _named_files(Path(directory), {marker_name}, None))


def index_marker_files(
    directory: Path, marker_names: Iterable[str], *, max_depth: int | None = None
) -> dict[str, tuple[Path, ...]]:
    """Return the sorted files of each name, from one walk; depth 1 is the folder itself."""
    names = dict.fromkeys(marker_names)
    if not names:
        raise ValueError("expected at least one marker name, got none")
    if max_depth is not None and max_depth < 1:
        raise ValueError(f"expected a depth of at least 1, got {max_depth}")
    found: dict[str, list[Path]] = {name: [] for name in names}
    for name, path in _named_files(Path(directory), set(names), max_depth):
        found[name].append(path)
    return {name: tuple(sorted(paths)) for name, paths in found.items()}


def discover_marker_roots(directory: Path, marker_name: str, levels_up: int = 0) -> list[Path]:
    """Return the folders `levels_up` above the parent of each marker, sorted, each once."""
    if levels_up < 0:
        raise ValueError(f"expected levels_up of at least 0, got {levels_up}")
    return sorted({_ancestor(path, levels_up) for path in discover_marker_files(directory, marker_name)})


def resolve_unique_roots(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Cut each path at its deepest component that no other path contains; each result once, in the order first seen."""
    listed = [Path(path) for path in paths]
    if len(listed) <= 1:
        return tuple(listed)
    owners = Counter(name for path in listed for name in set(path.parts))
    return tuple(dict.fromkeys(_cut_at_own_name(path, owners) for path in listed))


def _cut_at_own_name(path: Path, owners: Counter[str]) -> Path:
    for depth in range(len(path.parts), 0, -1):
        if owners[path.parts[depth - 1]] == 1:
            return Path(*path.parts[:depth])
    raise ValueError(f"expected a component that no other path contains, got none in {path}")


def _ancestor(marker: Path, levels_up: int) -> Path:
    if levels_up >= len(marker.parents):
        raise ValueError(f"expected at most {len(marker.parents) - 1} levels above {marker.parent}, got {levels_up}")
    return marker.parents[levels_up]


def _named_files(directory: Path, names: set[str], max_depth: int | None) -> Iterator[tuple[str, Path]]:
    pending = [(directory, 1)]
    while pending:
        folder, depth = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if max_depth is None or depth < max_depth:
                        pending.append((folder / entry.name, depth + 1))
                elif entry.name in names and Path(entry.path).is_file():
                    yield entry.name, folder / entry.name
