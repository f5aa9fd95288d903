"""Take over a folder that datafolio 1.x or 2.x wrote: state after state, so that lineage and snapshots stay."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DamagedError, StoreError, UntrustedError
from ..folio.types import METADATA, METADATA_FILE, view_of
from ..kinds import kind_for
from ..kinds.libraries import library
from ..names import checked
from ..store import Store
from .catalog import REFERENCE, Catalog, Fields, State, token_of

_KEPT_BY_THE_STORE = {
    "name", "item_type", "filename", "checksum", "description", "inputs", "in_snapshots", "is_current", "version_id",
    "shape", "dtype", "dtypes", "columns", "num_cols", "is_directory", "data_type", "size_bytes", "file_size",
    "iso_string", "unix_timestamp", "path",
}  # fmt: skip
_NO_NAME = re.compile(r"[^\w.-]+")


@dataclass
class Imported:
    """What was taken over, and what was not."""

    items: list[str] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    as_files: list[str] = field(default_factory=list)  # pickled models: reading them would have run their code
    renamed: dict[str, str] = field(default_factory=dict)  # items and snapshots, by their former names
    left: dict[str, str] = field(default_factory=dict)  # why an item or a snapshot is not there


def import_folio(source: str | Path, target: str | Path, *, trust: bool = False) -> Imported:
    """Take over a folder that datafolio 1.x or 2.x wrote into a new store; the folder itself is only read.

    Each snapshot whose versions are all there becomes a snapshot, with its metadata. A killed import leaves a store
    without the states that were still to come: remove it and begin again.

    Args:
        source: The folder.
        target: Another one, which has no items.
        trust: Whether to load pickled models, which runs code of whoever wrote them, and to keep them as models of
            this user's own; else their files are kept as they are.

    Returns:
        What was taken over, and what was not and why.

    Raises:
        FileNotFoundError: There is no such folder.
        StoreError: It is none of datafolio's, or the target has items.
        ImportError: A library that a table or a model needs is not installed.
    """
    catalog = Catalog(Path(source))
    if Path(target).absolute() == Path(source).absolute():
        raise StoreError(f"expected another folder to import into, got {target} itself")
    store = Store(target)
    if len(store):
        raise StoreError(f"expected a store without items to import into, got {store.path} with {len(store)}")
    return _Import(catalog, store, is_trusted=trust).run()


class _UnreadableError(Exception):
    """A version is there, and holds no value that the store takes; its name and token, and why."""


class _Import:
    """Makes the states of a catalog one after the other; `done` holds the version of each item that the store has."""

    def __init__(self, catalog: Catalog, store: Store, *, is_trusted: bool) -> None:
        self._catalog = catalog
        self._store = store
        self._is_trusted = is_trusted
        self._done: dict[str, str] = {}
        self._metadata: Fields = {}
        self._unreadable: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}
        self.report = Imported()

    def run(self) -> Imported:
        for state in self._catalog.snapshots:
            if self._become(state, is_part_enough=False):
                name = self._renamed(_NO_NAME.sub("_", state.name) or "_", state.name)
                self._store.snapshot(name, note=state.note, tags=state.tags)
                self.report.snapshots.append(name)
        self._become(self._catalog.today, is_part_enough=True)
        self.report.items = sorted(self._name(name) for name in self._done)
        return self.report

    def _become(self, state: State, *, is_part_enough: bool) -> bool:
        """Make the store what a state was, in one transaction, unless versions of it are missing."""
        while True:
            missing = self._missing(state)
            if missing and not is_part_enough:
                self.report.left[f"snapshot {state.name}"] = "; ".join(missing.values())
                return False
            whole = {name: token for name, token in state.versions.items() if name not in missing}
            try:
                self._change(State(whole, state.metadata))
            except _UnreadableError as error:
                self._unreadable[error.args[0]] = error.args[1]  # and again, without it
            else:
                self.report.left.update(missing)
                return True

    def _missing(self, state: State) -> dict[str, str]:
        """Return why items of a state can't be had."""
        found = {}
        for name, token in state.versions.items():
            record = self._catalog.versions.get((name, token))
            if (name, token) in self._unreadable:
                found[name] = f"{name}: {self._unreadable[name, token]}"
            elif record is None:
                found[name] = f"{name}: its version {token} is gone"
            elif self._done.get(name) != token and record["item_type"] != REFERENCE:
                try:
                    self._catalog.file_of(record)
                except StoreError as error:
                    found[name] = f"{name}: {error}"
        return found

    def _change(self, state: State) -> None:
        gone = [self._name(name) for name in self._done if name not in state.versions]
        new = [name for name, token in state.versions.items() if self._done.get(name) != token]
        with self._store.batch():
            if gone:
                self._store.delete(gone, warn_dependents=False)
            for name in new:
                try:
                    self._add(self._catalog.versions[name, state.versions[name]])
                except (StoreError, DamagedError, TypeError, ValueError, KeyError) as error:
                    raise _UnreadableError((name, state.versions[name]), str(error)) from error
            if state.metadata != self._metadata:
                self._store.add(METADATA, state.metadata, format="json", view=METADATA_FILE)
        self._done, self._metadata = dict(state.versions), state.metadata

    def _add(self, record: Fields) -> None:
        name = self._name(record["name"])
        options: Fields = {
            "note": record.get("description") or "",
            "inputs": [self._name(text) for text in record.get("inputs") or ()],
            "meta": {key: value for key, value in record.items() if key not in _KEPT_BY_THE_STORE},
        }
        if record["item_type"] == REFERENCE:
            self._store.reference(name, str(record["path"]), **options)
            return
        value, form = self._value(record)
        self._store.add(name, value, format=form, view=view_of(name, kind_for(value, form), value), **options)

    def _value(self, record: Fields) -> tuple[Any, str | None]:
        """Return what a file holds, and the format in which the store keeps it."""
        path, what = self._catalog.file_of(record), record["item_type"]
        if what == "included_table":
            return _table(path)
        if what == "numpy_array":
            return np.load(path, allow_pickle=False), "npy"
        if what == "json_data":
            return json.loads(path.read_bytes()), "json"
        if what == "timestamp":
            return datetime.fromisoformat(record["iso_string"]), "json"
        if what != "artifact":
            if self._is_trusted and path.suffix in (".joblib", ".skops"):
                return _model(path), None
            self.report.as_files.append(f"{record['name']} ({token_of(record)})")
        return path, None

    def _name(self, name: str) -> str:
        """Return the name of an item in the store; one that the store refuses gets another."""
        if name in self._names:
            return self._names[name]
        try:
            new = checked(name)
        except StoreError:
            new = checked("/".join(re.sub(r"[^\w.-]|\.\.|^[.-]|\.$", "_", part) or "_" for part in name.split("/")))
        if new in self._names.values() or new == METADATA:
            raise StoreError(f"expected items with names of their own in the store, got {new} for {name!r} too")
        self._names[name] = self._renamed(new, name)
        return new

    def _renamed(self, new: str, former: str) -> str:
        if new != former:
            self.report.renamed[former] = new
        return new


def _table(path: Path) -> tuple[Any, str]:
    """Return a table as it was written: its file, where that is one of Parquet."""
    pandas = library("pandas", "tables")
    if path.is_dir():
        return pandas.read_parquet(path), "parquet"
    readers: Mapping[str, str] = {".csv": "read_csv", ".feather": "read_feather", ".arrow": "read_feather"}
    reader = readers.get(path.suffix)
    return (path if reader is None else getattr(pandas, reader)(path)), "parquet"


def _model(path: Path) -> Any:
    if path.suffix == ".joblib":
        return library("joblib", "models").load(path)
    skops = library("skops.io", "models")
    unknown = skops.get_untrusted_types(file=path)
    try:
        return skops.load(path, trusted=unknown)
    except TypeError as error:
        raise UntrustedError(f"expected a model in {path}: {error}") from None
