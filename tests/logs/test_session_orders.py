"""Two programs that record under one name, one after the other: each policy, storage and end, in all orders."""

import json
import os
import subprocess
import sys
import warnings
from itertools import product

import numpy as np
import pytest

from ataraxis_data_structures import (
    DataLogger,
    LogArchiveReader,
    LogPackage,
    assemble_log_archives,
    recover_log_directory,
)
from logtools import logger_in

FULL = os.environ.get("AXDS_STRESS") == "full"
ONSETS = 17 * 10**14, 17 * 10**14 + 60_000_017
COUNT = 30
POLICIES = (None, "refuse", "new", "continue")
STORAGES = tuple(product(("npy", "journal"), repeat=2))
ENDS = tuple(product(("stopped", "killed"), repeat=2))

PROGRAM = """
import json, os, signal, sys, warnings
from pathlib import Path
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage
folder, onset, count, storage, policy, end = json.loads(sys.argv[1])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:
        logger = DataLogger(Path(folder), "rig", storage=storage, **({"session": policy} if policy else {}))
    except FileExistsError as error:
        print(json.dumps(["refused", str(error)]))
        sys.exit()
    logger.start()
print(json.dumps([logger.output_directory.name, [str(one.message) for one in said]]), flush=True)
logger.input_queue.put(LogPackage(1, 0, np.frombuffer(onset.to_bytes(8, "little"), np.uint8)))
for number in range(1, count + 1):
    logger.input_queue.put(LogPackage(1, number * 1000 + onset % 97, np.full(4, number, np.uint8)))
if end == "killed":
    os.kill(logger.statistics.pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
logger.stop()
"""


def run(folder, onset, storage, policy, end):
    """Let a program record; return the directory's name and what was said, or that it was refused."""
    words = json.dumps([str(folder), onset, COUNT, storage, policy, end])
    done = subprocess.run([sys.executable, "-c", PROGRAM, words], capture_output=True, text=True, check=False)
    assert done.returncode in {0, -9}, done.stderr
    return json.loads(done.stdout)


def archived(root):
    """Assemble all that lies in a folder and return {directory: (onset, times)} of its archives."""
    for name in sorted(os.listdir(root)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            recover_log_directory(root / name)
            assemble_log_archives(root / name, verify_integrity=True)
    found = {}
    for name in sorted(os.listdir(root)):
        assert os.listdir(root / name) == ["1_log.npz"]
        reader = LogArchiveReader(root / name / "1_log.npz")
        found[name] = int(reader.onset_timestamp_us), reader.timestamps.tolist()
    return found


def expected(onset):
    return onset, [onset + number * 1000 + onset % 97 for number in range(1, COUNT + 1)]


def orders():
    """Return all orders, or each policy with each pair of ends and each pair of storages once."""
    every = list(product(POLICIES, ENDS, STORAGES))
    return every if FULL else [one for at, one in enumerate(every) if at % 4 == at // 4 % 4]


@pytest.mark.parametrize(("policy", "ends", "storages"), orders(), ids=str)
def test_each_message_is_in_the_archive_of_its_own_session(tmp_path, policy, ends, storages):
    assert run(tmp_path, ONSETS[0], storages[0], None, ends[0]) == ["rig_data_log", []]
    name, said = run(tmp_path, ONSETS[1], storages[1], policy, ends[1])
    found = archived(tmp_path)
    first, second = map(expected, ONSETS)
    if policy == "refuse":
        assert (name, "another session" in said) == ("refused", True)
        assert found == {"rig_data_log": first}
        return
    assert name == ("rig_2_data_log" if policy == "new" else "rig_data_log")
    assert len(said) == (policy is None)
    assert found == {"rig_data_log": first, "rig_2_data_log": second}


def test_a_directory_in_which_another_program_records_is_no_place_for_a_further_session(tmp_path):
    with logger_in(tmp_path, "rig") as first:
        first.start()  # no message yet
        with pytest.raises(FileExistsError, match="another session"):
            DataLogger(tmp_path, "rig", session="refuse")
        with logger_in(tmp_path, "rig", session="new") as second:
            assert second.output_directory.name == "rig_2_data_log"
            second.start()
            for logger, onset in zip((first, second), ONSETS, strict=True):
                put(logger, onset)
            second.stop()
        first.stop()
    assert archived(tmp_path) == dict(zip(("rig_data_log", "rig_2_data_log"), map(expected, ONSETS), strict=True))


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_an_earlier_onset_of_a_clock_that_was_set_back_makes_a_session_of_its_own(tmp_path, storage):
    for onset in reversed(ONSETS):
        with warnings.catch_warnings(), logger_in(tmp_path, "rig", storage=storage) as logger:
            warnings.simplefilter("ignore", UserWarning)
            logger.start()
            put(logger, onset)
            logger.stop()
    found = archived(tmp_path)
    assert list(found.values()) == [expected(ONSETS[0]), expected(ONSETS[1])]
    assert found["rig_data_log"] == expected(ONSETS[1])


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_program_that_continues_after_a_crash_goes_on_in_the_same_archive(tmp_path, storage):
    """Three times: a killed program, and one that continues without an onset of its own."""
    assert run(tmp_path, ONSETS[0], storage, None, "killed")[0] == "rig_data_log"
    for part in (1, 2):
        with logger_in(tmp_path, "rig", storage=storage, session="continue") as logger:
            logger.start()
            logger.input_queue.put(LogPackage(1, 10**6 * part, np.zeros(4, np.uint8)))
            logger.stop()
    onset, times = expected(ONSETS[0])
    assert archived(tmp_path) == {"rig_data_log": (onset, [*times, onset + 10**6, onset + 2 * 10**6])}


@pytest.mark.parametrize(
    "metadata", [{"rig": object()}, {"at": {1, 2}}, {"rate": float("nan")}, {"blob": b"x"}, {(1, 2): "x"}, 5, "text"]
)
def test_metadata_that_cannot_be_kept_is_refused_before_anything_is_made(tmp_path, metadata):
    with pytest.raises(TypeError, match="metadata"):
        DataLogger(tmp_path / "root", "rig", metadata=metadata)
    assert os.listdir(tmp_path) == []


def put(logger, onset):
    logger.input_queue.put(LogPackage(1, 0, np.frombuffer(onset.to_bytes(8, "little"), np.uint8)))
    for number in range(1, COUNT + 1):
        payload = np.full(4, number, np.uint8)
        logger.input_queue.put(LogPackage(1, number * 1000 + onset % 97, payload))
