"""Reads back what it wrote, for dataclasses given as source text; also run by the published library's Python.

Standard input holds a JSON list of [source of the class C, source of its value]; standard output gets one JSON object
for each: the text that was written, and per mode whether the value came back equal, or the error's name.
"""

# ruff: noqa: F401 - the sources use what is imported here
import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import sys
import tempfile
import types
import typing
import uuid
from collections import Counter, OrderedDict, UserList, abc, defaultdict, deque
from dataclasses import KW_ONLY, InitVar, dataclass, field
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import numpy as np
from numpy.typing import NDArray

from ataraxis_data_structures import YAML_EXCLUDE_METADATA, YamlConfig

T = TypeVar("T")
B = TypeVar("B", bound=Path)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Pair(enum.Enum):
    ONE = (1, "a")
    TWO = (2, "b")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Name(enum.StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Perm(enum.Flag):
    R = 1
    W = 2
    X = 4


class IntPerm(enum.IntFlag):
    R = 1
    W = 2


class Quiet(enum.Enum):
    ON = "on"
    OFF = "off"

    @classmethod
    def _missing_(cls, value):
        return cls(value.lower()) if isinstance(value, str) and value != value.lower() else None


class Filter(enum.Enum):
    MEAN = min, object()
    SUM = max, object()


@dataclass
class Camera:
    port: int
    name: str = "cam"


@dataclass
class Encoder:
    path: Path
    gain: float = 1.0


@dataclass
class Refuses:
    step: int

    def __post_init__(self):
        if self.step < 0:
            raise KeyError("step")


@dataclass
class Takes:
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    where: Path
    depth: int = field(init=False, default=2)


@dataclass
class Keywords:
    first: int
    _: KW_ONLY
    second: Path = Path("s")


@dataclass
class Setting(Generic[T]):
    value: T
    former: list[T] = field(default_factory=list)


@dataclass
class PathSetting(Setting[Path]):
    unit: str = "mm"


@dataclass
class Bound(Generic[B]):
    value: B


@dataclass
class Node:
    value: int
    next: Optional["Node"] = None
    children: "list[Node]" = field(default_factory=list)


@dataclass
class Derived(Camera):
    rate: float = 30.0


class Point(NamedTuple):
    x: int
    where: Path = Path("p")


class GenericPoint(NamedTuple, Generic[T]):
    value: T


class Keys(TypedDict):
    raw: Path
    color: NotRequired[Color]


class FewKeys(Keys, total=False):
    many: list[Path]


class Text(str):
    __slots__ = ()


class Registry(dict[str, Path]):
    pass


class PathList(list[Path]):
    pass


Where = NewType("Where", Path)
Wheres = NewType("Wheres", list[Path])


def made(cls, later, **now):
    """Return an instance, with the fields set that its __init__ does not take; frozen ones too."""
    one = cls(**now)
    for name, value in later.items():
        object.__setattr__(one, name, value)
    return one


def is_same(got, want):
    """Whether a value came back equal and as the kind that it was."""
    if type(got) is not type(want):
        return False
    if isinstance(want, np.ndarray):
        return got.dtype == want.dtype and np.array_equal(got, want, equal_nan=want.dtype.kind in "fcMm")
    if isinstance(want, defaultdict) and got.default_factory is not want.default_factory:
        return False
    if hasattr(want, "__dataclass_fields__"):
        return all(
            is_same(getattr(got, name), getattr(want, name)) for name in want.__dataclass_fields__ if name != "_"
        )
    if isinstance(want, abc.Mapping):
        return list(got) == list(want) and all(is_same(got[key], want[key]) for key in want)
    if isinstance(want, list | tuple | deque | UserList):
        return len(got) == len(want) and all(map(is_same, got, want))
    if isinstance(want, set | frozenset):
        return got == want and sorted(repr(type(one)) for one in got) == sorted(repr(type(one)) for one in want)
    return bool(got == want) or (got != got and want != want)  # noqa: PLR0124 - not a number


def is_equal(got, want):
    """Whether a value equals what was written, whatever kind it became."""
    try:
        return bool(got == want)
    except ValueError:  # arrays
        return is_same(got, want)


def attempt(source, value, path, compare, modes):
    """Return the text that was written of a value, and what `read_back` finds."""
    try:
        value_of(source, value).to_yaml(path)
    except Exception as error:
        return {"text": type(error).__name__, "read": [type(error).__name__ for _ in modes]}
    return {"text": path.read_text(), "read": read_back(source, value, path, compare, modes)}


def read_back(source, value, path, compare, modes):
    """Return for each mode, the arguments of from_yaml, whether the file holds the value, or the error."""
    want, found = value_of(source, value), []
    for mode in modes:
        try:
            got = type(want).from_yaml(path, **mode)
            found.append(all(compare(getattr(got, name), getattr(want, name)) for name in want.__dataclass_fields__))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def value_of(source, value):
    names = dict(globals())
    exec(source, names)
    return eval(value, names)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        done = [attempt(source, value, path, is_equal, [{}]) for source, value in json.load(sys.stdin)]
    print(json.dumps(done))


if __name__ == "__main__":
    main()
