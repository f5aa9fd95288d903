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
    data = payload.data()
    try:
        return loads(data)
    except ValueError as error:
        raise _damaged(payload.path, error) from None


def _damaged(path: Path, error: ValueError) -> DamagedError:
    return DamagedError(f"expected JSON in {path}: {error}", (str(path),))


def _about(path: Path) -> About:
    try:
        return {"type": type(loads(path.read_bytes())).__name__}
    except ValueError as error:
        raise _damaged(path, error) from None


JSON = Kind("json", lambda _: ".json", _accepts, _write, _read, _read, format="json", about=_about)
