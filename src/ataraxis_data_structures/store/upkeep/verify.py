"""Whether a store is what was committed; nothing is written, no lock is taken and no code of the store runs."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DamagedError, StoreError
from ..ledger.fold import Entry, Fold, size_of
from ..ledger.history import History
from ..ledger.lines import Bad, scan
from ..names import FOLDER, LEDGER, MIRROR, PAYLOADS
from ..payloads import StoredPayload, carried, payload_path
from ..views import State, Views


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
    try:
        fold = history.fold()
    except DamagedError as error:
        return [*_of_mirror(root), Fault("ledger", str(error), path=str(history.ledger))]
    return [*_of_mirror(root), *_of_payloads(root, uuid, fold, is_deep=is_deep), *_of_views(root, fold)]


def read_lines(path: Path) -> tuple[bytes | None, Bad | None]:
    """Return the bytes of a ledger or mirror, None if there is none, and what of them is bad."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, None
    return data, scan(data)[2]


def is_clone(root: Path) -> bool:
    """Tell whether only what git keeps of a store is here."""
    return not (root / FOLDER / PAYLOADS).exists()


def _of_mirror(root: Path) -> Iterator[Fault]:
    path = root / FOLDER / MIRROR
    ledger, _ = read_lines(root / FOLDER / LEDGER)
    mirror, _ = read_lines(path)
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


def _of_payloads(root: Path, uuid: str, fold: Fold, *, is_deep: bool) -> Iterator[Fault]:
    seen: set[tuple[object, ...]] = set()
    for name in list(fold.names):
        try:
            current, history = fold.entry(name), fold.history(name)
        except DamagedError as error:
            yield Fault("ledger", str(error), name)
            continue
        for entry in history:
            op = entry.op
            if op is None or op.get("kind") == "reference" or op.get("file") in fold.dropped:
                continue
            known = (op.get("file"), op.get("bytes"), op.get("hash"))
            if known not in seen and not _is_held_by_plain_file(root, fold, entry, current):
                seen.add(known)
                yield from _of_payload(root, uuid, name, entry, fold, is_deep=is_deep)


def _is_held_by_plain_file(root: Path, fold: Fold, entry: Entry, current: Entry | None) -> bool:
    if entry is not current or not is_clone(root):
        return False
    return carried(entry.op or {}) is not None or Views(root).state(entry, fold) is State.OURS


def _of_payload(root: Path, uuid: str, name: str, entry: Entry, fold: Fold, *, is_deep: bool) -> Iterator[Fault]:
    op = entry.op or {}
    try:
        path = payload_path(root, op.get("file"))
        try:
            size = os.lstat(path).st_size
        except FileNotFoundError:
            if not (is_clone(root) and carried(op) is not None):
                message = f"expected a payload of {name}@{entry.version}, got none: {path}"
                yield Fault("absent", message, name, entry.version, str(path))
            return
        is_grown = op.get("file") in fold.grown
        may_be_longer = is_grown or op.get("kind") == "array"  # rows of a killed writer
        if size < size_of(op) or (size > size_of(op) and not may_be_longer):
            message = f"expected {size_of(op)} bytes for {name}@{entry.version}, got {size}: {path}"
            yield Fault("payload", message, name, entry.version, str(path))
        elif is_deep:
            payload = StoredPayload(root, uuid, name, entry, is_trusted=False, is_grown=is_grown, plain=lambda: None)
            payload.check_file()
    except (DamagedError, StoreError, OSError) as error:
        yield Fault("payload", str(error), name, entry.version, str(op.get("file")))


def _of_views(root: Path, fold: Fold) -> Iterator[Fault]:
    views = Views(root)
    last = {op.get("name") for op in fold.last["ops"]} if fold.last else set()
    for name in list(fold.names):
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
