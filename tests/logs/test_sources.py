"""Described sources: what is put comes back as it was declared, with its description, on one clock."""

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ataraxis_data_structures import (
    ArchiveError,
    DataLogger,
    LogPackage,
    assemble_log_archives,
    open_session,
)
from logtools import assemble_when_free, logger_in

STORAGES = ("npy", "journal")
FRAME = {"name": "camera", "dtype": "u1", "shape": (24, 32), "rate_hz": 60.0, "unit": "counts"}


def opened(logger):
    assemble_log_archives(logger.output_directory)
    return open_session(logger.output_directory)


@pytest.fixture(params=STORAGES)
def new_logger(request, tmp_path):
    """Return what makes a logger, which is put away after the test."""
    endings = []

    def make():
        logger = DataLogger(tmp_path, "rig", storage=request.param)
        endings.append(logger._finalizer)
        return logger

    yield make
    gc.collect()
    for end in endings:
        end()


def test_a_source_comes_back_by_name_with_all_that_was_said_of_it(new_logger):
    logger = new_logger()
    logger.start()
    camera = logger.source(1, **FRAME, exposure_us=500, lens={"f": 1.4})
    frames = np.arange(3 * 24 * 32, dtype=np.uint8).reshape(3, 24, 32)
    for frame in frames:
        camera.put(frame)
    logger.stop()
    session = opened(logger)
    reader = session["camera"]
    told = reader.source
    assert (told.code, told.name, told.dtype, told.shape) == (1, "camera", np.dtype("u1"), (24, 32))
    assert (told.rate_hz, told.unit, told.metadata) == (60.0, "counts", {"exposure_us": 500, "lens": {"f": 1.4}})
    np.testing.assert_array_equal(reader.arrays(), frames)
    assert int(reader.onset_timestamp_us) == told.onset_us
    assert abs(int(reader.timestamps[-1]) - time.time_ns() // 1000) < 60_000_000
    assert session["1"] is session[1] is reader
    assert session.session.id == reader.session.id


@pytest.mark.parametrize("when", ["before the start", "after the start"])
def test_the_onset_is_put_once_whenever_the_source_was_described(new_logger, when):
    logger = new_logger()
    if when == "after the start":
        logger.start()
    sources = [logger.source(code, name=f"s{code}", dtype="<i4") for code in (1, 2)]
    logger.start()
    logger.stop()
    logger.start()
    for source in sources:
        source.put(7)
    logger.stop()
    session = opened(logger)
    assert {name: reader.arrays().tolist() for name, reader in session.items()} == {"s1": [7], "s2": [7]}
    assert len({int(reader.onset_timestamp_us) for reader in session.values()}) == 1


def _count_up(source, count):
    for number in range(count):
        source.put(number)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_the_clock_of_a_source(new_logger, method):
    logger = new_logger()
    source = logger.source(3, name="encoder", dtype="<i8")
    logger.start()
    before_us = source.elapsed_us()
    child = multiprocessing.get_context(method).Process(target=_count_up, args=(source, 100))
    child.start()
    child.join()
    after_us = source.elapsed_us()
    logger.stop()
    reader = opened(logger)["encoder"]
    assert reader.arrays().tolist() == list(range(100))
    elapsed = reader.timestamps - reader.onset_timestamp_us
    assert before_us <= elapsed.min() <= elapsed.max() <= after_us


PLAIN = hnp.scalar_dtypes()
TYPES = st.one_of(PLAIN, hnp.array_dtypes(PLAIN, min_size=1, max_size=3))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_arrays_of_any_type_and_shape_come_back(tmp_path_factory, data):
    dtype = data.draw(TYPES.filter(lambda dtype: dtype.itemsize))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
    values = data.draw(hnp.arrays(dtype, (3, *shape)))
    with DataLogger(tmp_path_factory.mktemp("log"), "rig", storage="journal", lane_bytes=1 << 16) as logger:
        source = logger.source(9, dtype=dtype, shape=shape)
        for number, value in enumerate(values):
            if number % 2 and shape:
                with source.loan() as lent:
                    lent[...] = value
            else:
                source.put(value)
    reader = opened(logger)["9"]
    assert reader.arrays().dtype == dtype
    assert reader.arrays().shape == values.shape
    assert reader.arrays().tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (np.zeros((24, 32), np.int8), TypeError),
        (np.zeros((24, 31), np.uint8), ValueError),
        (np.zeros((32, 24), np.uint8).T[:, :31], ValueError),
        (3, ValueError),
        ([[300] * 32] * 24, OverflowError),
        ([[0.5] * 32] * 24, TypeError),
        ("text", TypeError),
        (None, TypeError),
    ],
)
def test_what_the_source_did_not_declare_is_refused_and_nothing_is_put(new_logger, wrong, error):
    logger = new_logger()
    logger.start()
    camera = logger.source(1, **FRAME)
    with pytest.raises(error):
        camera.put(wrong)
    camera.put(np.ones((32, 24), np.uint8).T)  # not contiguous: copied
    camera.put(np.full((24, 32), 2, np.uint8).tolist())
    logger.stop()
    assert opened(logger)["camera"].arrays()[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("time_us", [0, -1, 2**64])
def test_a_time_that_no_message_can_have_is_refused(new_logger, time_us):
    logger = new_logger()
    source = logger.source(1, dtype="<i4")
    with pytest.raises((ValueError, OverflowError)):
        source.put(1, time_us)
    with pytest.raises(ValueError, match="from 1 us"):
        source.put_many(np.zeros(2, np.int32), [1, 0])


def test_times_of_a_device_and_many_arrays_at_once(new_logger):
    logger = new_logger()
    logger.start()
    source = logger.source(5, name="imu", dtype="<f4", shape=(3,))
    source.put(np.ones(3, np.float32), time_us=10)
    source.put_many(np.arange(12, dtype=np.float32).reshape(4, 3), [20, 30, 40, 50])
    with pytest.raises(TypeError):
        source.put_many(np.zeros((2, 3)), [60, 70])
    with pytest.raises(ValueError, match="shape"):
        source.put_many(np.zeros((2, 4), np.float32), [60, 70])
    logger.stop()
    reader = opened(logger)["imu"]
    assert (reader.timestamps - reader.onset_timestamp_us).tolist() == [10, 20, 30, 40, 50]
    np.testing.assert_array_equal(reader.arrays()[1:].reshape(-1), np.arange(12))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"code": 256}, ValueError),
        ({"code": -1}, ValueError),
        ({"code": 1, "dtype": object}, TypeError),
        ({"code": 1, "dtype": "V0"}, TypeError),
        ({"code": 1, "shape": (3, 0)}, ValueError),
        ({"code": 1, "shape": (-1,)}, ValueError),
        ({"code": 1, "rate_hz": 0}, ValueError),
        ({"code": 1, "rate_hz": float("nan")}, ValueError),
        ({"code": 1, "tag": {1, 2}}, TypeError),
        ({"code": 7, "name": "other"}, ValueError),
        ({"code": 8, "name": "known"}, ValueError),
    ],
)
def test_a_description_that_cannot_be_is_refused_before_anything_is_written(new_logger, options, error):
    logger = new_logger()
    known = logger.source(7, name="known")
    before = sorted(os.listdir(logger.output_directory))
    with pytest.raises(error):
        logger.source(**options)
    assert sorted(os.listdir(logger.output_directory)) == before
    assert logger.source(7, name="known") is known


