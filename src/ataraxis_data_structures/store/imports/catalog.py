"""The catalog of a folder that datafolio 1.x or 2.x wrote: what it holds, and what it held at its snapshots.

1.x keeps `items.json`, `metadata.json` and `snapshots.json`; 2.x keeps all of it in `items.json`. A version of an item
is told by `version_id` (2.x), or by the MD5 of its file (1.x). 1.x writes over files of old versions, so a snapshot of
it may name versions that are gone.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ..names import leads_elsewhere

_NEWEST = 2
_FOLDERS = {"included_table": "tables", "model": "models", "pytorch_model": "models"}
_OTHERS = "artifacts"
REFERENCE = "referenced_table"
Fields = dict[str, Any]


@dataclass(frozen=True)
class State:
    """What a folder held at a snapshot, or holds today: a version of each item, by its name."""

    versions: dict[str, str]
    metadata: Fields
    name: str = ""  # of the snapshot
    note: str = ""
    tags: tuple[str, ...] = ()


class Catalog:
    """The versions and states that a folder names; only `file_of` looks whether they are there.

    Raises:
        FileNotFoundError: The folder has no catalog.
        StoreError: The catalog is another program's, a newer version's, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        record = _read(folder / "items.json")
        version = record.get("schema_version", 0) if isinstance(record, dict) else 0
        if type(version) is not int or version > _NEWEST:
            raise StoreError(f"expected a folder of datafolio 1.x or 2.x, got version {version!r} of its catalog")
        try:
            items = record["items"] if isinstance(record, dict) else record
            self.versions = {(one["name"], token_of(one)): one for one in items}
            today = {one["name"]: token_of(one) for one in items if one.get("is_current", True)}
            self.today = State(today, self._part(record, "metadata", version))
            self.snapshots = self._snapshots(self._part(record, "snapshots", version))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise StoreError(
                f"expected the catalog of a datafolio folder in {folder}, got another: {error!r}"
            ) from None

    def _part(self, record: Fields, name: str, version: int) -> Fields:
        """Return a part of the catalog, which is a file of its own in 1.x."""
        if version == _NEWEST:
            return dict(record.get(name, {}))
        path = self._folder / f"{name}.json"
        return dict(_read(path)) if path.exists() else {}

    def _snapshots(self, found: Fields) -> list[State]:
        rows = sorted(dict(found.get("snapshots", found)).items(), key=lambda row: str(row[1].get("timestamp", "")))
        return [
            State(
                {str(item): str(token) for item, token in row["item_versions"].items()},
                dict(row.get("metadata_snapshot", {})),
                name,
                row.get("description") or "",
                tuple(row.get("tags") or ()),
            )
            for name, row in rows
        ]

    def file_of(self, record: Fields) -> Path:
        """Return the file of a version, which is whole.

        Raises:
            StoreError: It is gone, was changed, or lies outside of the folder.
        """
        home = f"{self._folder}/{_FOLDERS.get(record['item_type'], _OTHERS)}"
        name = record.get("filename")
        if not isinstance(name, str) or not name or name.startswith("/") or ".." in name.split("/"):
            raise StoreError(f"expected a file below {home}, got {name!r}")
        path = Path(home, name)
        if leads_elsewhere(str(self._folder), f"{Path(home).name}/{name}") or path.is_symlink():
            raise StoreError(f"expected a file, got a symbolic link at or above {path}")
        if path.is_dir() and record.get("is_directory") is True:
            return path
        if not path.is_file():
            raise StoreError(f"expected a file, got none: {path}")
        wanted = record.get("checksum")
        if wanted is not None and _md5(path) != wanted:
            raise StoreError(f"expected the MD5 {wanted}, got {_md5(path)}: {path}")
        return path


def token_of(record: Fields) -> str:
    """Return what tells a version of an item from its others."""
    found = record.get("version_id") or record.get("checksum") or f"v_{record.get('created_at')}"
    return str(found)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(f"expected a datafolio folder, got one without {path.name}: {path.parent}") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"expected JSON in {path}: {error}") from None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
