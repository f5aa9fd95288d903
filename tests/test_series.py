import datetime as dt
import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_files as oracle
from ataraxis_data_structures import interpolate_data

GOLDEN = json.loads((Path(__file__).parent / "golden" / "interpolation.json").read_text())
INTEGERS = {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1), "int32": (-(2**31), 2**31 - 1), "uint8": (0, 255)}
FLOATS = st.floats(-1e9, 1e9, allow_subnormal=False)


def array(case):
    return np.array(case["values"], dtype=case["dtype"]).reshape(case["shape"])


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_the_published_answers_hold(case):
    arguments = array(case["source"]), array(case["values"]), array(case["target"])
    if "raises" in case["result"]:
        with pytest.raises(ValueError):
            interpolate_data(*arguments, is_discrete=case["is_discrete"])
        return
    got = interpolate_data(*arguments, is_discrete=case["is_discrete"])
    assert got.dtype == case["result"]["dtype"]
    np.testing.assert_array_equal(got, array(case["result"]))


@st.composite
def clocks(draw, dtypes=("int64", "uint64", "int32", "uint8", "float64")):
    """Sorted sources and any targets, of any two types, often close together and close to the ends of the types."""
    arrays = []
    for dtype in (draw(st.sampled_from(dtypes)), draw(st.sampled_from(dtypes))):
        if dtype == "float64":
            base = draw(st.sampled_from([0.0, 2.0**53, 2.0**60, 2.0**63, -(2.0**63), 1e-3]))
            numbers = st.integers(-8, 8).map(lambda k, base=base: base + k * np.spacing(base)) | FLOATS
        else:
            low, high = INTEGERS[dtype]
            base = draw(st.sampled_from([low, 0, high, min(high, 2**53), min(high, 2**60), min(high, 2**63)]))
            near = st.integers(max(low, base - 8), min(high, base + 8))
            numbers = near | st.integers(low, high)
        arrays.append(np.array(draw(st.lists(numbers, min_size=1, max_size=24)), dtype=dtype))
    return np.sort(arrays[0]), arrays[1]


@settings(max_examples=500, deadline=None)
@given(clocks())
def test_the_last_known_value_is_found_by_exact_comparison(clock):
    sources, targets = clock
    values = np.arange(len(sources), dtype=np.uint16)
    want = [oracle.last_known(sources.tolist(), values.tolist(), target) for target in targets.tolist()]
    assert interpolate_data(sources, values, targets, is_discrete=True).tolist() == want


@settings(max_examples=500, deadline=None)
@given(clocks(), st.data())
def test_linear_interpolation_agrees_with_rational_arithmetic(clock, data):
    sources, targets = clock
    values = np.array(data.draw(st.lists(FLOATS, min_size=len(sources), max_size=len(sources))))
    got = interpolate_data(sources, values, targets, is_discrete=False)
    scale = Fraction(float(np.abs(values).max())) or Fraction(1)
    for target, result in zip(targets.tolist(), got.tolist(), strict=True):
        want = oracle.linear(sources.tolist(), values.tolist(), target)
        assert abs(Fraction(result) - want) <= scale * 5 / 2**52


@settings(max_examples=200, deadline=None)
@given(clocks(("int64", "float64")), st.integers(1, 4), st.booleans())
def test_channels_are_interpolated_as_if_alone(clock, channels, is_discrete):
    sources, targets = clock
    values = np.random.default_rng(0).random((len(sources), channels))
    together = interpolate_data(sources, values, targets, is_discrete=is_discrete)
    assert together.shape == (len(targets), channels)
    for k in range(channels):
        alone = interpolate_data(sources, values[:, k], targets, is_discrete=is_discrete)
        np.testing.assert_array_equal(together[:, k], alone)


