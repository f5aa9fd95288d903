"""Where the archives of a log directory are, and what a look at their directory tells."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..._core import npz
from ..names import LOG_ARCHIVE_SUFFIX, is_file, source_of
from .index import Contents


def find_log_archive(log_directory: Path, source_id: str) -> Path:
    """Return the one archive of a source in a directory tree; FileNotFoundError for none, ValueError for several."""
    return find_log_archives(log_directory, [source_id])[source_id]


def find_log_archives(log_directory: Path, source_ids: Iterable[str]) -> dict[str, Path]:
    """Return the archive of each source in a directory tree; FileNotFoundError or ValueError unless each has one.

    Folders that may not be read are passed over; the error for an archive that was not found names them.
    """
    wanted = dict.fromkeys(source_ids)
    found: dict[str, list[Path]] = {source_id: [] for source_id in wanted}
    if not Path(log_directory).is_dir():
        raise FileNotFoundError(f"expected a log directory at {log_directory}, found none")
    closed: list[OSError] = []
    for folder, _, names in os.walk(log_directory, onerror=closed.append):
        here = set(names)
        for source_id in wanted:
            if f"{source_id}{LOG_ARCHIVE_SUFFIX}" in here:
                found[source_id].append(Path(folder) / f"{source_id}{LOG_ARCHIVE_SUFFIX}")
    for source_id, paths in found.items():
        if not paths:
            passed = f"; could not read {', '.join(str(error.filename) for error in closed)}" if closed else ""
            raise FileNotFoundError(
                f"expected an archive of source {source_id!r} in {log_directory}, found none{passed}"
            )
        if len(paths) > 1:
            names_found = ", ".join(str(path) for path in sorted(paths))
            raise ValueError(f"expected one archive of source {source_id!r}, found {len(paths)}: {names_found}")
    return {source_id: paths[0] for source_id, paths in found.items()}


def discover_log_archives(log_directory: Path) -> dict[str, Path]:
    """Return the archives that lie in one directory, without its subfolders, by source, in the order of their paths.

    The `._1_log.npz` that macOS leaves beside `1_log.npz` is none.
    """
    with os.scandir(log_directory) as entries:
        names = sorted(entry.name for entry in entries if source_of(entry.name) and is_file(entry))
    return {source_of(name) or "": Path(log_directory) / name for name in names}


def read_archive_message_count(archive_path: Path) -> int:
    """Return how many messages an archive holds besides its onset; reads its directory only."""
    if not Path(archive_path).is_file():
        raise FileNotFoundError(f"expected a log archive at {archive_path}, found none")
    contents = Contents(Path(archive_path))
    return int(np.count_nonzero(contents.rows["kind"] & npz.ZERO == 0))
