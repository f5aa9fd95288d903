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
