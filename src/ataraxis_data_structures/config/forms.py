"""What every form of annotation has: a function that reads, a test, a rank in unions, a name."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from .annotations import Hint

At = tuple[object, ...]


class MismatchError(Exception):
    """A value that does not fit its annotation: where, what was expected, what came."""

    def __init__(self, at: At, expected: str, got: object) -> None:
        super().__init__(at, expected, got)
        self.at, self.expected, self.got = at, expected, got


class Read(Protocol):
    """What reads the values of one annotation."""

    def __call__(self, raw: Any, at: At, *, strict: bool) -> Any:
        """Return `raw` as the annotation describes it.

        Strictly, a MismatchError says what does not fit; leniently, what fits no description stays as it is.
        """


class Rank(NamedTuple):
    """In which order the members of a union are tried: by kind, then by keys unknown, then by keys absent."""

    kind: int
    unknown: int = 0
    is_partial: bool = False


NAMED, EXACT, RECORD, PLAIN, ANYTHING = range(5)


class Form(NamedTuple):
    """How the values of one annotation are read, recognised, ordered in unions, and called in messages."""

    read: Read
    fits: Callable[[Any], bool]
    rank: Callable[[Any], Rank] = lambda _: Rank(PLAIN)
    label: str = "another type"


def rank_of_items(forms: Iterable[tuple[Form, Any]]) -> Rank:
    """Return the rank of a container, from that of each item's form: the worst one counts."""
    ranks = [form.rank(item) for form, item in forms]
    return Rank(PLAIN, max((one.unknown for one in ranks), default=0), any(one.is_partial for one in ranks))


FormOf = Callable[[Hint], Form]


def dotted(at: At) -> str:
    """Return the path of a field as people write it: `a.b[2]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
    return text.removeprefix(".")


def later(hint: Hint, form: FormOf) -> Form:
    """Return a form that is made at its first use, for annotations that contain themselves."""
    found: list[Form] = []

    def now() -> Form:
        if not found:
            found.append(form(hint))
        return found[0]

    def read(raw: Any, at: At, *, strict: bool) -> Any:
        return now().read(raw, at, strict=strict)

    return Form(read, lambda value: now().fits(value), lambda raw: now().rank(raw))


def kept(raw: object, expected: str, at: At, *, strict: bool) -> Any:
    """Return what does not fit as it is; strictly, raise."""
    if strict:
        raise MismatchError(at, expected, raw)
    return raw


def made(make: Callable[[Any], Any], content: Any, raw: Any, expected: str, at: At, *, strict: bool) -> Any:
    """Return what `make` makes of the content; a set of what has no hash does not fit."""
    try:
        return make(content)
    except (TypeError, ValueError):
        return kept(raw, expected, at, strict=strict)


def _unchanged(raw: Any, at: At, *, strict: bool) -> Any:  # noqa: ARG001 - the signature of all
    return raw


ANY = Form(_unchanged, lambda _: True, lambda _: Rank(ANYTHING), "anything")
