"""Where the archives of a log directory are, and what a look at their directory tells."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..._core import zipdir
from .index import Contents

LOG_ARCHIVE_SUFFIX = "_log.npz"
"""What follows the source in the name of an archive."""

LOG_DIRECTORY_SUFFIX = "_data_log"
"""What follows the logger's name in the name of its directory."""


def find_log_archive(log_directory: Path, source_id: str) -> Path:
    """Return the one archive of a source in a directory tree; FileNotFoundError for none, ValueError for several."""
    return find_log_archives(log_directory, [source_id])[source_id]


def find_log_archives(log_directory: Path, source_ids: Iterable[str]) -> dict[str, Path]:
    """Return the archive of each source in a directory tree; FileNotFoundError or ValueError unless each has one."""
    wanted = dict.fromkeys(source_ids)
    found: dict[str, list[Path]] = {source_id: [] for source_id in wanted}
    if not Path(log_directory).is_dir():
        raise FileNotFoundError(f"expected a log directory at {log_directory}, found none")
    for folder, _, names in os.walk(log_directory):
        here = set(names)
        for source_id in wanted:
            if f"{source_id}{LOG_ARCHIVE_SUFFIX}" in here:
                found[source_id].append(Path(folder) / f"{source_id}{LOG_ARCHIVE_SUFFIX}")
    for source_id, paths in found.items():
        if not paths:
            raise FileNotFoundError(f"expected an archive of source {source_id!r} in {log_directory}, found none")
        if len(paths) > 1:
            names_found = ", ".join(str(path) for path in sorted(paths))
            raise ValueError(f"expected one archive of source {source_id!r}, found {len(paths)}: {names_found}")
    return {source_id: paths[0] for source_id, paths in found.items()}


def _is_archive(name: str) -> bool:
    return name.endswith(LOG_ARCHIVE_SUFFIX) and not name.startswith("._")  # what macOS leaves on foreign disks


def discover_log_archives(log_directory: Path) -> dict[str, Path]:
    """Return the archives that lie in one directory, without its subfolders, by source, in the order of their paths."""
    paths = sorted(path for path in Path(log_directory).iterdir() if _is_archive(path.name))
    sources = ((path.name.removesuffix(LOG_ARCHIVE_SUFFIX), path) for path in paths if path.is_file())
    return {source_id: path for source_id, path in sources if source_id}


def read_archive_message_count(archive_path: Path) -> int:
    """Return how many messages an archive holds besides its onset; reads its directory only."""
    if not Path(archive_path).is_file():
        raise FileNotFoundError(f"expected a log archive at {archive_path}, found none")
    contents = Contents(Path(archive_path))
    return int(np.count_nonzero(contents.rows["kind"] & zipdir.ZERO == 0))
