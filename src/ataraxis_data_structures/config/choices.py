"""Forms that choose: unions, Literals, enumerations."""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, get_args

from .annotations import Hint, flattened
from .encode import of_member, plain
from .forms import NAMED, PLAIN, At, Form, FormOf, MismatchError, Rank, kept
from .texts import TEXT


def union(hint: Hint, form: FormOf) -> Form:
    """Try the members strictly, then leniently: Enums and Literals first, dataclasses before plain containers."""
    members = [one for one in flattened(hint) if one.form not in (None, type(None))]
    is_nullable = len(members) < len(list(flattened(hint)))
    forms = [form(one) for one in members]
    label = " or ".join([*(one.label for one in forms), *(["null"] if is_nullable else [])])

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if raw is None and is_nullable:
            return None
        if len(forms) == 1:
            return _optional(forms[0], raw, at, strict=strict)
        errors: list[MismatchError] = []
        for one, step in _attempts(sorted(forms, key=lambda one: one.rank(raw)), strict=strict):
            try:
                value = one.read(raw, at, strict=step is not _is_fitting)
            except MismatchError as error:
                errors.append(error)
            except Exception:  # noqa: BLE001, S112 - a member whose own code refuses the value is passed over
                continue
            else:
                if step(one, value, raw):
                    return value
        deepest = max(errors, key=lambda error: len(error.at), default=None)
        if strict and deepest and len(deepest.at) > len(at):
            raise deepest
        return kept(raw, label, at, strict=strict)

    def fits(value: Any) -> bool:
        return (value is None and is_nullable) or any(one.fits(value) for one in forms)

    return Form(read, fits, lambda raw: min((one.rank(raw) for one in forms), default=Rank(PLAIN)), label)


def _attempts(forms: list[Form], *, strict: bool) -> Iterable[tuple[Form, Callable[[Form, Any, Any], bool]]]:
    """Yield each member with the test that its value must pass: first the one that would be written just so."""
    for step in (_is_faithful, _is_strict) if strict else (_is_faithful, _is_strict, _is_fitting):
        yield from ((one, step) for one in forms)


def _is_faithful(one: Form, value: Any, raw: Any) -> bool:
    """Whether a text would be written again as it was read: `a//b` is no path where it may also be text."""
    if not isinstance(raw, str) or isinstance(value, str) or one.rank(raw).kind == NAMED:
        return True
    return plain(value, texts=tuple(TEXT)) == raw


def _is_strict(one: Form, value: Any, raw: Any) -> bool:  # noqa: ARG001 - the signature of all
    return True


def _is_fitting(one: Form, value: Any, raw: Any) -> bool:  # noqa: ARG001 - the signature of all
    return one.fits(value)


def _optional(one: Form, raw: Any, at: At, *, strict: bool) -> Any:
    """The only member beside null: what it refuses is said, but an unknown name of an enumeration is kept."""
    if strict or one.rank(raw).kind != NAMED:
        return one.read(raw, at, strict=strict)
    try:
        return one.read(raw, at, strict=False)
    except ValueError:
        return raw


def literal(hint: Hint, _: FormOf) -> Form:
    """Take one of the values of a Literal, whose Enum members are written as their values."""
    options = [(option, option.value if isinstance(option, Enum) else option) for option in get_args(hint.form)]
    label = f"one of {', '.join(repr(option) for option, _ in options)}"

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        for option, value in options:
            if raw is option or (value == raw and type(value) is type(raw)):
                return option
        return kept(raw, label, at, strict=strict)

    def fits(value: Any) -> bool:
        return any(value == option and type(value) is type(option) for option, _ in options)

    return Form(read, fits, lambda _: Rank(NAMED), label)


def enumeration(hint: Hint, _: FormOf) -> Form:
    """Take a member by its value, by what the class makes of the value, or leniently by its name."""
    kind: type[Enum] = hint.kind
    written: list[tuple[object, Enum]] = []
    for member in kind.__members__.values():
        try:
            written.append((of_member(member), member))
        except (TypeError, ValueError):  # a member that is never written
            continue
    has_booleans = any(isinstance(value, bool) for value, _ in written)
    label = f"one of {', '.join(repr(value) for value, _ in written)}"

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        if isinstance(raw, kind):
            return raw
        if raw is None and not strict and None not in (value for value, _ in written):
            return None
        listed = list(raw) if isinstance(raw, tuple) else raw
        for value, member in written:
            if value == listed and isinstance(value, bool) == isinstance(raw, bool):
                return member
        try:  # combined flags, and what the class's own _missing_ finds
            if not strict or has_booleans or not isinstance(raw, bool):
                return kind(tuple(raw) if isinstance(raw, list) else raw)
        except Exception:
            if not strict and isinstance(raw, str) and raw in kind.__members__:
                return kind[raw]
            if not strict:
                raise
        raise MismatchError(at, label, raw)

    return Form(read, lambda value: isinstance(value, kind), lambda _: Rank(NAMED), label)
