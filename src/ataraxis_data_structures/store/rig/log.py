"""Logs in a store: a DataLogger whose sources become items when it ends, and those of killed sessions later.

The archives stay where the logger left them, `logs/NAME_data_log/SOURCE_log.npz`. Their payloads are further links to
them, so no byte is copied.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import QueueBusyError
from ...logs.archive.discovery import discover_log_archives
from ...logs.assembly.assemble import assemble_log_archives
from ...logs.logger.logger import DataLogger
from ...logs.names import LOG_DIRECTORY_SUFFIX, source_of
from ..kinds.log import about_of
from ..names import FOLDER, PAYLOADS, checked
from ..payloads import hash_file

if TYPE_CHECKING:
    from ..store import Store

LOGS = "logs"


class StoredLogger(DataLogger):
    """A DataLogger of a store; `items` names what `stop` made of its sources."""

    def __init__(self, store: "Store", name: str, **options: Any) -> None:
        path = store.path / LOGS / checked(name)
        super().__init__(path.parent, path.name, **{"session": "new", **options})
        self._store = store
        self.items: list[str] = []

    def stop(self) -> None:
        """Return when everything that was put is in archives that are items of the store.

        Raises:
            OSError: Something accepted is not on the disk; what is becomes items with the next `Store.log`.
        """
        was_started = self._session.started
        super().stop()
        if was_started:
            assemble_log_archives(self.output_directory)
            self.items = _take_archives(self._store, self.output_directory)


def adopt_logs(store: "Store") -> list[str]:
    """Complete the logs that killed sessions left and make their sources items; returns the names of new versions.

    A log whose session lives is left alone.
    """
    found: list[str] = []
    busy = set()
    for directory in _directories(store.path):
        if all(source_of(name) for name in os.listdir(directory)):  # noqa: PTH208 names are enough
            continue
        try:
            assemble_log_archives(directory)
        except QueueBusyError:
            busy.add(directory)
    for directory in _directories(store.path):  # a session beside another one's got a directory of its own
        if directory not in busy:
            found += _take_archives(store, directory)
    return found


def _directories(root: Path) -> Iterator[Path]:
    ending = f"*{LOG_DIRECTORY_SUFFIX}"
    found = [*root.glob(ending), *(root / LOGS).rglob(ending)]
    yield from sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _take_archives(store: "Store", directory: Path) -> list[str]:
    """Make the archives of a log items, in one transaction, unless they are."""
    place = directory.relative_to(store.path)
    stem = place.as_posix().removeprefix(f"{LOGS}/").removesuffix(LOG_DIRECTORY_SUFFIX)
    wanted = {
        f"{stem}/{source}": path
        for source, path in discover_log_archives(directory).items()
        if not _is_taken(store, f"{stem}/{source}", path)
    }
    if wanted:
        with store.batch():
            for name, path in wanted.items():
                view = path.relative_to(store.path).as_posix()
                store.link(name, path, kind="log", about=about_of(path), view=view)
    return list(wanted)


def _is_taken(store: "Store", name: str, path: Path) -> bool:
    if name not in store:
        return False
    item = store.info(name)
    if item.file is None or item.path != path:
        return False
    payload = store.path / FOLDER / PAYLOADS / item.file
    if payload.exists() and os.path.samestat(payload.stat(), path.stat()):
        return True
    return hash_file(path) == (item.size_bytes, item.hash)
