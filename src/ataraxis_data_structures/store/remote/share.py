"""Push a store to a URL, and pull one from there: what is missing is copied, then the lines of the ledger are added."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from ...errors import ConflictError, DamagedError, StoreError
from ...system.atomic import atomic_write
from ...system.disk import sync_data, sync_folder
from ..ledger.commit import Writer
from ..ledger.fold import Fold, Op, size_of
from ..ledger.history import History
from ..ledger.lines import Record, scan
from ..names import FOLDER, MIRROR, PAYLOADS, SETTINGS, STAGING, contained
from ..payloads import payload_path, staged_path, write_all
from ..settings import Settings, read_settings, settings_of_text, text_of
from ..views import Views
from .chain import append_chain, publish_ledger, read_chain
from .place import Place

_AT_ONCE = 8
_PIECE_BYTES = 4 << 20


@dataclass(frozen=True)
class Shared:
    """What a push or pull copied."""

    lines: int
    payloads: int
    bytes: int


def push(root: Path, history: History, url: str | Path, options: Mapping[str, Any] | None) -> Shared:
    """Bring what a store has, and the store behind a URL has not, to there.

    Raises:
        ConflictError: The other store has lines that this one has not: pull first. Or both have: they are two now.
        StoreError: Another store is there.
        DamagedError: A payload of this store is gone.
    """
    place = Place(url, options)
    fold = history.fold()
    lines = history.ledger.read_bytes()[: history.end]
    _require_same(place, read_settings(root))
    remote, seq = read_chain(place)
    if not lines.startswith(remote):
        raise _conflict(place, lines, remote)
    files = _payloads(fold)
    there = place.sizes(f"{FOLDER}/{PAYLOADS}")
    missing = {file: size for file, size in files.items() if there.get(file) != size}

    def upload(file: str) -> None:
        path = payload_path(root, file)
        if not path.exists():
            raise DamagedError(f"expected a payload to push, got none: {path}; see `axds store repair`", (str(path),))
        place.put(path, files[file], f"{FOLDER}/{PAYLOADS}/{file}")

    _each(upload, missing)
    if len(lines) > len(remote):
        append_chain(place, seq, lines[len(remote) :])
    publish_ledger(place)
    return Shared(fold.seq - seq, len(missing), sum(missing.values()))


def pull(
    root: Path, history: History, writer: Writer, views: Views, url: str | Path, options: Mapping[str, Any] | None
) -> Shared:
    """Bring what the store behind a URL has, and this one has not, to here; an empty store becomes that store.

    Raises:
        ConflictError: Both have lines that the other has not.
        StoreError: Another store is there, or none.
        DamagedError: A payload there is gone, or is not what was pushed.
    """
    place = Place(url, options)
    found = place.read(f"{FOLDER}/{SETTINGS}")
    if found is None:
        raise StoreError(f"expected a store at {place.url}, got none")
    remote, seq = read_chain(place)
    records, _, _ = scan(remote)
    ahead = Fold()
    ahead.apply(records)
    settings = settings_of_text(found, place.url)
    lines = _compared(root, history, settings, place, remote)
    files, digests = _payloads(ahead), _digests(ahead)
    missing = {file: size for file, size in files.items() if not _has(root, file, size)}
    _each(lambda file: _fetch(place, root, file, files[file], digests.get(file)), missing)  # no lock is held meanwhile
    with writer.locked() as fold:
        before = fold.seq
        lines = _compared(root, history, settings, place, remote)
        if read_settings(root).uuid != settings.uuid:
            _take_over(root, settings)
        if len(remote) > len(lines):
            _append(root, history, remote[len(lines) :])
        _show(history.begin(), records, before, views)
    return Shared(max(seq - before, 0), len(missing), sum(missing.values()))


def _compared(root: Path, history: History, settings: Settings, place: Place, remote: bytes) -> bytes:
    """Return the lines that are here, which must be the beginning of those there, or go on from them."""
    fold = history.fold()
    lines = history.ledger.read_bytes()[: history.end]
    if read_settings(root).uuid != settings.uuid and fold.seq:
        raise StoreError(f"expected the store {settings.uuid} or an empty one, got another one with {fold.seq} lines")
    if not (remote.startswith(lines) or lines.startswith(remote)):
        raise _conflict(place, lines, remote)
    return lines


def _show(fold: Fold, records: Sequence[Record], before: int, views: Views) -> None:
    """Complete the plain files of new lines; where there are none, of all that a killed pull may have left."""
    is_new = before < fold.seq
    names = {op["name"] for record in records[before:] for op in record["ops"]} if is_new else set(fold.names)
    for name in names & set(fold.names):
        with suppress(DamagedError, StoreError, OSError):  # a file of somebody else's stays; `verify` tells
            views.settle(fold, fold.entry(name, before) if is_new else None, fold.entry(name))


def _conflict(place: Place, lines: bytes, remote: bytes) -> ConflictError:
    if remote.startswith(lines):
        return ConflictError(f"expected no newer lines at {place.url}, got some: pull them first")
    return ConflictError(f"expected the history of this store at {place.url}, got one that went another way")


def _require_same(place: Place, settings: Settings) -> None:
    """Make the place this store's, or find that it is."""
    with suppress(FileExistsError):
        place.create(f"{FOLDER}/{SETTINGS}", text_of(settings).encode())
    found = settings_of_text(place.read(f"{FOLDER}/{SETTINGS}") or b"", place.url)
    if found.uuid != settings.uuid:
        raise StoreError(f"expected the store {settings.uuid} at {place.url}, got another one: {found.uuid}")


