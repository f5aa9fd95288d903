"""Directories with HDF5 and tables: files that h5py and pandas open, equal values back, datamate's own example."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ataraxis_data_structures import SharedMemoryArray, Store
from ataraxis_data_structures.store import directory as datamate
from ataraxis_data_structures.store.directory import Directory, set_root_dir

h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def root_dir(tmp_path):
    set_root_dir(tmp_path / "exp")
    yield tmp_path / "exp"
    set_root_dir(None)


ARRAYS = [
    np.arange(6.0).reshape(2, 3), np.array(3), np.zeros((0, 3)), np.arange(4) > 1, np.array([b"a", b"bc"]),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(3, dtype=">i4"), np.ones(3, "c16"), np.ones(3, "f2"), np.random.default_rng(0).random(300_000),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.kind}{array.shape}")
def test_an_array_is_a_file_that_h5py_reads_and_comes_back_mapped_without_it(array, root_dir, monkeypatch):
    exp = Directory("a")
    exp.x = array
    with h5py.File(root_dir / "a" / "x.h5") as file:
        data = file["data"]
        assert data.chunks is None
        np.testing.assert_array_equal(data[()], array)
        assert Store(root_dir).info("a/x").about["offset"] == (
            data.id.get_offset() or (root_dir / "a/x.h5").stat().st_size
        )
    monkeypatch.setitem(sys.modules, "h5py", None)
    got = exp.x
    assert (type(got), got.dtype, got.shape) == (np.ndarray, array.dtype, array.shape)
    np.testing.assert_array_equal(got, array)
    np.testing.assert_array_equal(Store(root_dir).get("a/x"), array)
    assert not got.flags.writeable
    assert Store(root_dir).verify() == []


@pytest.mark.parametrize("bad", [np.array(["ä"]), np.array(["2020"], "M8[s]"), np.array([None]), "text", [[1], [1, 2]]])
def test_what_hdf5_can_not_hold_is_refused_and_the_old_value_stays(bad):
    exp = Directory("a")
    exp.x = [1, 2]
    with pytest.raises((TypeError, ValueError)):
        exp.x = bad
    assert exp.x.tolist() == [1, 2]


def test_equal_arrays_are_equal_files(root_dir):
    exp = Directory("a")
    exp.x, exp.y = np.arange(1000.0), np.arange(1000.0)
    store = Store(root_dir)
    assert store.info("a/x").file == store.info("a/y").file
    assert exp.path.joinpath("x.h5").read_bytes() == exp.path.joinpath("y.h5").read_bytes()


def test_an_array_of_hdf5_grows_as_npy(root_dir):
    exp = Directory("a")
    exp.x = np.arange(3.0)
    for number in range(3, 6):
        exp.extend("x", [float(number)])
    assert exp.x.tolist() == [0, 1, 2, 3, 4, 5]
    assert not (root_dir / "a" / "x.h5").exists()
    assert np.load(root_dir / "a" / "x.npy").tolist() == exp.x.tolist()
    assert Store(root_dir).get("a/x@1").tolist() == [0, 1, 2]
    assert Store(root_dir).verify() == []


def test_an_edited_file_is_adopted(root_dir):
    exp = Directory("a")
    exp.x = np.arange(3.0)
    path = root_dir / "a" / "x.h5"
    path.unlink()
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(4)
    Store(root_dir).adopt("a/x")
    assert exp.x.tolist() == [0, 1, 2, 3]
    assert Store(root_dir).verify() == []


def test_tables_are_parquet_and_grow():
    exp = Directory("a")
    frame = pandas.DataFrame({"x": [1.5, 2.5], "label": ["a", "b"]}, index=[3, 4])
    exp.results = frame
    pandas.testing.assert_frame_equal(exp.results, frame)
    pandas.testing.assert_frame_equal(pandas.read_parquet(exp.path / "results.parquet"), frame)
    exp.extend("results", frame)
    assert len(exp.results) == 4
    other = Directory("b")
    other.results = frame
    assert list(exp.diff(other)) == ["a", "b"]
    assert exp.diff(other)["a"] == ["≠ results: DataFrame"]


def test_frames_as_columns():
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "ü", "z"]})
    made = Directory.from_df(frame, {"a": np.int32}, "columns")
    assert made.a.dtype == np.int32
    assert made.b[1] == "ü".encode()
    made.one = np.array([7.0])
    found = made.to_df()
    assert found["b"].tolist() == ["x", "ü", "z"]
    assert found["one"].tolist() == [7.0] * 3
    assert made.to_df({"a": "f8"}).dtypes.to_dict() == {"a": np.dtype("f8")}
    assert made.to_dict()["a"].tolist() == [1, 2, 3]
    made.two = np.zeros(2)
    with pytest.raises(ValueError, match="expected arrays of 3 rows"):
        made.to_df()


def test_nested_values_and_another_directory_are_copied():
    exp = Directory("a", {"n": 1})
    exp.sub = {"x": np.arange(3), "deep": {"y": 2.5}}
    assert exp.sub.deep.y == 2.5
    other = Directory("b")
    other.copy = exp
    assert other["copy"] == exp
    assert other["copy"].config == {"n": 1}


def test_a_shared_array_is_copied_under_its_lock(root_dir):
    shared = SharedMemoryArray.create_array(f"directory{os.getpid()}", np.arange(4.0))
    try:
        exp = Directory("a")
        exp.state = shared
        Store(root_dir).add("state", shared)
        shared[0] = 9.0
        assert exp.state.tolist() == Store(root_dir).get("state").tolist() == [0, 1, 2, 3]
    finally:
        shared.disconnect()
        shared.destroy()


def test_the_module_is_taken_for_datamate(tmp_path):
    """As a program does that was written for the other: same names, same files, same results."""
    exp = datamate.Directory("vision_study/model_01", {"optimizer": "Adam", "learning_rate": 0.001, "n_epochs": 3})
    exp.images = np.random.default_rng(0).random((10, 8, 8))
    exp.losses = np.array([0.5 for _ in range(exp.config.n_epochs)])
    assert exp.losses.mean() == 0.5
    assert exp.images[3].shape == (8, 8)
    assert "images.h5" in str(exp)
    code = (
        "import sys\nfrom ataraxis_data_structures.store import directory as d\nd.set_root_dir(sys.argv[1])\n"
        "e = d.Directory('vision_study/model_01')\nprint(e.losses.sum(), e.config.learning_rate)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "exp")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["1.5", "0.001"]
