"""The public class of a store."""

import fnmatch
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import ConflictError, DamagedError, StoreError
from . import queries
from .batch import Batch
from .items import Item, Snapshot, item_of, snapshot_of
from .jsontags import encode
from .kinds import Kind, kind_for
from .kinds.file import FILE
from .ledger.commit import Change, Writer
from .ledger.fold import ENDED, Entry, Fold, Op
from .ledger.history import History
from .names import FOLDER, STAGING, checked, contained, default_view, split_version
from .notebook import store_html
from .payloads import StagedFile, StoredPayload, read_kind
from .programs import Programs
from .remote import outside
from .remote.share import Shared, pull, push
from .settings import create as create_store
from .settings import read_settings
from .upkeep.export import export
from .upkeep.gc import Freed, collect
from .upkeep.overview import Status, describe, status
from .upkeep.repair import Report, repair
from .upkeep.verify import Fault, verify
from .views import State, Views

_EXTENSION_BYTES = 32

# The class has a method `list`, so its annotations can't say the type.
Names = list[str]
Items = list[Item]
Snapshots = list[Snapshot]
Changes = list[Change]
Versions = list[int]
Faults = list[Fault]


class Store(Programs):
    """A folder of plain files with a history: every version of every item stays, and no crash loses one.

    Args:
        path: The folder. Its plain files are today's items; `.axds/` in it holds the history.
        create: Whether to make the store if there is none.
        read_only: Whether to refuse all changes; nothing is written and no lock is taken.
        sync: When `add` and its like return: "power" once the change survives a power cut, "process" once it survives
            the end of every process.

    Raises:
        FileNotFoundError: There is no store, and none is to be made.
        StoreError: The store has another format or a newer version, or its file system has no locks.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = True,
        read_only: bool = False,
        sync: Literal["power", "process"] = "power",
    ) -> None:
        if sync not in ("power", "process"):
            raise ValueError(f"expected sync of 'power' or 'process', got {sync!r}")
        self.path = Path(path).absolute()
        self.read_only = read_only
        self._sync = sync
        self._at: int | None = None
        try:
            self._settings = read_settings(self.path)
        except FileNotFoundError:
            if not create or read_only:
                raise FileNotFoundError(f"expected a store, got a folder without {FOLDER}: {self.path}") from None
            self._settings = create_store(self.path)
        self._history = History(self.path)
        self._views = Views(self.path)
        self._writer = Writer(
            self.path, self._history, self._views, self._settings.write_once, is_synced=sync == "power"
        )
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}{'' if self._at is None else f', at {self._at}'})"

    def _repr_html_(self) -> str:
        names = self.list()
        return store_html(repr(self), map(self.info, names), len(names))

    @property
    def uuid(self) -> str:
        """Return what tells this store from any other."""
        return self._settings.uuid

    @property
    def version(self) -> int:
        """Return the number of the last transaction, or of the one that this is a view of."""
        return self._history.fold().seq if self._at is None else self._at

    # What changes the store

    def add(
        self,
        name: str,
        value: Any,
        *,
        note: str = "",
        inputs: Iterable[str] = (),
        meta: Mapping[str, Any] | None = None,
        overwrite: bool = True,
        if_version: int | None = None,
        format: str | None = None,  # noqa: A002 the contract's word
        view: str | None = None,
    ) -> int:
        """Store a value under a name; a name that exists gets a new version, and its old ones stay.

        Args:
            name: Segments of letters, digits and `_ . -`, joined by `/`.
            value: An array, a NumPy scalar, a dictionary of arrays, a DataFrame or Series, a JSON value, a Path to a
                file that is copied, a PyTorch module, or any other object, which is pickled.
            note: What a person should know of it.
            inputs: Names of the items that it was made from; each is kept with its present version.
            meta: Further JSON values, found by `search`.
            overwrite: Whether the name may exist.
            if_version: The version that the name must have; 0 if it must not exist.
            format: How the value is written: "npy", "h5", "npz", "parquet", "json", "pth", "safetensors" or "pkl"; by
                default its type decides.
            view: The plain file, below the folder of the store; by default the name and the format's extension.

        Returns:
            The version, by which `name@version` is found later; 0 inside of a batch, whose end makes the version.

        Raises:
            ConflictError: The name exists, or has another version, or its plain file is not the store's.
            StoreError: The name is none, or differs from another by case only.
            TypeError: The value can't be stored; its old version stays.
            OSError: The disk is full or failed; its old version stays.
        """
        self._check_writable()
        name = checked(name)
        op = self._described({"op": "put", "name": name}, note, meta)
        change = Change(op, inputs=self._input_names(inputs), overwrite=overwrite, if_version=if_version)
        self._write_payload(change, value, kind_for(value, format), view)
        return self._commit([change])

    def reference(
        self,
        name: str,
        uri: str,
        *,
        sha256: str | bool | None = None,
        look: bool | None = None,
        options: Mapping[str, Any] | None = None,
        note: str = "",
        inputs: Iterable[str] = (),
        meta: Mapping[str, Any] | None = None,
        overwrite: bool = True,
        if_version: int | None = None,
    ) -> int:
        """Record where data lies that the store does not keep; returns the version.

        Args:
            name: As in `add`.
            uri: A path, or a URL that fsspec takes.
            sha256: The hash of the data, or whether to read them for it; by default a file of this machine of up to
                64 MiB is read.
            look: Whether to record size and ETag, by which `drift` tells a change; by default of a path that exists.
            options: Of the URL's file system, as keys and endpoints; kept nowhere.
            note: As in `add`.
            inputs: As in `add`.
            meta: As in `add`.
            overwrite: As in `add`.
            if_version: As in `add`.
        """
        self._check_writable()
        if not isinstance(uri, str):
            raise TypeError(f"expected a URI as text, got {type(uri).__name__}")
        op = self._described({"op": "put", "name": checked(name), "kind": "reference", "uri": uri}, note, meta)
        op.update(outside.recorded(uri, options, look=look, sha256=sha256))
        inputs = self._input_names(inputs)
        return self._commit([Change(op, inputs=inputs, overwrite=overwrite, if_version=if_version)])

    def drift(self, name: str, *, deep: bool = True, options: Mapping[str, Any] | None = None) -> Names:
        """Return how the data of a reference differ from what was recorded of them; an empty list if they do not.

        Args:
            name: The reference, or `name@version`.
            deep: Whether a recorded hash is compared too where that reads much, or reads over a network.
            options: Of the URL's file system, as keys and endpoints; kept nowhere.

        Raises:
            StoreError: It is no reference, or nothing was recorded of its data.
        """
        op = self._find(name)[1].op or {}
        if op.get("kind") != "reference":
            raise StoreError(f"expected a reference, got {name}, which is of kind {op.get('kind')}")
        return outside.differences(op, op["uri"], options, is_hashed=deep)

    def extend(self, name: str, rows: Any) -> int:
        """Append rows to an array without writing its others again, and make it if there is none.

        Args:
            name: The array.
            rows: (n, ...) of its dtype and of its other dimensions.

        Returns:
            The version.
        """
        self._check_writable()
        name = checked(name)
        rows = np.asarray(rows)
        if self._history.fold().entry(name) is None:
            return self.add(name, np.ascontiguousarray(rows), overwrite=False)
        return self._commit([Change({"op": "extend", "name": name}, rows=rows)])

    def delete(self, names: str | Iterable[str], *, warn_dependents: bool = True) -> int:
        """End items, all or none; their versions stay readable as `name@version`.

        Args:
            names: One name or several.
            warn_dependents: Whether to warn of items that were made from them.
        """
        self._check_writable()
        wanted = list(dict.fromkeys(checked(name) for name in ([names] if isinstance(names, str) else names)))
        fold = self._history.fold()
        for name in wanted:
            if fold.entry(name) is None:
                raise self._unknown(name, fold)
        if warn_dependents:
            for name in wanted:
                users = [user for user in self.dependents(name) if user not in wanted]
                if users:
                    text = (
                        f"Deleting '{name}' which is used by: {', '.join(users)}. Those items may have broken lineage."
                    )
                    warnings.warn(text, stacklevel=2)
        return self._commit([Change({"op": ENDED, "name": name}) for name in wanted])

    def note(self, name: str, note: str | None = None, *, meta: Mapping[str, Any] | None = None) -> int:
        """Replace the note or the meta of an item; its version stays."""
        self._check_writable()
        name = checked(name)
        op: Op = {"op": "note", "name": name}
        if note is not None:
            op["note"] = _text(note, "note")
        if meta is not None:
            op["meta"] = encode(dict(meta), "meta")
        return self._commit([Change(op)])

    def adopt(self, name: str) -> int:
        """Take the plain file of an item, which somebody edited, as a new version; returns the version."""
        self._check_writable()
        name, entry, _ = self._find(name)
        plain = self._views.path(entry)
        if plain is None or not plain.is_file():
            raise FileNotFoundError(f"expected a plain file of {name} to adopt, got none: {plain}")
        kind = read_kind(entry.op or {})
        if kind.about is None:
            raise StoreError(f"expected an item whose file can be described, got one of kind {kind.name}: add it anew")
        about = kind.about(plain)
        op: Op = {key: (entry.op or {})[key] for key in ("note", "inputs", "meta") if key in (entry.op or {})}
        change = Change({"op": "put", "name": name, **op})
        copied = replace(FILE, name=kind.name, is_carried=kind.is_carried)
        self._write_payload(change, plain, copied, (entry.op or {})["view"])
        change.op["about"] = about
        return self._commit([change])

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Make all changes of a block, by this thread, one transaction: all or none; on an exception none."""
        self._check_writable()
        if getattr(self._local, "batch", None) is not None:
            raise StoreError("expected no batch inside of a batch")
        batch = Batch(self)
        self._local.batch = batch
        try:
            yield batch
        except BaseException:
            batch.discard()
            raise
        finally:
            self._local.batch = None
        if batch.changes:
            batch.version = self._commit(list(batch.changes.values()))

    def snapshot(self, name: str, *, note: str = "", tags: Iterable[str] = ()) -> int:
        """Name the present state; returns the number of its last transaction."""
        self._check_writable()
        name = checked(name)
        op: Op = {"op": "snapshot", "name": name, **({"note": _text(note, "note")} if note else {})}
        if tags := [_text(tag, "tag") for tag in tags]:
            op["tags"] = tags

        def extra(fold: Fold) -> list[Change]:
            if fold.snapshot(name):
                raise ConflictError(f"expected a new name for a snapshot, got {name}")
            op["at"] = fold.seq
            return [Change(op)]

        self._writer.commit([], extra)
        return int(op["at"])

    def delete_snapshot(self, name: str) -> None:
        """End the name of a state; the state itself stays."""
        self._check_writable()

        def extra(fold: Fold) -> list[Change]:
            if not fold.snapshot(name):
                raise KeyError(f"expected a snapshot of {sorted(fold.snapshots)}, got {name!r}")
            return [Change({"op": "unsnapshot", "name": name})]

        self._writer.commit([], extra)

    def restore(self, at: str | int) -> int:
        """Make the items what they were at a snapshot or transaction, in a new transaction; returns its number."""
        self._check_writable()
        line = self._line(at)
        return self._writer.commit([], lambda fold: queries.changes_back_to(fold, line, self.path))

    def repair(self, *, from_mirror: bool = False) -> Report:
        """Bring back what is damaged: lines from the mirror, payloads from their lines, plain files from payloads.

        Args:
            from_mirror: Whether the mirror counts where it has more lines than an undamaged ledger.
        """
        self._check_writable()
        return repair(self.path, self.uuid, self._writer, self._history, from_mirror=from_mirror)

    def gc(self, *, grace_s: float = 3600, history: Literal["keep", "snapshots"] = "keep") -> Freed:
        """Remove files that killed writers left, and with `history="snapshots"` old versions that no snapshot has.

        Args:
            grace_s: How old a file must be.
            history: "keep" keeps every version; "snapshots" those of today and of snapshots, and ends all others.
        """
        self._check_writable()
        if history not in ("keep", "snapshots"):
            raise ValueError(f"expected history of 'keep' or 'snapshots', got {history!r}")
        return collect(self.path, self._writer, grace_s=grace_s, history=history)

    def push(self, url: str | Path, *, options: Mapping[str, Any] | None = None) -> Shared:
        """Bring what is new here to the same store behind a URL (extra `remote`); an interrupted push goes on.

        Args:
            url: What fsspec takes, as `s3://bucket/store`, or a folder.
            options: Of its file system, as keys and endpoints; kept nowhere.

        Raises:
            ConflictError: Somebody else pushed what is not here: pull first.
            StoreError: Another store is there.
        """
        return push(self.path, self._history, url, options)

    def pull(self, url: str | Path, *, options: Mapping[str, Any] | None = None) -> Shared:
        """Bring what is new in the same store behind a URL to here; an empty store becomes that store.

        Args:
            url: What `push` was given.
            options: Of its file system, as keys and endpoints; kept nowhere.

        Raises:
            ConflictError: Both have what the other has not.
            StoreError: Another store is there, or none.
            DamagedError: A payload there is not what was pushed.
        """
        self._check_writable()
        shared = pull(self.path, self._history, self._writer, self._views, url, options)
        self._settings = read_settings(self.path)
        return shared

    # What reads the store

    def verify(self, *, deep: bool = True) -> Faults:
        """Return what is not as it was committed, in all versions; a store that is whole gives an empty list.

        Args:
            deep: Whether all bytes are read and their hashes compared; else sizes only.
        """
        return verify(self.path, self.uuid, is_deep=deep)

    def get(self, name: str, *, trust: bool = False) -> Any:
        """Return a value, all of whose bytes are checked.

        Args:
            name: The item, or `name@version`.
            trust: Whether to read a pickle that somebody else wrote, which runs code of its writer.

        Raises:
            KeyError: There is no such item.
            DamagedError: Its bytes are not what was stored.
            UntrustedError: It is a pickle that another user wrote.
        """
        return self._read(name, "read", is_trusted=trust)

    def open(self, name: str, *, trust: bool = False) -> Any:
        """Return a value mapped or read on demand, unchecked: an array as a read-only map, a reference as a file."""
        return self._read(name, "open", is_trusted=trust)

    def checked_file(self, name: str) -> Path | None:
        """Return a file with the bytes of an item, all checked, for a copy of them; None for a reference."""
        base, entry, fold = self._find(name)
        payload, kind, _ = self._payload(base, entry, fold, is_trusted=False)
        if kind is None:
            return None
        payload.check()
        return payload.path

    def info(self, name: str) -> Item:
        """Return what is known of an item, or of `name@version`."""
        base, entry, _ = self._find(name)
        return item_of(base, entry, self.path)

    def items(self) -> Items:
        """Return what is known of all items of one moment, by name; these are shared, and not to be changed."""
        return queries.items(self._history.fold(), self._at, self.path)

    def list(self, pattern: str = "*", kind: str | None = None) -> Names:
        """Return the names of items, sorted; `*` in a pattern matches `/` too."""
        fold, at = self._history.fold(), self._at
        return sorted(
            name
            for name, entry in fold.each(at)
            if fnmatch.fnmatchcase(name, pattern) and (kind is None or (entry.op or {}).get("kind") == kind)
        )

    def versions(self, name: str) -> Versions:
        """Return the versions of a name, oldest first, also of one that was deleted."""
        fold = self._history.fold()
        name = checked(name)
        found = queries.versions(fold, name, self._at)
        if not found:
            raise self._unknown(name, fold)
        return found

    def lineage(self, name: str) -> Names:
        """Return what an item was made from, and that from, nearest first, each as `name@version` if it was known."""
        _, entry, fold = self._find(name)
        return queries.lineage(fold, entry, self._at)

    def dependents(self, name: str) -> Names:
        """Return the names of items that name this one among their inputs, sorted."""
        return queries.dependents(self._history.fold(), split_version(name)[0], self._at)

    def search(self, text: str) -> Names:
        """Return the names of items with a text in their name, note, inputs or meta, whatever its case."""
        return queries.search(self._history.fold(), text, self._at)

    def describe(self, pattern: str = "*") -> str:
        """Return a text about the items whose names match a pattern, grouped by kind."""
        fold = self._history.fold()
        names = [pattern] if fold.entry(pattern, self._at) else self.list(pattern)
        return describe(self.path, fold, names, self._at)

    def status(self) -> Status:
        """Return what the store takes: history, what killed writers left, and what `gc` would free."""
        return status(self.path, self._history.fold())

    def diff(self, a: str | int, b: str | int = "HEAD") -> queries.Difference:
        """Return the names that were added, removed or changed from one state to another.

        Args:
            a: A snapshot, the number of a transaction, or "HEAD".
            b: The like.
        """
        return queries.diff(self._history.fold(), self._line(a), self._line(b))

    def export(self, path: str | Path, at: str | int | None = None) -> int:
        """Write the plain files of a state into a new folder, all bytes checked; returns how many.

        Args:
            path: The folder, which appears when it is whole.
            at: A snapshot or the number of a transaction; by default the present state.
        """
        line = self._at if at is None else self._line(at)
        fold = self._history.fold()
        items = [(name, entry) for name, entry in fold.each(line) if "view" in (entry.op or {})]
        return export(
            (
                (contained((entry.op or {})["view"], "view"), self._payload(name, entry, fold, is_trusted=False)[0])
                for name, entry in items
            ),
            Path(path),
        )

    def snapshots(self) -> Snapshots:
        """Return the snapshots, oldest first."""
        fold = self._history.fold()
        found = [(name, fold.snapshot(name, self._at)) for name in list(fold.snapshots)]
        rows = sorted((row[0], name, row) for name, row in found if row)
        return [snapshot_of(name, row[1], row[2]) for _, name, row in rows]

    def at(self, at: str | int) -> "Store":
        """Return a read-only store as it was at a snapshot or at the number of a transaction."""
        past = object.__new__(Store)
        past.__dict__.update(self.__dict__)
        past._at = self._line(at)
        past.read_only = True
        return past

    def __contains__(self, name: object) -> bool:
        try:
            base, version = split_version(name)  # type: ignore[arg-type]
        except (TypeError, StoreError):
            return False
        fold = self._history.fold()
        found = fold.entry(base, self._at) if version is None else fold.version(base, version, self._at)
        return found is not None

    def __len__(self) -> int:
        return sum(1 for _ in self._history.fold().each(self._at))

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    # How

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreError(f"expected a store that is open for writing, got {self!r}, which is read only")

    def _described(self, op: Op, note: str, meta: Mapping[str, Any] | None) -> Op:
        if note:
            op["note"] = _text(note, "note")
        if meta is not None:
            op["meta"] = encode(dict(meta), "meta")
        return op

    def _input_names(self, inputs: Iterable[str]) -> tuple[str, ...]:
        if isinstance(inputs, str):
            raise TypeError(f"expected inputs as a list of names, got the text {inputs!r}")
        names = tuple(inputs)
        for name in names:
            split_version(name)
        return names

    def _write_payload(self, change: Change, value: Any, kind: Kind, view: str | None) -> None:
        """Write a value aside; no lock is held."""
        extension = kind.extension(value)
        change.extension = extension if len(extension.encode()) <= _EXTENSION_BYTES else ""
        plain = default_view(change.name, change.extension) if view is None else view
        try:
            change.op["view"] = contained(plain, "view")
        except RuntimeError as error:
            raise StoreError(str(error)) from None
        staging = self.path / FOLDER / STAGING
        try:
            file = StagedFile(staging, is_synced=self._sync == "power")
        except FileNotFoundError:
            staging.mkdir(parents=True)
            file = StagedFile(staging, is_synced=self._sync == "power")
        change.staged = file
        try:
            about = kind.write(value, file)
            change.carried = file.finish(is_carried=kind.is_carried)
            if kind.seal is not None:
                about = kind.seal(about, file.hash, self.uuid)
            if change.carried is None:
                change.twin = self._writer.twin(file.size_bytes, file.hash)
        except BaseException:
            file.remove()
            raise
        change.op["kind"], change.op["about"] = kind.name, about

    def _commit(self, changes: Changes) -> int:
        batch = getattr(self._local, "batch", None)
        if batch is None:
            return self._writer.commit(changes)
        for change in changes:
            batch.take(change)
        return 0

    def _line(self, at: str | int) -> int:
        fold = self._history.fold()
        if at == "HEAD":
            return fold.seq if self._at is None else self._at
        if isinstance(at, str):
            found = fold.snapshot(at, self._at)
            if found is None:
                raise KeyError(f"expected a snapshot of {sorted(fold.snapshots)}, got {at!r}")
            return snapshot_of(at, *found[1:]).at
        last = fold.seq if self._at is None else self._at
        if not 0 <= at <= last:
            raise StoreError(f"expected a transaction of 0 to {last}, got {at}")
        return int(at)

    def _find(self, name: str) -> tuple[str, Entry, Fold]:
        base, version = split_version(name)
        fold = self._history.fold()
        found = fold.entry(base, self._at) if version is None else fold.version(base, version, self._at)
        if found is None:
            raise self._unknown(name, fold)
        return base, found, fold

    def _read(self, name: str, how: Literal["read", "open"], *, is_trusted: bool) -> Any:
        while True:
            base, entry, fold = self._find(name)
            payload, kind, about = self._payload(base, entry, fold, is_trusted=is_trusted)
            try:
                if kind is None:
                    return payload.uri if how == "read" else outside.open_uri(str(payload.uri))
                return getattr(kind, how)(payload, about)
            except (DamagedError, FileNotFoundError):
                # A version that was replaced meanwhile may be gone: the newer one counts.
                if self._find(name)[1] is entry:
                    raise

    def _payload(
        self, base: str, entry: Entry, fold: Fold, *, is_trusted: bool
    ) -> tuple[StoredPayload, Kind | None, Op]:
        op = entry.op or {}

        def plain() -> Path | None:
            now = fold.entry(base)
            is_todays = now is not None and now.version == entry.version
            return self._views.path(entry) if is_todays and self._views.state(entry, fold) is State.OURS else None

        payload = StoredPayload(
            self.path, self.uuid, base, entry, is_trusted=is_trusted, is_grown=op.get("file") in fold.grown, plain=plain
        )
        if op.get("kind") == "reference":
            return payload, None, {}
        about = op.get("about")
        if not payload.is_stored or not isinstance(about, dict):
            raise payload.damaged("no record of a payload")
        if op.get("file") in fold.dropped:
            raise payload.damaged("a version that gc removed")
        return payload, read_kind(op), about

    def _unknown(self, name: str, fold: Fold) -> KeyError:
        near = get_close_matches(name, [known for known, _ in fold.each(self._at)], n=3)
        return KeyError(
            f"expected the name of an item, got {name!r}" + (f"; near it: {', '.join(near)}" if near else "")
        )


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a {what} as text, got {type(value).__name__}")
    return value
