"""`axds log cat`, `filter` and `merge`: messages as values, and new archives beside those that stay as they are."""

import json
import os
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import (
    DataLogger,
    LogArchiveReader,
    assemble_log_archives,
    merge_archives,
    open_session,
)
from conftest_cli import record

PAIR = np.dtype([("at", "<u4"), ("name", "S4"), ("value", "<f8", (2,))])


def put_session(root, storage="journal", start=0, count=100, **options):
    with DataLogger(root, "rig", storage=storage, **options) as logger:
        encoder = logger.source(1, name="encoder", dtype="<i4", unit="counts")
        camera = logger.source(2, name="camera", dtype="u1", shape=(8, 9))
        pair = logger.source(7, name="pair", dtype=PAIR)
        for number in range(start, start + count):
            encoder.put(number, 1000 + 10 * (number - start))
            camera.put(np.full((8, 9), number % 256, np.uint8), 1005 + 10 * (number - start))
        pair.put(np.array((1, b"ab", (0.5, np.nan)), PAIR), 5000)
    assemble_log_archives(logger.output_directory)
    return logger.output_directory


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return put_session(tmp_path_factory.mktemp("log"))


def bytes_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_cat_prints_messages_as_values_in_one_order_of_time(axds, kept):
    before = bytes_of(kept)
    lines = axds("log", "cat", kept, "--count", "3").out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "encoder  0 counts", "camera  uint8 of 8 x 9, 0 to 0", "encoder  1 counts",
    ]  # fmt: skip
    assert (
        axds("log", "cat", kept, "--source", "7")
        .out.rstrip()
        .endswith('{"at": 1, "name": "ab", "value": [0.5, "nan"]}')
    )
    session = open_session(kept)
    want = [
        (int(message.timestamp_us), reader.source.name)
        for reader, message in merge_archives([session["encoder"], session["camera"], session["pair"]])
    ]
    rows = [json.loads(line) for line in axds("log", "cat", kept, "--json").out.splitlines()]
    assert [(row["time_us"], row["source"]) for row in rows] == want
    assert [row["value"] for row in rows if row["source"] == "encoder"] == list(range(100))
    frames = [row["value"] for row in rows if row["source"] == "camera"]
    np.testing.assert_array_equal(frames, session["camera"].arrays())
    assert bytes_of(kept) == before


def test_cat_takes_a_range_of_seconds_or_of_times(axds, kept):
    reader = open_session(kept)["encoder"]
    words = ("log", "cat", kept, "--source", "encoder", "--json")
    got = [json.loads(line)["value"] for line in axds(*words, "--from", "0.0012", "--to", "0.0013").out.splitlines()]
    assert got == list(range(20, 30))
    time = np.datetime64(int(reader.timestamps[40]), "us")
    got = [json.loads(line)["value"] for line in axds(*words, "--from", time).out.splitlines()]
    assert got == list(range(40, 100))


def test_cat_shows_the_bytes_of_what_was_not_described(axds, tmp_path):
    directory, put = record(tmp_path, sources=(3,), messages=4)
    assemble_log_archives(directory)
    rows = [json.loads(line) for line in axds("log", "cat", directory, "--json").out.splitlines()]
    assert [row["hex"] for row in rows] == [bytes(range(16 * at, 16 * at + 16)).hex() for at in range(4)]
    assert [row["time_us"] for row in rows] == put["3"].tolist()
    assert "00 01 02" in axds("log", "cat", directory, "--count", "1").out


def test_filter_writes_archives_of_a_range_with_all_that_is_known(axds, kept, tmp_path):
    before = bytes_of(kept)
    words = ("log", "filter", kept, "--source", "camera", "--source", "1", "--from", "0.0015", "--to", "0.0016")
    got = axds(*words, "-o", tmp_path / "new", "--json")
    assert [(row["source"], row["messages"], row["of"]) for row in got.json] == [
        ("encoder", 10, 100),
        ("camera", 10, 100),
    ]
    old, new = open_session(kept), open_session(tmp_path / "new")
    assert list(new) == ["encoder", "camera"]
    for name, first in (("encoder", 50), ("camera", 50)):
        np.testing.assert_array_equal(new[name].arrays(), old[name].arrays()[first : first + 10])
        np.testing.assert_array_equal(new[name].timestamps, old[name].timestamps[first : first + 10])
        assert new[name].source == old[name].source
        assert new[name].verify() == []
    assert new.session == old.session.__class__(**{**_fields(old.session), "sources": new.session.sources})
    assert sorted(os.listdir(tmp_path / "new")) == ["1_log.npz", "2_log.npz"]
    assert bytes_of(kept) == before
    with np.load(tmp_path / "new" / "1_log.npz") as archive:
        assert len(archive.files) == 11


