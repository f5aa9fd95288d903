"""Values as JSON that comes back equal: what plain JSON can't hold is tagged by a dict with one key."""

import base64
import json
import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np

_PLAIN = (str, int, bool, type(None))


def dumps(value: Any) -> str:
    """Return a value as valid JSON.

    Raises:
        TypeError: A part of it is none that JSON and tags can hold; the message names the part.
    """
    try:
        text = json.dumps(encode(value), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise TypeError("expected a value of finite depth, got one that is nested too deeply or holds itself") from None
    except ValueError as error:  # an integer of more digits than Python writes
        raise TypeError(f"expected a value that JSON can hold: {error}") from None
    if not _is_utf8(text):  # lone surrogates, which JSON can hold as escapes
        return json.dumps(encode(value), allow_nan=False)
    return text


def loads(text: str | bytes | bytearray | memoryview) -> Any:
    """Return the value that `dumps` wrote.

    Raises:
        ValueError: The text is no such JSON.
    """
    if not isinstance(text, str):
        text = bytes(text).decode("utf-8", "surrogatepass")
    try:
        plain = json.loads(text)
        return decode(plain) if '"$' in text or "\\u" in text else plain
    except (TypeError, KeyError, RecursionError, OverflowError) as error:
        raise ValueError(f"expected tagged JSON: {error}") from None


def encode(value: Any, where: str = "value") -> Any:
    """Return what `json.dumps` takes."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float or isinstance(value, float | np.floating):
        return _encode_float(value, where)
    if isinstance(value, dict):
        return _encode_dict(value, where)
    if kind is list:
        return [encode(part, f"{where}[{i}]") for i, part in enumerate(value)]
    if kind is tuple:
        return {"$tuple": [encode(part, f"{where}[{i}]") for i, part in enumerate(value)]}
    if kind is set:
        parts = [encode(part, f"{where}{{{part!r}}}") for part in value]
        return {"$set": sorted(parts, key=lambda part: (type(part).__name__, part) if _orders(part) else _text(part))}
    return _encode_other(value, where)


def _orders(part: Any) -> bool:
    return isinstance(part, int | float | str)


def _text(part: Any) -> tuple[str, str]:
    return "~", json.dumps(part, sort_keys=True)


def _encode_float(value: Any, where: str) -> Any:
    number = float(value)
    if isinstance(value, np.longdouble) and number != value and not math.isnan(number):
        raise TypeError(f"expected a number of at most 64 bits at {where}, got {value!r}")
    if math.isfinite(number):
        return number
    return {"$float": "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"}


def _encode_dict(value: dict[Any, Any], where: str) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: encode(part, f"{where}[{key!r}]") for key, part in value.items()}
    return {
        "$dict": [
            [encode(key, f"key {key!r} of {where}"), encode(part, f"{where}[{key!r}]")] for key, part in value.items()
        ]
    }


def _encode_other(value: Any, where: str) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, complex | np.complexfloating):
        number = complex(value)
        return {"$complex": [_encode_float(number.real, where), _encode_float(number.imag, where)]}
    if isinstance(value, date) and type(value) in (date, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"expected a value that JSON and tags can hold at {where}, got {type(value).__name__}")


def decode(value: Any) -> Any:
    """Return what `encode` was given."""
    if isinstance(value, list):
        return [decode(part) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, part),) = value.items()
        read = _TAGS.get(key)
        if read is not None:
            return read(part)
    return {key: decode(part) for key, part in value.items()}


def _decode_complex(part: list[Any]) -> complex:
    return complex(*(decode(number) for number in part))


def _decode_time(part: str) -> date:
    return datetime.fromisoformat(part) if "T" in part else date.fromisoformat(part)


def _decode_float(part: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[part]


_TAGS: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda parts: tuple(decode(part) for part in parts),
    "$set": lambda parts: {decode(part) for part in parts},
    "$dict": lambda pairs: {decode(key): decode(part) for key, part in pairs},
    "$float": _decode_float,
    "$complex": _decode_complex,
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$time": _decode_time,
}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
