"""The names of segments and of the files of large messages, as one look at their folders found them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from ..system import platform


class Names(NamedTuple):
    """Both folders at one moment, for work on many lanes that looks once."""

    memory: frozenset[str]
    """Names in the folder of shared memory, whatever they are of."""
    directory: frozenset[str] = frozenset()
    """Names in the log directory; those of files of large messages are among them."""

    @classmethod
    def look(cls, directory: Path | None = None) -> Self:
        """List the folder of shared memory, and a log directory if there is one."""
        return cls(frozenset(os.listdir(platform.FOLDER)), names_in(directory))  # noqa: PTH208 names, not paths

    def with_memory(self, names: Iterable[str]) -> Self:
        """Return the same with more names in shared memory."""
        return self._replace(memory=self.memory.union(names))


def names_in(folder: Path | None) -> frozenset[str]:
    """Return the names in a folder; none in one that is gone."""
    try:
        return frozenset(() if folder is None else os.listdir(folder))  # noqa: PTH208 see above
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
