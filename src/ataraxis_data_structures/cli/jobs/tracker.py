"""The tracker that a command names, and the jobs in it."""

import argparse
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from ...jobs.tracker import ProcessingTracker

Names = Mapping[str, str]


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the tracker's file."""
    parser.add_argument("tracker", type=Path, help="the tracker's .yaml file")


def open_tracker(path: Path) -> ProcessingTracker:
    """Return the tracker of a file that is there; FileNotFoundError otherwise."""
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    return ProcessingTracker(path)


def name_of(job_name: str, specifier: str) -> str:
    """Return what commands call a job: `name:specifier`, or its name alone."""
    return f"{job_name}:{specifier}" if specifier else job_name


def names_of(tracker: ProcessingTracker) -> dict[str, str]:
    """Return what commands call each job, by id."""
    return {job_id: name_of(*job) for job_id, job in tracker.find_jobs().items()}


def ids_of(words: Iterable[str], names: Names) -> list[str]:
    """Return the ids of the jobs that the words mean: ids, names, or patterns of names with `*` and `?`."""
    return list(dict.fromkeys(job_id for word in words for job_id in _ids_of(word, names)))


def _ids_of(word: str, names: Names) -> list[str]:
    if word in names:
        return [word]
    found = [job_id for job_id, name in names.items() if name == word]
    if not found and any(sign in word for sign in "*?["):
        found = [job_id for job_id, name in names.items() if fnmatchcase(name, word)]
    if found:
        return found
    within = [name for name in names.values() if name.partition(":")[0] == word]
    if len(within) == 1:
        return [next(job_id for job_id, name in names.items() if name == within[0])]
    if within:
        raise LookupError(
            f"expected one job, got {word!r}, of which there are {len(within)}; name {within[0]}, or '{word}:*'"
        )
    near = get_close_matches(word, names.values(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise LookupError(f"expected a job of this tracker, got {word!r}{hint}")
