"""What an archive that exists already contributes to the one that takes its place."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ...errors import ArchiveError
from ...system.pages import WINDOW_BYTES, forget_pages
from ..archive.index import Contents
from .plan import MEMBER, Part

_ONSET_BYTES = 8


def archive_part(contents: Contents) -> Part:
    """Return the entries of an archive as members, with `contents.bytes` as their volume 0."""
    entries = contents.rows
    rows = np.zeros(len(entries), MEMBER)
    for name in ("time", "size", "crc", "repeat", "source"):
        rows[name] = entries[name]
    for start, starts in _starts(contents):
        rows["place"][start : start + len(starts)] = starts
    ours = entries["kind"] & npz.OURS != 0
    plain = ours & (entries["method"] == npz.STORED)
    rows["origin"] = np.where(plain, npz.FROM_ARCHIVE, npz.FROM_ELSEWHERE)
    rows["place"][~plain] = np.flatnonzero(~plain)
    rows["time"][~ours] = contents.times[~ours]
    names = {index: f"{contents.directory.key(index)}.npy" for index in np.flatnonzero(~ours).tolist()}

    def index_of(row: np.void) -> int:
        if row["origin"] == npz.FROM_ELSEWHERE:
            return int(row["place"])
        return contents.indices([npz.file_name(int(row["source"]), int(row["time"]), int(row["repeat"]))]).item()

    def read(row: np.void) -> Any:
        return contents.file(index_of(row))

    return Part(rows, read, lambda row: f"{contents.path}: {contents.directory.key(index_of(row))}", names)


def find_known(contents: Contents, parts: list[Part]) -> list[NDArray[np.bool_]]:
    """Tell which members are in the archive already, because it was written without removing its sources.

    An entry stands for one source of its time and bytes, so equal messages of another session are not lost.
    """
    known = [np.zeros(len(part.rows), np.bool_) for part in parts]
    kept = np.flatnonzero(contents.rows["kind"] & npz.KEPT)
    waiting: dict[int, list[int]] = {}
    for index, time in zip(kept.tolist(), contents.times[kept].tolist(), strict=True):
        waiting.setdefault(time, []).append(index)
    for part, mask in zip(parts, known, strict=True):
        for number in np.flatnonzero(np.isin(part.rows["time"], contents.times[kept])).tolist():
            candidates = waiting[int(part.rows[number]["time"])]
            data = bytes(part.read(part.rows[number])) if candidates else b""
            match = next((index for index in candidates if bytes(contents.file(index)) == data), None)
            if match is not None:
                candidates.remove(match)
                mask[number] = True
    return known


def refuse_two_sessions(source: int, old: Part | None, new: Iterable[Part]) -> None:
    """Raise ArchiveError if an archive would count messages from the onset of another session than their own."""
    before = _onsets(old) if old is not None else set()
    after = {onset for part in new for onset in _onsets(part)}
    if len(before | after) > 1:
        onsets = ", ".join(str(onset) for onset in sorted(before | after))
        raise ArchiveError(
            f"source {source} has the onsets of several sessions ({onsets}), which one archive can't tell apart: "
            "move the archive, or the files of one session, to a directory of their own"
        )
    if after and old is not None and len(old.rows) and not before:
        raise ArchiveError(
            f"the archive of source {source} holds messages without an onset, which would count from that of the new "
            "session: move it to a directory of its own"
        )


def _starts(contents: Contents) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Yield where stored bytes start, some entries at a time: a look at each header maps nearly the whole file."""
    step = max(1, len(contents) * WINDOW_BYTES // len(contents.bytes))
    forget_pages([contents.bytes])  # the directory, read as a whole
    for start in range(0, len(contents), step):
        try:
            room = contents.directory.starts(start, start + step)
        except ValueError as fault:
            raise contents.error(str(fault)) from None
        yield start, np.frombuffer(room, np.uint64)
        forget_pages([contents.bytes])


def _onsets(part: Part) -> set[int]:
    found = set()
    for index in np.flatnonzero(part.rows["time"] == 0).tolist():
        data = part.read(part.rows[index])
        start, count = npz.array_items(data) or (0, 0)
        if count == npz.STAMP_BYTES + _ONSET_BYTES:
            found.add(int.from_bytes(bytes(data[start + npz.STAMP_BYTES : start + count]), "little"))
    return found
