"""Whatever a dataclass of the supported kinds holds comes back equal and of the same types."""

import datetime as dt
import tempfile
from dataclasses import field, make_dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from ataraxis_data_structures import YAML_EXCLUDE_METADATA, YamlConfig


class Color(Enum):
    RED = "red"
    BLUE = "blue"
    PAIR = (1, "two")


class Shape(Enum):
    ROUND = "round"
    PLACE = Path("/place")


class Level(IntEnum):
    LOW = 1
    HIGH = 3


TEXT = st.text(max_size=20) | st.sampled_from(
    ["yes", "1e3", "null", "2026-01-02", "0o7", "1:30", "- a", "\udcff", "a\n\n b "]
)
PATHS = st.lists(st.sampled_from(["a", "b c", "d\u00e9", "1", "null"]), min_size=1, max_size=3).map(
    lambda parts: Path(*parts)
)
ARRAYS = npst.arrays(
    st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64, np.bool_]),
    npst.array_shapes(min_dims=1, max_side=3, min_side=0),
)
SCALARS = [
    (int, st.integers(-(2**70), 2**70)),
    (float, st.floats()),
    (bool, st.booleans()),
    (str, TEXT),
    (bytes, st.binary(max_size=8)),
    (Path, PATHS),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Literal["fast", 3], st.sampled_from(["fast", 3])),
    (dt.datetime, st.datetimes()),
    (dt.datetime, st.datetimes(timezones=st.just(dt.UTC))),
    (dt.date, st.dates()),
    (np.float32, st.floats(width=32).map(np.float32)),
    (np.uint64, st.integers(0, 2**64 - 1).map(np.uint64)),
    (np.int8, st.integers(-128, 127).map(np.int8)),
    (np.bool_, st.booleans().map(np.bool_)),
]
# A key is a scalar in YAML, and not a number equals nothing.
KEYS = [
    *(pair for pair in SCALARS if pair[0] not in (float, np.float32, bytes, Color)),
    (Shape, st.sampled_from(Shape)),
]


def listed(kind):
    hint, values = kind
    return st.sampled_from(
        [
            (list[hint], st.lists(values, max_size=3)),
            (tuple[hint, ...], st.lists(values, max_size=3).map(tuple)),
            (tuple[hint, int], st.tuples(values, st.integers(0, 9))),
            (dict[str, hint], st.dictionaries(TEXT, values, max_size=3)),
            (hint | None, st.none() | values),
        ]
    )


def keyed(kind):
    hint, values = kind
    return st.sampled_from(
        [
            (set[hint], st.sets(values, max_size=3)),
            (frozenset[hint], st.frozensets(values, max_size=3)),
            (dict[hint, int], st.dictionaries(values, st.integers(0, 9), max_size=3)),
        ]
    )


FLAT = st.sampled_from([*SCALARS, (np.ndarray, ARRAYS), (NDArray[np.float64], npst.arrays(np.float64, 3))])
NESTED = st.recursive(st.sampled_from(SCALARS), lambda kinds: kinds.flatmap(listed), max_leaves=3)
KINDS = FLAT | NESTED | st.sampled_from(KEYS).flatmap(keyed)


@st.composite
def configs(draw, depth=2):
    fields = []
    for number, (hint, values) in enumerate(draw(st.lists(KINDS, min_size=1, max_size=4))):
        fields.append((f"f{number}", hint, draw(values)))
    if depth and draw(st.booleans()):
        inner = draw(configs(depth - 1))
        hint = draw(st.sampled_from([type(inner), type(inner) | None, list[type(inner)]]))
        fields.append(("inner", hint, [inner, inner] if hint == list[type(inner)] else inner))
    excluded = ("hidden", int, field(default=7, metadata=YAML_EXCLUDE_METADATA))
    cls = make_dataclass("Generated", [(n, h) for n, h, _ in fields] + [excluded], bases=(YamlConfig,), eq=False)
    return cls(**{name: value for name, _, value in fields})


def same(left, right):
    if type(left) is not type(right):
        return False
    if isinstance(right, np.ndarray):
        nan = left.dtype.kind == "f"
        return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=nan)
    if isinstance(right, YamlConfig):
        return all(same(getattr(left, name), getattr(right, name)) for name in right.__dataclass_fields__)
    if isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in right)
    return left == right or (left != left and right != right)  # noqa: PLR0124 - not a number


@given(configs(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_generated_dataclass_comes_back(config, strict):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        config.to_yaml(path)
        assert "hidden" not in yaml.safe_load(path.read_text())
        assert same(type(config).from_yaml(path, strict=strict), config), path.read_text()
