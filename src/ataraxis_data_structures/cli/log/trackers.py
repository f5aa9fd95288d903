"""The trackers that lie beside a log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...jobs.tracker import ProcessingTracker
from .session import Contents


def jobs_beside(contents: Contents, named: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the jobs of the trackers that were named, that lie in a log's directory, or in the one above."""
    folder = contents.directory.resolve()
    found = [path for place in (folder, folder.parent) for path in sorted(place.glob("*.y*ml")) if path.is_file()]
    paths = dict.fromkeys([*(path.resolve() for path in named), *found])
    return [tracker for path in paths if (tracker := _jobs_of(path))]


def _jobs_of(path: Path) -> dict[str, Any] | None:
    """Return the jobs of a tracker; None for a file that is something else."""
    try:
        if b"\njobs:" not in path.read_bytes():
            return None
        found = ProcessingTracker(path).summarize()
    except (OSError, ValueError):  # a file that may not be read, or that only looks like a tracker
        return None
    return found | {"name": path.name} if found["jobs"] else None
