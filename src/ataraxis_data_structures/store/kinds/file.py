"""Files of any content."""

import shutil
from pathlib import Path
from typing import Any

from ...errors import StoreError
from .kind import About, Kind, Payload, PayloadFile

_PIECE_BYTES = 8 << 20


def _extension(value: Any) -> str:
    return Path(value).suffix


def _accepts(value: Any) -> bool:
    return isinstance(value, Path)


def _write(value: Any, file: PayloadFile) -> About:
    if not Path(value).is_file():
        if Path(value).exists():
            raise StoreError(f"expected a file, got {value}: add the files of a folder one by one, or as an archive")
        raise FileNotFoundError(f"expected a file, got {value}")
    with Path(value).open("rb") as source:
        shutil.copyfileobj(source, file, _PIECE_BYTES)
    return {}


def _read(payload: Payload, about: About) -> Path:
    payload.check()
    return _open(payload, about)


def _open(payload: Payload, _: About) -> Path:
    return payload.view or payload.path


FILE = Kind("file", _extension, _accepts, _write, _read, _open, is_carried=False, about=lambda _: {})
