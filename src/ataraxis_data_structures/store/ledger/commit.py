"""The commit protocol: how changes become one line of the ledger. The order is the promise.

    1  payloads are written and synced under names that mean nothing            no lock is held
    2  the lock; a torn tail is cut, the mirror levelled, the last line's plain files completed
    3  the checks: names, versions, plain files of somebody else
    4  payloads get their names, their folders are synced; plain files are staged
    5  the line is appended and synced                                          this is the commit
    6  the mirror                                                               what fails from here on
    7  the plain files                                                          the next writer completes

A writer that is killed, or whose disk fails, before 5 has changed nothing that anybody reads.
"""

import base64
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConflictError, DamagedError, StoreError
from ...system.disk import sync_folder
from ...system.locks import EXCLUSIVE, lock_file, unlock_file
from .. import grown
from ..names import FOLDER, LOCK, PAYLOADS, STAGING, payload_name, split_version
from ..payloads import StagedFile, hash_file, payload_path
from ..views import State, Views
from .fold import ENDED, Entry, Fold, Op, size_of
from .history import History
from .index import Index
from .lines import Record

_LEFT_TO_THE_NEXT = (OSError, StoreError, DamagedError)
_PATIENCE = 6  # times what the lock is waited for at once


@dataclass
class Change:
    """A change of one name, before it is known which version it makes."""

    op: Op
    extension: str = ""
    staged: StagedFile | None = None
    carried: bytes | None = None
    twin: tuple[str, int] | None = None  # a payload with the same bytes, and its inode
    rows: Any = None
    inputs: Sequence[str] = ()
    overwrite: bool = True
    if_version: int | None = None
    is_restored: bool = False

    @property
    def name(self) -> str:
        """Return the name that is changed."""
        name: str = self.op["name"]
        return name


@dataclass
class _Plan:
    """What a transaction does with files, and how to take it back."""

    ops: list[Op] = field(default_factory=list)
    entries: list[tuple[Entry | None, Entry | None]] = field(default_factory=list)
    placed: list[Path] = field(default_factory=list)
    asides: list[tuple[str, str, bool]] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    grown: list[tuple[Op, Path, int]] = field(default_factory=list)  # and the bytes before
    staged: list[StagedFile] = field(default_factory=list)


