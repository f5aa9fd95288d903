"""Bring a damaged store back: lines from the mirror, small payloads from their lines, plain files from payloads."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import DamagedError, StoreError
from .. import grown
from ..kinds import KINDS, Kind
from ..kinds.file import FILE
from ..ledger.commit import Writer
from ..ledger.fold import Entry, Fold, Op, checked, size_of
from ..ledger.history import History
from ..ledger.lines import Record, line_of, record_of
from ..names import FOLDER, LEDGER, MIRROR, PAYLOADS, STAGING, default_view, parse_payload_name
from ..payloads import carried, hash_file, payload_path, staged_path, write_all
from ..views import COPIED_BYTES, State, Views
from .verify import Fault, read_lines, verify

_MODE, _WRITABLE = 0o444, 0o222


@dataclass
class Report:
    """What a repair did, and the faults that are left."""

    lines: int = 0
    payloads: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    left: list[Fault] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # ledgers and mirrors that were set aside


def repair(root: Path, uuid: str, writer: Writer, history: History, *, from_mirror: bool) -> Report:
    """Mend what can be mended; what was wrong in a ledger or mirror is kept beside it."""
    report = Report()
    for folder in (PAYLOADS, STAGING):
        (root / FOLDER / folder).mkdir(exist_ok=True)
    with writer.lock():
        _mend_ledger(root, report, from_mirror=from_mirror)
        fold = history.begin()
        views = Views(root)
        for name in list(fold.names):
            for entry in fold.names[name]:
                with suppress(DamagedError, StoreError):  # `left` tells
                    _mend_payload(root, checked(entry), fold.entry(name), fold, views, report)
            with suppress(DamagedError, StoreError):
                _mend_view(root, name, fold.entry(name), fold, views, report)
    report.left = verify(root, uuid, is_deep=True)
    return report


# The ledger


def _mend_ledger(root: Path, report: Report, *, from_mirror: bool) -> None:
    ledger_path, mirror_path = root / FOLDER / LEDGER, root / FOLDER / MIRROR
    ledger, bad = read_lines(ledger_path)
    mirror, _ = read_lines(mirror_path)
    is_damaged = ledger is None or (bad is not None and History(root).is_damage(bad))
    lines = _lines_by_number(ledger or b"")
    have = len(list(_run(lines)))
    if is_damaged or from_mirror:
        lines = {**_lines_by_number(mirror or b""), **lines}
    if ledger is None and mirror is None:
        lines = _lines_from_payloads(root)
    data = b"".join(_run(lines))
    report.lines = len(list(_run(lines))) - have
    if data != ledger:
        _replace(root, ledger_path, data, report, is_kept=is_damaged or from_mirror)
    if data != mirror:
        _replace(root, mirror_path, data, report, is_kept=not data.startswith(mirror or b""))


def _lines_by_number(data: bytes) -> dict[int, bytes]:
    """Return the good lines of a ledger; of two with one number the first."""
    found: dict[int, bytes] = {}
    for line in data.split(b"\n"):
        record = record_of(line)
        if record is not None:
            found.setdefault(record["seq"], line + b"\n")
    return found


def _run(lines: dict[int, bytes]) -> Iterator[bytes]:
    number = 1
    while number in lines:
        yield lines[number]
        number += 1


def _replace(root: Path, path: Path, data: bytes, report: Report, *, is_kept: bool) -> None:
    """Write a ledger aside, synced, and rename it; the old one is kept if it said something else."""
    staged = staged_path(root / FOLDER / STAGING)
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    if is_kept and path.exists() and path.stat().st_size:
        kept = path.with_name(f"{path.name}.{time.time_ns() // 1000}")
        os.link(path, kept)
        report.kept.append(str(kept))
    Path(staged).replace(path)


def _lines_from_payloads(root: Path) -> dict[int, bytes]:
    """Return a ledger made of the names of payloads: what an item was made from, and its notes, are lost."""
    folder = root / FOLDER / PAYLOADS
    found: dict[int, list[Op]] = {}
    times: dict[int, int] = {}
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        parsed = parse_payload_name(file)
        if parsed is None or path.is_symlink() or not path.is_file():
            continue
        name, version, extension = parsed
        found.setdefault(version, []).append(_put(path, file, name, extension))
        times[version] = path.stat().st_mtime_ns // 1000
    lines: dict[int, bytes] = {}
    for seq in range(1, max(found, default=0) + 1):
        record: Record = {"by": f"{os.getpid()}@repair", "ops": found.get(seq, []), "seq": seq, "t": times.get(seq, 0)}
        lines[seq] = line_of(record)
    return lines


def _put(path: Path, file: str, name: str, extension: str) -> Op:
    kind, about = _described(path, extension)
    size, digest = hash_file(path)
    return {
        "op": "put", "name": name, "kind": kind.name, "about": about, "bytes": size, "hash": digest, "file": file,
        "view": default_view(name, extension),
    }  # fmt: skip


def _described(path: Path, extension: str) -> tuple[Kind, dict[str, Any]]:
    for kind in KINDS:
        if kind.about is not None and kind.format and f".{kind.format}" == extension:
            with suppress(DamagedError):
                return kind, kind.about(path)
    return FILE, {}


# Payloads and plain files


def _mend_payload(root: Path, entry: Entry, current: Entry | None, fold: Fold, views: Views, report: Report) -> None:
    op = entry.op
    if op is None or "file" not in op or op["file"] in fold.dropped:
        return
    path = payload_path(root, op["file"])
    if path.exists() and path.stat().st_mode & _WRITABLE:  # a writer was killed that had just opened it
        path.chmod(_MODE)
    if op["file"] in fold.grown:
        if fold.grown[op["file"]] == size_of(op) and (path.exists() or views.bring_payload_back(entry, fold)):
            grown.settle_header(path, op)
        return
    size = path.stat().st_size if path.exists() else -1
    data = carried(op)
    if data is not None:
        if size != len(data) or hash_file(path)[1] != op["hash"]:
            _write_payload(root, path, data)
            report.payloads.append(op["file"])
    elif op.get("kind") == "array" and size > size_of(op):
        grown.cut(path, size_of(op))
        report.payloads.append(op["file"])
    elif size < 0 and entry is current and views.bring_payload_back(entry, fold):
        report.payloads.append(op["file"])


def _write_payload(root: Path, path: Path, data: bytes) -> None:
    staged = staged_path(root / FOLDER / STAGING)
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fchmod(fd, 0o444)
        os.fsync(fd)
    finally:
        os.close(fd)
    path.parent.mkdir(parents=True, exist_ok=True)
    Path(staged).replace(path)


def _mend_view(root: Path, name: str, entry: Entry | None, fold: Fold, views: Views, report: Report) -> None:
    """Show a payload under its plain name, and link a large copy of it again."""
    op = (entry.op or {}) if entry else {}
    if entry is None or "view" not in op or not payload_path(root, op["file"]).exists():
        return
    state = views.state(entry, fold)
    is_copy = state is State.OURS and size_of(op) > COPIED_BYTES and not views.is_link(entry)
    if state is State.FOREIGN and not _is_older_version(views, fold, name, entry):
        return
    if state is State.OURS and not is_copy:
        return
    views.check_place(op["view"])
    views.publish(views.stage_stored(entry, fold), op["view"], is_new=state is State.ABSENT)
    report.views.append(op["view"])


def _is_older_version(views: Views, fold: Fold, name: str, entry: Entry) -> bool:
    """Tell whether a plain file is an older version's, which a killed writer left."""
    return any(
        older.op is not None
        and older.op.get("view") == (entry.op or {}).get("view")
        and views.state(older, fold) is State.OURS
        for older in fold.names[name]
        if older is not entry
    )
