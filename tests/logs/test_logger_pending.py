"""A logger that is started while an assembly has its directory logs from the start, and each message is there once."""

import os
import signal
import time

import pytest

from ataraxis_data_structures import DataLogger, assemble_log_archives, recover_log_directory
from ataraxis_data_structures.errors import QueueBusyError
from ataraxis_data_structures.logs.log_directory import LogDirectory
from log_files import contents
from logtools import leftovers, logger_in, package, read_log, wait_for

STORAGES = pytest.mark.parametrize("storage", ["npy", "journal"])


def put(queue, times):
    for number in times:
        queue.put(package(b"message", time=number))


def times(folder):
    return [number for _, number, _ in read_log(folder)]


def pending(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".axds-pending-")]


@STORAGES
def test_a_logger_starts_beside_an_assembly_and_its_journals_join_the_directory_afterwards(tmp_path, storage):
    with logger_in(tmp_path, storage=storage) as logger:
        with LogDirectory(logger.output_directory, "assembly"):
            start = time.monotonic()
            logger.start()
            assert time.monotonic() - start < 20  # the wait itself is one second
            put(logger.input_queue, range(100))
            logger.flush()
            assert times(logger.output_directory) == []
            assert len(pending(logger.output_directory)) == 1
            assert times(pending(logger.output_directory)[0]) == list(range(100))
        wait_for(lambda: not pending(logger.output_directory))
        put(logger.input_queue, range(100, 200))
        logger.stop()
        assert times(logger.output_directory) == list(range(200))
        assert leftovers(logger.output_directory) == []


@STORAGES
def test_assemblies_one_after_another_beside_a_logger_that_waits_take_nothing_of_it(tmp_path, storage):
    with logger_in(tmp_path, "test", storage="journal") as first:
        first.start()
        put(first.input_queue, range(1000, 1100))
        first.stop()
    with logger_in(tmp_path, storage=storage, session="continue") as logger:
        with LogDirectory(logger.output_directory, "assembly"):
            logger.start()
        put(logger.input_queue, range(50))
        try:
            assemble_log_archives(logger.output_directory)
        except QueueBusyError:  # the logger was faster
            wait_for(lambda: not pending(logger.output_directory))
        put(logger.input_queue, range(50, 100))
        logger.stop()
        assemble_log_archives(logger.output_directory)
        got = [number for number, _ in contents(logger.output_directory / "1_log.npz").values()]
        assert sorted(got) == [*range(100), *range(1000, 1100)]


@STORAGES
def test_a_logger_process_that_is_killed_while_it_waits_for_the_directory_is_replaced(tmp_path, storage):
    with logger_in(tmp_path, storage=storage) as logger:
        with LogDirectory(logger.output_directory, "assembly"):
            logger.start()
            for step in range(3):
                put(logger.input_queue, range(100 * step, 100 * step + 100))
                before = logger.statistics.pid
                os.kill(before, signal.SIGKILL)
                wait_for(lambda before=before: logger.statistics.pid not in (0, before))
        logger.stop()
        assert times(logger.output_directory) == list(range(300))
        assert leftovers(logger.output_directory) == []


def crash_while_waiting(folder, storage):
    """Let a program and its logger process be killed while the directory is held by another."""
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        return
    try:
        logger = DataLogger(folder, "test", storage=storage)
        logger.start()
        put(logger.input_queue, range(100))
        logger.flush()
        logger_pid = logger.statistics.pid
        os.kill(logger_pid, signal.SIGSTOP)
        put(logger.input_queue, range(100, 200))
        os.kill(logger_pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


@pytest.mark.parametrize("how", ["recovery", "start", "assembly"])
@pytest.mark.parametrize("moved", [0, 1])
@STORAGES
def test_what_a_killed_logger_left_while_it_waited_is_completed(tmp_path, storage, how, moved):
    folder = tmp_path / "test_data_log"
    folder.mkdir()
    with LogDirectory(folder, "assembly"):
        crash_while_waiting(tmp_path, storage)
    for journal in sorted(pending(folder)[0].glob("*.axj"))[:moved]:  # killed while it moved them
        journal.rename(folder / journal.name)
    if how == "recovery":
        assert recover_log_directory(folder).whole
    elif how == "start":
        with logger_in(tmp_path, storage=storage, session="continue") as logger:
            logger.start()
            logger.stop()
    else:
        assemble_log_archives(folder)
        got = [number for number, _ in contents(folder / "1_log.npz").values()]
        assert sorted(got) == list(range(200))
        return
    assert times(folder) == list(range(200))
    assert leftovers(folder) == []


def test_stop_says_that_an_assembly_is_still_at_work_and_a_later_recovery_completes_the_log(tmp_path):
    with logger_in(tmp_path) as logger:
        logger._session._settings["join_s"] = 0.5
        with LogDirectory(logger.output_directory, "assembly"):
            logger.start()
            put(logger.input_queue, range(100))
            with pytest.raises(OSError, match="an assembly or recovery is still at work"):
                logger.stop()
        logger.start()
        logger.stop()
        assert times(logger.output_directory) == list(range(100))
        assert leftovers(logger.output_directory) == []


def test_a_recovery_is_refused_while_a_logger_waits_for_the_directory(tmp_path):
    with logger_in(tmp_path) as logger:
        with LogDirectory(logger.output_directory, "assembly"):
            logger.start()
            pid = logger.statistics.pid
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(QueueBusyError, match="keeps its journals in"):
            recover_log_directory(logger.output_directory)
        assemble_log_archives(logger.output_directory)  # takes nothing of it
        os.kill(pid, signal.SIGCONT)
        put(logger.input_queue, range(10))
        logger.stop()
        assert times(logger.output_directory) == list(range(10))


def test_a_second_logger_is_refused_while_one_waits_for_the_directory(tmp_path):
    with logger_in(tmp_path) as first, logger_in(tmp_path) as second:
        with LogDirectory(first.output_directory, "assembly"):
            first.start()
            with pytest.raises(QueueBusyError, match="keeps its journals in"):
                second.start()
        first.stop()
        second.start()
        second.stop()
