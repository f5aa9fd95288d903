"""What a log directory holds, in archives, journals and files alike."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ...errors import ArchiveError
from ...logs.archive.index import Contents as Archive
from ...logs.archive.notes import read_notes
from ...logs.archive.reader import LogArchiveReader
from ...logs.assembly.split import Group, find_groups
from ...logs.journal import layout
from ...logs.journal.messages import Account, MessageScan
from ...logs.journal.reader import open_journals
from ...logs.names import LOG_ARCHIVE_SUFFIX, is_file, source_of
from ...logs.owner_record import OWNER_RECORD, OwnerRecord
from ...logs.sessions import LogSession, merged, read_records
from ..advice import describe, require_directory
from ..terminal import print_error

_ONSET_BYTES = 8
_SUFFIXES = (LOG_ARCHIVE_SUFFIX, layout.SUFFIX, ".npy")
_MOST_NAMES = 5


@dataclass
class Contents:
    """The files of a log directory by what they are.

    `passed_over` are names that look like a log's and are not, `unread` says what else could not be read, and why.
    """

    directory: Path
    archives: dict[str, Path] = field(default_factory=dict)
    journals: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    has_record: bool = False

    @property
    def assembled(self) -> bool:
        """Whether everything is in archives."""
        return not (self.journals or self.files)

    @property
    def is_log(self) -> bool:
        """Whether anything of a log is here."""
        return bool(self.archives or self.journals or self.files or self.has_record)

    @property
    def state(self) -> str:
        """One of recording, interrupted, not assembled, assembled."""
        queues = OwnerRecord.read(self.directory).queues
        if any(queue.owner_lives or queue.logger_lives for queue in queues):
            return "recording"
        if queues:
            return "interrupted"
        return "assembled" if self.assembled else "not assembled"

    def groups(self) -> list[Group]:
        """Return the sessions by the onset that they count from; more than one is a mixed log."""
        return find_groups(self.directory)

    def sessions(self) -> list[LogSession]:
        """Return the sessions that are known by name, those of archives included."""
        found = read_records(self.directory)
        for path in self.archives.values():
            with suppress(ArchiveError, OSError):  # the check of the archive says so
                found += read_notes(path, Archive(path).bytes).sessions
        return merged(found)

    def dropped(self, account: Account | None = None) -> dict[int, int]:
        """Return source -> messages that full lanes refused, as archives, records and journals tell."""
        counts: dict[int, int] = {}
        journals = {f"{queue:016x}": drops for queue, drops in (account.dropped_by_queue if account else {}).items()}
        for session in self.sessions():
            for source, count in (journals.pop(session.id, None) or session.dropped).items():
                counts[source] = counts.get(source, 0) + count
        for drops in journals.values():
            for source, count in drops.items():
                counts[source] = counts.get(source, 0) + count
        return dict(sorted(counts.items()))

    def disk_bytes(self) -> int:
        """Return the size of it all."""
        return sum(path.stat().st_size for path in (*self.archives.values(), *self.journals, *self.files))


@dataclass
class Series:
    """One source's messages in order of time; the message that tells the onset is not among them."""

    source: str
    onset_us: int | None
    times_us: NDArray[np.uint64]
    sizes: NDArray[np.int64]


def look_into(directory: Path) -> Contents:
    """Return what a log directory holds; FileNotFoundError if it is none."""
    require_directory(directory)
    found = Contents(directory)
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            _take(found, entry)
    return found


