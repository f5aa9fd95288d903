"""Logs in a store: sources become items, killed sessions are completed, series come to one clock."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import (
    DataLogger,
    SharedMemoryArray,
    Store,
    StoreError,
    TornArrayError,
    TornArrayWarning,
    assemble_log_archives,
)
from conftest_cli import axds  # noqa: F401 fixture
from helpers.crash import FULL, chosen, kill_at, trace


def record(store, name="run", count=50, size=1, **options):
    with store.log(name, **options) as logger:
        source = logger.source(3, dtype="f8", shape=(size,) if size > 1 else ())
        times = np.arange(1, count + 1, dtype=np.uint64) * 1000
        source.put_many(np.arange(count * size, dtype="f8").reshape(count, *source.shape), times)
    return logger


@pytest.mark.parametrize("size", [1, 40_000], ids=["copied view", "linked view"])
def test_sources_become_items_that_are_links_to_their_archives(size, tmp_path):
    store = Store(tmp_path)
    logger = record(store, size=size)
    assert logger.items == store.list() == ["run/3"]
    item = store.info("run/3")
    archive = tmp_path / "logs" / "run_data_log" / "3_log.npz"
    payload = tmp_path / ".axds" / "payloads" / item.file
    assert item.path == archive == next(logger.output_directory.glob("*.npz"))
    if size > 1:
        assert os.path.samestat(payload.stat(), archive.stat())
    assert (item.kind, item.about["messages"], item.about["source"]) == ("log", 50, "3")
    for reader in (store.get("run/3"), store.open("run/3")):
        assert len(reader) == 50
        assert reader.arrays().ravel()[:3].tolist() == [0, 1, 2]
        assert int(reader.onset_timestamp_us) == item.about["onset_us"]
    assert store.verify() == []
    assert store.adopt_logs() == []


def test_each_session_of_a_name_has_items_of_its_own(tmp_path):
    store = Store(tmp_path)
    assert [record(store).items for _ in range(2)] == [["run/3"], ["run_2/3"]]
    record(store, "deep/run", metadata={"mouse": 1})
    assert store.list() == ["deep/run/3", "run/3", "run_2/3"]
    assert store.get("deep/run/3").session.metadata == {"mouse": 1}
    assert store.verify() == []


def test_a_continued_session_is_a_new_version(tmp_path):
    store = Store(tmp_path)
    with store.log("run") as logger:
        source = logger.source(3, dtype="f8")
        source.put(1.0)
        logger.stop()
        assert len(store.get("run/3")) == 1
        logger.start()
        source.put(2.0)
    assert store.get("run/3").arrays().tolist() == [1, 2]
    assert len(store.versions("run/3")) == 2
    assert len(store.get(f"run/3@{store.versions('run/3')[0]}")) == 1
    assert store.verify() == []


KILLED = """
import os, signal, sys
import numpy as np
from ataraxis_data_structures import Store
logger = Store(sys.argv[1]).log("killed", storage=sys.argv[2])
logger.start()
source = logger.source(3, dtype="f8")
for number in range(100):
    source.put(float(number))
print("put", flush=True)
if sys.argv[3] == "wait":
    sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""


def started(folder, storage="npy", how="kill"):
    command = [sys.executable, "-c", KILLED, str(folder), storage, how]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True, text=True)


@pytest.mark.parametrize("storage", ["npy", "journal"])
@pytest.mark.parametrize("how", ["log", "command"])
def test_a_killed_session_is_completed_and_becomes_items(storage, how, tmp_path, axds):  # noqa: F811
    Store(tmp_path)
    victim = started(tmp_path, storage)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert store.list() == []
    if how == "log":
        record(store)
        assert store.list() == ["killed/3", "run/3"]
    else:
        assert axds("store", "adopt", str(tmp_path)).out.split() == ["killed/3"]
        assert "every log is an item" in axds("store", "adopt", str(tmp_path)).out
    assert store.get("killed/3").arrays().tolist() == [float(number) for number in range(100)]
    assert store.verify() == []


def test_a_session_that_lives_is_left_alone(tmp_path):
    store = Store(tmp_path)
    other = started(tmp_path, how="wait")
    try:
        assert other.stdout.readline() == "put\n"
        assert store.adopt_logs() == []
        record(store)
        assert store.list() == ["run/3"]
    finally:
        other.communicate("", timeout=60)
    assert store.adopt_logs() == ["killed/3"]


def test_a_log_that_another_program_left_is_adopted(tmp_path):
    with DataLogger(tmp_path, "old") as logger:
        source = logger.source(1, dtype="u1")
        source.put(5)
    assemble_log_archives(tmp_path / "old_data_log")
    assert Store(tmp_path).adopt_logs() == ["old/1"]
    assert Store(tmp_path).get("old/1").arrays().tolist() == [5]
    with pytest.raises(StoreError, match="read only"):
        Store(tmp_path, read_only=True).adopt_logs()


