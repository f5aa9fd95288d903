"""Free the space of what nobody can read any more, or what nobody wants to."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..ledger.commit import Change, Writer
from ..ledger.fold import Fold
from ..names import FOLDER, PAYLOADS, STAGING
from ..payloads import is_staged_by_living


@dataclass
class Freed:
    """What a gc removed."""

    files: list[str] = field(default_factory=list)
    size_bytes: int = 0
    versions: int = 0


@dataclass(frozen=True)
class Leftover:
    """A file that a gc would remove."""

    path: Path
    size_bytes: int
    age_s: float


def collect(root: Path, writer: Writer, *, grace_s: float, history: Literal["keep", "snapshots"]) -> Freed:
    """Remove files that no line names; with `history="snapshots"`, first drop the versions that no snapshot has."""
    freed = Freed()
    if history == "snapshots":
        writer.commit([], lambda fold: _drop(fold, freed))
    with writer.locked() as fold:
        for leftover in leftovers(root, fold):
            if leftover.age_s >= grace_s:
                leftover.path.unlink(missing_ok=True)
                freed.files.append(str(leftover.path))
                freed.size_bytes += leftover.size_bytes
    return freed


def leftovers(root: Path, fold: Fold) -> Iterator[Leftover]:
    """Yield the files below `.axds` that no line names, and no living process is about to name."""
    named = files_named(fold) - fold.dropped
    top = root / FOLDER / PAYLOADS
    now = time.time()
    for path in _files(top):
        if path.relative_to(top).as_posix() not in named:
            yield _leftover(path, now)
    for path in _files(root / FOLDER / STAGING):
        if not is_staged_by_living(path.name):
            yield _leftover(path, now)


def files_named(fold: Fold) -> set[Any]:
    """Return the payloads of all versions."""
    return {entry.op["file"] for name in fold.names for entry in fold.history(name) if entry.op and "file" in entry.op}


def droppable(fold: Fold) -> dict[str, int]:
    """Return the payloads that neither today's items nor a snapshot has, with how many versions each has."""
    lines = [fold.seq, *(row[1]["at"] for name in fold.snapshots if (row := fold.snapshot(name)))]
    held = {entry.op.get("file") for line in lines for _, entry in fold.each(line) if entry.op}
    found: dict[str, int] = {}
    for name in fold.names:
        for entry in fold.history(name):
            file = entry.op.get("file") if entry.op else None
            if file is not None and file not in held and file not in fold.dropped:
                found[file] = found.get(file, 0) + 1
    return found


def _drop(fold: Fold, freed: Freed) -> list[Change]:
    found = droppable(fold)
    freed.versions = sum(found.values())
    return [Change({"op": "drop", "name": "", "files": sorted(found)})] if found else []


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(parent, name)


def _leftover(path: Path, now: float) -> Leftover:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Leftover(path, 0, 0.0)
    size = status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
    return Leftover(path, size, max(0.0, now - status.st_mtime))
