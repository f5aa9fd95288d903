"""Files behind a URL, through fsspec (extra `remote`)."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_PIECE_BYTES = 4 << 20


def shown(url: str) -> str:
    """Return a URL as it may be printed: without credentials and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Place:
    """A folder behind a URL, or a folder of this machine.

    Args:
        url: What fsspec takes, as `s3://bucket/store`, or a path.
        options: Of its file system, as keys and endpoints.

    Raises:
        ImportError: fsspec, or what it needs for this URL, is not installed.
    """

    def __init__(self, url: str | Path, options: Mapping[str, Any] | None = None) -> None:
        try:
            core = import_module("fsspec.core")  # an extra
        except ImportError as error:
            raise ImportError("expected fsspec for a URL: pip install 'ataraxis-data-structures[remote]'") from error
        self.url = shown(str(url))
        text = str(url) if "://" in str(url) else str(Path(url).absolute())
        self._files, root = core.url_to_fs(text, **(options or {}))
        self._root = root.rstrip("/")

    def path(self, name: str) -> str:
        """Return how the file system calls a file."""
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes | None:
        """Return a whole file; None if there is none."""
        try:
            return bytes(self._files.cat_file(self.path(name)))
        except FileNotFoundError:
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each file below a folder, by its path from there."""
        self._files.invalidate_cache()
        top = self.path(folder)
        found = self._files.find(top, detail=True) if self._files.exists(top) else {}
        return {name[len(top) + 1 :]: int(about["size"]) for name, about in found.items()}

    def create(self, name: str, data: bytes) -> None:
        """Write a file that must not exist yet; of two callers one succeeds.

        Raises:
            FileExistsError: It does.
        """
        self._make_folder(name)
        try:
            self._files.pipe_file(self.path(name), data, mode="create")
        except FileExistsError:
            raise
        except OSError as error:
            # An object store says that a precondition failed, in words of its own.
            if self._files.exists(self.path(name)):
                raise FileExistsError(f"{self.url}/{name}") from error
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or write it anew."""
        self._make_folder(name)
        self._files.pipe_file(self.path(name), data)

    def put(self, source: Path, size_bytes: int, name: str) -> None:
        """Upload the first bytes of a file."""
        self._make_folder(name)
        if source.stat().st_size == size_bytes:
            self._files.put_file(str(source), self.path(name))
            return
        with source.open("rb") as file, self._files.open(self.path(name), "wb") as target:  # it has grown meanwhile
            left = size_bytes
            while left:
                piece = file.read(min(left, _PIECE_BYTES))
                target.write(piece)
                left -= len(piece)

    def get(self, name: str, target: Path) -> None:
        """Download a file."""
        with self._files.open(self.path(name), "rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())

    def open(self, name: str, block_bytes: int = 1 << 16) -> Any:
        """Open a file for reading by ranges."""
        return self._files.open(self.path(name), "rb", block_size=block_bytes, cache_type="readahead")

    def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Return some bytes of a file, which alone are sent."""
        return bytes(self._files.cat_file(self.path(name), start=start, end=stop))

    def _make_folder(self, name: str) -> None:
        with suppress(FileExistsError):
            self._files.makedirs(self.path(name).rpartition("/")[0], exist_ok=True)
