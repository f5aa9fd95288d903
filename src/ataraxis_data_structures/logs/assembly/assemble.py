"""Log directories into archives: one for each source, instead of a file for each message."""

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..._core import npz
from ...system.atomic import replace_file
from ...system.cpus import resolve_workers
from ...system.progress import Progress, progress_bar
from ..archive.index import Contents
from ..archive.notes import Notes, pack_notes, read_notes, sidecar_of
from ..log_directory import LogDirectory
from ..names import LOG_ARCHIVE_SUFFIX
from ..recovery.recover import finish_log_directory
from ..sessions import LogSession, further_directories, read_records, record_names, session_id
from .journals import Journals, read_journals
from .merge import archive_part, find_known, refuse_two_sessions
from .message_files import Files, list_files
from .plan import Part, Plan, make_plan
from .publish import MARKER, Aside, finish, publish
from .split import split_sessions
from .writer import compare, write_archive


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
    """Move the messages of a log directory, from files and journals, into an archive for each source, `SOURCE_log.npz`.

    Messages are ordered by time, equal ones by arrival; an archive that exists already is merged with, never written
    over. The archives are written aside, synced and read back, and the sources removed last: killed at any moment,
    the next call finishes the work and no message is in neither. A directory without messages, or none, is left alone.

    `max_workers` sources are worked on at a time (None: all CPUs but two). `memory_mapping` maps archives and large
    messages instead of reading them into memory. `verify_integrity` reads all sources a second time and holds the
    archives, read from the disk, against them. `verbose` shows progress.

    What sessions that died left in lanes and journals is recovered first. Raises QueueBusyError while a logger works
    in the directory, and ArchiveError (also a ValueError) for a foreign .npy file or a damaged archive; then nothing
    was changed. Of several sessions with different onsets, the first keeps the directory; each further one is moved to
    one of its own beside it (`NAME_2_data_log`) and assembled there, which a UserWarning tells.
    """
    options = _Options(remove_sources, memory_mapping, verify_integrity)
    if not Path(log_directory).is_dir():
        return
    path, workers = Path(log_directory), resolve_workers(max_workers)
    with LogDirectory(path, "assembly") as directory:
        finish_log_directory(directory)
        finish(directory.descriptor, path)
        moved = split_sessions(path)
        _assemble(directory, options, workers, verbose=verbose)
    if moved:
        names = ", ".join(further.name for further in moved)
        warnings.warn(f"{path} held several sessions; those after the first are now in {names}", stacklevel=2)
    for further in [*moved, *_left_by_a_split(path, moved)]:
        with LogDirectory(further, "assembly") as directory:
            finish(directory.descriptor, further)
            _assemble(directory, options, workers, verbose=verbose)


def _left_by_a_split(path: Path, moved: list[Path]) -> Iterator[Path]:
    """Yield the directories that a split gave to later sessions of this one, and that wait for their archives."""
    for further in further_directories(path.resolve()):
        if not further.is_dir():
            return
        if further in moved:
            continue
        is_ours = any(session.split_from == path.resolve().name for session in read_records(further))
        if is_ours or (further / MARKER).exists():
            yield further


@dataclass
class _Found:
    """All that lies in a log directory and waits for an archive."""

    files: dict[int, Files]
    journals: Journals
    records: list[LogSession] = field(default_factory=list)

    def parts(self, source: int) -> list[Part]:
        parts = [self.files[source]] if source in self.files else []
        return [*parts, self.journals.part(source)] if source in self.journals.rows else [*parts]

    def names(self, path: Path) -> Iterator[str]:
        for files in self.files.values():
            yield from files.all_names()
        yield from self.journals.finished
        yield from (name for session in self.records for name in record_names(path, session.id))

    def sessions(self) -> list[LogSession]:
        """Return the sessions whose messages are here, each with what its lanes refused."""
        by_id = {session.id: session for session in self.records}
        refused = self.journals.scan.account.dropped_by_queue
        for header in (journal.header for journal in self.journals.opened if journal.readable):
            known = by_id.get(session_id(header.queue_id)) or LogSession(
                session_id(header.queue_id), "journal", header.created_us
            )
            by_id[known.id] = replace(known, dropped=_larger(known.dropped, refused.get(header.queue_id, {})))
        return [*by_id.values()]


def _larger(recorded: dict[int, int], told: dict[int, int]) -> dict[int, int]:
    """Return drops by source: a record knows of all if its logger ended well, else journals may know of more."""
    return {source: max(recorded.get(source, 0), told.get(source, 0)) for source in {*recorded, *told}}