@pytest.mark.parametrize("ratio", [0.001, 0.3, 1, 3, 100])
def test_dense_and_sparse_targets_find_the_same_as_numpy(ratio):
    rng = np.random.default_rng(1)
    sources = np.sort(rng.integers(0, 10**6, 5000))
    targets = rng.integers(-10, 10**6 + 10, int(5000 * ratio))
    values = rng.integers(0, 100, 5000)
    for wanted in (targets, np.sort(targets), np.sort(targets)[::-1]):
        index = np.maximum(np.searchsorted(sources, wanted, side="right") - 1, 0)
        got = interpolate_data(sources, values, wanted, is_discrete=True)
        np.testing.assert_array_equal(got, values[index])
        continuous = interpolate_data(np.unique(sources), np.unique(sources) * 2.0, wanted, is_discrete=False)
        np.testing.assert_allclose(continuous, np.interp(wanted, np.unique(sources), np.unique(sources) * 2.0))


def test_nanosecond_clocks_tell_single_ticks_apart():
    start = 1_700_000_000_000_000_000
    sources = np.array([start, start + 1, start + 2], dtype=np.int64)
    targets = np.array([start + 2, start + 1, start], dtype=np.uint64)
    values = np.array([10.0, 20.0, 30.0])
    assert interpolate_data(sources, values, targets, is_discrete=False).tolist() == [30.0, 20.0, 10.0]


@pytest.mark.parametrize("is_discrete", [False, True])
@pytest.mark.parametrize("sources", [[0.0, 2.0, 1.0], [0.0, np.nan, 1.0], [np.nan], [0.0, 1.0, np.nan]])
def test_descending_sources_and_nan_among_them_are_refused(sources, is_discrete):
    with pytest.raises(ValueError, match="ascending"):
        interpolate_data(np.array(sources), np.zeros(len(sources)), np.zeros(1), is_discrete=is_discrete)


def test_sources_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="dimension"):
        interpolate_data(np.zeros((2, 2)), np.zeros(4), np.zeros(1), is_discrete=True)


def test_extreme_coordinates_and_values_do_not_overflow():
    ends = np.array([-1.7e308, 1.7e308])
    got = interpolate_data(ends, ends, np.array([0.0, 8.5e307]), is_discrete=False)
    np.testing.assert_allclose(got, [0.0, 8.5e307], rtol=1e-15)


@pytest.mark.parametrize("kind", ["strided", "big endian", "read only", "float16", "bool"])
def test_arrays_of_any_layout_are_taken(kind):
    sources, values, targets = np.arange(6.0), np.arange(6.0) * 10, np.array([0.5, 4.5])
    if kind == "strided":
        sources, values, targets = np.repeat(sources, 2)[::2], np.repeat(values, 3)[::3], np.repeat(targets, 2)[::2]
    elif kind == "big endian":
        sources, values, targets = (a.astype(a.dtype.newbyteorder(">")) for a in (sources, values, targets))
    elif kind == "read only":
        for a in (sources, values, targets):
            a.flags.writeable = False
    elif kind == "float16":
        sources, targets = sources.astype(np.float16), targets.astype(np.float16)
    else:
        sources, values, targets = np.array([False, True]), np.array([5, 45]), np.array([0, 1])
    assert interpolate_data(sources, values, targets, is_discrete=False).tolist() == [5.0, 45.0]


def test_discrete_values_may_be_of_any_dtype():
    values = np.array(["off", "on"], dtype="<U3")
    got = interpolate_data(np.array([0, 10]), values, np.array([[5, 15]]), is_discrete=True)
    assert got.tolist() == [["off", "on"]]
    assert got.dtype == values.dtype


UNITS = ["Y", "M", "W", "D", "h", "m", "s", "7s", "ms", "us", "ns", "25ns", "ps", "fs", "as"]
LENGTHS = {"W": 604800, "D": 86400, "h": 3600, "m": 60, "s": 1}
LENGTHS |= {f"{p}s": Fraction(1, 10 ** (3 * n)) for n, p in enumerate("munpfa", 1)}
LENGTHS |= {"7s": 7, "25ns": Fraction(25, 10**9)}
LONGEST = 10**4  # a count of years that datetime64 still holds as days


