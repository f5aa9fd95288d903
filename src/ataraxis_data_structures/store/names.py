"""What items may be called, and the names of the files that a store keeps for them."""

import os
import re
import unicodedata

from ..errors import DamagedError, StoreError

FOLDER = ".axds"
SETTINGS, LEDGER, MIRROR, LOCK = "store.json", "ledger", "mirror", "lock"
PAYLOADS, STAGING, MEMO = "payloads", "tmp", "memo"

_NAME_BYTES = 200
_SEGMENT = re.compile(r"\w[\w.-]*")
_VERSION = re.compile(r"[0-9]{1,18}")
_NOT_BELOW = frozenset({"", ".", ".."})


def checked(name: str) -> str:
    """Return the name in the form in which it is kept (NFC).

    Raises:
        TypeError: It is no text.
        StoreError: It is no name for an item.
    """
    if not isinstance(name, str):
        raise TypeError(f"expected a name as text, got {type(name).__name__}")
    if name.isascii() and name.isidentifier() and len(name) <= _NAME_BYTES:  # most names
        return name
    kept = unicodedata.normalize("NFC", name)
    if len(kept.encode("utf-8", "surrogatepass")) > _NAME_BYTES:
        raise StoreError(f"expected a name of at most {_NAME_BYTES} bytes, got {len(kept.encode())}: {kept[:40]!r}...")
    for segment in kept.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment.endswith(".") or ".." in segment:
            raise StoreError(
                f"expected a name of segments of letters, digits and _ . - (first a letter, digit or _, last no dot), "
                f"joined by /, got {name!r}"
            )
    return kept


def split_version(name: str) -> tuple[str, int | None]:
    """Return the name and the version of `name@version`, None where no version is given."""
    if not isinstance(name, str):
        raise TypeError(f"expected a name as text, got {type(name).__name__}")
    base, sign, version = name.partition("@")
    if not sign:
        return checked(base), None
    if not _VERSION.fullmatch(version):
        raise StoreError(f"expected a version number after @, got {name!r}")
    return checked(base), int(version)


def payload_name(name: str, version: int, extension: str) -> str:
    """Return where a version's bytes lie below the folder of payloads."""
    return f"{name}@{version}{extension}"


def parse_payload_name(file: str) -> tuple[str, int, str] | None:
    """Return name, version and extension of a payload; None for any other file."""
    base, sign, rest = file.partition("@")
    digits = re.match(r"[0-9]{1,18}", rest)
    if not sign or not digits:
        return None
    extension = rest[digits.end() :]
    if (extension and not extension.startswith(".")) or "/" in extension:
        return None
    try:
        return checked(base), int(digits[0]), extension
    except StoreError:
        return None


def default_view(name: str, extension: str) -> str:
    """Return the plain file of an item: its name, with the extension unless the name has it."""
    return name if extension and name.lower().endswith(extension.lower()) else name + extension


def leads_elsewhere(folder: str, path: str) -> bool:
    """Tell whether a folder on the way of a relative path is a symbolic link; none is followed to find out."""
    if "/" not in path:
        return False
    parts = path.split("/")[:-1]
    return any(os.path.islink(f"{folder}/{'/'.join(parts[: i + 1])}") for i in range(len(parts)))  # noqa: PTH114


def contained(path: object, what: str) -> str:
    """Return a relative path that a ledger names, if it stays where it begins.

    Raises:
        DamagedError: It is absolute, climbs, or leads into the store's own folder.
    """
    if isinstance(path, str) and "\0" not in path:
        parts = path.split("/")
        if (
            not _NOT_BELOW.intersection(parts)
            and (what == "file" or FOLDER not in parts)
            and (path.isascii() or _is_utf8(path))
        ):
            return path
    raise DamagedError(f"expected a {what} below the store's folder, got {path!r}", (str(path),))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
