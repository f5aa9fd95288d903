"""New archives from those that exist, which stay as they are: some messages of one, or all messages of several."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ...errors import ArchiveError
from ...system.atomic import replace_file
from ..archive.index import Contents
from ..archive.notes import Notes, pack_notes, read_notes, sidecar_of
from ..archive.reader import LogArchiveReader
from .merge import archive_part
from .plan import MEMBER, Part, Plan, make_plan
from .writer import write_archive

_ONSET_BYTES = 8


def filter_archive(archive: Path, folder: Path, first_us: int, end_us: int) -> int:
    """Write the messages of one time range into an archive of the same name in another folder.

    Args:
        archive: The archive to read.
        folder: Where to write to; made if it is missing.
        first_us: The first time (UTC, microseconds).
        end_us: The time behind the last one.

    Returns:
        How many messages are in the new archive, besides its onset.

    Raises:
        FileExistsError: The folder has an archive of this name.
        ArchiveError: The archive is damaged; nothing is written then.
    """
    reader = _intact(archive)
    contents = Contents(archive)
    times = reader.timestamps
    chosen = np.zeros(len(contents), np.bool_)
    start = len(contents) - len(times)
    chosen[start:] = (times >= np.uint64(first_us)) & (times < np.uint64(end_us))
    kept = int(np.count_nonzero(chosen))
    if start:
        chosen[start - 1] = True  # the onset
    part = archive_part(contents)
    places = {int(old): new for new, old in enumerate(np.flatnonzero(chosen))}
    names = {places[index]: name for index, name in part.names.items() if index in places}
    rows = part.rows[chosen]
    rows["kept"] = contents.rows["kind"][chosen] & npz.KEPT != 0
    code = int(rows["source"][0]) if len(rows) else 0
    plan = make_plan(code, [Part(rows, part.read, part.origin, names)], [contents.bytes])
    plan.comment, plan.sidecar = pack_notes(code, read_notes(archive, contents.bytes), ())
    _write(plan, Path(folder), archive.name)
    return kept


def merge_into(archives: Iterable[Path], folder: Path) -> int:
    """Write the messages of several archives of one source into one, in the order of their times.

    Args:
        archives: The archives to read; equal times keep their order.
        folder: Where to write to; made if it is missing. The archive is called as the first one is.

    Returns:
        How many messages are in the new archive, besides its onset, which is the earliest one.

    Raises:
        FileExistsError: The folder has an archive of this name.
        ArchiveError: An archive is damaged, or they describe their source as different types; nothing is written then.
    """
    paths = [Path(archive) for archive in archives]
    readers = [_intact(path) for path in paths]
    _require_one_type(readers)
    onset_us = min(int(reader.onset_timestamp_us) for reader in readers)
    volumes: list[Any] = [np.frombuffer(onset_us.to_bytes(_ONSET_BYTES, "little"), np.uint8)]
    contents = [Contents(path) for path in paths]
    code = int(contents[0].rows["source"][0]) if len(contents[0]) else 0
    onset = np.zeros(1, MEMBER)
    onset["size"], onset["source"], onset["origin"] = npz.PREFIX_BYTES + _ONSET_BYTES, code, npz.FROM_JOURNAL
    parts = [Part(onset, _unread, _unnamed)]
    for reader, one in zip(readers, contents, strict=True):
        volumes.append(one.bytes)
        parts.append(Part(_moved(reader, one, code, onset_us, len(volumes) - 1), _unread, _unnamed))
    plan = make_plan(code, parts, volumes)
    sessions = [session for reader in readers for session in reader.sessions]
    plan.comment, plan.sidecar = pack_notes(code, Notes(), sessions)
    _write(plan, Path(folder), paths[0].name)
    return len(plan.rows) - 1


def _moved(reader: LogArchiveReader, contents: Contents, code: int, onset_us: int, volume: int) -> NDArray[Any]:
    """Return the messages of an archive as members that count from another onset."""
    times = reader.timestamps
    spans = contents.spans(np.arange(len(contents) - len(times), len(contents)))
    rows = np.zeros(len(times), MEMBER)
    rows["time"], rows["place"] = times - np.uint64(onset_us), spans["start"]
    rows["size"] = spans["length"].astype(np.uint64) + np.uint64(npz.PREFIX_BYTES)
    rows["source"], rows["volume"], rows["origin"] = code, volume, npz.FROM_JOURNAL
    return rows


def _unread(row: np.void) -> Any:
    raise ArchiveError(f"expected a message that can be copied in place, got one of {row['size']} bytes")


def _unnamed(row: np.void) -> str:
    return f"message of source {row['source']} at {row['time']}"


def _intact(path: Path) -> LogArchiveReader:
    reader = LogArchiveReader(path)
    faults = reader.verify()
    if faults:
        raise ArchiveError(
            f"{path}: expected an archive without damage, got {len(faults)} damaged entries; `axds log verify` tells"
        )
    return reader


def _require_one_type(readers: list[LogArchiveReader]) -> None:
    types = {(str(source.dtype), source.shape) for reader in readers if (source := reader.source) is not None}
    if len(types) > 1:
        told = " and ".join(f"{kind} of {shape}" for kind, shape in sorted(types))
        raise ArchiveError(f"{readers[0].archive_path.name}: expected archives of one type, got {told}")


def _write(plan: Plan, folder: Path, name: str) -> None:
    """Write an archive under a name that is free, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    target, temporary = folder / name, f".{name}.{os.getpid()}.tmp"
    if target.exists():
        raise FileExistsError(f"expected no archive at {target}, found one: choose another directory")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_archive(plan, descriptor, temporary, lambda _: None)
        if plan.sidecar:
            replace_file(sidecar_of(target), plan.sidecar)
        os.link(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)  # unlike a rename, never over another
        os.fsync(descriptor)
    finally:
        (folder / temporary).unlink(missing_ok=True)
        os.close(descriptor)
