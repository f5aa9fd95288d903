"""The journals of a log directory, found by one listing and known by their headers, each of which is read once."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..names import LOG_ARCHIVE_SUFFIX, is_file, source_of
from . import layout
from .layout import Header

_LARGE = ".axds-"  # files of large messages begin with it
_UNFINISHED = re.compile(
    r"\.\d{3}_\d{20}(_\d+)?\.npy\.tmp|\.journal-[0-9a-f]{16}-\d{4,}\.axj\.tmp"
    r"|\.axds-(logger\.json|session-[0-9a-f]{16})\.tmp",
    re.ASCII,
)


class Holdings:
    """What a log directory holds besides message files; stays right while the caller has the directory's lock.

    Attributes:
        directory: The log directory.
        large: Names that may be files of large messages.
        archives: Names of archives.
        unfinished: Names of what a logger that was killed had not renamed yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journals: dict[tuple[int, int], Path] = {}
        self._headers: dict[Path, Header | None] = {}
        self.large: frozenset[str]
        self.archives: frozenset[str]
        self.unfinished: frozenset[str]
        large, archives, unfinished = set(), set(), set()
        with os.scandir(directory) as found:  # among a million message files, a Path for each would take seconds
            for entry in found:
                if entry.name.endswith(layout.SUFFIX) and is_file(entry):
                    self._add(directory / entry.name)
                elif entry.name.startswith(".") and _UNFINISHED.fullmatch(entry.name):
                    unfinished.add(entry.name)
                elif entry.name.startswith(_LARGE):
                    large.add(entry.name)
                elif entry.name.endswith(LOG_ARCHIVE_SUFFIX) and source_of(entry.name) and is_file(entry):
                    archives.add(entry.name)
        self.large, self.archives, self.unfinished = frozenset(large), frozenset(archives), frozenset(unfinished)

    def journals(self, queue_id: int | None = None) -> list[Path]:
        """Return the journals of one queue or of all, by queue and number."""
        return [path for (owner, _), path in sorted(self._journals.items()) if queue_id in (None, owner)]

    def next_number(self, queue_id: int) -> int:
        """Return the number of the next journal of a queue."""
        return max((number + 1 for owner, number in self._journals if owner == queue_id), default=0)

    def header(self, path: Path) -> Header | None:
        """Return the header of a journal, None if no copy of it is whole."""
        if path not in self._headers:
            with path.open("rb") as file:
                self._headers[path] = layout.parse_header(file.read(layout.HEADER_BYTES))
        return self._headers[path]

    def add(self, path: Path, header: Header) -> None:
        """Note a journal that the caller made."""
        self._add(path)
        self._headers[path] = header

    def remove(self, paths: Iterable[Path]) -> None:
        """Note that journals are gone."""
        gone = set(paths)
        self._journals = {key: path for key, path in self._journals.items() if path not in gone}

    def _add(self, path: Path) -> None:
        parsed = layout.parse_name(path)
        if parsed is not None:
            self._journals[parsed] = path
