"""What the annotations of a class say: names resolved, type variables bound, wrappers taken off."""

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Final,
    LiteralString,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_WRAPPERS = (Annotated, Final, Required, NotRequired, getattr(typing, "ReadOnly", Required))
_NO_DEFAULT = getattr(typing, "NoDefault", None)


class Hint(NamedTuple):
    """An annotation, and what each type variable in it stands for."""

    form: Any
    scope: Mapping[Any, "Hint"] = types.MappingProxyType({})

    @property
    def kind(self) -> Any:
        """What the annotation is without its arguments: `list` of `list[int]`."""
        return get_origin(self.form) or self.form

    @property
    def arguments(self) -> tuple["Hint", ...]:
        """What stands between the brackets."""
        return tuple(Hint(argument, self.scope) for argument in get_args(self.form))


class Unresolved(NamedTuple):
    """An annotation with a name that does not exist, or not yet."""

    text: str
    owner: type

    def resolve(self) -> Any:
        """Return what the text stands for by now; NameError names what is missing."""
        variables = {one.__name__: one for one in getattr(self.owner, "__type_params__", ())}
        names = {**variables, **vars(self.owner), **{one.__name__: one for one in self.owner.__mro__}}
        module = vars(sys.modules[self.owner.__module__]) if self.owner.__module__ in sys.modules else {}
        holder = types.SimpleNamespace(__annotations__={"it": self.text})
        try:
            return get_type_hints(holder, module, names, include_extras=True)["it"]
        except NameError as error:
            error.add_note(f"in the annotation {self.text!r} of a field of {self.owner.__name__}")
            raise


def peeled(hint: Hint) -> Hint:
    """Return the annotation without Annotated, NewType, InitVar and the like, its type variables replaced."""
    while True:
        form, scope = hint
        if isinstance(form, NewType):
            hint = Hint(form.__supertype__, scope)
        elif isinstance(form, dataclasses.InitVar):
            hint = Hint(form.type, scope)
        elif form is dataclasses.InitVar:
            return Hint(Any)
        elif form is LiteralString:
            return Hint(str)
        elif isinstance(form, TypeVar) or form is Self:
            hint = scope.get(form) or Hint(_stand_in(form), scope)
        elif hint.kind in _WRAPPERS and hint.arguments:
            hint = hint.arguments[0]
        elif isinstance(form, typing.ForwardRef):
            return Hint(Unresolved(form.__forward_arg__, _owner(hint)), scope)
        elif isinstance(form, str):
            return Hint(Unresolved(form, _owner(hint)), scope)
        elif alias := _alias(hint.kind):  # a `type` statement, as numpy's NDArray is one
            hint = Hint(alias.__value__, dict(zip(alias.__type_params__, hint.arguments, strict=False)))
        else:
            return hint


def flattened(hint: Hint) -> Iterator[Hint]:
    """Yield the members of a union, and those of unions within it."""
    hint = peeled(hint)
    if hint.kind in (Union, types.UnionType):
        for argument in hint.arguments:
            yield from flattened(argument)
    else:
        yield hint


def is_record(kind: Any) -> bool:
    """Whether a class is a NamedTuple or a TypedDict."""
    return typing.is_typeddict(kind) or (
        isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_field_defaults")
    )


def annotations_of(hint: Hint) -> dict[str, Hint]:
    """Return the annotation of each name of a class, as the class that declares it sees its type variables."""
    cls = hint.kind
    arguments = {**dict(zip(getattr(cls, "__parameters__", ()), hint.arguments, strict=False)), Self: hint}
    scopes = _scopes(cls, arguments)
    return {name: Hint(form, {**scopes.get(owner, {}), Self: hint}) for name, (form, owner) in _resolved(cls).items()}


def arguments_of(hint: Hint) -> tuple[Hint, ...]:
    """Return the arguments of a container; those that a class gave to its base where it has none of its own."""
    while not hint.arguments:
        cls = hint.kind
        bases = cls.__dict__.get("__orig_bases__", getattr(cls, "__bases__", ())) if isinstance(cls, type) else ()
        base = next((base for base in bases if get_origin(base) is not typing.Generic), object)
        if base is object:
            return ()
        hint = Hint(base, hint.scope)
    return hint.arguments


@lru_cache(maxsize=1024)
def _resolved(cls: type) -> dict[str, tuple[Any, type]]:
    """Return each annotation, evaluated, and the class in which it stands."""
    owners = {name: base for base in reversed(_lineage(cls)) for name in inspect.get_annotations(base)}
    try:
        forms = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        forms = {name: _evaluated(name, owner) for name, owner in owners.items()}
    return {name: (form, owners.get(name, cls)) for name, form in forms.items()}


def _evaluated(name: str, owner: type) -> Any:
    form = inspect.get_annotations(owner)[name]
    text = form.__forward_arg__ if isinstance(form, typing.ForwardRef) else form
    if not isinstance(text, str):
        return form
    unresolved = Unresolved(text, owner)
    try:
        return unresolved.resolve()
    except NameError:
        return unresolved


def _lineage(cls: type) -> list[type]:
    """Return the classes whose annotations count; a TypedDict has its bases beside its MRO."""
    bases = [base for base in getattr(cls, "__orig_bases__", ()) if typing.is_typeddict(get_origin(base) or base)]
    if typing.is_typeddict(cls):
        return [cls, *(one for base in bases for one in _lineage(get_origin(base) or base))]
    return list(cls.__mro__)


def _scopes(cls: type, scope: Mapping[Any, Hint]) -> dict[type, Mapping[Any, Hint]]:
    """Return for a class and each of its bases what the type variables there stand for."""
    found: dict[type, Mapping[Any, Hint]] = {cls: scope}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if not isinstance(origin, type):
            continue
        arguments = [Hint(argument, scope) for argument in get_args(base)]
        parameters = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
        for one, inner in _scopes(origin, parameters).items():
            if not found.get(one):
                found[one] = inner
    return found


def _stand_in(variable: Any) -> Any:
    """Return what a type variable that nobody bound means: its default, its bound, one of its constraints, anything."""
    if variable is Self:
        return Any
    default = getattr(variable, "__default__", _NO_DEFAULT)
    if default is not _NO_DEFAULT and default is not None:
        return default
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - of a tuple
    return Any if variable.__bound__ is None else variable.__bound__


def _alias(kind: Any) -> Any:
    """Return a TypeAliasType, which exists from Python 3.12 on."""
    return kind if type(kind).__name__ == "TypeAliasType" else None


def _owner(hint: Hint) -> type:
    owner = hint.scope.get(Self)
    return owner.kind if owner else object