# ---- loans


def test_a_loan_is_put_when_its_block_ends_and_dropped_when_it_raises(new_logger):
    logger = new_logger()
    logger.start()
    camera = logger.source(1, **FRAME)
    kept = None
    for number in range(20):
        if number % 3 == 0:
            with pytest.raises(ZeroDivisionError), camera.loan() as frame:
                frame[...] = number // 0
            continue
        with camera.loan() as frame:
            frame[...] = number
            kept = frame
        with pytest.raises(ValueError, match="read-only"):
            kept[0, 0] = 99
    logger.flush()
    logger.stop()
    assert opened(logger)["camera"].arrays()[:, 5, 5].tolist() == [number for number in range(20) if number % 3]


def test_other_puts_go_on_during_a_loan_and_a_second_one_is_refused(new_logger):
    logger = new_logger()
    logger.start()
    camera, encoder = logger.source(1, **FRAME), logger.source(2, name="encoder", dtype="<i4")
    with camera.loan() as frame:
        frame[...] = 1
        encoder.put(5)
        camera.put(np.zeros((24, 32), np.uint8))
        with pytest.raises(RuntimeError, match="one loan"), camera.loan():
            pass
        with encoder.loan() as value:
            value[...] = 6
    logger.stop()
    session = opened(logger)
    assert session["encoder"].arrays().tolist() == [5, 6]
    assert session["camera"].arrays()[:, 0, 0].tolist() == [1, 0]  # by the time at which a loan began


