"""Values built from YAML by the annotations of a dataclass's fields."""

import collections.abc
import dataclasses
import types
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import MissingValueError

Path_ = tuple[object, ...]

_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable)
_SETS = {set: set, frozenset: frozenset, collections.abc.Set: frozenset, collections.abc.MutableSet: set}
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class MismatchError(Exception):
    """A value that does not fit its annotation: where, what was expected, what came."""

    def __init__(self, at: Path_, expected: str, got: object) -> None:
        super().__init__(at, expected, got)
        self.at, self.expected, self.got = at, expected, got


def build_dataclass(cls: Any, raw: object, at: Path_, *, strict: bool) -> Any:
    """Return an instance of `cls` from a mapping; strict also refuses unknown keys and wrong types."""
    if not isinstance(raw, Mapping):
        raise MismatchError(at, f"a mapping with the fields of {cls.__name__}", raw)
    hints = get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if strict and (unknown := [key for key in raw if key not in fields]):
        raise MismatchError((*at, unknown[0]), f"one of the fields {', '.join(fields)}", unknown[0])
    values = {
        name: build(hints[name], raw[name], (*at, name), strict=strict)
        for name, field in fields.items()
        if name in raw and field.init
    }
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.init and required and name not in values:
            raise MissingValueError(f"expected a value for the field {dotted((*at, name))} of {cls.__name__}, got none")
    return cls(**values)


def build(hint: Any, raw: Any, at: Path_, *, strict: bool) -> Any:
    """Return `raw` as `hint` describes it; leniently, what fits no description stays as it is."""
    origin = get_origin(hint)
    if origin is Annotated:
        return build(get_args(hint)[0], raw, at, strict=strict)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint), raw, at, strict=strict)
    if origin is Literal:
        return _literal(get_args(hint), raw, at, strict=strict)
    if alias := getattr(origin or hint, "__value__", None):  # a `type` statement, as numpy's NDArray is one
        return build(alias[get_args(hint)] if origin else alias, raw, at, strict=strict)
    if isinstance(hint, NewType):
        return build(hint.__supertype__, raw, at, strict=strict)
    if hint is Any or hint is object or isinstance(hint, TypeVar):
        return raw
    if raw is None and not strict:
        return None
    kind = origin or hint
    if kind in _LISTS or kind in _SETS or kind in _DICTS or kind is tuple:
        return _container(kind, get_args(hint), raw, at, strict=strict)
    if kind is np.ndarray:
        return _array(get_args(hint), raw, at, strict=strict)
    if dataclasses.is_dataclass(kind):
        return build_dataclass(kind, raw, at, strict=strict) if strict or isinstance(raw, Mapping) else raw
    return _scalar(kind, raw, at, strict=strict)


