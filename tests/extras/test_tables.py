"""Tables: a frame comes back equal, or is refused before anything is kept."""

import datetime as dt
import sys
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import DamagedError, DataFolio, Store
from ataraxis_data_structures.store.kinds.libraries import library

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

MULTI = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])
FRAMES = {
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.zeros(0), "b": pd.Series([], dtype="Int64")}),
    "no columns": pd.DataFrame(index=[1, 2, 3]),
    "numbers": pd.DataFrame({kind: np.array([0, 1, 2], kind) for kind in ("i1", "u1", "i8", "u8", "f2", "f4", "f8")}),
    "floats": pd.DataFrame({"a": [np.nan, -0.0, np.inf, 5e-324]}),
    "truth": pd.DataFrame({"a": [True, False]}),
    "text": pd.DataFrame({"a": ["größe", "\0", ""], "b": pd.Series(["x", None, "y"], dtype=object)}),
    "objects": pd.DataFrame({"a": pd.Series([None, None], dtype=object), "b": [b"x", b"y"]}),
    "texts and nan": pd.DataFrame({"a": pd.Series(["a", np.nan], dtype=object)}),
    "days": pd.DataFrame({"a": pd.Series([dt.date(2024, 1, 1)], dtype=object)}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x", "z"], ordered=True)}),
    "categories of numbers": pd.DataFrame({"a": pd.Categorical([1, 2, 1])}),
    "nullable": pd.DataFrame(
        {
            "a": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "c": pd.array(["a", None], dtype="string"),
            "d": pd.array([1.5, None], dtype="Float32"),
        }
    ),
    "times": pd.DataFrame({unit: np.array([1, 2], f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")}),
    "spans": pd.DataFrame({unit: np.array([1, 2], f"m8[{unit}]") for unit in ("s", "ms", "us", "ns")}),
    "time zones": pd.DataFrame({"a": pd.date_range("2024-03-31", periods=3, freq="h", tz="Europe/Berlin")}),
    "fixed offset": pd.DataFrame({"a": pd.to_datetime(["2024-01-01T00:00+02:00"])}),
    "periods": pd.DataFrame({"a": pd.period_range("2024", periods=2, freq="M")}),
    "intervals": pd.DataFrame({"a": pd.interval_range(0, 2)}),
    "index of times": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2024", periods=2, freq="W-TUE", tz="UTC")),
    "index of spans": pd.DataFrame({"a": [1, 2]}, index=pd.timedelta_range("1s", periods=2, freq="s")),
    "index with a name": pd.DataFrame({"a": [1]}, index=pd.Index([5], name="i")),
    "index named by a number": pd.DataFrame({"a": [1]}, index=pd.Index([5], name=3)),
    "index named as a column": pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="a")),
    "index with steps": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 9, 3)),
    "index with duplicates": pd.DataFrame({"a": [1, 2]}, index=["x", "x"]),
    "index of floats": pd.DataFrame({"a": [1, 2]}, index=[1.5, np.nan]),
    "index of categories": pd.DataFrame({"a": [1]}, index=pd.CategoricalIndex(["x"])),
    "multi-index": pd.DataFrame({"a": [1, 2]}, index=MULTI),
    "multi-index with duplicates": pd.DataFrame({"a": [1, 2]}, index=MULTI.take([0, 0]).set_names(["x", "x"])),
    "multi-index of columns": pd.DataFrame([[1, 2]], columns=MULTI),
    "duplicate columns": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "numbered columns": pd.DataFrame([[1, 2], [3, 4]]),
    "columns of numbers and text": pd.DataFrame([[1, 2]], columns=["a", 3]),
    "columns with a name": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="n")),
    "columns of categories": pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["a", "b"])),
    "duplicate columns of seconds": pd.DataFrame([[np.datetime64(1, "s")] * 2], columns=["t", "t"]),
}
SERIES = {
    "named": pd.Series([1, 2], name="q"),
    "without a name": pd.Series([1.5], index=["x"]),
    "named by a tuple": pd.Series([1], name=("a", 1)),
    "of seconds": pd.Series(np.array([1], "M8[s]"), name="t"),
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s", sync="process")


@pytest.mark.parametrize("what", FRAMES)
def test_a_frame_comes_back_equal(store, what):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add("t", FRAMES[what])
        pd.testing.assert_frame_equal(store.get("t"), FRAMES[what], check_exact=True)
    assert store.info("t").about["shape"] == [*FRAMES[what].shape]
    assert store.info("t").path == store.path / "t.parquet"
    pd.read_parquet(store.path / "t.parquet")


@pytest.mark.parametrize("what", SERIES)
def test_a_series_comes_back_equal(store, what):
    store.add("t", SERIES[what])
    pd.testing.assert_series_equal(store.get("t"), SERIES[what], check_exact=True)


REFUSED = {
    "numbers and texts": pd.DataFrame({"a": pd.Series([1, "a"], dtype=object)}),
    "lists": pd.DataFrame({"a": [[1, 2], [3]]}),
    "complex numbers": pd.DataFrame({"a": [1j]}),
    "half a character": pd.DataFrame({"a": pd.Series(["\ud800"], dtype=object)}),
    "any object": pd.DataFrame({"a": [object()]}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_frame_that_would_come_back_as_another_is_refused_and_the_old_one_stays(store, what):
    store.add("t", FRAMES["numbers"])
    with pytest.raises(TypeError, match="comes back"):
        store.add("t", REFUSED[what])
    pd.testing.assert_frame_equal(store.get("t"), FRAMES["numbers"])
    assert list((store.path / ".axds/tmp").iterdir()) == []


def test_an_open_table_is_read_by_columns_and_filters(store):
    store.add("t", pd.DataFrame({"a": range(100), "b": range(100)}))
    table = store.open("t").to_table(columns=["b"])
    assert (table.num_rows, table.column_names) == (100, ["b"])


def test_a_table_is_adopted_and_told(store):
    store.add("t", pd.DataFrame({"a": [1]}))
    (store.path / "t.parquet").unlink()
    pd.DataFrame({"b": [1, 2]}).to_parquet(store.path / "t.parquet")
    store.adopt("t")
    assert store.info("t").about == {"columns": ["b"], "shape": [2, 1], "type": "DataFrame"}
    assert store.get("t")["b"].tolist() == [1, 2]


def test_changed_bytes_are_no_table(store):
    store.add("t", pd.DataFrame({"a": range(1000)}))
    payload = next((store.path / ".axds/payloads").rglob("t@*"))
    payload.chmod(0o644)
    payload.write_bytes(payload.read_bytes()[:-1] + b"2")
    with pytest.raises(DamagedError):
        store.get("t")


def test_a_folio_keeps_tables_and_reads_those_that_it_refers_to(tmp_path):
    frame = pd.DataFrame({"x": [1.5, 2.5], "label": ["a", "b"]})
    frame.to_parquet(tmp_path / "far.parquet")
    frame.to_csv(tmp_path / "far.csv", index=False)
    folio = DataFolio(tmp_path / "exp").add_table("near", frame).add_data("any", frame)
    folio.reference_table("parquet", tmp_path / "far.parquet").add_data("csv", reference=str(tmp_path / "far.csv"))
    for name in ("near", "any", "parquet", "csv"):
        pd.testing.assert_frame_equal(folio.get_table(name), frame)
        pd.testing.assert_frame_equal(folio.data[name].content, frame)
    assert (folio.path / "tables/near.parquet").is_file()
    assert "    ↳ shape: [2, 2]" in folio.describe(return_string=True)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"ataraxis-data-structures\[tables\]"):
        store.add("t", FRAMES["numbers"])
    assert "t" not in store
    with pytest.raises(ImportError, match=r"no_such_library .*\[models\]"):
        library("no_such_library", "models")


def test_polars_frames_come_back_as_polars_frames(store):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], [2, 3]]})
    store.add("t", frame)
    assert store.get("t").equals(frame)


def test_a_table_that_a_reference_leads_to_is_compared_with_what_was_recorded(tmp_path):
    far = tmp_path / "far.csv"
    far.write_text("a\n1\n")
    folio = DataFolio(tmp_path / "exp").reference_table("t", far)
    assert folio.get_table("t", drift="raise")["a"].tolist() == [1]
    far.write_text("a\n2\n")
    with pytest.warns(UserWarning, match="t is not what was referred to: expected sha256"):
        assert folio.data.t.content["a"].tolist() == [2]
    with pytest.raises(DamagedError, match="sha256"):
        folio.get_table("t", drift="raise")
    assert folio.get_table("t", drift="ignore")["a"].tolist() == [2]
    with pytest.raises(ValueError, match="drift"):
        folio.get_table("t", drift="never")
