"""The same recording works from every kind of process, and its archive holds each message once."""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import programs
import pytest

from ataraxis_data_structures import DataLogger, LogArchiveReader, SharedMemoryArray, assemble_log_archives

COUNT = 200
METHODS = ["spawn", "fork", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request):
    yield multiprocessing.get_context(request.param)
    # The fork server and the resource tracker are processes of multiprocessing, which live as long as the test run.
    multiprocessing.forkserver._forkserver._stop()
    multiprocessing.resource_tracker._resource_tracker._stop()


@pytest.fixture
def rig(tmp_path):
    """Yield a started logger and an array, then stop it, archive, and check that source 1 logged every message."""
    logger = DataLogger(tmp_path, "rig")
    array = SharedMemoryArray.create_array("axds_test_rig", np.zeros(3, np.int64))
    logger.start()
    held = [logger, array]
    yield held
    held.clear()  # the logger's memory lives as long as the logger
    assert array[1] == COUNT
    array.destroy()
    logger.stop()
    assert_recorded(logger.output_directory)


def assert_recorded(directory, source=1, count=COUNT):
    assemble_log_archives(directory)
    times, payloads = LogArchiveReader(Path(directory) / f"{source}_log.npz").read_all_messages()
    assert times.tolist() == list(range(2, count + 2))
    assert [int.from_bytes(payload.tobytes(), "little") for payload in payloads] == list(range(1, count + 1))


def test_a_child_of_every_start_method_logs(rig, context):
    logger, array = rig
    child = context.Process(target=programs.put_some, args=(logger.input_queue, 1, COUNT, array))
    child.start()
    child.join()
    assert child.exitcode == 0


def test_queue_and_array_travel_through_a_pipe(rig, context):
    logger, array = rig
    ours, theirs = context.Pipe()
    with ours, theirs:
        child = context.Process(target=programs.take_from_pipe, args=(theirs, 1, COUNT))
        child.start()
        ours.send((logger.input_queue, array))
        child.join()
    assert child.exitcode == 0


def test_queue_and_array_travel_through_a_queue(rig, context):
    logger, array = rig
    carrier = context.Queue()
    child = context.Process(target=programs.take_from_queue, args=(carrier, 1, COUNT))
    child.start()
    carrier.put((logger.input_queue, array))
    child.join()
    carrier.close()
    carrier.join_thread()
    assert child.exitcode == 0


def test_queue_and_array_travel_through_an_executor(rig, context):
    logger, array = rig
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(programs.put_some, logger.input_queue, 1, COUNT, array).result() == COUNT


def test_a_logger_lives_in_a_thread(rig):
    logger, array = rig
    thread = threading.Thread(target=programs.put_some, args=(logger.input_queue, 1, COUNT, array))
    thread.start()
    thread.join()


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import programs
from ataraxis_data_structures import DataLogger
logger = DataLogger(Path({directory!r}), "rig")
logger.start()
programs.put_some(logger.input_queue, 1, {count})
logger.stop()
print(logger.output_directory)
"""


@pytest.mark.parametrize("as_file", [False, True], ids=["python -c", "a script without a guard"])
def test_no_main_guard_is_needed(tmp_path, as_file):
    program = PROGRAM.format(tests=str(Path(__file__).parent), directory=str(tmp_path), count=COUNT)
    script = tmp_path / "script.py"
    script.write_text(program)
    command = [sys.executable, str(script)] if as_file else [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_recorded(done.stdout.strip())


def test_start_and_stop_work_in_a_thread(tmp_path):
    def record():
        logger = DataLogger(tmp_path, "rig")
        logger.start()
        programs.put_some(logger.input_queue, 1, COUNT)
        logger.stop()

    thread = threading.Thread(target=record)
    thread.start()
    thread.join()
    assert_recorded(tmp_path / "rig_data_log")
