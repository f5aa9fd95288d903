"""What a store promises to one process: values, versions, transactions, and the past."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import ConflictError, DamagedError, Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s", sync="process")


def together(store, *changes):
    with store.batch():
        for change in changes:
            change()


def plain_files(store):
    return sorted(
        path.relative_to(store.path).as_posix()
        for path in store.path.rglob("*")
        if path.is_file() and ".axds" not in path.parts
    )


VALUES = {
    "array": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "strided": np.arange(24).reshape(4, 6)[:, ::2],
    "records": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
    "nested records": np.zeros(2, dtype=[("a", [("x", "<i2"), ("y", "<f4", (2,))]), ("b", "S3")]),
    "text": np.array(["a", "größe"]),
    "empty": np.zeros((0, 3), dtype="<f4"),
    "scalar": np.float32(2.5),
    "no dimension": np.array(7),
    "times": np.array(["2024-01-01"], dtype="M8[s]"),
    "big endian": np.arange(3, dtype=">i4"),
    "large": np.arange(300_000.0),
}


@pytest.mark.parametrize("what", VALUES)
def test_an_array_comes_back_with_dtype_shape_and_bytes(store, what):
    value = VALUES[what]
    store.add("a", value)
    for got in (store.get("a"), store.open("a")):
        assert type(got) is type(value) or isinstance(got, np.memmap | np.ndarray)
        assert (got.dtype, got.shape) == (value.dtype, value.shape)
        assert got.tobytes() == value.tobytes()
    np.testing.assert_array_equal(np.load(store.path / "a.npy"), value)


def test_what_get_gives_is_the_callers_and_what_open_gives_is_read_only(store):
    store.add("a", np.zeros(5))
    store.get("a")[:] = 1
    assert store.get("a").sum() == 0
    mapped = store.open("a")
    assert isinstance(mapped, np.memmap)
    with pytest.raises(ValueError):
        mapped[0] = 1


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 10**30, 2.5, -0.0, "text", "größe", "\ud800", b"\x00\xff", 1 + 2j, (), [], {}, set(),
        {"a": (1, [2, {"b": {3, 4}}])}, {1: "x", None: 2, (1, 2): 3}, {"$tuple": 1}, [float("inf")],
        {"t": __import__("datetime").datetime(2024, 1, 2, 3, 4, 5, 6)}, __import__("datetime").date(2024, 1, 2),
    ],
    ids=repr,
)  # fmt: skip
def test_a_json_value_comes_back_equal_and_of_its_type(store, value):
    store.add("a", value)
    got = store.get("a")
    assert got == value
    assert type(got) is type(value)
    assert store.open("a") == value


def test_numpy_scalars_within_containers_come_back_equal(store):
    value = {"a": np.float64(0.1), "b": np.float32(0.1), "c": np.int64(3), "d": np.bool_(True)}
    store.add("a", value)
    assert store.get("a") == value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, object()]}, "['a'][1]"),
        ([np.zeros(3)], "[0]"),
        ({"x": np.zeros(2), "y": "text"}, "['x']"),
        ((1, frozenset()), "[1]"),
        ({1: print}, "[1]"),
    ],
)
def test_a_container_with_a_part_that_json_cannot_hold_names_the_part(store, value, where):
    store.add("a", 1)
    with pytest.raises(TypeError, match="JSON") as caught:
        store.add("a", value)
    assert where in str(caught.value)
    assert store.get("a") == 1
    assert os.listdir(store.path / ".axds" / "tmp") == []


def test_a_value_that_holds_itself_is_a_type_error(store):
    value = []
    value.append(value)
    with pytest.raises(TypeError):
        store.add("a", value)


@pytest.mark.parametrize("value", [np.array([object()]), np.array([{}], dtype=object), object(), print])
def test_what_cannot_be_stored_leaves_the_old_version(store, value):
    store.add("a", np.ones(3))
    with pytest.raises(TypeError):
        store.add("a", value)
    assert store.get("a").sum() == 3
    assert store.verify() == []


def test_dictionaries_of_arrays_are_npz_archives(store):
    value = {"x": np.arange(300), "y": np.asfortranarray(np.ones((2, 3), "<f4")), "z": np.array(5)}
    store.add("a", value)
    for got in (store.get("a"), dict(store.open("a")), dict(np.load(store.path / "a.npz"))):
        assert got.keys() == value.keys()
        for key, part in value.items():
            np.testing.assert_array_equal(got[key], part)
            assert got[key].dtype == part.dtype
    assert store.info("a").about["y"] == {"dtype": "<f4", "shape": [2, 3]}
    store.add("b", value)
    assert store.info("b").file == store.info("a").file


def test_format_npz_stores_what_else_would_be_json(store):
    store.add("a", {"x": np.float64(1), "y": np.int64(2)}, format="npz")
    assert store.get("a")["y"] == 2
    with pytest.raises(TypeError):
        store.add("a", [1], format="npz")
    with pytest.raises(StoreError, match="format"):
        store.add("a", 1, format="zarr")


def test_files_are_copied_and_found_under_their_plain_name(store, tmp_path):
    source = tmp_path / "plot.png"
    source.write_bytes(b"x" * 3_000_000)
    store.add("figures/plot", source)
    source.unlink()
    for got in (store.get("figures/plot"), store.open("figures/plot")):
        assert got == store.path / "figures" / "plot.png"
        assert got.read_bytes() == b"x" * 3_000_000
    old = store.versions("figures/plot")[0]
    source.write_bytes(b"new")
    store.add("figures/plot", source)
    assert store.get(f"figures/plot@{old}").read_bytes() == b"x" * 3_000_000
    with pytest.raises(FileNotFoundError):
        store.add("a", tmp_path / "none")
    with pytest.raises(StoreError):
        store.add("a", tmp_path)


def test_each_add_is_a_version_that_stays(store):
    versions = [store.add("a", i) for i in range(3)]
    assert versions == store.versions("a") == [1, 2, 3]
    assert [store.get(f"a@{version}") for version in versions] == [0, 1, 2]
    assert store.get("a") == 2
    assert "a@2" in store
    assert "a@7" not in store
    assert store.info("a@1").version == 1


def test_plain_files_are_todays_payloads_and_cannot_be_written(store):
    store.add("a/b", np.zeros(3))
    store.add("a/big", np.zeros(300_000))
    store.add("c", {"x": 1})
    assert plain_files(store) == ["a/b.npy", "a/big.npy", "c.json"]
    for name in plain_files(store):
        assert (store.path / name).stat().st_mode & 0o777 == 0o444
    store.add("a/b", [1])
    assert plain_files(store) == ["a/b.json", "a/big.npy", "c.json"]
    store.delete(["a/b", "c"])
    assert plain_files(store) == ["a/big.npy"]


def test_an_unknown_name_is_a_key_error_with_near_ones(store):
    store.add("results", 1)
    for call in (store.get, store.open, store.info, store.versions, store.lineage, store.delete):
        with pytest.raises(KeyError, match="results"):
            call("result")
    with pytest.raises(KeyError):
        store.note("result", "x")


def test_overwrite_false_and_if_version_refuse_what_they_did_not_expect(store):
    version = store.add("a", 1, overwrite=False)
    with pytest.raises(ConflictError):
        store.add("a", 2, overwrite=False)
    with pytest.raises(FileExistsError):
        store.add("a", 2, if_version=0)
    with pytest.raises(ConflictError):
        store.add("b", 2, if_version=1)
    assert store.add("a", 3, if_version=version) == version + 1
    store.delete("a")
    store.add("a", 4, if_version=0)


def test_names_that_differ_by_case_only_are_refused(store):
    store.add("Data", 1)
    with pytest.raises(StoreError, match="case"):
        store.add("data", 1)
    with pytest.raises(StoreError):
        together(store, lambda: store.add("x", 1), lambda: store.add("X", 2))
    store.delete("Data")
    store.add("data", 1)


def test_what_is_written_once_is_never_written_again(store):
    store.add("raw/a", np.zeros(3))
    for call in (lambda: store.add("raw/a", 1), lambda: store.extend("raw/a", np.zeros(1))):
        with pytest.raises(ConflictError, match="once"):
            call()
    store.snapshot("s")
    store.delete("raw/a")
    with pytest.raises(ConflictError):
        store.add("raw/a", 1)
    store.restore("s")
    assert store.get("raw/a").sum() == 0


def test_a_name_is_normalised_text(store):
    store.add("gro\u0308sse", 1)
    assert store.list() == ["grösse"]
    assert store.get("gro\u0308sse") == 1
    with pytest.raises(TypeError):
        store.add(3, 1)


def test_equal_bytes_are_stored_once(store):
    value = np.arange(1000.0)
    store.add("a", value)
    store.add("b", value)
    store.add("a", value + 1)
    store.add("a", value)
    assert store.info("b").file == store.info("a").file == "a@1.npy"
    assert len(list((store.path / ".axds" / "payloads").iterdir())) == 2
    store.delete("a")
    np.testing.assert_array_equal(store.get("b"), value)


def test_equal_bytes_that_are_damaged_are_not_relied_on(store):
    value = np.arange(1000.0)
    store.add("a", value)
    payload = store.path / ".axds" / "payloads" / "a@1.npy"
    payload.chmod(0o644)
    with payload.open("r+b") as file:
        file.seek(500)
        file.write(b"?")
    store.add("b", value)
    np.testing.assert_array_equal(store.get("b"), value)


# Transactions


def test_a_batch_is_one_line_or_nothing(store):
    store.add("old", 1)
    with store.batch() as batch:
        assert store.add("a", 1) == 0
        batch.add("b", np.zeros(3))
        store.delete("old")
        assert "a" not in store
    assert batch.version == store.version == 2
    assert store.list() == ["a", "b"]
    with pytest.raises(ZeroDivisionError):
        together(store, lambda: store.add("c", 1), lambda: 1 / 0)
    assert store.list() == ["a", "b"]
    assert store.version == 2
    assert os.listdir(store.path / ".axds" / "tmp") == []


def test_a_batch_whose_change_is_refused_changes_nothing(store):
    store.add("a", 1)
    with pytest.raises(ConflictError):
        together(store, lambda: store.add("b", np.zeros(1000)), lambda: store.add("a", 2, overwrite=False))
    assert store.list() == ["a"]
    assert plain_files(store) == ["a.json"]
    assert [path.name for path in (store.path / ".axds" / "payloads").iterdir()] == ["a@1.json"]


def test_of_two_values_in_a_batch_the_later_counts(store):
    with store.batch():
        store.add("a", 1)
        store.add("a", 2)
    assert store.get("a") == 2
    with pytest.raises(StoreError):
        together(store, lambda: store.add("a", 3), lambda: store.delete("a"))
    with pytest.raises(StoreError):
        together(store, lambda: together(store))


def test_delete_is_all_or_none(store):
    store.add("a", 1)
    with pytest.raises(KeyError):
        store.delete(["a", "b"])
    assert store.list() == ["a"]
    store.delete("a")
    assert len(store) == 0
    assert store.get("a@1") == 1


def test_delete_warns_once_for_each_item_that_others_use(store):
    store.add("temp1", 1)
    store.add("temp2", 1)
    store.add("final", 1, inputs=["temp1", "temp2"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store.delete(["temp1", "temp2"])
    assert [str(warning.message) for warning in caught] == [
        f"Deleting '{name}' which is used by: final. Those items may have broken lineage."
        for name in ("temp1", "temp2")
    ]
    store.add("temp1", 1)
    store.delete("temp1", warn_dependents=False)


def test_lineage_keeps_versions(store):
    store.reference("raw", "s3://bucket/raw.parquet", note="Original raw data")
    store.add("clean", 1, inputs=["raw", "unknown"])
    store.add("features", 2, inputs=["clean"])
    store.add("clean", 3)
    assert store.info("features").inputs == ("clean@2",)
    assert store.lineage("features") == ["clean@2", "raw@1", "unknown"]
    assert store.dependents("clean") == ["features"]
    assert store.get("raw") == "s3://bucket/raw.parquet"
    assert store.info("raw").note == "Original raw data"
    with pytest.raises(TypeError):
        store.add("x", 1, inputs="clean")


def test_a_note_leaves_the_version(store):
    version = store.add("a", 1, note="first", meta={"k": float("nan")})
    assert store.info("a").meta["k"] != store.info("a").meta["k"]
    store.note("a", "second", meta={"k": (1, 2)})
    info = store.info("a")
    assert (info.version, info.note, info.meta) == (version, "second", {"k": (1, 2)})
    assert store.versions("a") == [version]
    with pytest.raises((StoreError, TypeError)):
        store.add("a", 1, note="\ud800")
    with pytest.raises(TypeError):
        store.add("a", 1, meta={"x": object()})
    assert store.get("a") == 1


# The past


def test_a_snapshot_never_changes(store):
    store.add("a", 1)
    store.add("b", np.zeros(1000))
    assert store.snapshot("v1", note="before", tags=["paper"]) == 2
    past = store.at("v1")
    store.add("a", 2)
    store.delete("b")
    store.add("c", 3)
    for view in (past, store.at("v1"), store.at(2)):
        assert view.list() == ["a", "b"]
        assert view.get("a") == 1
        assert view.get("b").shape == (1000,)
        assert len(view) == 2
        assert "c" not in view
        with pytest.raises(StoreError):
            view.add("x", 1)
    (snapshot,) = store.snapshots()
    assert (snapshot.name, snapshot.at, snapshot.note, snapshot.tags) == ("v1", 2, "before", ("paper",))
    with pytest.raises(ConflictError):
        store.snapshot("v1")
    store.delete_snapshot("v1")
    assert store.snapshots() == []
    with pytest.raises(KeyError):
        store.at("v1")
    with pytest.raises(StoreError):
        store.at(99)


def test_restore_is_a_new_transaction(store):
    store.add("a", 1)
    store.add("b", np.arange(1000))
    store.snapshot("v1")
    store.add("a", [2])
    store.delete("b")
    store.add("c", 3)
    store.restore("v1")
    assert store.list() == ["a", "b"]
    assert store.get("a") == 1
    assert store.get("b").sum() == 499500
    assert plain_files(store) == ["a.json", "b.npy"]
    assert store.verify() == []
    before = store.version
    assert store.restore("v1") == before


def test_appended_rows_are_versions_of_one_payload(store):
    store.extend("a", np.zeros((2, 3)))
    versions = [store.extend("a", np.full((i, 3), i)) for i in range(1, 5)]
    assert store.get("a").shape == np.load(store.path / "a.npy").shape == (12, 3)
    assert store.get(f"a@{versions[1]}").shape == store.open(f"a@{versions[1]}").shape == (5, 3)
    assert store.get(f"a@{versions[1]}")[-1, 0] == 2
    assert len(list((store.path / ".axds" / "payloads").iterdir())) == 1
    assert store.verify() == []
    for rows in (np.zeros((2, 4)), np.zeros(3), np.zeros((2, 3), complex), np.zeros(())):
        with pytest.raises(StoreError):
            store.extend("a", rows)
    store.add("j", 1)
    with pytest.raises(StoreError):
        store.extend("j", np.zeros(1))


def test_a_shorter_version_that_is_restored_grows_apart(store):
    store.add("a", np.zeros(1000))
    store.snapshot("v1")
    store.extend("a", np.ones(5))
    store.snapshot("v2")
    store.restore("v1")
    assert np.load(store.path / "a.npy").shape == (1000,)
    store.extend("a", np.full(3, 7.0))
    assert store.get("a")[-3:].tolist() == [7, 7, 7]
    assert store.at("v2").get("a").sum() == 5
    store.restore("v2")
    assert np.load(store.path / "a.npy").sum() == 5
    assert store.verify() == []


def test_extending_leaves_another_item_with_the_same_bytes_as_it_was(store):
    value = np.zeros(300_000)
    store.add("a", value)
    store.add("b", value)
    store.extend("a", np.ones(10))
    store.extend("a", np.ones(10))
    assert np.load(store.path / "b.npy").shape == store.get("b").shape == (300_000,)
    assert np.load(store.path / "a.npy").shape == store.get("a").shape == (300_020,)
    assert store.verify() == []


def test_extend_of_a_fortran_array_writes_it_anew(store):
    store.add("a", np.asfortranarray(np.arange(6.0).reshape(2, 3)), note="kept")
    store.extend("a", np.ones((1, 3)))
    np.testing.assert_array_equal(store.get("a"), [[0, 1, 2], [3, 4, 5], [1, 1, 1]])
    assert store.info("a").note == "kept"
    assert store.verify() == []


def test_a_mapped_old_version_outlives_gc(store):
    store.add("a", np.arange(1000))
    mapped = store.open("a")
    store.add("a", np.zeros(1000))
    freed = store.gc(grace_s=0, history="snapshots")
    assert freed.versions == 1
    assert mapped.sum() == 499500
    with pytest.raises(DamagedError):
        store.get("a@1")
    assert store.verify() == []


def test_gc_keeps_what_a_snapshot_has(store):
    store.add("a", np.arange(1000))
    store.snapshot("v1")
    store.add("a", np.arange(1001))
    store.add("a", np.arange(1002))
    (store.path / ".axds" / "payloads" / "orphan@9.npy").write_bytes(b"x")
    (store.path / ".axds" / "tmp" / "left").write_bytes(b"x")
    store.gc()
    assert (store.path / ".axds" / "payloads" / "orphan@9.npy").exists()
    store.gc(grace_s=0)
    assert store.get("a@3").shape == (1001,)
    assert not (store.path / ".axds" / "payloads" / "orphan@9.npy").exists()
    assert os.listdir(store.path / ".axds" / "tmp") == []
    store.gc(grace_s=0, history="snapshots")
    assert store.at("v1").get("a").shape == (1000,)
    assert store.get("a").shape == (1002,)
    with pytest.raises(DamagedError):
        store.get("a@3")
    assert store.verify() == []


# Opening


def test_a_store_is_made_once_and_found_again(tmp_path):
    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "s", create=False)
    first = Store(tmp_path / "s")
    first.add("a", 1)
    assert Store(tmp_path / "s", create=False).uuid == first.uuid
    assert (tmp_path / "s" / ".axds" / ".gitignore").read_text() == "*\n!/ledger\n!/store.json\n"


def test_a_read_only_store_writes_nothing(tmp_path):
    Store(tmp_path / "s").add("a", 1)
    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "t", read_only=True)
    assert not (tmp_path / "t").exists()
    store = Store(tmp_path / "s", read_only=True)
    assert store.get("a") == 1
    for call in (lambda: store.add("a", 2), lambda: store.delete("a"), store.gc, store.repair):
        with pytest.raises(StoreError, match="read only"):
            call()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format":"zarr"}', '{"format":"axds-store","hash":"xxh3-128","version":2,"uuid":"u"}',
     '{"format":"axds-store","hash":"xxh3-128","version":1,"uuid":3,"created_us":1,"write_once":[]}'],
)  # fmt: skip
def test_a_foreign_or_newer_store_is_refused_and_left_alone(tmp_path, text):
    (tmp_path / ".axds").mkdir()
    (tmp_path / ".axds" / "store.json").write_text(text)
    with pytest.raises(StoreError):
        Store(tmp_path)
    assert os.listdir(tmp_path / ".axds") == ["store.json"]


def test_two_instances_see_each_others_changes(tmp_path):
    one, two = Store(tmp_path), Store(tmp_path)
    one.add("a", 1)
    assert two.get("a") == 1
    two.add("a", 2)
    two.add("b", 3)
    assert (one.get("a"), one.list(), one.version) == (2, ["a", "b"], 3)


# Plain files of somebody else


def test_a_plain_file_that_the_store_did_not_write_is_never_replaced(store):
    (store.path / "a.json").write_text("mine")
    with pytest.raises(ConflictError):
        store.add("a", 1)
    assert "a" not in store
    (store.path / "a.json").unlink()
    store.add("a", 1)
    (store.path / "a.json").unlink()
    (store.path / "a.json").write_text("edited")
    with pytest.raises(ConflictError):
        store.add("a", 2)
    store.delete("a")
    assert (store.path / "a.json").read_text() == "edited"
    (store.path / "d.json").mkdir()
    with pytest.raises(ConflictError):
        store.add("d", 1)


def test_a_plain_file_with_the_same_bytes_is_taken(store):
    (store.path / "raw").mkdir()
    (store.path / "raw" / "a.bin").write_bytes(b"frames")
    store.add("raw/a", store.path / "raw" / "a.bin")
    assert store.get("raw/a").read_bytes() == b"frames"
    assert store.verify() == []


def test_folders_that_lead_elsewhere_hold_no_items(store, tmp_path):
    (tmp_path / "out").mkdir()
    (store.path / "link").symlink_to(tmp_path / "out")
    (store.path / "file").write_text("x")
    Store(store.path / "inner")
    for name in ("link/a", "file/a", "inner/a"):
        with pytest.raises(StoreError):
            store.add(name, 1)
    assert os.listdir(tmp_path / "out") == []
    with pytest.raises(StoreError):
        store.add("a", 1, view="../x.json")
    with pytest.raises(StoreError):
        store.add("a", 1, view=".axds/ledger")


def test_two_items_never_share_a_plain_file(store):
    store.add("a", 1)
    with pytest.raises(ConflictError):
        store.add("a.json", 1)
    with pytest.raises(ConflictError):
        together(store, lambda: store.add("b", 1), lambda: store.add("c", 1, view="b.json"))
    assert store.list() == ["a"]


def test_removing_the_history_leaves_todays_files(store):
    import shutil

    store.add("a", np.arange(5))
    store.add("b", np.zeros(300_000))
    for path in (store.path / ".axds").rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(store.path / ".axds")
    assert np.load(store.path / "a.npy").sum() == 10
    assert np.load(store.path / "b.npy").shape == (300_000,)


def test_a_changed_byte_is_reported_by_get_and_verify(store):
    store.add("a", np.arange(1000.0))
    store.add("a", np.arange(1001.0))
    for version in (1, 2):
        path = Path(store.path, ".axds", "payloads", f"a@{version}.npy")
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(700)
            file.write(b"\xff")
        with pytest.raises(DamagedError, match=f"a@{version}"):
            store.get(f"a@{version}")
    assert [(fault.what, fault.version) for fault in store.verify()] == [("payload", 1), ("payload", 2)]
    assert store.verify(deep=False) == []


def test_a_small_payload_comes_back_from_its_line(store):
    store.add("a", {"x": 1})
    path = Path(store.path, ".axds", "payloads", "a@1.json")
    for spoil in (path.unlink, lambda: (path.chmod(0o644), path.write_text("{}"))):
        spoil()
        assert store.get("a") == {"x": 1}
        assert [fault.name for fault in store.verify()] == ["a"]
        assert store.repair().payloads == ["a@1.json"]
        assert path.read_text() == '{"x": 1}'
        assert store.verify() == []


# Looking around


def test_diff_names_what_changed(store):
    store.add("same", 1)
    store.add("changed", 1)
    store.add("gone", np.zeros(500))
    store.extend("rows", np.zeros(3))
    store.snapshot("v1")
    store.add("changed", 2)
    store.delete("gone")
    store.add("new", 3)
    store.extend("rows", np.ones(3))
    store.note("same", "a note is no change")
    found = store.diff("v1")
    assert (found.added, found.removed, found.changed) == (("new",), ("gone",), ("changed", "rows"))
    assert store.diff("HEAD", "v1").added == ("gone",)
    assert not store.diff("v1", "v1")
    assert store.at("v1").diff(1).added == ("changed", "gone", "rows")


def test_export_writes_the_plain_files_of_a_state(store, tmp_path):
    store.add("a/b", np.arange(300_000))
    store.extend("rows", np.zeros(3))
    store.snapshot("v1")
    store.extend("rows", np.ones(3))
    store.add("c", {"x": 1})
    store.reference("r", "s3://x")
    assert store.export(tmp_path / "now") == 3
    assert store.export(tmp_path / "then", "v1") == store.at("v1").export(tmp_path / "again") == 2
    assert np.load(tmp_path / "now" / "a" / "b.npy").shape == (300_000,)
    assert np.load(tmp_path / "then" / "rows.npy").tolist() == [0, 0, 0]
    assert np.load(tmp_path / "now" / "rows.npy").tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(StoreError):
        store.export(tmp_path / "now")
    path = store.path / ".axds" / "payloads" / "a" / "b@1.npy"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    with pytest.raises(DamagedError):
        store.export(tmp_path / "damaged")
    assert sorted(os.listdir(tmp_path)) == ["again", "now", "s", "then"]


def test_search_finds_names_notes_inputs_and_meta(store):
    store.add("one", 1, note="the Größe")
    store.add("two", 1, meta={"rig": "B"}, inputs=["one"])
    assert store.search("GRÖSSE") == store.search("größe") == ["one"]
    assert store.search("rig") == ["two"]
    assert store.search("one") == ["one", "two"]
    assert store.at(1).search("rig") == []


def test_describe_and_status_tell_what_is_there(store):
    store.add("emb", np.zeros((2, 3)), note="embeddings")
    store.add("emb", np.zeros((200, 300)), note="embeddings")
    store.add("acc", 0.95, inputs=["emb"])
    text = store.describe()
    assert "array (1):\n  emb@2: embeddings\n    shape: [200, 300]; dtype: <f8; size: 480,128 bytes" in text
    assert "inputs: emb@2" in store.describe("acc")
    status = store.status()
    assert (status.items, status.versions, status.transactions) == (2, 3, 3)
    assert status.history_bytes == status.droppable_bytes == 176
    assert status.payload_bytes == 480_128 + 176 + 4


def test_an_edited_plain_file_is_adopted_as_a_new_version(store):
    store.add("a", {"x": 1})
    store.add("big", np.zeros(300_000))
    plain = store.path / "a.json"
    plain.chmod(0o644)
    plain.write_text('{"x": 2}')
    assert [fault.what for fault in store.verify()] == ["view"]
    assert store.adopt("a") == 3
    assert (store.get("a"), store.get("a@1")) == ({"x": 2}, {"x": 1})
    np.save(store.path / "other.npy", np.ones(5))
    (store.path / "big.npy").unlink()
    (store.path / "other.npy").rename(store.path / "big.npy")
    store.adopt("big")
    assert store.get("big").shape == store.open("big").shape == (5,)
    assert store.get("big@2").shape == (300_000,)
    assert store.verify() == []
    plain.chmod(0o644)
    plain.write_text("no json")
    with pytest.raises(DamagedError):
        store.adopt("a")
