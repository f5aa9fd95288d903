"""JSON values, kept exactly."""

from pathlib import Path
from typing import Any

from ...errors import DamagedError
from ..jsontags import dumps, loads
from .kind import About, Kind, Payload, PayloadFile

_TYPES = (dict, list, tuple, set, frozenset, str, bytes, int, float, complex, type(None))


def _accepts(value: Any) -> bool:
    from datetime import date  # noqa: PLC0415 for the rare value

    return isinstance(value, (*_TYPES, date))


def _write(value: Any, file: PayloadFile) -> About:
    file.write(dumps(value).encode())
    return {"type": type(value).__name__}


def _read(payload: Payload, _: About) -> Any:
    return _loaded(payload.data(), payload.path)


def _loaded(data: bytes | memoryview, path: Path) -> Any:
    try:
        return loads(data)
    except ValueError as error:
        raise DamagedError(f"expected JSON in {path}: {error}", (str(path),)) from None


def _about(path: Path) -> About:
    return {"type": type(_loaded(path.read_bytes(), path)).__name__}


JSON = Kind("json", lambda _: ".json", _accepts, _write, _read, _read, format="json", about=_about)
