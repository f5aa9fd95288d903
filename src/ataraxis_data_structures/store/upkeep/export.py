"""Write the plain files of a state into a folder of their own."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ...errors import StoreError
from ...system.disk import clone_file
from ...system.progress import LateBar, Progress
from ..payloads import StoredPayload, hash_file


def export(items: Iterable[tuple[str, StoredPayload]], target: Path) -> int:
    """Copy payloads to their plain names below a new folder, which appears when it is whole; returns how many.

    Raises:
        StoreError: The folder exists and is not empty.
        DamagedError: A payload is not what was committed.
    """
    target = target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"expected a new or an empty folder to export to, got {target}")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    bar = LateBar("exporting")
    try:
        found = list(items)
        total = sum(payload.size_bytes for _, payload in found)
        for view, payload in found:
            place = partial / view
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy(payload, place, lambda size_bytes: bar.add(size_bytes, total))
        partial.replace(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        bar.close()
    return len(found)


def _copy(payload: StoredPayload, place: Path, advance: Progress) -> None:
    with place.open("xb") as file:
        if payload.is_one_file and payload.path.exists():
            with payload.path.open("rb") as source:
                if clone_file(source.fileno(), file.fileno()):
                    advance(payload.size_bytes)
                else:
                    _copy_pieces(source, file, advance)
            file.flush()
            if hash_file(place) == (payload.size_bytes, payload.hash):
                return
            file.seek(0)
            file.truncate()
        file.write(payload.data())  # checked, and from the line where that has the bytes


def _copy_pieces(source: BinaryIO, target: BinaryIO, advance: Progress) -> None:
    while piece := source.read(1 << 20):
        target.write(piece)
        advance(len(piece))
