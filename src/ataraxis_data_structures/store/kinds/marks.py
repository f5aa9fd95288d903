"""Marks of pickles: who reads a pickle runs its writer's code, so a store reads those alone that this user wrote.

`mark` is made from the store and the payload's hash. That hash finds accidents and not forgeries: somebody can make
another payload with an equal one. So it is `seal`, over the SHA-256 of the bytes, that decides; moved to other bytes or
to another store it is none. Both need a key that is in no store; keys of colleagues are accepted by
`axds store trust KEY`.
"""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from ...errors import StoreError

_KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def key_path() -> Path:
    """Return where this user's key lies."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home, "axds", "key")


def own_key() -> bytes:
    """Return this user's key, which is made at its first use; the first of several makers wins."""
    path = key_path()
    with suppress(FileNotFoundError):
        return _read(path)
    _publish(path, secrets.token_bytes(_KEY_BYTES))
    return _read(path)


def _publish(path: Path, key: bytes) -> None:
    """Write a key for the user alone, unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staged = path.with_name(f".key.{secrets.token_hex(8)}")
    try:
        fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:  # noqa: PTH123 a descriptor
            file.write(key)
            file.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StoreError(f"expected a key of {_KEY_BYTES} bytes in {path}, got {len(key)}")
    return key


def key_of(text: str) -> bytes:
    """Return the key that a text of hexadecimal digits stands for.

    Raises:
        StoreError: It stands for none.
    """
    if not _HEX.fullmatch(text.strip().lower()):
        raise StoreError(f"expected a key of {2 * _KEY_BYTES} hexadecimal digits, got {len(text.strip())} characters")
    return bytes.fromhex(text.strip())


def fingerprint(key: bytes) -> str:
    """Return a text by which people tell keys apart, and which gives none away."""
    return hashlib.sha256(b"axds-key-1\n" + key).hexdigest()[:16]


def trusted_path() -> Path:
    """Return the folder of the colleagues' keys that this user accepted, each a file named by its fingerprint."""
    return key_path().with_name("trusted")


def trusted_keys() -> dict[str, bytes]:
    """Return the accepted keys by their fingerprints."""
    try:
        paths = sorted(trusted_path().iterdir())
    except FileNotFoundError:
        return {}
    return {path.name: _read(path) for path in paths if not path.name.startswith(".")}


def trust(key: bytes) -> str:
    """Accept a colleague's key: pickles of its owner are read from now on; returns its fingerprint."""
    _publish(trusted_path() / fingerprint(key), key)
    return fingerprint(key)


def distrust(name: str) -> None:
    """Take an accepted key back.

    Raises:
        KeyError: No accepted key has this fingerprint.
    """
    if name not in trusted_keys():
        raise KeyError(f"expected the fingerprint of an accepted key, {sorted(trusted_keys())}, got {name!r}")
    (trusted_path() / name).unlink(missing_ok=True)


def mark_of(uuid: str, digest: str, key: bytes) -> str:
    """Return the mark of a payload in a store, by their uuid and hash."""
    return hmac.new(key, f"axds-pickle-1\n{uuid}\n{digest}".encode(), hashlib.sha256).hexdigest()


def seal_of(uuid: str, sha256: str, key: bytes) -> str:
    """Return the seal of a payload in a store, by their uuid and the SHA-256 of the bytes."""
    return hmac.new(key, f"axds-pickle-2\n{uuid}\n{sha256}".encode(), hashlib.sha256).hexdigest()


def is_trusted(seal: object, uuid: str, sha256: str) -> bool:
    """Tell whether this user made a seal, or somebody whose key the user accepted; no key is made to find out."""
    if not isinstance(seal, str):
        return False
    keys = [*trusted_keys().values()]
    with suppress(FileNotFoundError):
        keys.append(_read(key_path()))
    return any(hmac.compare_digest(seal.encode(), seal_of(uuid, sha256, key).encode()) for key in keys)