def seconds_of(times):
    """Return numpy's times as exact seconds; years and months of durations in months."""
    unit, count = np.datetime_data(times.dtype)
    if times.dtype.kind == "M" and unit in "YM":
        times, unit, count = times.astype("M8[D]"), "D", 1
    length = {"Y": 12, "M": 1}.get(unit) or LENGTHS[unit]
    return [int(number) * count * length for number in times.astype(np.int64)]


@st.composite
def times(draw):
    """Sources and targets of any two units, often near each other, sometimes further apart than 64 bits reach."""
    kind = draw(st.sampled_from("Mm"))
    months = [unit for unit in UNITS if unit in "YM"]
    first = draw(st.sampled_from(UNITS))
    others = UNITS if kind == "M" else months if first in months else [unit for unit in UNITS if unit not in months]
    arrays = []
    for unit in (first, draw(st.sampled_from(others))):
        length = (LENGTHS | {"Y": 366 * 86400, "M": 31 * 86400})[unit]
        reach = min(2**63 - 1, int(LONGEST * 366 * 86400 / length))
        near = draw(st.sampled_from([0, min(reach, int(10**5 / length)), -reach + 5]))
        numbers = st.integers(max(near - 5, -reach), min(near + 5, reach)) | st.integers(-reach, reach)
        counts = draw(st.lists(numbers, min_size=1, max_size=12))
        arrays.append(np.array(counts, np.int64).astype(f"{kind}8[{unit}]"))
    return np.sort(arrays[0]), arrays[1]


@settings(max_examples=500, deadline=None)
@given(times())
def test_times_of_any_two_units_are_compared_exactly(clock):
    sources, targets = clock
    values = np.arange(len(sources)) * 10.0
    known, wanted = seconds_of(sources), seconds_of(targets)
    want = [oracle.last_known(known, values.tolist(), target) for target in wanted]
    assert interpolate_data(sources, values, targets, is_discrete=True).tolist() == want
    got = interpolate_data(sources, values, targets, is_discrete=False).tolist()
    for target, result in zip(wanted, got, strict=True):
        assert abs(Fraction(result) - oracle.linear(known, values.tolist(), target)) <= Fraction(200, 2**50)


def test_nat_counts_like_nan():
    sources = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
    targets = np.array(["NaT", "2024-01-01T12", "1999-01-01T00"], "M8[h]")
    assert interpolate_data(sources, [1, 2], targets, is_discrete=True, left=7).tolist() == [2, 1, 7]
    got = interpolate_data(sources, [1, 2], targets, is_discrete=False, left=7)
    np.testing.assert_array_equal(got, [np.nan, 1.5, 7])
    with pytest.raises(ValueError, match="NaT"):
        interpolate_data(targets, [1, 2, 3], sources, is_discrete=True)


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (np.array(["2024"], "M8[ns]"), np.array([1.0])),
        (np.array([1]), np.array(["2024"], "M8[ns]")),
        (np.array(["2024"], "M8[ns]"), np.array([1], "m8[s]")),
        (np.array([1], "m8[M]"), np.array([1], "m8[D]")),
        (np.array(["a"]), np.array([1])),
        ([None, "a"], [1]),
        (np.array([2**62]).astype("M8[Y]"), np.array(["2024"], "M8[ns]")),
    ],
)
def test_coordinates_that_cannot_be_compared_are_refused(sources, targets):
    with pytest.raises(ValueError, match="expected"):
        interpolate_data(sources, np.zeros(len(sources)), targets, is_discrete=True)


ENDLESS = [-np.inf, -1.0, 0.0, 2.0, np.inf]


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_infinite_coordinates_and_values_count_as_for_numpy(dtype):
    targets = np.array([-np.inf, -5, -1, -0.5, 0, 1, 2, 3, np.inf, np.nan])
    for sources in itertools.combinations(ENDLESS, 3):
        for values in itertools.product([-np.inf, 0.0, 3.0, np.inf, np.nan], repeat=3):
            got = interpolate_data(np.array(sources, dtype), values, targets, is_discrete=False)
            np.testing.assert_allclose(got, np.interp(targets, sources, values), err_msg=f"{sources} {values}")


