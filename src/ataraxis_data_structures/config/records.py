"""Forms with named parts: dataclasses, named tuples, typed dictionaries."""

import dataclasses
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import MissingValueError
from .annotations import Hint, annotations_of
from .forms import RECORD, At, Form, FormOf, MismatchError, Rank, dotted, kept, later


class _Field(NamedTuple):
    form: Form
    is_required: bool
    is_init: bool
    is_written: bool
    make_default: Callable[[], Any] | None


def _fields(hint: Hint, form: FormOf) -> dict[str, _Field]:
    """Return the fields of a dataclass and the values that only its `__init__` or `__post_init__` takes."""
    cls = hint.kind
    annotations = annotations_of(hint)
    stored = {field.name for field in dataclasses.fields(cls)}
    found = {}
    for name, field in cls.__dataclass_fields__.items():
        annotation = annotations.get(name, Hint(Any))
        is_passed = isinstance(annotation.form, dataclasses.InitVar) or annotation.form is dataclasses.InitVar
        if name in stored or is_passed:
            is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            is_written = name in stored and not field.metadata.get("yaml_exclude")
            factory: Any = field.default_factory
            make_default = None if factory is dataclasses.MISSING else factory
            read = later(annotation, form)
            found[name] = _Field(read, is_required and field.init, field.init, is_written, make_default)
    return found


def dataclass(hint: Hint, form: FormOf) -> Form:
    """Take a mapping of fields; init=False ones are set afterwards, InitVars are passed to `__init__`."""
    cls = hint.kind
    expected = f"a mapping with the fields of {cls.__name__}"
    known: dict[str, _Field] = {}

    def fields() -> dict[str, _Field]:
        known.update(known or _fields(hint, form))
        return known

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if isinstance(raw, cls):
            return raw
        if not isinstance(raw, Mapping):
            return kept(raw, expected, at, strict=strict)
        if at and any(key not in fields() for key in raw) and (derived := _derived(cls, raw)):
            return form(Hint(derived)).read(raw, at, strict=strict)
        return _instance(cls, fields(), raw, at, strict=strict)

    def rank(raw: Any) -> Rank:
        if not isinstance(raw, Mapping):
            return Rank(RECORD)
        absent = any(name not in raw for name, field in fields().items() if field.is_written)
        return Rank(RECORD, sum(key not in fields() for key in raw), absent)

    return Form(read, lambda value: isinstance(value, cls), rank, expected)


def _like_default(value: Any, raw: Any, field: _Field) -> Any:
    """Give a deque its length and a defaultdict its factory, which no annotation says, from the field's default."""
    if value is raw or field.make_default is None or not isinstance(value, deque | defaultdict):
        return value
    default = field.make_default()
    if isinstance(value, deque) and isinstance(default, deque):
        return type(value)(value, default.maxlen)
    if isinstance(value, defaultdict) and isinstance(default, defaultdict):
        value.default_factory = default.default_factory
    return value


def _derived(cls: type, raw: Mapping[Any, Any]) -> type | None:
    """Return the only class derived from `cls` whose written fields are the keys of `raw`: it wrote them."""
    found: dict[str, type] = {}  # with slots, a class is made twice under one name, and the last one counts
    todo: list[type] = list(cls.__subclasses__())
    while todo:
        one = todo.pop(0)
        todo.extend(one.__subclasses__())
        if dataclasses.is_dataclass(one):
            written = {field.name for field in dataclasses.fields(one) if not field.metadata.get("yaml_exclude")}
            if written == set(raw):
                found[one.__qualname__] = one
    return next(iter(found.values())) if len(found) == 1 else None


def _instance(cls: Any, fields: Mapping[str, _Field], raw: Mapping[Any, Any], at: At, *, strict: bool) -> Any:
    if strict and (unknown := [key for key in raw if key not in fields]):
        raise MismatchError((*at, unknown[0]), f"one of the fields {', '.join(fields)}", unknown[0])
    values = {
        name: _like_default(field.form.read(raw[name], (*at, name), strict=strict), raw[name], field)
        for name, field in fields.items()
        if name in raw
    }
    for name, field in fields.items():
        if field.is_required and name not in values:
            raise MissingValueError(f"expected a value for the field {dotted((*at, name))} of {cls.__name__}, got none")
    made = cls(**{name: value for name, value in values.items() if fields[name].is_init})
    # A frozen class refuses setattr; any other may have properties, which object's own setattr calls as well.
    assign = object.__setattr__ if cls.__dataclass_params__.frozen else setattr
    for name, value in values.items():
        if not fields[name].is_init:
            assign(made, name, value)
    return made


def named_tuple(hint: Hint, form: FormOf) -> Form:
    """Take a list, as it is written, or a mapping, as people may write it."""
    cls = hint.kind
    annotations = annotations_of(hint)
    forms = {name: later(annotations.get(name, Hint(Any)), form) for name in cls._fields}
    required = set(forms) - set(cls._field_defaults)
    expected = f"the {len(forms)} values of {cls.__name__}"

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if isinstance(raw, cls):
            return raw
        is_listed = isinstance(raw, list | tuple) and len(raw) <= len(forms)
        named = dict(zip(forms, raw, strict=False)) if is_listed else raw
        if not isinstance(named, Mapping) or not required <= set(named) <= set(forms):
            return kept(raw, expected, at, strict=strict)
        values = {
            name: forms[name].read(value, (*at, index if is_listed else name), strict=strict)
            for index, (name, value) in enumerate(named.items())
        }
        return cls(**values)

    def fits(value: Any) -> bool:
        return isinstance(value, cls)

    return Form(read, fits, lambda _: Rank(RECORD), expected)


def typed_dict(hint: Hint, form: FormOf) -> Form:
    """Take a mapping; strictly, without unknown and with all required keys."""
    cls = hint.kind
    forms = {name: later(annotation, form) for name, annotation in annotations_of(hint).items()}
    expected = f"a mapping with the keys of {cls.__name__}"

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if not isinstance(raw, Mapping):
            return kept(raw, expected, at, strict=strict)
        if strict and (unknown := [key for key in raw if key not in forms]):
            raise MismatchError((*at, unknown[0]), f"one of the keys {', '.join(forms)}", unknown[0])
        if strict and (missing := [name for name in sorted(cls.__required_keys__) if name not in raw]):
            raise MismatchError(at, f"a mapping with the key {missing[0]}", raw)
        return {
            key: forms[key].read(value, (*at, key), strict=strict) if key in forms else value
            for key, value in raw.items()
        }

    def rank(raw: Any) -> Rank:
        if not isinstance(raw, Mapping):
            return Rank(RECORD)
        return Rank(RECORD, sum(key not in forms for key in raw), any(name not in raw for name in forms))

    def fits(value: Any) -> bool:
        return isinstance(value, Mapping) and cls.__required_keys__ <= set(value)

    return Form(read, fits, rank, expected)