def _take(found: Contents, entry: os.DirEntry[str]) -> None:
    """Put an entry of a log directory where it belongs."""
    name, path = entry.name, found.directory / entry.name
    if _is_folder(entry):
        found.folders.append(path)
    elif name == OWNER_RECORD:
        found.has_record = True
    elif not is_file(entry):
        return
    elif source := source_of(name):
        found.archives[source] = path
    elif layout.parse_name(path):
        found.journals.append(path)
    elif npz.parse_name(name):
        found.files.append(path)
    elif name.endswith(_SUFFIXES):
        found.passed_over.append(name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # in a folder that may be listed only
        return False


def find_logs(root: Path) -> Iterator[Contents]:
    """Yield the log directories at and below a folder; links are not followed, and closed folders told of."""
    require_directory(root)
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            found = look_into(folder)
        except OSError as error:  # lost+found, a folder of somebody else, one that was removed meanwhile
            tell_passed_over(error)
            continue
        pending += reversed(found.folders)
        if found.is_log:
            yield found


def tell_passed_over(what: Contents | OSError) -> None:
    """Say on stderr what was not looked at: files of others in a log directory and beside it, or what failed."""
    for line in [describe(what)] if isinstance(what, OSError) else passed_over(what):
        print_error(f"passed over: {line}")


def passed_over(contents: Contents) -> list[str]:
    """Return in lines what was not looked at."""
    names = contents.passed_over
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return [", ".join(names[:_MOST_NAMES]) + more] * bool(names) + contents.unread


def require_log(path: Path) -> Contents:
    """Return what a log directory holds, or one archive alone; ValueError if there is nothing of a log."""
    if path.is_file():
        source = source_of(path.name)
        if not source:
            raise ValueError(f"{path}: expected an archive called SOURCE_log.npz, or the directory of a log")
        return Contents(path.parent, {source: path})
    found = look_into(path)
    if not found.is_log:
        raise ValueError(
            f"{path}: expected archives, journals or message files of a log, got none; "
            f"`axds log ls {path}` looks below it"
        )
    return found


def load_series(contents: Contents) -> tuple[list[Series], Account]:
    """Return every source's messages by source, and what the journals say of drops and damage."""
    parts: dict[str, list[tuple[int | None, NDArray[np.uint64], NDArray[np.int64]]]] = {}
    for source, path in contents.archives.items():
        parts.setdefault(source, []).append(_from_archive(path))
    journalled, account = _from_journals(contents)
    for found in (journalled, _from_files(contents.files)):
        for source, part in found.items():
            parts.setdefault(source, []).append(part)
    return [_joined(source, parts[source]) for source in sorted(parts, key=_by_number)], account


def _from_archive(path: Path) -> tuple[int | None, NDArray[np.uint64], NDArray[np.int64]]:
    try:
        reader = LogArchiveReader(path)
        onset: int | None = int(reader.onset_timestamp_us)
    except ArchiveError:  # none in it; if it is damaged, the next line says so
        reader, onset = LogArchiveReader(path, 0), None
    return onset, reader.timestamps, reader.payload_sizes.astype(np.int64)


def _by_number(source: str) -> tuple[int, str]:
    return (int(source), source) if source.isdigit() else (256, source)


def _joined(source: str, parts: list[tuple[int | None, NDArray[np.uint64], NDArray[np.int64]]]) -> Series:
    onsets = [onset for onset, _, _ in parts if onset is not None]
    times = np.concatenate([times for _, times, _ in parts])
    sizes = np.concatenate([sizes for _, _, sizes in parts])
    order = np.argsort(times, kind="stable")
    return Series(source, min(onsets, default=None), times[order], sizes[order])


def _from_journals(contents: Contents) -> tuple[dict[str, Any], Account]:
    if not contents.journals:
        return {}, Account()
    journals = open_journals(contents.directory)
    scan = MessageScan(journals)
    batches = []
    onsets: dict[int, int] = {}
    for batch in scan.batches():
        batches.append(batch[["source", "time", "length"]].copy())
        for message in batch[(batch["time"] == 0) & (batch["length"] == _ONSET_BYTES)]:
            onsets.setdefault(int(message["source"]), int.from_bytes(scan.payload(message), "little"))
    rows = np.concatenate(batches) if batches else np.zeros(0, [("source", "u1"), ("time", "<u8"), ("length", "<u8")])
    for journal in journals:
        journal.close()
    return _split(rows, onsets), scan.account


def _from_files(paths: list[Path]) -> dict[str, Any]:
    rows = np.zeros(len(paths), [("source", "u1"), ("time", "<u8"), ("length", "<u8")])
    onsets: dict[int, int] = {}
    for at, path in enumerate(paths):
        source, time, _ = npz.parse_name(path.name) or (0, 0, 0)
        length = max(path.stat().st_size - npz.PREFIX_BYTES, 0)
        rows[at] = (source, time, length)
        if time == 0 and length == _ONSET_BYTES:
            onsets.setdefault(source, int.from_bytes(path.read_bytes()[npz.PREFIX_BYTES :], "little"))
    return _split(rows, onsets)


def _split(rows: NDArray[Any], onsets: dict[int, int]) -> dict[str, Any]:
    """Return (onset, times, sizes) by source, the onset's own message left out."""
    found = {}
    for source in np.unique(rows["source"]).tolist():
        own = rows[rows["source"] == source]
        onset = onsets.get(source)
        if onset is not None:
            first = np.flatnonzero((own["time"] == 0) & (own["length"] == _ONSET_BYTES))[0]
            own = np.delete(own, first)
        times = own["time"] + np.uint64(onset or 0)
        found[str(source)] = (onset, times, own["length"].astype(np.int64))
    return found
