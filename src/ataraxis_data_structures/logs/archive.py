"""Log directories into archives: one for each source, instead of a file for each message."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._core import zipdir
from .commit import MARKER, Aside, finish, locked_folder, publish
from .contents import Contents
from .discovery import LOG_ARCHIVE_SUFFIX
from .listing import Files, list_files
from .merge import archive_part, find_known, refuse_two_sessions
from .pack import compare, write_archive
from .plan import Part, Plan, make_plan
from .progress import Progress, progress_bar
from .workers import resolve_workers


@dataclass(frozen=True)
class _Options:
    remove_sources: bool
    memory_mapping: bool
    verify_integrity: bool


def assemble_log_archives(
    log_directory: Path,
    max_workers: int | None = None,
    *,
    remove_sources: bool = True,
    memory_mapping: bool = True,
    verbose: bool = False,
    verify_integrity: bool = False,
) -> None:
    """Move the messages of a log directory into one archive for each source, `SOURCE_log.npz`.

    Messages are ordered by time, equal ones by arrival; an archive that exists already is merged with, never written
    over. The archives are written aside, synced and read back, and the sources removed last: killed at any moment,
    the next call finishes the work and no message is in neither. A directory without messages, or none, is left alone.

    `max_workers` sources are worked on at a time (None: all CPUs but two). `memory_mapping` maps archives and large
    messages instead of reading them into memory. `verify_integrity` reads all sources a second time and holds the
    archives, read from the disk, against them. `verbose` shows progress.

    Raises ArchiveError (also a ValueError) for a foreign .npy file, a damaged archive, or messages of two sessions
    with different onsets; then nothing was changed.
    """
    options = _Options(remove_sources, memory_mapping, verify_integrity)
    if not Path(log_directory).is_dir():
        return
    with locked_folder(Path(log_directory)) as folder:
        finish(folder)
        _assemble(Path(log_directory), folder, options, resolve_workers(max_workers), verbose=verbose)


@dataclass
class _Work:
    """One archive to write, and the sources that it will hold."""

    plan: Plan
    files: Files

    @property
    def name(self) -> str:
        return f"{self.plan.source}{LOG_ARCHIVE_SUFFIX}"


def _assemble(path: Path, folder: int, options: _Options, workers: int, *, verbose: bool) -> None:
    listed = list_files(folder, memory_mapping=options.memory_mapping)
    planned = [_plan(path, source, files, options) for source, files in listed.items()]
    works = [work for work in planned if work is not None]
    if not works:
        return
    steps = sum(len(work.plan.rows) for work in works)
    with progress_bar("Assembling log archives", steps, shown=verbose) as progress, _removed_on_error(folder, works):
        archives = _written(folder, works, options, min(workers, len(works)), progress)
        names = (name for work in works for name in work.files.all_names())
        publish(folder, archives, names if options.remove_sources else None)


def _plan(path: Path, source: int, files: Files, options: _Options) -> _Work | None:
    """Return what to write for a source; None if its archive holds all and may stay as it is."""
    existing = path / f"{source}{LOG_ARCHIVE_SUFFIX}"
    parts: list[Part] = [files]
    volumes: list[Any] = []
    fresh = Part(files.rows, files.read, files.origin, files.names)
    if existing.exists():
        contents = Contents(existing, memory_mapping=options.memory_mapping)
        known = find_known(contents, files)
        if known.all() and not options.remove_sources:
            return None
        old = archive_part(contents)
        fresh = _without(fresh, known)
        refuse_two_sessions(source, old, [fresh])
        old.rows["kept"] = 0 if options.remove_sources else contents.rows["kind"] & zipdir.KEPT != 0
        parts, volumes = [old, fresh], [contents.bytes]
    else:
        refuse_two_sessions(source, None, [fresh])
        parts = [fresh]
    fresh.rows["kept"] = not options.remove_sources
    return _Work(make_plan(source, parts, volumes), files)


def _without(part: Part, known: np.ndarray[Any, np.dtype[np.bool_]]) -> Part:
    keep = np.flatnonzero(~known)
    places = {int(old): new for new, old in enumerate(keep)}
    names = {places[index]: name for index, name in part.names.items() if index in places}
    return Part(part.rows[keep], part.read, part.origin, names)


def _written(folder: int, works: list[_Work], options: _Options, workers: int, progress: Progress) -> list[Aside]:
    """Write all archives aside, some at a time."""

    def write(work: _Work) -> Aside:
        written = write_archive(work.plan, folder, _temporary(work), progress)
        if options.verify_integrity:
            compare(work.plan, folder, written.temporary)
        return Aside(written, work.name)

    if workers == 1:
        return [write(work) for work in works]
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(write, work) for work in works]
        try:
            return [future.result() for future in futures]
        finally:
            executor.shutdown(cancel_futures=True)


def _temporary(work: _Work) -> str:
    return f".{work.name}.tmp"


@contextmanager
def _removed_on_error(folder: int, works: list[_Work]) -> Iterator[None]:
    """Remove what was written aside if it will not be published; once the marker stands, it will be."""
    try:
        yield
    except BaseException:
        if not os.access(MARKER, os.F_OK, dir_fd=folder):
            for name in [*map(_temporary, works), f"{MARKER}.tmp"]:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
        raise