def test_frames_larger_than_a_lane_are_lent_all_the_same(tmp_path):
    with logger_in(tmp_path, "rig", storage="journal", lane_bytes=1 << 14) as logger:
        logger.start()
        camera = logger.source(1, name="large", dtype="<u2", shape=(200, 200))
        for number in range(5):
            with camera.loan() as frame:
                frame[...] = number * 1000
        logger.stop()
        assert opened(logger)["large"].arrays()[:, 7, 7].tolist() == [0, 1000, 2000, 3000, 4000]


KILLED = """
import os, sys, signal, pathlib
import numpy as np
from ataraxis_data_structures import DataLogger

logger = DataLogger(pathlib.Path(sys.argv[1]), "rig", storage=sys.argv[2])
logger.start()
camera = logger.source(1, name="camera", dtype="u1", shape=(24, 32))
for number in range(50):
    with camera.loan() as frame:
        frame[...] = number
frame = camera.loan().__enter__()
frame[:12] = 255
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("storage", STORAGES)
def test_a_process_that_dies_amid_a_loan_loses_that_message_alone(tmp_path, storage):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), storage], check=False)
    assert killed.returncode == -signal.SIGKILL
    directory = tmp_path / "rig_data_log"
    assemble_when_free(directory)
    reader = open_session(directory)["camera"]
    assert reader.arrays()[:, 3, 3].tolist() == list(range(50))
    assert reader.source.shape == (24, 32)
    assert sorted(os.listdir(directory)) == ["1_log.npz"]


def put_many(source, count):
    for number in range(count):
        source.put(np.full(100, number, np.uint64))


def lend_many(source, count):
    for number in range(count):
        with source.loan() as values:
            values[:] = number


@pytest.mark.parametrize("storage", STORAGES)
def test_drops_before_the_end_are_counted_though_no_message_came_after_them(tmp_path, storage):
    with logger_in(tmp_path, "rig", storage=storage, lane_bytes=1 << 13, overflow="drop_newest") as logger:
        source = logger.source(1, name="s", dtype="<u8", shape=(100,))
        with pytest.warns(RuntimeWarning, match="dropped"):
            put_many(source, 100)  # nobody drains yet
        logger.start()
        logger.stop()
        reader = opened(logger)["s"]
        assert reader.arrays()[:, 0].tolist() == list(range(len(reader)))
        assert reader.drops == 100 - len(reader) > 0


def test_a_full_lane_drops_loans_and_counts_them(tmp_path):
    with logger_in(tmp_path, "rig", storage="journal", lane_bytes=1 << 13, overflow="drop_newest") as logger:
        source = logger.source(1, name="s", dtype="<u8", shape=(100,))
        with pytest.warns(RuntimeWarning, match="dropped"):
            lend_many(source, 100)  # nobody drains yet
        logger.start()
        logger.stop()
        reader = opened(logger)["s"]
        kept = reader.arrays()[:, 0].tolist()
        assert kept == list(range(len(kept)))
        assert reader.drops == 100 - len(kept) > 0


# ---- what is kept beside the messages


def test_descriptions_follow_their_session_when_a_log_is_split(tmp_path):
    for number in (1, 2):
        with DataLogger(tmp_path, "rig", storage="npy", session="continue", metadata={"run": number}) as logger:
            logger.source(4, name=f"run{number}", dtype="<i4").put(number)
            if number == 2:
                time.sleep(0.002)
    with pytest.warns(UserWarning, match="several sessions"):
        assemble_log_archives(tmp_path / "rig_data_log")
    for number, name in ((1, "rig_data_log"), (2, "rig_2_data_log")):
        session = open_session(tmp_path / name)
        assert list(session) == [f"run{number}"]
        assert session[4].arrays().tolist() == [number]
        assert session.session.metadata == {"run": number}
        assert sorted(os.listdir(tmp_path / name)) == ["4_log.npz"]


def test_a_description_too_long_for_a_comment_lies_beside_the_archive(new_logger):
    logger = new_logger()
    logger.start()
    logger.source(1, dtype="<i4", note="x" * 80_000).put(5)
    logger.stop()
    reader = opened(logger)["1"]
    assert reader.source.metadata["note"] == "x" * 80_000
    assert (logger.output_directory / "1_log.json").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"code": 5}', b'{"code": 1, "shape": "x"}'])
def test_a_damaged_description_stops_nothing(new_logger, damage):
    logger = new_logger()
    logger.start()
    logger.source(1, name="s", dtype="<i4").put(5)
    logger.stop()
    (path,) = logger.output_directory.glob(".axds-source-*")
    path.write_bytes(damage)
    session = opened(logger)
    assert session["1"].matrix("<i4").tolist() == [[5]]
    assert session["1"].source is None
    with pytest.raises(ValueError, match="described"):
        session["1"].arrays()


def test_messages_of_another_size_are_an_error_that_names_one(new_logger):
    logger = new_logger()
    logger.start()
    logger.source(1, name="s", dtype="<i4").put(5)
    logger.input_queue.put(LogPackage(1, 10**9, np.zeros(3, np.uint8)))
    logger.stop()
    with pytest.raises(ArchiveError, match="expected 4 bytes, as the source declares, got 3"):
        opened(logger)["s"].arrays()


# ---- loops


PROGRAM = """
import json, sys, pathlib
from ataraxis_data_structures import DataLogger

