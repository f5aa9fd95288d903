"""Values built from YAML by annotations: which form of annotation is read by what."""

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Hashable
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, Union

import numpy as np

from . import choices, containers, records, scalars
from .annotations import Hint, Unresolved, is_record, peeled
from .forms import ANY, At, Form, FormOf


@lru_cache(maxsize=1024)
def form_of(cls: Hashable) -> Form:
    """Return how a dataclass is read; its annotations are resolved once."""
    return _form(Hint(cls))


def _form(hint: Hint) -> Form:
    hint = peeled(hint)
    return next(make for applies, make in _FORMS if applies(hint.kind))(hint, _form)


def _is_kind(*bases: Any) -> Callable[[Any], bool]:
    return lambda kind: isinstance(kind, type) and issubclass(kind, bases)


def _unresolved(hint: Hint, form: FormOf) -> Form:
    """A name that did not exist when the class was first seen may exist by now."""

    def now() -> Form:
        return form(Hint(hint.form.resolve(), hint.scope))

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        return now().read(raw, at, strict=strict)

    return Form(read, lambda value: now().fits(value), label=hint.form.text)


# The first that applies counts: a dataclass may be a mapping, a named tuple is a tuple, text is a collection of text.
_FORMS: tuple[tuple[Callable[[Any], bool], Callable[[Hint, FormOf], Form]], ...] = (
    (lambda kind: kind is Any or kind is object, lambda *_: ANY),
    (lambda kind: kind in (Union, types.UnionType), choices.union),
    (lambda kind: kind is Literal, choices.literal),
    (lambda kind: isinstance(kind, Unresolved), _unresolved),
    (_is_kind(Enum), choices.enumeration),
    (dataclasses.is_dataclass, records.dataclass),
    (typing.is_typeddict, records.typed_dict),
    (is_record, records.named_tuple),
    (_is_kind(np.ndarray), containers.array),
    (_is_kind(collections.abc.Mapping), containers.mapping),
    (_is_kind(tuple), containers.fixed),
    (containers.is_collection, containers.collection),
    (lambda _: True, scalars.scalar),
)
