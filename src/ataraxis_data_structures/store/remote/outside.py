"""Data that a reference leads to: opened, and compared with what was recorded of it.

A path needs no library; a URL needs fsspec (extra `remote`) and what it needs for that URL.
"""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import StoreError

HASHED_BYTES = 64 << 20  # of a file on this machine that is hashed unasked
_PIECE_BYTES = 4 << 20
_ETAGS = ("ETag", "etag", "e_tag")
Seen = dict[str, Any]  # bytes, etag, sha256, as far as they are known
Options = Mapping[str, Any] | None


def local_path(uri: str) -> Path | None:
    """Return the path that a URI stands for; None where it leads to another machine."""
    if uri.startswith("file://"):
        return Path(unquote(urlsplit(uri).path))
    return None if "://" in uri else Path(uri)


def seen(uri: str, options: Options = None, *, is_hashed: bool | None = None) -> Seen:
    """Return size, ETag and hash of what a URI leads to.

    Args:
        uri: A path, or a URL that fsspec takes.
        options: Of its file system.
        is_hashed: Whether all bytes are read for a SHA-256; None: if the file is on this machine and not large.

    Raises:
        FileNotFoundError: Nothing is there.
    """
    path = local_path(uri)
    if path is None:
        files, place = _file_system(uri, options)
        files.invalidate_cache()
        found = files.info(place)
        facts = {"bytes": found.get("size"), "etag": next((found[key] for key in _ETAGS if found.get(key)), None)}
        is_hashed = bool(is_hashed)
    elif path.is_dir():
        facts, is_hashed = {}, False
    else:
        size = path.stat().st_size
        facts = {"bytes": size}
        is_hashed = size <= HASHED_BYTES if is_hashed is None else is_hashed
    if is_hashed:
        facts["sha256"] = _sha256(uri, options)
    return {key: value for key, value in facts.items() if value is not None}


def recorded(uri: str, options: Options, *, look: bool | None, sha256: str | bool | None) -> Seen:
    """Return what a reference records of its data; a URL is looked at if that was asked for.

    Raises:
        FileNotFoundError: Nothing is there, and it was to be looked at.
        TypeError: The hash is no text.
    """
    if not isinstance(sha256, str | bool | None):
        raise TypeError(f"expected a SHA-256 as text, got {type(sha256).__name__}")
    if isinstance(sha256, str):
        given, is_hashed = {"sha256": sha256}, False
    else:
        given, is_hashed = {}, sha256  # type: ignore[assignment]
    path = local_path(uri)
    if not (sha256 is True or (path is not None and path.exists() if look is None else look)):
        return given
    return {**seen(uri, options, is_hashed=is_hashed), **given}


def open_uri(uri: str, options: Options = None) -> Any:
    """Open what a URI leads to for reading, by ranges where its file system can."""
    path = local_path(uri)
    if path is not None:
        return path.open("rb")
    files, place = _file_system(uri, options)
    return files.open(place, "rb")


def differences(recorded: Mapping[str, Any], uri: str, options: Options = None, *, is_hashed: bool) -> list[str]:
    """Return how data differ from what was recorded of them.

    Args:
        recorded: Some of `bytes`, `etag` and `sha256`.
        uri: Where the data are.
        options: Of its file system.
        is_hashed: Whether a recorded hash is compared also where that reads a large file, or one of another machine.

    Raises:
        StoreError: Nothing was recorded, so nothing can differ.
    """
    known = {key: recorded[key] for key in ("bytes", "etag", "sha256") if key in recorded}
    if not known:
        raise StoreError(f"expected a reference with a recorded size, ETag or hash, got one without: {uri}")
    try:
        now = seen(uri, options, is_hashed=None if "sha256" in known and not is_hashed else "sha256" in known)
    except FileNotFoundError:
        return [f"expected data at {uri}, got none"]
    return [f"expected {key} {value}, got {now[key]}" for key, value in known.items() if now.get(key, value) != value]


def _sha256(uri: str, options: Options) -> str:
    hasher = hashlib.sha256()
    with open_uri(uri, options) as file:
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()


def _file_system(uri: str, options: Options) -> tuple[Any, str]:
    try:
        core = import_module("fsspec.core")  # an extra
    except ImportError as error:
        raise ImportError("expected fsspec for a URL: pip install 'ataraxis-data-structures[remote]'") from error
    files, place = core.url_to_fs(uri, **(options or {}))
    return files, place
