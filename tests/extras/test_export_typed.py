"""Described sources, exported: the values come back through the libraries whose formats they are."""

import base64
import csv
import json

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogArchiveReader, assemble_log_archives, export_archive

pq = pytest.importorskip("pyarrow.parquet")
h5py = pytest.importorskip("h5py")
mcap_reader = pytest.importorskip("mcap.reader")
zarr = pytest.importorskip("zarr")
pynwb = pytest.importorskip("pynwb")
nwbinspector = pytest.importorskip("nwbinspector")
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

# Both start threads at their first use, and keep them.
zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
zarr.create_group(zarr.storage.MemoryStore()).create_array("warm", shape=(2,), dtype="u1")[:] = 1
polars.DataFrame({"warm": [1], "warmer": [2]}).drop("warm").to_numpy()

COUNT = 200
STATE = np.dtype([("speed", "<f4"), ("lick", "?"), ("wheel", "<i2", (2,))])


def states():
    rows = np.zeros(COUNT, STATE)
    rows["speed"] = np.linspace(-1, 1, COUNT)
    rows["speed"][3] = np.nan
    rows["lick"] = np.arange(COUNT) % 2
    rows["wheel"] = np.arange(2 * COUNT).reshape(COUNT, 2)
    return rows


VALUES = {
    "camera": np.random.default_rng(1).integers(0, 255, (COUNT, 6, 8)).astype(np.uint8),
    "encoder": np.arange(COUNT, dtype=np.int32) * 7,
    "imu": np.random.default_rng(2).normal(size=(COUNT, 3)),
    "state": states(),
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Return the archive of each source by name."""
    with DataLogger(tmp_path_factory.mktemp("log"), "rig", storage="journal", metadata={"subject": "m1"}) as logger:
        for code, (name, values) in enumerate(VALUES.items(), 1):
            source = logger.source(
                code, name=name, dtype=values.dtype, shape=values.shape[1:], rate_hz=100.0, unit="counts", gain=2
            )
            source.put_many(values, np.arange(COUNT) * 10_000 + 5)
    assemble_log_archives(logger.output_directory)
    return {name: logger.output_directory / f"{code}_log.npz" for code, name in enumerate(VALUES, 1)}


def times_of(path):
    return LogArchiveReader(path).timestamps.tolist()


@pytest.fixture(params=VALUES)
def named(request, archives):
    return request.param, archives[request.param]


def test_parquet_has_a_column_for_each_field(named, tmp_path):
    name, path = named
    export_archive(path, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["timestamp_us"].to_pylist() == times_of(path)
    assert json.loads(table.schema.metadata[b"description"])["metadata"] == {"gain": 2}
    for field, part in fields(name).items():
        found = np.array(table[field].to_pylist())
        np.testing.assert_array_equal(found.reshape(part.shape), part)


def fields(name):
    values = VALUES[name]
    return {name: values} if values.dtype.names is None else {field: values[field] for field in values.dtype.names}


def test_hdf5_has_the_values_in_their_shape(named, tmp_path):
    name, path = named
    export_archive(path, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["timestamps_us"][:].tolist() == times_of(path)
        assert file["values"][:].tobytes() == VALUES[name].tobytes()
        assert file["values"].attrs["unit"] == "counts"
        assert file["values"].attrs["rate_hz"] == 100.0


def test_zarr_has_the_values_in_their_shape(named, tmp_path):
    name, path = named
    if VALUES[name].dtype.names:
        return  # told by the test of what formats cannot hold
    export_archive(path, tmp_path / "out.zarr")
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(group["values"][:], VALUES[name])
    assert group["timestamps_us"][:].tolist() == times_of(path)
    assert group.attrs["unit"] == "counts"


def test_csv_has_a_column_for_each_element(named, tmp_path):
    name, path = named
    export_archive(path, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head[0] == "time_us"
    assert [int(row[0]) for row in rows] == times_of(path)
    columns = np.array([[float(cell.replace("True", "1").replace("False", "0")) for cell in row[1:]] for row in rows])
    expected = np.concatenate([part.reshape(COUNT, -1).astype(float) for part in fields(name).values()], axis=1)
    np.testing.assert_array_equal(columns, expected)


@pytest.mark.parametrize("name", ["camera", "encoder", "imu"])
def test_nwb_reads_back_and_its_inspector_finds_nothing_critical(archives, tmp_path, name):
    export_archive(archives[name], tmp_path / "out.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "out.nwb", "r") as stream:
        series = stream.read().acquisition[name]
        np.testing.assert_array_equal(series.data[:], VALUES[name])
        assert (series.unit, series.rate, series.starting_time) == ("counts", 100.0, 5e-6)
    found = nwbinspector.inspect_nwbfile(nwbfile_path=tmp_path / "out.nwb")
    assert [
        message.message for message in found if message.importance.name in ("CRITICAL", "PYNWB_VALIDATION", "ERROR")
    ] == []


def test_nwb_has_the_times_of_a_source_that_does_not_keep_its_rate(tmp_path):
    with DataLogger(tmp_path, "rig") as logger:
        logger.source(1, name="s", dtype="<f4", rate_hz=100.0).put_many(np.zeros(3, "<f4"), [10, 20_000, 30_007])
    assemble_log_archives(logger.output_directory)
    export_archive(logger.output_directory / "1_log.npz", tmp_path / "out.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "out.nwb", "r") as stream:
        assert stream.read().acquisition["s"].timestamps[:].tolist() == [1e-5, 0.02, 0.030007]


def test_mcap_has_a_schema_and_its_messages_decode(named, tmp_path):
    name, path = named
    export_archive(path, tmp_path / "out.mcap")
    with (tmp_path / "out.mcap").open("rb") as stream:
        found = list(mcap_reader.make_reader(stream).iter_messages())
    assert [message.log_time // 1000 for _, _, message in found] == times_of(path)
    schema, channel, _ = found[0]
    assert channel.topic == f"source/{name}"
    assert schema.encoding == "jsonschema"
    decoded = [json.loads(message.data) for _, _, message in found]
    assert set(json.loads(schema.data)["properties"]) == set(decoded[0])
    if name == "camera":
        assert schema.name == "foxglove.RawImage"
        frames = [np.frombuffer(base64.b64decode(one["data"]), np.uint8).reshape(6, 8) for one in decoded]
        np.testing.assert_array_equal(frames, VALUES[name])
        return
    for field, part in fields(name).items():
        got = np.array([one[field] for one in decoded], float)
        np.testing.assert_array_equal(got, part.astype(float))


@pytest.mark.parametrize(("ending", "name"), [("nwb", "state")])
def test_what_a_format_cannot_hold_is_said(archives, tmp_path, ending, name):
    with pytest.raises(ValueError, match="expected a described source of numbers"):
        export_archive(archives[name], tmp_path / f"out.{ending}")


def test_frames_of_pandas_and_polars(named):
    name, path = named
    reader = LogArchiveReader(path)
    expected = np.concatenate([part.reshape(COUNT, -1).astype(float) for part in fields(name).values()], axis=1)
    frame = reader.to_pandas()
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert frame.index.astype("int64").tolist() == times_of(path)
    np.testing.assert_array_equal(frame.to_numpy().astype(float), expected)
    other = reader.to_polars()
    assert other["time"].cast(polars.Int64).to_list() == times_of(path)
    np.testing.assert_array_equal(other.drop("time").to_numpy().astype(float), expected)
    assert other.columns[1:] == frame.columns.tolist()
