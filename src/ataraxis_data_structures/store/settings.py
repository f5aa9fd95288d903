"""What makes a folder a store: `.axds/` and its settings, written once."""

import json
import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..system.disk import sync_folder
from ..system.locks import try_lock_file, unlock_file
from .names import FOLDER, LEDGER, LOCK, MIRROR, PAYLOADS, SETTINGS, STAGING
from .payloads import staged_path, write_all

FORMAT, VERSION, HASH = "axds-store", 1, "xxh3-128"
_IGNORED = "*\n!/ledger\n!/store.json\n"
_WRITE_ONCE = ("raw/",)


@dataclass(frozen=True)
class Settings:
    """What `store.json` says."""

    uuid: str
    created_us: int
    write_once: tuple[str, ...]


def text_of(settings: Settings) -> str:
    """Return the text of `store.json`."""
    record = {
        "created_us": settings.created_us, "format": FORMAT, "hash": HASH, "uuid": settings.uuid, "version": VERSION,
        "write_once": [*settings.write_once],
    }  # fmt: skip
    return json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n"


def read_settings(root: Path) -> Settings:
    """Return the settings of a store.

    Raises:
        FileNotFoundError: The folder is none.
        StoreError: It is one of another format or of a newer version.
    """
    path = root / FOLDER / SETTINGS
    return settings_of_text(path.read_bytes(), path)


def settings_of_text(text: bytes, path: Path | str) -> Settings:
    """Return what the text of a `store.json` says; see `read_settings`."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"expected the settings of a store in {path}: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("hash") != HASH:
        raise StoreError(f"expected a store of format {FORMAT} with {HASH} in {path}, got {str(record)[:80]}")
    version = record.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise StoreError(f"expected a store of version {VERSION} or lower, got {version!r}: {path}")
    return _settings_of(record, path)


def _settings_of(record: dict[str, Any], path: Path | str) -> Settings:
    write_once, identity, created = record.get("write_once", []), record.get("uuid"), record.get("created_us", 0)
    if (
        isinstance(write_once, list)
        and all(isinstance(prefix, str) and prefix for prefix in write_once)
        and isinstance(identity, str)
        and type(created) is int
    ):
        return Settings(identity, created, tuple(write_once))
    raise StoreError(f"expected uuid, created_us and write_once in {path}, got {str(record)[:80]}")


def create(root: Path) -> Settings:
    """Make a folder a store; the first of several creators wins, and all get what it wrote."""
    folder = root / FOLDER
    for made in (folder / PAYLOADS, folder / STAGING):
        made.mkdir(parents=True, exist_ok=True)
    for name, text in ((LEDGER, ""), (MIRROR, ""), (LOCK, ""), (".gitignore", _IGNORED)):
        _make(folder / name, text)
    _try_locks(folder / LOCK)
    staged = staged_path(folder / STAGING)
    settings = Settings(str(uuid.uuid4()), time.time_ns() // 1000, _WRITE_ONCE)
    _make(Path(staged), text_of(settings), is_synced=True)
    try:
        with suppress(FileExistsError):
            os.link(staged, folder / SETTINGS)
    finally:
        os.unlink(staged)  # noqa: PTH108
    sync_folder(folder)
    sync_folder(root)
    return read_settings(root)


def _make(path: Path, text: str, *, is_synced: bool = False) -> None:
    with suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if text:
                write_all(fd, text.encode())
            if is_synced:
                os.fsync(fd)
        finally:
            os.close(fd)


def _try_locks(path: Path) -> None:
    """Refuse a file system on which two writers could not exclude each other."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try_lock_file(fd)
        unlock_file(fd)
    except OSError as error:
        raise StoreError(
            f"expected a file system with working locks (flock) for a store that is written to, got {error}: "
            f"open it with read_only=True"
        ) from None
    finally:
        os.close(fd)
