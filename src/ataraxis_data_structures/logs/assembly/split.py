"""Gives each of several sessions in one directory a directory of its own.

Sessions are apart where a source has another onset in one than in the other: an archive counts from one onset. A
session without an onset of its own goes on from the one before it. The first stays; each further one moves, file by
file, to NAME_2_data_log, NAME_3_data_log, ... Its record goes first and leaves last, so that who comes after a kill
goes on.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..._core import npz
from ...errors import ArchiveError
from ...system.disk import sync_folder
from ..archive.discovery import discover_log_archives
from ..archive.index import Contents
from ..archive.reader import LogArchiveReader
from ..journal import layout
from ..journal.messages import MessageScan
from ..journal.reader import Journal
from ..sessions import (
    LogSession,
    further_directories,
    holds_messages,
    message_files,
    read_records,
    record_names,
    session_id,
    write_record,
)

_ONSET_BYTES = 8
_UNKNOWN = LogSession("0" * 16)


@dataclass
class Group:
    """Sessions that count from one onset, and the names of their files."""

    sessions: list[LogSession]
    names: list[str] = field(default_factory=list)
    onsets: dict[str, int] = field(default_factory=dict)
    """Source -> onset (UTC, microseconds)."""
    sources: set[str] = field(default_factory=set)

    def differs(self, later: "Group") -> bool:
        """Tell whether a later group counts from another onset in some source."""
        return any(
            onset != self.onsets[source] if source in self.onsets else source in self.sources
            for source, onset in later.onsets.items()
        )

    def join(self, later: "Group") -> None:
        """Take in a group that goes on from this one."""
        self.sessions += later.sessions
        self.names += later.names
        self.onsets |= later.onsets
        self.sources |= later.sources


def find_groups(directory: Path) -> list[Group]:
    """Return what lies in a log directory by the onset that it counts from, in the order of time.

    The first may be one whose archives are there already.
    """
    groups = [_archived(directory)]
    for group in _recorded(directory):
        if groups[-1].differs(group):
            groups.append(group)
        else:
            groups[-1].join(group)
    return [group for group in groups if group.names or group.sources]


def split_sessions(directory: Path) -> list[Path]:
    """Move all but the first group of sessions to directories of their own; whoever calls holds the directory's lock.

    Returns:
        The directories that have them, those of an earlier call that was killed included.
    """
    directory = Path(directory).resolve()
    made = []
    for group in find_groups(directory)[1:]:
        target = _target(directory, group)
        _move(directory, target, group)
        made.append(target)
    return made


def _archived(directory: Path) -> Group:
    group = Group([])
    for source, path in discover_log_archives(directory).items():
        with suppress(ArchiveError, OSError):  # damaged, foreign or locked: who reads it says so
            contents = Contents(path)
            if len(contents):
                contents.message(0)
                group.sources.add(source)
                group.onsets[source] = int(LogArchiveReader(path).onset_timestamp_us)
    return group


def _recorded(directory: Path) -> list[Group]:
    records = {session.id: session for session in read_records(directory)}
    groups = {identifier: Group([session]) for identifier, session in records.items()}
    for path in layout.list_journals(directory):
        identifier = session_id((layout.parse_name(path) or (0, 0))[0])
        if identifier not in groups:
            header = Journal(path).header
            groups[identifier] = Group([LogSession(identifier, "journal", header.created_us)])
        groups[identifier].names.append(path.name)
    _share_out(message_files(directory), [groups[one.id] for one in records.values() if one.storage == "npy"], groups)
    ordered = sorted(groups.values(), key=lambda group: (group.sessions[0].started_us, group.sessions[0].id))
    if len(ordered) > 1 or discover_log_archives(directory):
        for group in ordered:
            _find_onsets(directory, group)
    return ordered


def _share_out(names: Iterable[str], owners: list[Group], groups: dict[str, Group]) -> None:
    """Give each message file to the last session that did not find it there when it began."""
    found_there = [set(group.sessions[0].earlier) for group in owners]
    for name in names:
        owner = next((at for at in reversed(range(len(owners))) if name not in found_there[at]), None)
        if owner is not None:
            owners[owner].names.append(name)
        else:
            groups.setdefault(_UNKNOWN.id, Group([_UNKNOWN])).names.append(name)


def _find_onsets(directory: Path, group: Group) -> None:
    journals = [Journal(directory / name) for name in sorted(group.names) if name.endswith(layout.SUFFIX)]
    scan = MessageScan(journals)
    for batch in scan.batches():
        group.sources |= {str(source) for source in set(batch["source"].tolist())}
        for message in batch[(batch["time"] == 0) & (batch["length"] == _ONSET_BYTES)]:
            group.onsets.setdefault(str(message["source"]), int.from_bytes(scan.payload(message), "little"))
    for journal in journals:
        journal.close()
    for name in group.names:
        parsed = npz.parse_name(name)
        if parsed is None:
            continue
        source, time, _ = parsed
        group.sources.add(str(source))
        if time == 0 and (directory / name).stat().st_size == npz.PREFIX_BYTES + _ONSET_BYTES:
            onset = (directory / name).read_bytes()[npz.PREFIX_BYTES :]
            group.onsets.setdefault(str(source), int.from_bytes(onset, "little"))


def _target(directory: Path, group: Group) -> Path:
    """Return the directory that a killed call chose for a group, else a free one."""
    ids = {session.id for session in group.sessions}
    for further in further_directories(directory):
        if not further.exists():
            return further
        theirs = {one.id for one in read_records(further) if one.split_from == directory.name}
        if theirs & ids or not holds_messages(further):
            return further
    raise AssertionError  # the names have no end


def _move(directory: Path, target: Path, group: Group) -> None:
    target.mkdir(exist_ok=True)
    for session in group.sessions:
        write_record(target, replace(session, earlier=(), split_from=directory.name))
    sync_folder(target)
    for name in sorted(group.names, key=_by_repeat):
        with suppress(FileNotFoundError):
            os.rename(directory / name, target / _free_name(target, name))  # noqa: PTH104 one call a file
    for folder in (target, directory, target.parent):
        sync_folder(folder)
    for session in group.sessions:
        for name in record_names(directory, session.id):
            (directory / name).unlink(missing_ok=True)


def _by_repeat(name: str) -> tuple[int, str]:
    parsed = npz.parse_name(name)
    return (parsed[2] if parsed else 0, name)


def _free_name(target: Path, name: str) -> str:
    """Return a message file's name without the number that told it from one of another session."""
    parsed = npz.parse_name(name)
    if parsed is None or not parsed[2]:
        return name
    source, time, repeat = parsed
    names = (npz.file_name(source, time, number) for number in range(repeat))
    return next((free for free in names if not (target / free).exists()), name)