@pytest.mark.parametrize("is_discrete", [False, True])
def test_what_lies_outside_is_what_the_caller_says(is_discrete):
    sources, targets = [1, 2], [[0, 1, 2, 3]]
    got = interpolate_data(sources, [10.0, 20.0], targets, is_discrete=is_discrete, left=-1, right=np.nan)
    np.testing.assert_array_equal(got, [[-1, 10, 20, np.nan]])
    got = interpolate_data(sources, [[1.0, 2.0], [3.0, 4.0]], targets, is_discrete=is_discrete, left=[7, 8])
    assert got.tolist() == [[[7, 8], [1, 2], [3, 4], [3, 4]]]


def test_nothing_outside_is_rounded_into_the_dtype_of_discrete_values():
    for values, outside in (([1, 2], np.nan), (np.array([1, 2], np.uint8), -1), (["a", "b"], "none"), ([1, 2], 0.5)):
        with pytest.raises(ValueError, match="outside"):
            interpolate_data([1, 2], values, [0], is_discrete=True, left=outside)
    assert interpolate_data([1, 2], np.array([1, 2], np.float32), [0], is_discrete=True, left=0.1) == np.float32(0.1)


class Column:
    """What pandas and polars are to numpy: something with __array__."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype, copy=True)


class Stamp:
    """What a moment of pandas is to numpy."""

    def __init__(self, text):
        self.text = text

    def to_datetime64(self):
        return np.datetime64(self.text, "ns")


EAST = dt.timezone(dt.timedelta(hours=2))
DAY = [dt.datetime.fromisoformat("2024-01-01"), dt.datetime.fromisoformat("2024-01-03")]


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        ([0, 2], [1]),
        (range(0, 4, 2), (1,)),
        (Column([0, 2]), Column([1.0])),
        (np.array([0, 2], object), [1]),
        ([0, 2], np.ma.array([1, 9], mask=[False, True])[:1]),
        (DAY, [dt.datetime.fromisoformat("2024-01-02")]),
        ([day.date() for day in DAY], [DAY[0] + dt.timedelta(days=1)]),
        ([day.replace(tzinfo=EAST) for day in DAY], [dt.datetime(2024, 1, 1, 22, tzinfo=dt.UTC)]),
        ([dt.timedelta(0), dt.timedelta(days=2)], [dt.timedelta(days=1)]),
        (Column(np.array([Stamp("2024-01-01"), Stamp("2024-01-03")], object)), [Stamp("2024-01-02")]),
        (Column(np.array(["2024-01-01", "2024-01-03"], "M8[us]")), [dt.date(2024, 1, 2)]),
    ],
)
def test_whatever_numpy_takes_is_taken(sources, targets):
    assert interpolate_data(sources, Column([5, 45]), targets, is_discrete=False).tolist() == [25.0]
    assert interpolate_data(sources, [5, 45], targets, is_discrete=True).tolist() == [5]


def test_missing_items_of_lists_and_masked_ones_are_nan():
    got = interpolate_data([1, 2], [10, 20], [None, 1], is_discrete=False)
    np.testing.assert_array_equal(got, [np.nan, 10])
    got = interpolate_data([1, 2], [10, 20], np.ma.array([1, 2], mask=[True, False]), is_discrete=False)
    np.testing.assert_array_equal(got, [np.nan, 20])
    assert interpolate_data(DAY, [1, 2], [None, *DAY], is_discrete=True).tolist() == [2, 1, 2]
    with pytest.raises(ValueError, match="ascending"):
        interpolate_data([1, None], [10, 20], [1], is_discrete=True)


def test_complex_values_are_interpolated_in_both_parts():
    got = interpolate_data([0, 2], [[1 + 1j, 2], [3j, 4j]], [0.5, 1], is_discrete=False)
    assert got.tolist() == [[0.75 + 1.5j, 1.5 + 1j], [0.5 + 2j, 1 + 2j]]


def test_values_that_are_no_numbers_have_no_line_between_them():
    for values in (["a", "b"], np.array(["2024", "2025"], "M8[s]")):
        with pytest.raises(ValueError, match="numbers as values"):
            interpolate_data([1, 2], values, [1.5], is_discrete=False)
