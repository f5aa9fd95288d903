"""Values as YAML can hold them, and the text of the contract's layout."""

import dataclasses
from collections import UserList, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import yaml

from .annotations import Hint, Unresolved, annotations_of, arguments_of, is_record, peeled
from .load import MAX_DEPTH, MAX_NUMBER
from .texts import TEXT, stored_dtype, text_of

YAML_EXCLUDE_METADATA: Mapping[str, bool] = MappingProxyType({"yaml_exclude": True})

_UNSET = object()
_EVERY = tuple(TEXT)
_DIGITS = MAX_NUMBER - 1  # beside the sign
_BEYOND = 10**_DIGITS


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def dump(value: object) -> str:
    """Return the text of one document: block style, explicit start and end, keys in their order."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=False,
        explicit_start=True,
        explicit_end=True,
        indent=2,
        sort_keys=False,
        width=200,
    )
    return text


def plain(value: object, at: str = "", texts: tuple[type, ...] = (), depth: int = 1) -> object:
    """Return `value` in mappings, lists and scalars that read back; TypeError names the field that has none.

    `texts` are the types that may be written as text, because the annotation says how to read them.
    """
    if isinstance(value, Enum):
        return of_member(value)
    if isinstance(value, np.generic | np.ndarray) and not isinstance(value, texts):
        return _array(value, at)
    if value is None or isinstance(value, bool):
        return value
    if (scalar := _scalar(value, at)) is not _UNSET:
        return scalar
    if isinstance(value, texts) and (text := text_of(type(value))):
        return text.write(value)
    if depth > MAX_DEPTH:
        raise ValueError(f"{at[:60]}: expected at most {MAX_DEPTH} levels, got more or a value that contains itself")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(content, f"{at}.{field.name}" if at else field.name, allowed, depth + 1)
            for field, allowed in _written(type(value))
            if (content := getattr(value, field.name, _UNSET)) is not _UNSET
        }
    if isinstance(value, Mapping):
        return {
            _key(key, at, texts, depth): plain(item, f"{at}[{key!r}]", texts, depth + 1) for key, item in value.items()
        }
    if isinstance(value, AbstractSet):
        items = (plain(item, at, texts, depth + 1) for item in value)
        return sorted(items, key=lambda item: (str(type(item)), repr(item)))
    if isinstance(value, list | tuple | deque | UserList):
        return [plain(item, f"{at}[{index}]", texts, depth + 1) for index, item in enumerate(value)]
    raise TypeError(f"{at or 'value'}: expected a value that YAML reads back, got {type(value).__name__}")


def of_member(member: Enum) -> object:
    """Return what stands for a member: its value, or its name where YAML cannot hold the value."""
    try:
        return plain(member.value)
    except TypeError:
        if member.name is None:
            raise
        return member.name


def _scalar(value: object, at: str) -> object:
    """Return a scalar that YAML knows, without the subclass that it may be of; _UNSET for anything else."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if abs(value) >= _BEYOND:
            raise ValueError(f"{at or 'value'}: expected an integer of at most {_DIGITS} digits, got a longer one")
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, datetime):
        offset = value.utcoffset()
        is_odd = offset is not None and offset.seconds % 60  # YAML's timestamps know hours and minutes
        return value.isoformat() if is_odd else datetime.combine(value.date(), value.timetz())
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    return value.as_posix() if isinstance(value, PurePath) else _UNSET


@lru_cache(maxsize=1024)
def _written(cls: type) -> tuple[tuple[dataclasses.Field[Any], tuple[type, ...]], ...]:
    """Return the fields that are written, each with the types that its annotation can read from text."""
    hints = annotations_of(Hint(cls))
    return tuple(
        (field, tuple(_texts(hints.get(field.name, Hint(Any)))))
        for field in dataclasses.fields(cls)
        if not field.metadata.get("yaml_exclude")
    )


def _texts(hint: Hint, seen: tuple[Any, ...] = ()) -> set[type]:
    if hint.form in seen:
        return set()
    seen = (*seen, hint.form)
    inner = peeled(hint)
    if isinstance(inner.form, Unresolved) or (isinstance(hint.form, TypeVar) and inner.form is Any):
        return set(_EVERY)  # only the annotation that holds this class knows what the variable stands for
    if inner.kind is Literal:
        return set()
    found = {base for base in getattr(inner.kind, "__mro__", ()) if base in TEXT}
    parts = annotations_of(inner).values() if is_record(inner.kind) else arguments_of(inner)
    return found.union(*(_texts(part, seen) for part in parts))


def _key(key: object, at: str, texts: tuple[type, ...], depth: int) -> object:
    got = plain(key, at, texts, depth + 1)
    if isinstance(got, list | dict):
        raise TypeError(f"{at or 'value'}: expected scalar keys, got {key!r}")
    return got


def _array(value: np.generic | np.ndarray, at: str) -> object:
    """Numbers as a list; with dtype and shape beside it where the list alone would read back as another array."""
    kind = value.dtype.kind
    is_scalar = isinstance(value, np.generic)
    if kind not in ("biufU" if is_scalar else "biufUMmc") or value.dtype in (np.longdouble, np.clongdouble):
        raise TypeError(f"{at or 'value'}: expected booleans, numbers or text, got dtype {value.dtype}")
    if kind in "biufU":
        listed: object = value.tolist()
        again = np.asarray(listed)
        if is_scalar or (value.ndim and again.dtype == value.dtype and again.shape == value.shape):
            return listed
    data = value.ravel().view(stored_dtype(value.dtype)).tolist()
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}
