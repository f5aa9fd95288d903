"""What a log directory holds, in archives, journals and files alike."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npy
from ...errors import ArchiveError
from ...logs.archive.index import Contents as Archive
from ...logs.archive.notes import read_notes
from ...logs.archive.reader import LogArchiveReader
from ...logs.assembly.split import Group, find_groups
from ...logs.journal import layout
from ...logs.journal.messages import Account, MessageScan
from ...logs.journal.reader import open_journals
from ...logs.log_directory import POINTER, read_pointer
from ...logs.sessions import LogSession, merged, read_records
from ...system.process import is_alive
from ..advice import require_directory

ARCHIVE = re.compile(r"(?!\._)(.+)_log\.npz")  # not the shadows that macOS leaves on foreign disks
_ONSET_BYTES = 8


@dataclass
class Contents:
    """The files of a log directory by what they are."""

    directory: Path
    archives: dict[str, Path]
    journals: list[Path]
    files: list[Path]

    @property
    def assembled(self) -> bool:
        """Whether everything is in archives."""
        return not (self.journals or self.files)

    @property
    def is_log(self) -> bool:
        """Whether anything of a log is here."""
        return bool(self.archives or self.journals or self.files or (self.directory / POINTER).exists())

    @property
    def state(self) -> str:
        """One of recording, interrupted, not assembled, assembled."""
        note = read_pointer(self.directory)
        if note and any(is_alive(note.get(who, 0)) for who in ("logger", "owner")):
            return "recording"
        if note:
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
    found = Contents(directory, {}, [], [])
    for path in sorted(directory.iterdir()):
        if named := ARCHIVE.fullmatch(path.name):
            found.archives[named[1]] = path
        elif layout.parse_name(path):
            found.journals.append(path)
        elif npy.parse_name(path.name):
            found.files.append(path)
    return found


def find_logs(root: Path) -> Iterator[Contents]:
    """Yield the log directories at and below a folder; links are not followed."""
    require_directory(root)
    for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]:
        found = look_into(folder)
        if found.is_log:
            yield found


def require_log(path: Path) -> Contents:
    """Return what a log directory holds, or one archive alone; ValueError if there is nothing of a log."""
    if path.is_file():
        named = ARCHIVE.fullmatch(path.name)
        if not named:
            raise ValueError(f"{path}: expected an archive called SOURCE_log.npz, or the directory of a log")
        return Contents(path.parent, {named[1]: path}, [], [])
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
    count = reader.message_count
    contents = Archive(path)
    times, sizes = np.empty(count, np.uint64), np.empty(count, np.int64)
    done = 0
    for found, payloads in contents.messages(np.arange(len(contents) - count, len(contents)), check=False):
        times[done : done + len(found)] = found
        sizes[done : done + len(found)] = [payload.size for payload in payloads]
        done += len(found)
    return onset, times + np.uint64(onset or 0), sizes


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
        source, time, _ = npy.parse_name(path.name) or (0, 0, 0)
        length = max(path.stat().st_size - npy.PREFIX_BYTES, 0)
        rows[at] = (source, time, length)
        if time == 0 and length == _ONSET_BYTES:
            onsets.setdefault(source, int.from_bytes(path.read_bytes()[npy.PREFIX_BYTES :], "little"))
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
