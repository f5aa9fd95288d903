"""Marks of pickles: who reads a pickle runs its writer's code, so a store reads those alone that this user wrote.

A mark is made with a key that is in no store, from the store and the payload's hash; moved to another payload or
store it is none.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ...errors import StoreError

_KEY_BYTES = 32


def key_path() -> Path:
    """Return where this user's key lies."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home, "axds", "key")


def own_key() -> bytes:
    """Return this user's key, which is made at its first use; the first of several makers wins."""
    path = key_path()
    with suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".key.{secrets.token_hex(8)}")
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:  # noqa: PTH123 a descriptor
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StoreError(f"expected a key of {_KEY_BYTES} bytes in {path}, got {len(key)}")
    return key


def mark_of(uuid: str, digest: str, key: bytes) -> str:
    """Return the mark of a payload in a store, by their uuid and hash."""
    return hmac.new(key, f"axds-pickle-1\n{uuid}\n{digest}".encode(), hashlib.sha256).hexdigest()


def is_own(mark: object, uuid: str, digest: str) -> bool:
    """Tell whether this user made a mark; no key is made to find out."""
    try:
        key = _read(key_path())
    except FileNotFoundError:
        return False
    return isinstance(mark, str) and hmac.compare_digest(mark.encode(), mark_of(uuid, digest, key).encode())
