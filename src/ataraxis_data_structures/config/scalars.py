"""Forms of single values."""

import os
from collections.abc import Callable, Hashable
from datetime import date, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from .annotations import Hint
from .forms import EXACT, PLAIN, At, Form, FormOf, MismatchError, Rank
from .texts import numpy_scalar, text_of

_BUILT_IN = (str, int, float, bytes)


def scalar(hint: Hint, _: FormOf) -> Form:
    """Take a value of the type, or one from which it can be made without loss."""
    kind: Any = hint.kind
    convert = _converter(kind)
    label = "null" if kind is type(None) else getattr(kind, "__name__", str(kind))

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if _is_exactly(kind, raw) or (raw is None and not strict):
            return raw
        try:
            return convert(raw, strict)
        except (ValueError, TypeError, ArithmeticError) as error:
            if strict:
                raise MismatchError(at, label, raw) from error
            return raw

    def rank(raw: Any) -> Rank:
        return Rank(EXACT if not isinstance(raw, str) and _is_exactly(kind, raw) else PLAIN)

    return Form(read, lambda value: _is_exactly(kind, value), rank, label)


def _is_exactly(kind: Any, raw: object) -> bool:
    """Python counts True as an int and a datetime as a date; a person who wrote one did not mean the other."""
    if not isinstance(kind, type):
        return True
    if isinstance(raw, bool) or kind is bool:
        return isinstance(raw, bool) and kind in (bool, Hashable)
    try:
        return isinstance(raw, kind) and not (kind is date and isinstance(raw, datetime))
    except TypeError:  # a protocol that cannot be checked
        return True


def _converter(kind: Any) -> Callable[[Any, bool], Any]:
    """Return what makes a value of the type from one of another; it raises ValueError for what it does not take."""
    if not isinstance(kind, type):
        return _refuse
    if issubclass(kind, np.generic):
        return lambda raw, strict: numpy_scalar(kind, raw, strict=strict)
    if issubclass(kind, PurePath) or kind is os.PathLike:
        make: Any = Path if kind is os.PathLike else kind
        return _from(str, make)
    if issubclass(kind, date):
        return _from((str, datetime), lambda raw: kind.fromisoformat(str(raw)))
    if text := text_of(kind):
        return lambda raw, _: text.read(kind, raw)
    if kind is float:
        return _from(int, float)
    if kind is bytearray:
        return _from(bytes, bytearray)
    base = next((base for base in _BUILT_IN if issubclass(kind, base) and kind is not base), None)
    return _from(base, kind) if base else _refuse


def _from(taken: Any, make: Callable[[Any], Any]) -> Callable[[Any, bool], Any]:
    def convert(raw: Any, _: bool) -> Any:  # noqa: FBT001 - the signature of all
        return make(raw) if isinstance(raw, taken) and not isinstance(raw, bool) else _refuse(raw, _)

    return convert


def _refuse(raw: Any, _: bool) -> Any:  # noqa: FBT001 - the signature of all
    raise ValueError(raw)
