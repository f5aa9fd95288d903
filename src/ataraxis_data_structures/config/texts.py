"""Values that YAML holds as text, and how numpy's are stored."""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

_TIMEDELTA = re.compile(r"(?:(-?\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?")


class Text(NamedTuple):
    """How a type is written as text, and read from it; TypeError, ValueError or ArithmeticError refuse a value."""

    write: Callable[[Any], str]
    read: Callable[[Any, object], object]


def _from_text(kind: Any, raw: object) -> object:
    if not isinstance(raw, str):
        raise TypeError(raw)
    return kind(raw)


def _from_number(kind: Any, raw: object) -> object:
    """A number that a person wrote without quotes is taken digit by digit."""
    if not isinstance(raw, str | int | float) or isinstance(raw, bool):
        raise TypeError(raw)
    return kind(str(raw))


def _from_iso(kind: Any, raw: object) -> object:
    return _from_text(kind.fromisoformat, raw)


def _timedelta(kind: Any, raw: object) -> object:
    """Read what `str` gives, or a number of seconds."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return kind(seconds=raw)
    text = str(raw)
    match = _TIMEDELTA.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a duration as [D days, ]H:MM:SS[.ffffff], got {text!r}")
    days, hours, minutes, seconds, fraction = match.groups()
    return kind(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds),
        microseconds=int((fraction or "").ljust(6, "0")),
    )  # fmt: skip


# A timedelta's own str() is inherited by subclasses that print differently.
TEXT: dict[type, Text] = {
    dt.time: Text(dt.time.isoformat, _from_iso),
    dt.timedelta: Text(dt.timedelta.__str__, _timedelta),
    Decimal: Text(str, _from_number),
    Fraction: Text(str, _from_number),
    UUID: Text(str, _from_text),
    complex: Text(lambda value: str(complex(value)), _from_number),
    ZoneInfo: Text(str, _from_text),
    np.datetime64: Text(str, _from_text),
    **{
        kind: Text(str, _from_text)
        for kind in (
            ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
            ipaddress.IPv4Interface, ipaddress.IPv6Interface,
        )
    },
}  # fmt: skip


def text_of(kind: Any) -> Text | None:
    """Return how a type, or one that it is derived from, is written as text; None for any other."""
    if not isinstance(kind, type):
        return None
    return next((TEXT[base] for base in kind.__mro__ if base in TEXT), None)


def numpy_scalar(kind: type[np.generic], raw: Any, *, strict: bool) -> object:
    """Return `raw` as a numpy scalar; ValueError if its type is another (strict) or the value does not fit."""
    allowed = next((taken for base, taken in _TAKEN if issubclass(kind, base)), ())
    if strict and not (isinstance(raw, allowed) and isinstance(raw, bool) == (bool in allowed)):
        raise ValueError(raw)
    found: object = kind(raw)
    if isinstance(found, np.integer) and found != raw and not isinstance(raw, str):
        raise ValueError(raw)
    return found


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what an array of the dtype is written as: times are integers, complex numbers pairs."""
    if dtype.kind in "Mm":
        return np.dtype(np.int64)
    return np.empty(0, dtype).real.dtype if dtype.kind == "c" else dtype


_TAKEN: tuple[tuple[type, tuple[type, ...]], ...] = (
    (np.bool_, (bool,)),
    (np.integer, (int,)),
    (np.floating, (int, float)),
    (np.complexfloating, (int, float, str)),
    (np.bytes_, (bytes,)),
    (np.str_, (str,)),
    (np.datetime64, (str,)),
)