def _take_over(root: Path, settings: Settings) -> None:
    """Let an empty store become another one."""
    with atomic_write(root / FOLDER / SETTINGS) as file:
        file.write(text_of(settings))


def _payloads(fold: Fold) -> dict[str, int]:
    """Return every payload of a history with its committed bytes, without those that gc ended."""
    files: dict[str, int] = {}
    for op in _ops(fold):
        file = contained(op["file"], "file")
        files[file] = max(size_of(op), files.get(file, 0))
    return {file: size for file, size in files.items() if file not in fold.dropped}


def _digests(fold: Fold) -> dict[str, str]:
    """Return the hash of each payload that never grew."""
    return {op["file"]: str(op["hash"]) for op in _ops(fold) if op["file"] not in fold.grown}


def _ops(fold: Fold) -> Iterable[Op]:
    for name in fold.names:
        for entry in fold.history(name):
            if entry.op is not None and "file" in entry.op:
                yield entry.op


def _has(root: Path, file: str, size: int) -> bool:
    with suppress(FileNotFoundError):
        return payload_path(root, file).stat().st_size == size
    return False


def _fetch(place: Place, root: Path, file: str, size: int, digest: str | None) -> None:
    """Download a payload, check it, and give it its name."""
    staged = Path(staged_path(root / FOLDER / STAGING))
    try:
        try:
            place.get(f"{FOLDER}/{PAYLOADS}/{file}", staged)
        except FileNotFoundError:
            raise DamagedError(f"expected a payload at {place.url}, got none: {file}", (file,)) from None
        if staged.stat().st_size != size or (digest is not None and _hash(staged) != digest):
            raise DamagedError(
                f"expected {size} bytes with the hash {digest} at {place.url}, got others: {file}", (file,)
            )
        staged.chmod(0o444)
        target = payload_path(root, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(target)
        sync_folder(target.parent)
    finally:
        staged.unlink(missing_ok=True)


def _hash(path: Path) -> str:
    hasher = xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()


def _append(root: Path, history: History, lines: bytes) -> None:
    """Add lines to the ledger, which commits them, and to its mirror."""
    for path in (history.ledger, root / FOLDER / MIRROR):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            end = os.fstat(fd).st_size
            try:
                write_all(fd, lines)
                sync_data(fd)
            except BaseException:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)


def _each(deed: Callable[[str], object], files: Iterable[str]) -> None:
    """Do it for every file, several at a time; the first error ends it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(deed, file) for file in files]
        try:
            for one in running:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
