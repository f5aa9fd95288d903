"""The decorator: a call is looked up by its key; one process computes what is not there, the others wait for it."""

import functools
import inspect
import os
import types
import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...system.locks import held_file
from ..names import FOLDER, MEMO, STAGING
from . import entry
from .keys import canon, key_of, text

_OFF = ("AXDS_DISABLE_MEMOIZE", "PTYCHO_DISABLE_MEMOIZE")
_KEY_MODE = ("AXDS_MEMOIZE_KEY_MODE", "PTYCHO_MEMOIZE_KEY_MODE")
_YES = frozenset({"1", "true", "yes", "on"})
_DATASET = "dataset"


def memoized(
    root: Path,
    function: Callable[..., Any],
    *,
    version: object = None,
    ignore: Sequence[str] = (),
    dataset: Sequence[str] = (),
    is_read_only: bool = False,
) -> Callable[..., Any]:
    """Return a function that looks its results up in a store; see `Store.memo`."""
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"expected a function that returns its result, got {function!r}")
    name = _name_of(function)
    code_version = _version_of(function) if version is None else str(version)
    signature = inspect.signature(function)
    ignored, listed = _parameters(ignore, signature, "ignore"), _parameters(dataset, signature, _DATASET)
    bind = _binder(signature)
    folder = f"{root}/{FOLDER}/{MEMO}"

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if _switch(_OFF) in _YES:
            return function(*arguments, **named)
        found = bind(arguments, named)
        if listed and _switch(_KEY_MODE) == _DATASET:
            found = {name: value for name, value in found.items() if name in listed}
        elif ignored:
            found = {name: value for name, value in found.items() if name not in ignored}
        digits = key_of(name, code_version, found)
        path = f"{folder}/{digits[:2]}/{digits}"
        result = entry.read(path, name)
        if result is not entry.MISSING:
            return result
        compute = functools.partial(function, *arguments, **named)
        return compute() if is_read_only else _compute_once(root, Path(path), name, compute)

    return call


def _binder(signature: inspect.Signature) -> Callable[[Sequence[Any], dict[str, Any]], dict[str, Any]]:
    """Return what gives a call's arguments by name, defaults applied; of most functions without `Signature.bind`."""
    parameters = signature.parameters.values()
    names = [*signature.parameters]
    defaults = {item.name: item.default for item in parameters if item.default is not item.empty}
    is_plain = all(item.kind is item.POSITIONAL_OR_KEYWORD for item in parameters)

    def bind(arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
        if is_plain and len(arguments) <= len(names):
            given = dict(zip(names, arguments, strict=False))
            if not given.keys() & named.keys():
                found = {**defaults, **given, **named}
                if found.keys() == signature.parameters.keys():
                    return found
        bound = signature.bind(*arguments, **named)  # raises what the call would
        bound.apply_defaults()
        return bound.arguments

    return bind


def _compute_once(root: Path, path: Path, name: str, compute: Callable[[], Any]) -> Any:
    """Compute a result under a lock of its key, unless another process has done so meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with held_file(path.with_name(path.name + ".lock")):
        found = entry.read(str(path), name)
        if found is not entry.MISSING:
            return found
        value = compute()
        try:
            (root / FOLDER / STAGING).mkdir(exist_ok=True)
            entry.write(path, root / FOLDER / STAGING, name, value)
        except (TypeError, OSError) as error:  # the result is worth more than its copy
            warnings.warn(f"a result of {name} is not kept: {error}", RuntimeWarning, stacklevel=3)
        return value


def _switch(names: Sequence[str]) -> str:
    return next((value.strip().lower() for name in names if (value := os.environ.get(name))), "")


def _name_of(function: Callable[..., Any]) -> str:
    try:
        return f"{function.__module__}.{function.__qualname__}"
    except AttributeError:
        raise TypeError(f"expected a function with a name, got {function!r}") from None


def _parameters(names: Sequence[str], signature: inspect.Signature, option: str) -> frozenset[str]:
    wanted = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in wanted if name not in signature.parameters]
    if unknown:
        raise ValueError(f"expected {option} of {[*signature.parameters]}, got {unknown[0]!r}")
    return frozenset(wanted)


def _version_of(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code and of the values that it takes from the function around it."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    if not isinstance(code, types.CodeType):
        raise TypeError(f"expected version= for {function!r}, which has no Python code to derive one from")
    form = _code_form(code)
    for variable, cell in zip(code.co_freevars, inner.__closure__ or (), strict=True):
        try:
            form += text(variable) + canon(cell.cell_contents)
        except (ValueError, TypeError):  # not set yet, or nothing that equality says much of
            continue
    return sha256(form).hexdigest()


def _code_form(code: types.CodeType) -> bytes:
    """Return what a function does, without the file and the line that it stands in."""
    form = code.co_code + text(" ".join((*code.co_names, "", *code.co_varnames, "", *code.co_freevars)))
    for constant in code.co_consts:
        form += _code_form(constant) if isinstance(constant, types.CodeType) else canon_or_text(constant)
    return form


def canon_or_text(value: object) -> bytes:
    """Return the canonical form of a constant, or its text where it has none."""
    try:
        return canon(value)
    except TypeError:
        return text(repr(value))