class Writer:
    """Commits transactions to one store, one at a time."""

    def __init__(
        self, root: Path, history: History, views: Views, write_once: Sequence[str], *, is_synced: bool
    ) -> None:
        self._root = root
        self._history = history
        self._views = views
        self._write_once = tuple(write_once)
        self._is_synced = is_synced
        self._lock = threading.Lock()
        self._index = Index()
        self._shown = -1  # the last line whose plain files this writer completed
        self._host = socket.gethostname()

    @contextmanager
    def locked(self) -> Iterator[Fold]:
        """Hold the lock of the store and give the fold that a writer begins with."""
        with self.lock():
            fold = self._history.begin()
            self._complete_last(fold)
            yield fold

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the store."""
        with self._lock:
            fd = os.open(self._root / FOLDER / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _wait_for(fd)
                yield
            finally:
                with suppress(OSError):  # what was committed is, and closing frees the lock too
                    unlock_file(fd)
                os.close(fd)

    def twin(self, size_bytes: int, digest: str) -> tuple[str, int] | None:
        """Return a stored payload with these bytes, which are compared, and its inode."""
        with self._history.lock:
            fold = self._history.fold()
            self._index.follow(fold)
            file = self._index.twin(fold, size_bytes, digest)
        if file is None:
            return None
        path = payload_path(self._root, file)
        with suppress(OSError):
            inode = os.stat(path).st_ino  # noqa: PTH116
            if hash_file(path) != (size_bytes, digest):
                return None
            if self._is_synced:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            return file, inode
        return None

    def commit(self, changes: Sequence[Change], extra: Any = None) -> int:
        """Commit changes, and what `extra(fold)` adds, as one line; return its number.

        Raises:
            ConflictError: A name is not in the state that the change expects, or somebody else's file is in the way.
            StoreError: A name is refused.
            OSError: A disk is full or fails; nothing has changed.
        """
        plan, is_committed = _Plan(), False
        try:
            with self.locked() as fold:
                changes = [*changes, *(extra(fold) if extra else [])]
                if not changes:
                    return fold.seq
                with self._history.lock:
                    self._index.follow(fold)
                record: Record = {"by": f"{os.getpid()}@{self._host}", "ops": plan.ops, "seq": fold.seq + 1}
                self._prepare(changes, fold, plan, record)
                record["t"] = time.time_ns() // 1000
                self._history.append(record, is_synced=self._is_synced)
                is_committed = True
                self._show(plan, record)
                return int(record["seq"])
        finally:
            if not is_committed:
                _take_back(plan)
            for aside, _, _ in plan.asides:
                with suppress(OSError):
                    os.unlink(aside)  # noqa: PTH108
            for staged in (*plan.staged, *(change.staged for change in changes)):
                if staged is not None:
                    staged.remove()

    def _prepare(self, changes: Sequence[Change], fold: Fold, plan: _Plan, record: Record) -> None:
        names = {change.name for change in changes}
        if len({name.casefold() for name in names}) < len(changes):
            raise StoreError("expected names that differ by more than case, and one change of each, in a transaction")
        views = [change.op["view"].casefold() for change in changes if "view" in change.op]
        if len(set(views)) < len(views):
            raise ConflictError("expected a plain file of its own for each item of a transaction")
        for change in changes:
            if change.op["op"] in ("snapshot", "unsnapshot", "drop"):
                plan.ops.append(change.op)
                continue
            before = fold.entry(change.name)
            self._check(change, before, fold)
            if change.op["op"] in ("put", "extend"):
                self._place(change, before, fold, plan, record, names)
            plan.ops.append(change.op)
            if change.op["op"] != "note":
                plan.entries.append((before, self._entry(change, before, record)))
        if self._is_synced:
            for folder in plan.folders:
                sync_folder(folder)
        for before, now in plan.entries:
            self._stage(before, now, fold, plan)

    def _entry(self, change: Change, before: Entry | None, record: Record) -> Entry | None:
        if change.op["op"] == ENDED:
            return None
        op = change.op if change.op["op"] == "put" or before is None else {**(before.op or {}), **change.op}
        return Entry(record["seq"], record["seq"], op, record, before if change.op["op"] == "extend" else None)

    def _check(self, change: Change, before: Entry | None, fold: Fold) -> None:
        name, what = change.name, change.op["op"]
        if before is None and what in (ENDED, "note", "extend"):
            raise KeyError(name)
        version = before.version if before else 0
        if change.if_version is not None and change.if_version != version:
            raise ConflictError(f"expected version {change.if_version} of {name}, got {version}")
        if what not in ("put", "extend"):
            return
        if before and not change.overwrite:
            raise ConflictError(f"expected no item {name}, got one: version {version}")
        if name in fold.names and name.startswith(self._write_once) and not change.is_restored:
            raise ConflictError(f"expected a new name, got {name}: what is written once is never written again")
        same = self._index.names.get(name.casefold(), name)
        if same != name:
            raise StoreError(f"expected a name that differs by more than case from {same}, got {name}")
        view = change.op.get("view")
        if view is not None:
            owner = self._index.views.get(view.casefold(), name)
            if owner != name:
                raise ConflictError(
                    f"expected a plain file of its own for {name}, got {view}, which is that of {owner}"
                )
            self._views.check_place(view)

    def _place(
        self, change: Change, before: Entry | None, fold: Fold, plan: _Plan, record: Record, names: set[str]
    ) -> None:
        """Give a payload its name and its line."""
        op, seq = change.op, record["seq"]
        if change.inputs:
            op["inputs"] = [_resolved(text, fold, names, seq) for text in change.inputs]
        if op["op"] == "extend" and before is not None:
            self._grow(change, before, fold, plan, record)
            return
        if change.staged is None:  # a reference, or a version of before
            return
        op["file"] = payload_name(change.name, seq, change.extension)
        op["bytes"], op["hash"] = change.staged.size_bytes, change.staged.hash
        if change.carried is not None:
            op["data"] = base64.b64encode(change.carried).decode()
        elif change.twin is not None and self._is_there(change.twin, fold):
            op["file"] = change.twin[0]
            return
        target = self._root / FOLDER / PAYLOADS / op["file"]
        self._rename(change.staged.path, target, plan)
        if change.carried is None:
            plan.folders.add(target.parent)

    def _rename(self, staged: str, target: Path, plan: _Plan) -> None:
        """Name a payload; one of that name belongs to no line, and is kept aside until the next gc."""
        if os.path.lexists(target):
            os.rename(target, f"{staged}.orphan")  # noqa: PTH104
        try:
            os.rename(staged, target)  # noqa: PTH104
        except FileNotFoundError:
            self._make_folders(target.parent, plan)
            os.rename(staged, target)  # noqa: PTH104
        plan.placed.append(target)

    def _make_folders(self, folder: Path, plan: _Plan) -> None:
        top = self._root / FOLDER / PAYLOADS
        missing = [parent for parent in (folder, *folder.parents) if top in parent.parents and not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        plan.folders.update(parent.parent for parent in missing)

    def _is_there(self, twin: tuple[str, int], fold: Fold) -> bool:
        file, inode = twin
        if file in fold.dropped or file in fold.grown:
            return False
        try:
            return os.lstat(payload_path(self._root, file)).st_ino == inode
        except OSError:
            return False

    def _grow(self, change: Change, before: Entry, fold: Fold, plan: _Plan, record: Record) -> None:
        """Append rows to a payload, or write a new one where the payload can't grow."""
        op, old = change.op, before.op or {}
        data, about = grown.rows_of(old, change.rows)
        path = payload_path(self._root, old["file"])
        self._views.bring_payload_back(before, fold)
        if self._may_grow(old, change.name, fold):
            with grown.writable(path) as fd:
                grown.append_rows(fd, size_of(old), data, is_synced=self._is_synced)
            op.update(file=old["file"], bytes=size_of(old) + len(data), hash=grown.hash_of(data), about=about)
            plan.grown.append((op, path, size_of(old)))
            return
        op.update({key: value for key, value in old.items() if key not in ("data", *op)}, op="put", about=about)
        op["file"] = payload_name(change.name, record["seq"], ".npy")
        staged = StagedFile(self._root / FOLDER / STAGING, is_synced=self._is_synced)
        plan.staged.append(staged)
        grown.write_extended(path, before, data, about, staged)
        staged.finish(is_carried=False)
        op.update(bytes=staged.size_bytes, hash=staged.hash)
        target = self._root / FOLDER / PAYLOADS / op["file"]
        self._rename(staged.path, target, plan)
        plan.folders.add(target.parent)

    def _may_grow(self, old: Op, name: str, fold: Fold) -> bool:
        file = old["file"]
        if not grown.can_grow(old) or file.partition("@")[0] != name or self._index.is_shared(file):
            return False
        return fold.grown.get(file, size_of(old)) == size_of(old)

    def _stage(self, before: Entry | None, now: Entry | None, fold: Fold, plan: _Plan) -> None:
        """Make the plain file of a change, unless its place is somebody else's."""
        if now is None or (now.op or {}).get("view") is None:
            return
        op = now.op or {}
        is_growing = any(op["file"] == other["file"] for other, _, _ in plan.grown)
        if is_growing and self._views.is_link(now):
            return
        is_same = before is not None and (before.op or {}).get("view") == op["view"]
        state = self._views.state(before if is_same and before else now, fold)
        if state is State.FOREIGN and (not is_same or self._views.state(now, fold) is State.FOREIGN):
            raise ConflictError(
                f"expected a free place for {op['name']}, got a file that the store did not write: {op['view']}"
            )
        aside = self._views.stage_stored(now, fold, is_growing=is_growing)
        plan.asides.append((aside, op["view"], state is State.ABSENT))

    def _show(self, plan: _Plan, record: Record) -> None:
        """Complete the plain files of a committed line; what fails is left to the next writer."""
        fold = self._history.fold()
        try:
            for op, path, _ in plan.grown:
                grown.settle_header(path, op)
            for before, now in plan.entries:
                view = (now.op or {}).get("view") if now else None
                if before and (before.op or {}).get("view") not in (None, view):
                    self._views.remove(before, fold)
            for aside, view, is_new in plan.asides:
                self._views.publish(aside, view, is_new=is_new)
            plan.asides = []
            self._shown = record["seq"]
        except _LEFT_TO_THE_NEXT:
            return

    def _complete_last(self, fold: Fold) -> None:
        """Complete the plain files of the last line, whose writer may have been killed."""
        if fold.last is None or self._shown == fold.seq:
            return
        for op in fold.last["ops"]:
            if op["op"] not in ("put", "extend", ENDED):
                continue
            now = fold.entry(op["name"])
            with suppress(*_LEFT_TO_THE_NEXT):  # a lost payload is told when it is read
                if op["op"] == "extend" and now is not None:
                    grown.settle_header(payload_path(self._root, op["file"]), now.op or {})
                self._views.settle(fold, fold.entry(op["name"], fold.seq - 1), now)
        self._shown = fold.seq


def _take_back(plan: _Plan) -> None:
    for path in plan.placed:
        path.unlink(missing_ok=True)
    for _, path, size in plan.grown:
        with suppress(OSError), grown.writable(path) as fd:
            os.ftruncate(fd, size)


def _resolved(text: str, fold: Fold, names: set[str], seq: int) -> str:
    """Return an input with its version, where the item is known."""
    name, version = split_version(text)
    if version is not None:
        return f"{name}@{version}"
    if name in names:
        return f"{name}@{seq}"
    entry = fold.entry(name)
    return f"{name}@{entry.version}" if entry else name


def _wait_for(fd: int) -> None:
    for attempt in range(_PATIENCE):
        try:
            lock_file(fd, EXCLUSIVE)
        except TimeoutError:
            if attempt == _PATIENCE - 1:
                raise
        else:
            return