def dotted(at: Path_) -> str:
    """Return the path of a field as people write it: `a.b[2]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
    return text.removeprefix(".")


def _scalar(kind: Any, raw: Any, at: Path_, *, strict: bool) -> Any:
    if not isinstance(kind, type):
        return raw
    if issubclass(kind, Enum):
        return _enum(kind, raw, at, strict=strict)
    if issubclass(kind, PurePath) and isinstance(raw, str):
        return kind(raw)
    if issubclass(kind, np.generic) and isinstance(raw, bool | int | float | str):
        return _converted(lambda: kind(raw), raw, f"{kind.__name__}", at, strict=strict)
    if issubclass(kind, date) and isinstance(raw, str):
        return _converted(lambda: kind.fromisoformat(raw), raw, "an ISO 8601 time", at, strict=strict)
    if not strict or _is_exactly(kind, raw):
        return raw
    if kind is float and _is_exactly(int, raw):
        return float(raw)
    raise MismatchError(at, "null" if kind is type(None) else kind.__name__, raw)


def _is_exactly(kind: type, raw: object) -> bool:
    """Python counts True as an int and a datetime as a date; a person who wrote one did not mean the other."""
    if isinstance(raw, bool) or kind is bool:
        return kind is bool and isinstance(raw, bool)
    return isinstance(raw, kind) and not (kind is date and isinstance(raw, datetime))


def _converted(convert: Any, raw: object, expected: str, at: Path_, *, strict: bool) -> Any:
    try:
        return convert()
    except (ValueError, OverflowError) as error:
        if strict:
            raise MismatchError(at, expected, raw) from error
        return raw


def _enum(kind: type[Enum], raw: object, at: Path_, *, strict: bool) -> Any:
    if isinstance(raw, list):  # a tuple is written as a list
        raw = tuple(raw)
    for member in kind:
        value = member.value.as_posix() if isinstance(member.value, PurePath) else member.value
        if value == raw and isinstance(value, bool) == isinstance(raw, bool):
            return member
    if strict:
        raise MismatchError(at, f"one of {', '.join(repr(member.value) for member in kind)}", raw)
    return kind(raw)


def _literal(options: tuple[Any, ...], raw: object, at: Path_, *, strict: bool) -> Any:
    for option in options:
        value = option.value if isinstance(option, Enum) else option
        if value == raw and type(value) is type(raw):
            return option
    if strict:
        raise MismatchError(at, f"one of {', '.join(map(repr, options))}", raw)
    return raw


def _union(options: tuple[Any, ...], raw: Any, at: Path_, *, strict: bool) -> Any:
    """The contract's order: None, then the enums, then the member that fits without a change, then any that fits."""
    if raw is None and type(None) in options:
        return None
    others = [option for option in options if option is not type(None)]
    if strict and len(others) == 1:
        return build(others[0], raw, at, strict=True)
    for option in sorted(options, key=lambda option: _rank(option, raw)):
        try:
            return build(option, raw, at, strict=True)
        except (MismatchError, MissingValueError):
            continue
    if strict:
        raise MismatchError(at, f"one of {', '.join(getattr(o, '__name__', str(o)) for o in options)}", raw)
    if len(others) == 1 and _rank(others[0], raw) != 0:
        return build(others[0], raw, at, strict=False)
    return raw


def _rank(option: Any, raw: object) -> int:
    if isinstance(option, type) and issubclass(option, Enum):
        return 0
    return 1 if isinstance(option, type) and _is_exactly(option, raw) else 2


def _container(kind: Any, parts: tuple[Any, ...], raw: Any, at: Path_, *, strict: bool) -> Any:
    if kind in _DICTS:
        if not isinstance(raw, Mapping):
            return _kept(raw, "a mapping", at, strict=strict)
        key, value = parts or (Any, Any)
        return {build(key, k, at, strict=strict): build(value, v, (*at, k), strict=strict) for k, v in raw.items()}
    if not isinstance(raw, list | set | tuple):
        return _kept(raw, "a list", at, strict=strict)
    if kind is tuple and parts and parts[-1] is not Ellipsis:
        if len(parts) != len(raw):
            return _kept(raw, f"{len(parts)} values", at, strict=strict)
        hints = parts
    else:
        hints = (parts[0] if parts else Any,) * len(raw)
    values = [build(hint, v, (*at, i), strict=strict) for i, (hint, v) in enumerate(zip(hints, raw, strict=True))]
    if kind is tuple:
        return tuple(values)
    return _SETS[kind](values) if kind in _SETS else values


def _array(parts: tuple[Any, ...], raw: Any, at: Path_, *, strict: bool) -> Any:
    """A list of numbers, or the mapping with dtype and shape; the dtype of the annotation rules."""
    scalar = next(iter(get_args(parts[1])), None) if len(parts) == 2 else None
    dtype = scalar if isinstance(scalar, type) and issubclass(scalar, np.generic) else None
    try:
        if isinstance(raw, Mapping):
            return np.asarray(raw["data"], dtype=np.dtype(raw["dtype"])).reshape(raw["shape"])
        if isinstance(raw, list):
            return np.asarray(raw, dtype=dtype)
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        if strict:
            raise MismatchError(at, "an array", raw) from error
        return raw
    return _kept(raw, "an array", at, strict=strict)


def _kept(raw: object, expected: str, at: Path_, *, strict: bool) -> object:
    if strict:
        raise MismatchError(at, expected, raw)
    return raw
