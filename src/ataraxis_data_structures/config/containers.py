"""Forms with parts of one kind: mappings, collections, tuples, arrays."""

import collections
import collections.abc
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Unpack, get_args, get_origin

import numpy as np

from .annotations import Hint, arguments_of, peeled
from .forms import ANY, At, Form, FormOf, MismatchError, Rank, kept, later, made, rank_of_items
from .texts import stored_dtype

_LISTS = (list, tuple, set, frozenset, collections.deque, collections.UserList)
_CONCRETE: tuple[Any, ...] = (list, frozenset, set)


def mapping(hint: Hint, form: FormOf) -> Form:
    """Take a mapping and give the kind that the annotation names."""
    kind = hint.kind
    arguments = arguments_of(hint)
    key = later(arguments[0], form) if arguments else ANY
    value_hint = arguments[1] if len(arguments) > 1 else Hint(int if issubclass(kind, collections.Counter) else Any)
    value = later(value_hint, form)
    make = _mapping_maker(kind, value_hint)

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if not isinstance(raw, Mapping):
            return kept(raw, "a mapping", at, strict=strict)
        pairs = {key.read(k, at, strict=strict): value.read(v, (*at, k), strict=strict) for k, v in raw.items()}
        return made(make, pairs, raw, "a mapping", at, strict=strict)

    def fits(one: Any) -> bool:
        return isinstance(one, kind) and all(key.fits(k) and value.fits(v) for k, v in one.items())

    def rank(raw: Any) -> Rank:
        return rank_of_items((value, one) for one in (raw.values() if isinstance(raw, Mapping) else ()))

    return Form(read, fits, rank, "a mapping")


def _mapping_maker(kind: Any, value: Hint) -> Callable[[dict[Any, Any]], Any]:
    if inspect.isabstract(kind) or kind is dict:
        return dict
    if not issubclass(kind, collections.defaultdict):
        return typing.cast("Callable[[dict[Any, Any]], Any]", kind)
    made = peeled(value).kind
    factory = made if isinstance(made, type) and not inspect.isabstract(made) and made is not object else None
    return lambda pairs: kind(factory, pairs)


def collection(hint: Hint, form: FormOf) -> Form:
    """Take a list and give the kind that the annotation names; text where that is a collection of the kind."""
    kind = hint.kind
    arguments = arguments_of(hint)
    item = later(arguments[0], form) if arguments else ANY
    make = kind if not inspect.isabstract(kind) else _concrete(kind)

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if isinstance(raw, Mapping) and issubclass(dict, kind):
            return {item.read(k, at, strict=strict): v for k, v in raw.items()}
        if isinstance(raw, str | bytes) and isinstance(raw, kind):
            return raw
        if not isinstance(raw, _LISTS):
            return kept(raw, "a list", at, strict=strict)
        items = [item.read(one, (*at, index), strict=strict) for index, one in enumerate(raw)]
        return made(make, items, raw, "a list", at, strict=strict)

    def fits(one: Any) -> bool:
        return isinstance(one, kind) and all(map(item.fits, one))

    def rank(raw: Any) -> Rank:
        return rank_of_items((item, one) for one in (raw if isinstance(raw, _LISTS) else ()))

    return Form(read, fits, rank, "a list")


def _concrete(kind: Any) -> Any:
    return next(made for made in _CONCRETE if issubclass(made, kind))


def fixed(hint: Hint, form: FormOf) -> Form:
    """Take a list for a tuple of given parts, one of which may be of any length."""
    kind = hint.kind
    arguments = arguments_of(hint)
    is_open = not arguments and (get_origin(hint.form) is None or hint.form is typing.Tuple)  # noqa: UP006
    parts = _parts(arguments, form) if not is_open else ([], ANY, [])
    first, middle, last = parts
    count = len(first) + len(last)
    expected = "a list" if middle else f"{count} values"

    def forms(length: int) -> list[Form]:
        """Leniently, a list of another length is read as far as there are forms."""
        return [*first, *[middle or ANY] * (length - count), *last][:length]

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if not isinstance(raw, _LISTS):
            return kept(raw, expected, at, strict=strict)
        if strict and (len(raw) < count or (len(raw) > count and not middle)):
            raise MismatchError(at, expected, raw)
        items = [
            one.read(value, (*at, index), strict=strict)
            for index, (one, value) in enumerate(zip(forms(len(raw)), raw, strict=True))
        ]
        return made(kind, items, raw, expected, at, strict=strict)

    def fits(value: Any) -> bool:
        if not isinstance(value, kind) or len(value) < count or (len(value) > count and not middle):
            return False
        return all(one.fits(item) for one, item in zip(forms(len(value)), value, strict=True))

    return Form(read, fits, label=expected)


def _parts(arguments: tuple[Hint, ...], form: FormOf) -> tuple[list[Form], Form | None, list[Form]]:
    """Return the forms before, in and behind the part of a tuple that has any length."""
    if len(arguments) == 2 and arguments[1].form is Ellipsis:
        return [], later(arguments[0], form), []
    first: list[Form] = []
    for index, argument in enumerate(arguments):
        unpacked = get_args(argument.form)[0] if get_origin(argument.form) is Unpack else argument.form
        if unpacked is not argument.form or getattr(unpacked, "__unpacked__", False):
            inner, middle, behind = _parts(Hint(unpacked, argument.scope).arguments, form)
            return [*first, *inner], middle, [*behind, *(later(one, form) for one in arguments[index + 1 :])]
        first.append(later(argument, form))
    return first, None, []


def array(hint: Hint, _: FormOf) -> Form:
    """A list of numbers, or the mapping with dtype and shape; the dtype of the annotation rules."""
    parts = get_args(hint.form)
    scalar = next((peeled(one).form for one in Hint(parts[1], hint.scope).arguments), None) if len(parts) > 1 else None
    is_named = isinstance(scalar, type) and issubclass(scalar, np.generic) and not inspect.isabstract(scalar)
    dtype = scalar if is_named else None

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if isinstance(raw, np.ndarray):
            return raw
        if not isinstance(raw, Mapping | list):
            return kept(raw, "an array", at, strict=strict)
        try:
            return _described(raw) if isinstance(raw, Mapping) else np.asarray(raw, dtype=dtype)
        except (ValueError, TypeError, OverflowError, KeyError):
            return kept(raw, "an array", at, strict=strict)

    return Form(read, lambda value: isinstance(value, np.ndarray), label="an array")


def _described(raw: Mapping[Any, Any]) -> Any:
    dtype = np.dtype(raw["dtype"])
    return np.asarray(raw["data"], dtype=stored_dtype(dtype)).view(dtype).reshape(raw["shape"])


def is_collection(kind: Any) -> bool:
    """Whether the values are collections that a list can become."""
    if not isinstance(kind, type) or not issubclass(kind, (collections.abc.Iterable, collections.abc.Container)):
        return False
    if issubclass(kind, (str, bytes, bytearray, memoryview, range, np.generic)):
        return False
    return not inspect.isabstract(kind) or any(issubclass(made, kind) for made in _CONCRETE)
