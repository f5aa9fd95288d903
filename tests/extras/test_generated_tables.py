"""500 generated frames: each comes back equal, or is a TypeError before anything is written; never another frame."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ataraxis_data_structures import Store

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

EXAMPLES = 500
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu")
UNITS = ("s", "ms", "us", "ns")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
MOMENTS = st.integers(0, 4_000_000_000)
SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def some(values, rows):
    return st.lists(values, min_size=rows, max_size=rows)


def numbers(rows):
    def array(kind):
        dtype = np.dtype(kind)
        if dtype.kind == "f":
            return some(st.floats(width=8 * dtype.itemsize), rows).map(lambda found: np.array(found, dtype))
        if dtype.kind == "b":
            return some(st.booleans(), rows).map(lambda found: np.array(found, dtype))
        limits = np.iinfo(dtype)
        return some(st.integers(int(limits.min), int(limits.max)), rows).map(lambda found: np.array(found, dtype))

    return st.sampled_from(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "?"]).flatmap(array)


def times(rows):
    units = st.sampled_from(UNITS)
    naive = st.builds(lambda unit, at: np.array(at, f"M8[{unit}]"), units, some(MOMENTS, rows))
    zoned = st.builds(
        lambda unit, at, zone: pd.DatetimeIndex(np.array(at, f"M8[{unit}]")).tz_localize("UTC").tz_convert(zone),
        units, some(MOMENTS, rows), st.sampled_from(ZONES),
    )  # fmt: skip
    spans = st.builds(lambda unit, at: np.array(at, f"m8[{unit}]"), units, some(MOMENTS, rows))
    return st.one_of(naive, zoned, spans)


def nullable(rows):
    whole = st.sampled_from(["Int8", "Int64", "UInt16"]).flatmap(
        lambda dtype: some(st.none() | st.integers(0, 100), rows).map(lambda found: pd.array(found, dtype=dtype))
    )
    return st.one_of(
        whole,
        some(st.none() | st.booleans(), rows).map(lambda found: pd.array(found, dtype="boolean")),
        some(st.none() | st.floats(allow_nan=False), rows).map(lambda found: pd.array(found, dtype="Float64")),
        some(st.none() | TEXT, rows).map(lambda found: pd.array(found, dtype="string")),
    )


def categories(rows):
    return st.builds(
        lambda values, codes, ordered: pd.Categorical.from_codes(
            [code % (len(values) + 1) - 1 for code in codes], categories=values, ordered=ordered
        ),
        st.one_of(
            st.lists(TEXT, max_size=4, unique=True), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True)
        ),
        some(st.integers(0, 4), rows),
        st.booleans(),
    )


def texts(rows):
    plain = some(TEXT, rows).map(lambda found: pd.Series(found, dtype="str").array)
    objects = some(st.none() | TEXT, rows).map(lambda found: np.array([*found, None], object)[:-1])
    return plain | objects


def columns(rows):
    return st.one_of(numbers(rows), times(rows), nullable(rows), categories(rows), texts(rows))


def indexes(rows):
    name = st.none() | TEXT | st.integers(0, 3)
    levels = st.lists(
        st.one_of(some(st.integers(0, 2), rows), some(TEXT, rows), times(rows).map(pd.Index)), min_size=2, max_size=3
    )
    return st.one_of(
        st.builds(
            lambda start, step, name: pd.RangeIndex(start, start + step * rows, step, name=name),
            st.integers(-5, 5), st.integers(1, 3), name,
        ),
        st.builds(lambda found, name: pd.Index(found, name=name), some(st.integers(0, 3), rows), name),
        st.builds(lambda found, name: pd.Index(found, dtype="str", name=name), some(TEXT, rows), name),
        st.builds(lambda found, name: pd.Index(found, dtype="f8", name=name), some(st.floats(), rows), name),
        st.builds(lambda found, name: pd.Index(found, name=name), times(rows), name),
        st.builds(lambda found, name: pd.CategoricalIndex(found, name=name), categories(rows), name),
        levels.map(pd.MultiIndex.from_arrays),
    )  # fmt: skip


def labels(count):
    pairs = some(st.tuples(TEXT, st.integers(0, 3)), count)
    return st.one_of(
        some(TEXT, count).map(lambda found: pd.Index(found, dtype="str")),
        some(st.integers(0, 3), count).map(lambda found: pd.Index(found, dtype="i8")),
        st.just(pd.RangeIndex(count)),
        *([pairs.map(lambda found: pd.MultiIndex.from_tuples(found, names=["x", None]))] if count else []),
    )


@st.composite
def frames(draw):
    rows, count = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    made = {number: draw(columns(rows)) for number in range(count)}
    frame = pd.DataFrame(made, index=range(rows))
    frame.index = draw(indexes(rows))
    frame.columns = draw(labels(count))
    return frame


def test_generated_frames_of_all_named_kinds_come_back_equal(tmp_path):
    store = Store(tmp_path / "s", sync="process")
    refused, seen = [], []

    @SETTINGS
    @given(frames())
    def check(frame):
        before = store.version
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seen.append(frame.shape)
            try:
                store.add("t", frame)
            except TypeError as error:
                refused.append(f"{error}\n{frame!r}")
                assert store.version == before
                assert list((store.path / ".axds/tmp").iterdir()) == []
                return
            pd.testing.assert_frame_equal(store.get("t"), frame, check_exact=True, check_freq=False)

    check()
    assert len(seen) >= EXAMPLES
    assert refused == []


@pytest.fixture(scope="module")
def polars(tmp_path_factory):
    """Start what polars keeps running from its first use on, before a test counts descriptors."""
    pl = pytest.importorskip("polars")
    path = tmp_path_factory.mktemp("polars") / "t.parquet"
    pl.DataFrame({"a": [1], "b": [[1.5]]}).write_parquet(path)
    assert pl.scan_parquet(path).collect().equals(pl.from_arrow(pl.read_parquet(path).to_arrow()))
    return pl


def test_generated_polars_frames_come_back_equal_or_are_refused(tmp_path, polars):
    from polars.testing import assert_frame_equal
    from polars.testing.parametric import dataframes

    store = Store(tmp_path / "s", sync="process")
    refused, seen = [], []

    # Arrow has no integers of 128 bits: those frames are refused.
    @settings(SETTINGS, max_examples=100)
    @given(dataframes(max_cols=4, max_size=5, excluded_dtypes=[polars.Int128, polars.UInt128]))
    def check(frame):
        before = store.version
        seen.append(frame.shape)
        try:
            store.add("t", frame)
        except TypeError as error:
            refused.append(str(error))
            assert store.version == before
            return
        assert_frame_equal(store.get("t"), frame, check_exact=True)

    check()
    assert len(refused) <= len(seen) // 20, refused[:5]