with DataLogger(pathlib.Path(sys.argv[1]), "rig") as logger:
    source = logger.source(1, name="s", dtype="<i4")
    turns = 0
    for _ in logger.running(rate_hz=100):
        source.put(turns)
        turns += 1
        print(turns, flush=True)
print(json.dumps({"turns": turns}), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_loop_and_the_log_is_whole(tmp_path, number):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        assert program.stdout.readline()
    program.send_signal(number)
    rest, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    turns = json.loads(rest.splitlines()[-1])["turns"]
    assemble_log_archives(tmp_path / "rig_data_log")
    assert open_session(tmp_path / "rig_data_log")["s"].arrays().tolist() == list(range(turns))


def test_a_loop_keeps_its_rate_and_its_duration_and_ends_with_the_logger(new_logger):
    logger = new_logger()
    logger.start()
    began = time.monotonic()
    turns = list(logger.running(rate_hz=50, duration_s=0.5))
    assert time.monotonic() - began >= 0.5
    assert 1 <= len(turns) <= 26
    source, ended = logger.source(1), []
    loop = threading.Thread(target=lambda: ended.extend(source.running(rate_hz=100)))
    loop.start()
    while not ended:
        time.sleep(0.01)
    logger.stop()
    loop.join(30)
    assert not loop.is_alive()
    with pytest.raises(ValueError, match="rate"):
        logger.running(rate_hz=0)


def test_signals_do_what_they_did_before_once_the_loop_is_over(new_logger):
    logger = new_logger()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for _ in logger.running(duration_s=0.01):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
