"""Items made of files that are there already: linked, not copied."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

from .ledger.commit import Change
from .ledger.fold import Op
from .payloads import CARRIED_BYTES, StagedFile, hash_file, staged_path

_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class LinkedFile(StagedFile):
    """A payload that is a further link to a file, which nobody changes any more."""

    def __init__(self, folder: Path, source: Path, *, is_synced: bool) -> None:
        self.path = staged_path(folder)
        try:
            os.link(source, self.path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(source, self.path)
        try:
            os.chmod(self.path, 0o444)  # noqa: PTH101
            self.size_bytes, self.hash = hash_file(self.path)
            if is_synced:
                self._sync()
        except BaseException:
            self.remove()
            raise

    def close(self) -> None:
        """Do nothing: no descriptor is held."""

    def _sync(self) -> None:
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def linked(folder: Path, source: Path, op: Op, extension: str, *, is_synced: bool, is_carried: bool = False) -> Change:
    """Return the change that makes a file an item; `op` has name, kind, about and view."""
    staged = LinkedFile(folder, source, is_synced=is_synced)
    change = Change({"op": "put", **op}, extension=extension, staged=staged)
    if is_carried and staged.size_bytes <= CARRIED_BYTES:
        change.carried = Path(staged.path).read_bytes()
    return change


def moved(op: Op, name: str, view: str) -> Change:
    """Return the change that gives a version another name; its payload stays where it is."""
    kept: dict[str, Any] = {key: value for key, value in op.items() if key not in ("op", "name", "view")}
    return Change({"op": "put", **kept, "name": name, "view": view})