def _fields(session):
    return {name: getattr(session, name) for name in session.__slots__}


def test_filter_of_a_range_without_messages_is_status_1(axds, kept, tmp_path):
    got = axds("log", "filter", kept, "--from", "100", "-o", tmp_path / "new")
    assert got.status == 1
    assert "0 of 100 messages of encoder" in got.out


def test_nothing_is_written_over_and_damage_is_not_copied(refused, kept, tmp_path):
    out = tmp_path / "new"
    out.mkdir()
    (out / "1_log.npz").write_bytes(b"mine")
    assert "choose another directory" in refused("log", "filter", kept, "--source", "1", "-o", out)
    assert "choose another directory" in refused("log", "merge", kept / "1_log.npz", kept, "-o", out)
    assert bytes_of(out) == {"1_log.npz": b"mine"}
    data = bytearray((kept / "2_log.npz").read_bytes())
    data[data.index(bytes([50]) * 72) + 10] ^= 1
    (tmp_path / "2_log.npz").write_bytes(data)
    for command in ("filter", "merge"):
        assert "axds log verify" in refused("log", command, tmp_path / "2_log.npz", "-o", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_merge_makes_one_log_of_several_in_the_order_of_merge_archives(axds, tmp_path, storage):
    first = put_session(tmp_path, storage)
    second = put_session(tmp_path, storage, 100, session="new")
    before = bytes_of(first) | bytes_of(second)
    got = axds("log", "merge", second, first, "-o", tmp_path / "day", "--json")
    assert [row["messages"] for row in got.json] == [200, 200, 2]
    day = open_session(tmp_path / "day")
    for code in ("1", "2", "7"):
        readers = [LogArchiveReader(folder / f"{code}_log.npz") for folder in (second, first)]
        want = [(int(m.timestamp_us), m.payload.tobytes()) for _, m in merge_archives(readers)]
        assert [(int(m.timestamp_us), m.payload.tobytes()) for m in day[code].iter_messages()] == want
        assert day[code].onset_timestamp_us == readers[1].onset_timestamp_us
        assert [session.id for session in day[code].sessions] == [readers[1].session.id, readers[0].session.id]
        assert day[code].verify() == []
    assert day["encoder"].arrays().tolist() == list(range(200))
    assert bytes_of(first) | bytes_of(second) == before


def test_sources_of_different_types_are_not_merged(refused, tmp_path):
    for name, kind in (("a", "<i4"), ("b", "<f4")):
        with DataLogger(tmp_path, name) as logger:
            logger.source(1, name="s", dtype=kind).put(1)
        assemble_log_archives(logger.output_directory)
    line = refused("log", "merge", tmp_path / "a_data_log", tmp_path / "b_data_log", "-o", tmp_path / "c")
    assert "expected archives of one type, got float32 of () and int32 of ()" in line


@pytest.mark.parametrize("command", ["cat", "filter", "merge"])
def test_a_log_without_archives_and_a_source_that_is_not_there_are_told(refused, kept, tmp_path, command):
    directory, _ = record(tmp_path)
    more = () if command == "cat" else ("-o", tmp_path / "new")
    assert "run `axds log assemble` first" in refused("log", command, directory, *more)
    if command != "merge":
        line = refused("log", command, kept, "--source", "lever", *more)
        assert "expected a source called lever, got encoder, camera, pair" in line
    assert not (tmp_path / "new").exists()


def test_running_loggers_are_listed_wherever_they_write(axds, tmp_path):
    assert axds("log", "ls", "--running", tmp_path).status == 1
    with warnings.catch_warnings(), DataLogger(tmp_path, "now", storage="journal") as logger:
        logger.source(1, name="s", dtype="<i4").put(1)
        logger.flush()
        (row,) = axds("log", "ls", "--running", tmp_path, "--json").json
        assert (row["name"], row["state"], row["process"]) == ("now", "running", logger.statistics.pid)
        assert (row["messages"], row["written"], row["dropped"]) == (2, 2, 0)
        assert row["directory"] == str(tmp_path / "now_data_log")
        assert "running" in axds("log", "ls", "--running").out
        other = tmp_path / "other"
        other.mkdir()
        assert axds("log", "ls", "--running", other).status == 1
    assert axds("log", "ls", "--running", tmp_path).out == "no logger of yours runs here\n"
