"""Sessions of a log: what a second recording does, what archives remember, and that nothing is mixed."""

import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from ataraxis_data_structures import (
    DataLogger,
    LogArchiveReader,
    LogPackage,
    assemble_log_archives,
    recover_log_directory,
)
from helpers.crash import chosen, count_steps, kill_at
from logtools import logger_in

ONSET = 17 * 10**14


def record(folder, onset, *, storage, count=30, source=1, **options):
    """Record an onset and messages; return the directory and the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with logger_in(folder, "rig", storage=storage, **options) as logger:
            logger.start()
            queue = logger.input_queue
            if onset is not None:
                payload = np.frombuffer(onset.to_bytes(8, "little"), np.uint8)
                queue.put(LogPackage(source, 0, payload))
            for number in range(1, count + 1):
                queue.put(LogPackage(source, number * 1000 + (onset or 7) % 97, np.full(4, number, np.uint8)))
            logger.stop()
            return logger.output_directory, [warning for warning in said if "session" in str(warning.message)]


def put_zeros(queue, count):
    for number in range(1, count + 1):
        queue.put(LogPackage(1, number, np.zeros(1000, np.uint8)))


def times_of(directory, source=1):
    reader = LogArchiveReader(directory / f"{source}_log.npz")
    return int(reader.onset_timestamp_us), [int(message.timestamp_us) for message in reader.iter_messages()]


def expected(onset, count=30):
    return onset, [onset + number * 1000 + onset % 97 for number in range(1, count + 1)]


def assemble(directory, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assemble_log_archives(directory, **options)


@pytest.mark.parametrize("storage", ["npy", "journal"])
@pytest.mark.parametrize("between", ["nothing", "assembly", "a kill"])
def test_a_second_session_warns_once_and_has_archives_of_its_own(tmp_path, storage, between):
    first = ONSET, ONSET + 60_000_017
    directory, said = record(tmp_path, first[0], storage=storage)
    assert said == []
    if between == "assembly":
        assemble_log_archives(directory)
    if between == "a kill":
        die_amid_a_session(tmp_path, ONSET + 5_000_000, storage)
    again, said = record(tmp_path, first[1], storage=storage)
    assert (again, len(said)) == (directory, 1)
    assemble(directory, verify_integrity=True)
    third = [] if between != "a kill" else [ONSET + 5_000_000]
    found = [times_of(tmp_path / name) for name in sorted(os.listdir(tmp_path)) if name.endswith("_data_log")]
    assert sorted(found) == sorted(map(expected, [first[0], *third, first[1]]))
    assert all(os.listdir(tmp_path / name) == ["1_log.npz"] for name in os.listdir(tmp_path))


def die_amid_a_session(folder, onset, storage):
    code = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[4])
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage
logger = DataLogger(Path(sys.argv[1]), "rig", storage=sys.argv[3])
logger.start()
onset = int(sys.argv[2])
logger.input_queue.put(LogPackage(1, 0, np.frombuffer(onset.to_bytes(8, "little"), np.uint8)))
for number in range(1, 31):
    logger.input_queue.put(LogPackage(1, number * 1000 + onset % 97, np.full(4, number, np.uint8)))
os.kill(logger.statistics.pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, folder, str(onset), storage, "."], check=False)
    recover_log_directory(folder / "rig_data_log")


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_session_refuses_takes_a_new_directory_or_continues_as_asked(tmp_path, storage):
    directory, _ = record(tmp_path, ONSET, storage=storage)
    with pytest.raises(FileExistsError, match="another session"):
        DataLogger(tmp_path, "rig", storage=storage, session="refuse")
    further = [record(tmp_path, ONSET + at, storage=storage, session="new") for at in (10**9, 2 * 10**9)]
    assert further == [(tmp_path / "rig_2_data_log", []), (tmp_path / "rig_3_data_log", [])]
    assert record(tmp_path, None, storage=storage, session="continue", count=3) == (directory, [])
    for name in ("rig_data_log", "rig_2_data_log", "rig_3_data_log"):
        assemble_log_archives(tmp_path / name)
    assert times_of(tmp_path / "rig_2_data_log") == expected(ONSET + 10**9)
    assert len(times_of(directory)[1]) == 33  # without an onset of its own it goes on from the first
    with pytest.raises(ValueError, match="session"):
        DataLogger(tmp_path, "rig", session="other")


def test_start_and_stop_of_one_logger_are_one_session(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with logger_in(tmp_path, "rig") as logger:
            for number in range(3):
                logger.start()
                logger.input_queue.put(LogPackage(1, number, np.zeros(8, np.uint8)))
                logger.stop()
    assemble_log_archives(tmp_path / "rig_data_log")
    assert os.listdir(tmp_path) == ["rig_data_log"]


def test_metadata_host_and_versions_are_in_the_archive_and_numpy_does_not_see_them(tmp_path):
    directory, _ = record(tmp_path, ONSET, storage="npy", metadata={"mouse": "m7", "doses": [1, 2.5, None]})
    assemble_log_archives(directory)
    session = LogArchiveReader(directory / "1_log.npz").session
    assert session.metadata == {"mouse": "m7", "doses": [1, 2.5, None]}
    assert session.storage == "npy"
    assert 0 < session.started_us <= session.ended_us
    assert {"ataraxis-data-structures", "python", "system"} <= set(session.versions)
    assert session.host
    with np.load(directory / "1_log.npz") as archive:
        assert len(archive.files) == 31
    with zipfile.ZipFile(directory / "1_log.npz") as archive:
        assert json.loads(archive.comment)["axds-log"] == 1
        assert archive.testzip() is None
    with pytest.raises(TypeError, match="JSON"):
        DataLogger(tmp_path, "other", metadata={"rate": np.float64})


def test_what_a_comment_has_no_room_for_lies_beside_the_archive(tmp_path):
    notes = {"notes": "x" * 70_000}
    directory, _ = record(tmp_path, ONSET, storage="journal", metadata=notes)
    assemble_log_archives(directory)
    assert sorted(os.listdir(directory)) == ["1_log.json", "1_log.npz"]
    assert LogArchiveReader(directory / "1_log.npz").session.metadata == notes


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_drops_survive_assembly_a_second_assembly_and_a_copy(tmp_path, storage):
    options = {"storage": storage, "lane_bytes": 1 << 14, "overflow": "drop_newest"}
    with logger_in(tmp_path, "rig", **options) as logger:
        queue = logger.input_queue  # nothing drains it before the start
        queue.put(LogPackage(1, 0, np.frombuffer(ONSET.to_bytes(8, "little"), np.uint8)))
        with pytest.warns(RuntimeWarning, match="dropped"):
            put_zeros(queue, 100)
        logger.start()
        logger.flush(30)
        queue.put(LogPackage(1, 1000, np.zeros(8, np.uint8)))
        logger.stop()
        dropped = logger.statistics.sources[1].dropped
    directory = tmp_path / "rig_data_log"
    assert dropped > 0
    assemble_log_archives(directory, remove_sources=False)
    assemble_log_archives(directory)
    assert LogArchiveReader(directory / "1_log.npz").drops == dropped
    shutil.copytree(directory, tmp_path / "copy")
    assert LogArchiveReader(tmp_path / "copy" / "1_log.npz").drops == dropped


def test_gaps_are_intervals_longer_than_so_many_medians(tmp_path):
    with logger_in(tmp_path, "rig") as logger:
        logger.start()
        times = [0, *range(1000, 20_000, 1000), 40_000, 41_000]
        for number, time in enumerate(times):
            payload = ONSET.to_bytes(8, "little") if not number else b"abcd"
            logger.input_queue.put(LogPackage(1, time, np.frombuffer(payload, np.uint8)))
        logger.stop()
    assemble_log_archives(tmp_path / "rig_data_log")
    reader = LogArchiveReader(tmp_path / "rig_data_log" / "1_log.npz")
    assert reader.gaps().tolist() == [[ONSET + 19_000, 21_000]]
    assert reader.gaps(factor=30).shape == (0, 2)


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_an_assembly_of_two_sessions_killed_at_any_step_is_finished_by_the_next(tmp_path, storage):
    made = tmp_path / "made"
    record(made, ONSET, storage=storage, count=3)
    record(made, ONSET + 10**9, storage=storage, count=3)
    root = tmp_path / "root"

    def prepare():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(made, root)

    def program():
        assemble(root / "rig_data_log", max_workers=1)

    prepare()
    total = count_steps(program)
    for step in chosen(total, short=60):
        prepare()
        kill_at(program, step)
        assemble(root / "rig_data_log", max_workers=1)
        found = [times_of(root / name) for name in ("rig_data_log", "rig_2_data_log")]
        assert found == [expected(ONSET, 3), expected(ONSET + 10**9, 3)], step
        assert sorted(os.listdir(root)) == ["rig_2_data_log", "rig_data_log"], step
        assert [os.listdir(root / name) for name in os.listdir(root)] == [["1_log.npz"]] * 2, step
