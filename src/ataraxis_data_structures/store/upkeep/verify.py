"""Whether a store is what was committed; nothing is written, no lock is taken and no code of the store runs."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DamagedError, StoreError
from ..ledger.fold import Entry, Fold, size_of
from ..ledger.history import History
from ..ledger.lines import Bad, scan
from ..names import FOLDER, LEDGER, MIRROR, PAYLOADS
from ..payloads import StoredPayload, carried, payload_path
from ..views import State, Views

_ROUNDS = 10
_THREADS, _LARGE_BYTES = 4, 1 << 20


@dataclass(frozen=True)
class Fault:
    """Something that is not what was committed.

    `what` is "ledger" or "mirror" (a line, or the file), "payload" (its bytes), "absent" (an old version that is not
    here, as in a clone by git) or "view" (the plain file).
    """

    what: str
    message: str
    name: str = ""
    version: int = 0
    path: str = ""


def verify(root: Path, uuid: str, *, is_deep: bool) -> list[Fault]:
    """Return all faults of a store."""
    history = History(root)
    of_mirror = list(_of_mirror(root))
    try:
        fold = history.fold()
    except DamagedError as error:
        return [*of_mirror, Fault("ledger", str(error), path=str(history.ledger))]
    seq, names = fold.seq, list(fold.names)
    found = _of_items(root, uuid, fold, names, is_deep=is_deep)
    for _ in range(_ROUNDS):
        if not found or history.fold().seq == seq:
            break
        # Meanwhile a writer replaced a plain file, or gc removed a version: what is true now counts.
        seq, names = fold.seq, list(dict.fromkeys(fault.name for fault in found))
        found = _of_items(root, uuid, fold, names, is_deep=is_deep)
    return [*of_mirror, *found]


def _of_items(root: Path, uuid: str, fold: Fold, names: list[str], *, is_deep: bool) -> list[Fault]:
    return [*_of_payloads(root, uuid, fold, names, is_deep=is_deep), *_of_views(root, fold, names)]


def read_lines(path: Path) -> tuple[bytes | None, Bad | None]:
    """Return the bytes of a ledger or mirror, None if there is none, and what of them is bad."""
    data = _bytes_of(path)
    return data, None if data is None else scan(data)[2]


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def is_clone(root: Path) -> bool:
    """Tell whether only what git keeps of a store is here."""
    return not (root / FOLDER / PAYLOADS).exists()


def _of_mirror(root: Path) -> Iterator[Fault]:
    path = root / FOLDER / MIRROR
    mirror = _bytes_of(path)  # first: a writer appends to the ledger before
    ledger = _bytes_of(root / FOLDER / LEDGER)
    if ledger is None:
        return
    if mirror is None:
        if not is_clone(root):
            yield Fault("mirror", f"expected a mirror of the ledger, got none: {path}", path=str(path))
        return
    good = ledger[: ledger.rfind(b"\n") + 1]
    if mirror == good or good.startswith(mirror):  # the next writer appends what it lacks
        return
    how = f"{len(mirror) - len(good)} bytes more" if mirror.startswith(good) else "other lines"
    yield Fault("mirror", f"expected the bytes of the ledger, got {how}: {path}", path=str(path))


def _of_payloads(root: Path, uuid: str, fold: Fold, names: list[str], *, is_deep: bool) -> Iterator[Fault]:
    """Check payloads, large ones in threads: reading and hashing let other threads run."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        checks: list[list[Fault] | Future[list[Fault]]] = []
        for name, entry in _entries(root, fold, names, checks):
            check = partial(_of_payload, root, uuid, name, entry, fold, is_deep=is_deep)
            is_large = is_deep and size_of(entry.op) >= _LARGE_BYTES
            checks.append(threads.submit(check) if is_large else check())
        for found in checks:
            yield from found if isinstance(found, list) else found.result()


def _entries(root: Path, fold: Fold, names: list[str], checks: list[Any]) -> Iterator[tuple[str, Entry]]:
    """Yield the versions of names, each payload once; lines that can't be read become faults in `checks`."""
    seen: set[tuple[object, ...]] = set()
    for name in names:
        try:
            current, history = fold.entry(name), fold.history(name)
        except DamagedError as error:
            checks.append([Fault("ledger", str(error), name)])
            continue
        for entry in history:
            op = entry.op
            if op is None or op.get("kind") == "reference" or op.get("file") in fold.dropped:
                continue
            known = (op.get("file"), op.get("bytes"), op.get("hash"))
            if known not in seen and not _is_held_by_plain_file(root, fold, entry, current):
                seen.add(known)
                yield name, entry


def _is_held_by_plain_file(root: Path, fold: Fold, entry: Entry, current: Entry | None) -> bool:
    if entry is not current or not is_clone(root):
        return False
    return carried(entry.op or {}) is not None or Views(root).state(entry, fold) is State.OURS


def _of_payload(root: Path, uuid: str, name: str, entry: Entry, fold: Fold, *, is_deep: bool) -> list[Fault]:
    op = entry.op or {}
    try:
        path = payload_path(root, op.get("file"))
        is_grown = op.get("file") in fold.grown
        payload = StoredPayload(root, uuid, name, entry, is_trusted=False, is_grown=is_grown, plain=lambda: None)
        if is_deep:
            payload.check_file()
            return []
        size = os.lstat(path).st_size
        if size < size_of(op) or (size > size_of(op) and not payload.may_be_longer):
            message = f"expected {size_of(op)} bytes for {name}@{entry.version}, got {size}: {path}"
            return [Fault("payload", message, name, entry.version, str(path))]
    except FileNotFoundError:
        if is_clone(root) and carried(op) is not None:
            return []
        message = f"expected a payload of {name}@{entry.version}, got none: {path}"
        return [Fault("absent", message, name, entry.version, str(path))]
    except (DamagedError, StoreError, OSError) as error:
        return [Fault("payload", str(error), name, entry.version, str(op.get("file")))]
    return []


def _of_views(root: Path, fold: Fold, names: list[str]) -> Iterator[Fault]:
    views = Views(root)
    last = {op.get("name") for op in fold.last["ops"]} if fold.last else set()
    for name in names:
        try:
            entry = fold.entry(name)
            if entry is None:
                continue
            path = views.path(entry)
            if path is None:
                continue
            state = views.state(entry, fold)
            if state is State.OURS or (name in last and _is_before(views, fold, name, state)):
                continue
            if state is State.ABSENT and is_clone(root):
                continue  # a plain file that was not committed
            got = "none" if state is State.ABSENT else "a file that was changed or is somebody else's"
            message = f"expected the plain file of {name}@{entry.version}, got {got}: {path}"
            yield Fault("view", message, name, entry.version, str(path))
        except (DamagedError, OSError) as error:
            yield Fault("view", str(error), name)


def _is_before(views: Views, fold: Fold, name: str, state: State) -> bool:
    """Tell whether a plain file is what it was before the last line, which the next writer completes."""
    before = fold.entry(name, fold.seq - 1)
    return state is State.ABSENT if before is None else views.state(before, fold) is not State.FOREIGN