def _assemble(directory: LogDirectory, options: _Options, workers: int, *, verbose: bool) -> None:
    path, folder = directory.path, directory.descriptor
    files = list_files(folder, memory_mapping=options.memory_mapping)
    found = _Found(files, read_journals(path), read_records(path))
    try:
        sources = sorted({*found.files, *found.journals.rows})
        plans = [plan for source in sources if (plan := _plan(path, source, found, options)) is not None]
        steps = sum(len(plan.rows) for plan in plans)
        with (
            progress_bar("Assembling log archives", steps, shown=verbose) as progress,
            _removed_on_error(folder, plans),
        ):
            archives = _written(folder, plans, options, min(workers, len(plans)), progress)
            _write_sidecars(path, plans)
            if options.remove_sources and (sources or found.journals.opened):
                publish(folder, path, archives, found.names(path), found.journals.damaged)
            elif archives:
                publish(folder, path, archives, None)
    finally:
        found.journals.close()


def _plan(path: Path, source: int, found: _Found, options: _Options) -> Plan | None:
    """Return what to write for a source; None if its archive holds all and may stay as it is."""
    existing = path / f"{source}{LOG_ARCHIVE_SUFFIX}"
    fresh = found.parts(source)
    if not existing.exists():
        refuse_two_sessions(source, None, fresh)
        return _noted(_made(source, None, fresh, [b""], found, options), Notes(), found)
    contents = Contents(existing, memory_mapping=options.memory_mapping)
    known = find_known(contents, fresh)
    if not options.remove_sources and all(mask.all() for mask in known):
        return None
    old = archive_part(contents)
    old.rows["kept"] = 0 if options.remove_sources else contents.rows["kind"] & npz.KEPT != 0
    fresh = [_without(part, mask) for part, mask in zip(fresh, known, strict=True)]
    refuse_two_sessions(source, old, fresh)
    made = _made(source, old, fresh, [contents.bytes], found, options)
    return _noted(made, read_notes(existing, contents.bytes), found)


def _noted(plan: Plan, before: Notes, found: _Found) -> Plan:
    plan.comment, plan.sidecar = pack_notes(plan.source, before, found.sessions())
    return plan


def _write_sidecars(path: Path, plans: list[Plan]) -> None:
    """Write what has no room in the archives' comments, before the archives get their names."""
    for plan in plans:
        if plan.sidecar:
            replace_file(sidecar_of(path / _archive_name(plan)), plan.sidecar)


def _made(
    source: int, old: Part | None, fresh: list[Part], volumes: list[Any], found: _Found, options: _Options
) -> Plan:
    for part in fresh:
        part.rows["kept"] = not options.remove_sources
    return make_plan(source, [*([] if old is None else [old]), *fresh], [*volumes, *found.journals.volumes])


def _without(part: Part, known: np.ndarray[Any, np.dtype[np.bool_]]) -> Part:
    keep = np.flatnonzero(~known)
    places = {int(old): new for new, old in enumerate(keep)}
    names = {places[index]: name for index, name in part.names.items() if index in places}
    return Part(part.rows[keep], part.read, part.origin, names)


def _written(folder: int, plans: list[Plan], options: _Options, workers: int, progress: Progress) -> list[Aside]:
    """Write all archives aside, some at a time."""

    def write(plan: Plan) -> Aside:
        written = write_archive(plan, folder, _temporary(plan), progress)
        if options.verify_integrity:
            compare(plan, folder, written.temporary)
        return Aside(written, _archive_name(plan))

    if workers <= 1:
        return [write(plan) for plan in plans]
    with ThreadPoolExecutor(workers) as executor:
        futures = [executor.submit(write, plan) for plan in plans]
        try:
            return [future.result() for future in futures]
        finally:
            executor.shutdown(cancel_futures=True)


def _archive_name(plan: Plan) -> str:
    return f"{plan.source}{LOG_ARCHIVE_SUFFIX}"


def _temporary(plan: Plan) -> str:
    return f".{_archive_name(plan)}.tmp"


@contextmanager
def _removed_on_error(folder: int, plans: list[Plan]) -> Iterator[None]:
    """Remove what was written aside if it will not be published; once the marker stands, it will be."""
    try:
        yield
    except BaseException:
        if not os.access(MARKER, os.F_OK, dir_fd=folder):
            for name in [*map(_temporary, plans), f"{MARKER}.tmp"]:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
        raise
