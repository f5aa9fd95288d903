"""The trackers that lie beside a log, among YAML files of others."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....jobs.tracker import ProcessingTracker
from ....logs.names import is_file
from ...advice import describe
from ..session import Contents

_SUFFIXES = (".yaml", ".yml")
_HEAD_BYTES = 2**20
_JOBS = re.compile(rb"(?m)^jobs:")


def jobs_beside(contents: Contents, named: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the jobs of the trackers that were named, that lie in a log's directory, or in the one above.

    A file that was not named and cannot be read as a tracker is passed over, which `contents` notes.
    """
    folder = contents.directory.resolve()
    chosen = [path.resolve() for path in named]
    found = [_summary(path) for path in chosen]
    for path in (path for place in (folder, folder.parent) for path in _yaml_files(place, contents)):
        if path in chosen:
            continue
        try:
            if _JOBS.search(_head(path)):
                found.append(_summary(path))
        except (OSError, ValueError) as error:  # somebody else's, held by a program, or only like a tracker
            contents.unread.append(_reason(path, error))
    return [tracker for tracker in found if tracker["jobs"]]


def count_failed(tracker: dict[str, Any]) -> int:
    """Return how many jobs of a tracker failed."""
    return sum(1 for job in tracker["jobs"] if str(job.get("status", "")).lower() == "failed")


def _yaml_files(folder: Path, contents: Contents) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(_SUFFIXES) and is_file(entry))
    except OSError as error:
        contents.unread.append(_reason(folder, error))
        return []
    return [folder / name for name in names if not name.startswith("._")]


def _head(path: Path) -> bytes:
    """Return the part of a file that has the key `jobs` if it is a tracker: what else is YAML may be large."""
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _summary(path: Path) -> dict[str, Any]:
    return ProcessingTracker(path).summarize() | {"name": path.name}


def _reason(path: Path, error: Exception) -> str:
    said = describe(error)
    return said if path.name in said else f"{path.name}: {said}"
