"""The plain files that people see: today's payloads under their own names."""

import enum
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from .._core.bulk import exchange
from ..errors import DamagedError, StoreError
from ..system.disk import clone_file
from .grown import copy_version, is_version
from .ledger.fold import Entry, Fold, size_of
from .names import FOLDER, STAGING, contained, leads_elsewhere
from .payloads import hash_file, payload_path, staged_path, write_all

COPIED_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20
_MODE = 0o444
# What a file system says that has no links, or no more of them for this file.
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class State(enum.Enum):
    """What stands at a plain name, seen from a version of an item."""

    ABSENT = enum.auto()
    OURS = enum.auto()  # its payload, by inode, or by length and hash
    FOREIGN = enum.auto()


class Views:
    """The plain files of a store."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / FOLDER / STAGING

    def path(self, entry: Entry) -> Path | None:
        """Return the plain file of a version; None for a reference."""
        view = (entry.op or {}).get("view")
        return None if view is None else self._root / contained(view, "view")

    def state(self, entry: Entry, fold: Fold) -> State:
        """Tell what stands at the plain name of a version."""
        path = self.path(entry)
        if path is None:
            return State.ABSENT
        if leads_elsewhere(str(self._root), (entry.op or {})["view"]):
            return State.FOREIGN
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return State.ABSENT
        if not stat.S_ISREG(found.st_mode):
            return State.FOREIGN
        op = entry.op or {}
        payload = payload_path(self._root, op.get("file"))
        with suppress(FileNotFoundError):
            kept = os.lstat(payload)
            if (kept.st_dev, kept.st_ino) == (found.st_dev, found.st_ino):
                is_newest = fold.grown.get(op["file"], size_of(op)) == size_of(op)
                return State.OURS if is_newest else State.FOREIGN
        # A power cut may leave an empty file: it holds nothing of anybody's.
        if not found.st_size:
            return State.OURS if not size_of(op) else State.ABSENT
        if op["file"] in fold.grown:
            return State.OURS if is_version(path, entry) else State.FOREIGN
        if found.st_size == size_of(op) and hash_file(path)[1] == op.get("hash"):
            return State.OURS
        return State.FOREIGN

    def is_link(self, entry: Entry) -> bool:
        """Tell whether the plain file of a version is a link to its payload."""
        path = self.path(entry)
        try:
            return path is not None and os.path.samestat(
                os.lstat(path), os.lstat(payload_path(self._root, (entry.op or {})["file"]))
            )
        except (FileNotFoundError, NotADirectoryError):
            return False

    def check_place(self, view: str) -> None:
        """Make the folder of a plain name.

        Raises:
            StoreError: A link leads out of the store, a file is in the way, or another store lies there.
        """
        head, _, _ = view.rpartition("/")
        if not head:
            return
        folder = f"{self._root}/{head}"
        if leads_elsewhere(str(self._root), view):
            raise StoreError(f"expected folders for {view}, got a link that leads elsewhere")
        try:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 hot path
        except (FileExistsError, NotADirectoryError):
            raise StoreError(f"expected a folder at {head}, got a file: {view} can't lie there") from None
        parts = head.split("/")
        for i in range(len(parts)):
            if os.path.lexists(f"{self._root}/{'/'.join(parts[: i + 1])}/{FOLDER}"):
                raise StoreError(f"expected a folder of this store at {head}, got another store")

    def bring_payload_back(self, entry: Entry, fold: Fold) -> bool:
        """Make a missing payload, as a clone by git has it, from the plain file; tells whether it is there then."""
        payload = payload_path(self._root, (entry.op or {}).get("file"))
        if payload.exists():
            return True
        plain = self.path(entry)
        if plain is None or self.state(entry, fold) is not State.OURS:
            return False
        payload.parent.mkdir(parents=True, exist_ok=True)
        aside = self.stage(entry, plain, is_growing=True)
        os.chmod(aside, _MODE)  # noqa: PTH101
        os.rename(aside, payload)  # noqa: PTH104
        return True

    def stage(self, entry: Entry, payload: Path, *, is_growing: bool = False) -> str:
        """Make the plain file of a payload under a name that means nothing: a clone, a small copy, or a link."""
        aside = staged_path(self._staging)
        size = size_of(entry.op)
        if not is_growing:
            if size <= COPIED_BYTES:
                _copy(payload, aside, size)
                return aside
            if _clone(payload, aside):
                return aside
        try:
            os.link(payload, aside)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            copy_version(payload, entry, aside) if is_growing else _copy(payload, aside, size)
        return aside

    def publish(self, aside: str, view: str, *, is_new: bool) -> None:
        """Give a staged file its plain name."""
        path = f"{self._root}/{view}"
        if not is_new:
            _replace(aside, path)
            return
        try:
            os.link(aside, path)
        except FileExistsError:
            if os.lstat(path).st_size:
                raise
            os.rename(aside, path)  # noqa: PTH104 what a power cut left
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(aside, path)  # noqa: PTH104
            return
        os.unlink(aside)  # noqa: PTH108

    def remove(self, entry: Entry, fold: Fold) -> None:
        """Remove the plain file of a version, if it is that."""
        path = self.path(entry)
        if path is not None and self.state(entry, fold) is State.OURS:
            path.unlink(missing_ok=True)

    def settle(self, fold: Fold, before: Entry | None, now: Entry | None) -> None:
        """Bring the plain files from one meaning of a name to the next; what is somebody else's stays."""
        old = self.path(before) if before else None
        new = self.path(now) if now else None
        if before and old is not None and old != new:
            self.remove(before, fold)
        if now is None or new is None or self.state(now, fold) is State.OURS:
            return
        is_new = self.state(now, fold) is State.ABSENT
        if not is_new and not (before and old == new and self.state(before, fold) is State.OURS):
            return
        view = (now.op or {})["view"]
        self.check_place(view)
        self.publish(self.stage_stored(now, fold), view, is_new=is_new)

    def stage_stored(self, entry: Entry, fold: Fold, *, is_growing: bool = False) -> str:
        """Make the plain file of a version that is stored already."""
        op = entry.op or {}
        payload = payload_path(self._root, op["file"])
        if is_growing or fold.grown.get(op["file"]) == size_of(op):
            return self.stage(entry, payload, is_growing=True)
        if op["file"] in fold.grown:
            aside = staged_path(self._staging)
            copy_version(payload, entry, aside)
            return aside
        return self.stage(entry, payload)


def _replace(aside: str, path: str) -> None:
    if os.lstat(aside).st_size <= COPIED_BYTES or not exchange(aside, path):
        os.rename(aside, path)  # noqa: PTH104 hot path
    with suppress(FileNotFoundError):  # left by an exchange, or by a rename of two links to one file
        os.unlink(aside)  # noqa: PTH108


def _copy(source: Path | str, target: str, size: int) -> None:
    """Copy the first bytes of a file."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            left = size
            while left:
                piece = os.read(reader, min(left, _PIECE_BYTES))
                if not piece:
                    raise DamagedError(f"expected {size} bytes in {source}, got {size - left}", (str(source),))
                write_all(writer, piece)
                left -= len(piece)
            os.fchmod(writer, _MODE)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _clone(source: Path | str, target: str) -> bool:
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if clone_file(reader, writer):
                os.fchmod(writer, _MODE)
                return True
        finally:
            os.close(writer)
        os.unlink(target)  # noqa: PTH108
        return False
    finally:
        os.close(reader)
