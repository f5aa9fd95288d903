"""Copy a folder to where fsspec leads: object stores and other file systems behind a URL."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from ..system.progress import Meter
from .copying import Copied
from .digest import PIECE_BYTES, room


def is_remote(destination: Path | str) -> bool:
    """Return whether a destination is a URL and not a path."""
    return isinstance(destination, str) and "://" in destination


class Remote:
    """A folder behind a URL: an object store has neither folders nor renames, so a marker object says `partial`."""

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        try:
            core = import_module("fsspec.core")  # an extra
        except ImportError as error:
            raise ImportError(f"expected fsspec for {url}: pip install 'ataraxis-data-structures[remote]'") from error
        self._files, root = core.url_to_fs(url, **(options or {}))
        self._root = root.rstrip("/")
        self.url = url
        self.marker = ".axds.partial"  # another one where the source has a file or folder of that name

    def sizes(self) -> dict[str, int]:
        """Return the size of each file by its path, without the marker."""
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True)
        sizes = {name[len(self._root) + 1 :]: int(about["size"]) for name, about in found.items()}
        sizes.pop(self.marker, None)
        return sizes

    def mark(self) -> None:
        """Say that what lies here is partial."""
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(self._place(self.marker), b"a transfer to this folder has not ended\n")

    def publish(self) -> None:
        """Say that what lies here is whole."""
        self._files.rm_file(self._place(self.marker))

    def remove(self, names: Sequence[str]) -> None:
        """Remove files."""
        for name in names:
            self._files.rm_file(self._place(name))

    def put(self, root: int, name: str, meter: Meter) -> Copied:
        """Upload one file, hashed on its way."""
        state = xxh3_128(os.fsencode(name))
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        place = self._place(name)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        try:
            before = os.fstat(fd)
            with self._files.open(place, "wb") as target:
                while got := os.readv(fd, [room()]):
                    piece = bytes(room()[:got])
                    state.update(piece)
                    target.write(piece)
                    meter.add(got)
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise RuntimeError(f"{name} changed while it was copied")
        return Copied(state.digest(), after.st_ino, after.st_mtime_ns, after.st_ctime_ns)

    def digest(self, name: str, meter: Meter) -> bytes:
        """Return H(name + contents) of what the other end gives back."""
        state = xxh3_128(os.fsencode(name))
        with self._files.open(self._place(name), "rb") as file:
            while piece := file.read(PIECE_BYTES):
                state.update(piece)
                meter.add(len(piece))
        return state.digest()

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"