@pytest.mark.fault
def test_an_adoption_that_is_killed_at_any_step_is_completed_by_the_next(tmp_path):
    template, folder = tmp_path / "template", tmp_path / "store"
    record(Store(template), "first")
    with DataLogger(template / "logs", "left") as logger:
        for code in (1, 2):
            logger.source(code, dtype="u1").put(code)
    store = Store(template)

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)

    def program():
        Store(folder).adopt_logs()

    assemble_log_archives(template / "logs" / "left_data_log")
    assert store.list() == ["first/3"]
    prepare()
    for n in chosen(len(trace(program)), short=300 if FULL else 20):
        prepare()
        run = kill_at(program, n)
        found = Store(folder)
        assert found.list() in (["first/3"], ["first/3", "left/1", "left/2"]), str(run.hit)
        assert found.verify() == [], str(run.hit)
        found.adopt_logs()
        assert found.list() == ["first/3", "left/1", "left/2"], str(run.hit)
        assert [found.get(f"left/{code}").arrays().tolist() for code in (1, 2)] == [[1], [2]], str(run.hit)
        assert found.verify() == [], str(run.hit)


# ---- series


def test_series_of_logs_arrays_and_what_align_gave(tmp_path):
    store = Store(tmp_path)
    record(store, count=4)
    series = store.series("run/3")
    assert series.values.tolist() == [0, 1, 2, 3]
    assert np.diff(series.times_us).tolist() == [1000] * 3
    assert series.times_us.dtype == np.uint64
    assert store.series("run/3", "<i8").values.shape == (4,)
    store.add("records", np.array([(1, 2.0), (3, 4.0)], [("time_us", "u8"), ("x", "f8")]))
    assert store.series("records").values.tolist() == [2, 4]
    store.add("together", store.align("run/3", series.times_us))
    assert store.series("together").values.tolist() == [0, 1, 2, 3]
    assert len(store.series("together")) == 4
    store.add("plain", np.zeros(3))
    with pytest.raises(StoreError, match="time_us"):
        store.series("plain")


def test_series_are_aligned_on_one_clock_of_64_bits(tmp_path):
    """Also where microseconds differ in digits that a float64 does not have."""
    store = Store(tmp_path)
    late = 2**60
    times = np.array([late, late + 2, late + 5], np.uint64)
    for name, values in {"a": [0.0, 2.0, 5.0], "b": [1.0, 2.0, 3.0]}.items():
        rows = np.zeros(3, [("time_us", "u8"), ("x", "f8")])
        rows["time_us"], rows["x"] = times, values
        store.add(name, rows)
    found = store.align(["a"], np.arange(late, late + 6))
    assert found["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert found["time_us"].tolist() == list(range(late, late + 6))
    held = store.align({"a": None, "b": None}, np.arange(late, late + 6), is_discrete=True)
    assert held["b"].tolist() == [1, 1, 2, 2, 2, 3]
    assert store.align(["a", "b"], "b")["a"].tolist() == [0, 2, 5]
    moments = np.array(["2020-01-01", "2020-01-02"], "datetime64[s]")
    assert store.align("a", moments)["time_us"].tolist() == [1577836800000000, 1577923200000000]
    with pytest.raises(StoreError, match="integers"):
        store.align("a", [0.5])


# ---- shared arrays


def test_a_shared_array_is_stored_as_a_copy(tmp_path):
    store = Store(tmp_path)
    with SharedMemoryArray.create_array(f"stored{os.getpid()}", np.arange(3.0)) as shared:
        store.add("state", shared)
        shared[0] = 7.0
        assert store.get("state").tolist() == [0, 1, 2]


def test_a_shared_array_that_may_be_torn_is_refused(tmp_path):
    store = Store(tmp_path)
    with SharedMemoryArray.create_array(f"torn{os.getpid()}", np.arange(3.0)) as shared:
        store.add("state", shared)
        pid = os.fork()
        if not pid:
            with shared.array() as array:
                array[0] = 9.0
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        with pytest.raises(TornArrayError):
            store.add("state", shared)
        assert store.get("state").tolist() == [0, 1, 2]
        assert not shared.strict
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TornArrayWarning)
            shared.mend()
        store.add("state", shared)
        assert store.get("state").tolist() == [9, 1, 2]


def test_the_time_is_right(tmp_path):
    store = Store(tmp_path)
    before = time.time_ns() // 1000
    record(store, count=1)
    assert before <= store.info("run/3").about["onset_us"] <= time.time_ns() // 1000
