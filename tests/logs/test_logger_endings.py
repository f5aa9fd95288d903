"""Who ends a queue, and what comes at that very moment: each accepted message is in the log exactly once."""

import json
import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from ataraxis_data_structures import DataLogger, assemble_log_archives, recover_log_directory
from ataraxis_data_structures.errors import QueueBusyError, QueueClosedError
from ataraxis_data_structures.memory.segment import list_segments
from logtools import logger_in, package, read_files, read_log, wait_for


def fork(call, *args):
    """Run a call in a child of this process, which ends without any of this process's clean-up; give its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        call(*args)
    finally:
        os._exit(0)


def told(read_end, write_end):
    """Return what a child writes into a pipe, and close both ends here."""
    os.close(write_end)
    try:
        return json.loads(os.read(read_end, 1000))
    finally:
        os.close(read_end)


def die(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def put_until_refused(queue, accepted):
    """Put numbered messages and keep their number in a file, until a put raises."""
    fd, number = os.open(accepted, os.O_WRONLY | os.O_CREAT, 0o666), 0
    while True:
        try:
            queue.put(package(number.to_bytes(8, "little"), time=number))
        except QueueClosedError:
            return
        number += 1
        os.pwrite(fd, number.to_bytes(8, "little"), 0)
        time.sleep(0.0005)


@pytest.mark.parametrize("how", ["recovery", "start"])
def test_what_a_living_producer_puts_while_its_dead_session_is_completed_is_in_the_log_or_refused(tmp_path, how):
    read_end, write_end = os.pipe()

    def session():
        logger = DataLogger(tmp_path, "test", storage="journal")
        logger.start()
        producer = fork(put_until_refused, logger.input_queue, tmp_path / "accepted")
        os.write(write_end, json.dumps([logger.statistics.pid, producer]).encode())
        time.sleep(100)

    owner = fork(session)
    logger_pid, producer = told(read_end, write_end)
    try:
        wait_for(lambda: (tmp_path / "accepted").exists() and (tmp_path / "accepted").stat().st_size)
        os.kill(owner, signal.SIGSTOP)  # it must not start another logger process
        die(logger_pid)
        die(owner)
        os.waitpid(owner, 0)
        if how == "start":
            with logger_in(tmp_path, storage="journal", session="continue") as logger:
                logger.start()
                logger.stop()
        else:
            recover_log_directory(tmp_path / "test_data_log")
        # The producer has learned that its queue ended: it is gone without a kill.
        wait_for(lambda: not os.path.exists(f"/proc/{producer}") or is_zombie(producer))
    finally:
        die(producer)
    accepted = int.from_bytes((tmp_path / "accepted").read_bytes(), "little")
    got = [time for _, time, _ in read_log(tmp_path / "test_data_log")]
    assert accepted > 0
    assert set(range(accepted)) <= set(got) <= set(range(accepted + 1))
    assert len(got) == len(set(got))


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def test_a_first_message_that_comes_while_an_orphaned_logger_ends_is_in_the_log_or_refused(tmp_path):
    read_end, write_end = os.pipe()
    delays_s = [0.1 * step for step in range(1, 16)]

    def put_late(queue, number):
        time.sleep(delays_s[number])
        queue.put(package(b"late", source=2, time=number))
        (tmp_path / f"accepted-{number}").touch()

    def session():
        logger = DataLogger(tmp_path, "test")
        logger.start()
        for number in range(6000):  # their files take a moment, in which the logger is at its end
            logger.input_queue.put(package(b"early", time=number))
        children = [fork(put_late, logger.input_queue, number) for number in range(len(delays_s))]
        os.write(write_end, json.dumps([logger.statistics.pid, *children]).encode())
        time.sleep(100)

    owner = fork(session)
    logger_pid, *children = told(read_end, write_end)
    die(owner)
    os.waitpid(owner, 0)
    wait_for(lambda: all(is_zombie(child) for child in children), 30)
    wait_for(lambda: is_zombie(logger_pid), 60)
    recover_log_directory(tmp_path / "test_data_log")
    accepted = {number for number in range(len(delays_s)) if (tmp_path / f"accepted-{number}").exists()}
    got = read_files(tmp_path / "test_data_log")
    assert accepted <= {time for source, time, _ in got if source == 2}
    assert sum(source == 1 for source, _, _ in got) == 6000


def test_an_assembly_and_a_recovery_refuse_a_directory_in_which_a_logger_works(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        logger.input_queue.put(package(b"x"))
        with pytest.raises(QueueBusyError):
            assemble_log_archives(logger.output_directory)
        with pytest.raises(QueueBusyError):
            recover_log_directory(logger.output_directory)
        logger.stop()
        assemble_log_archives(logger.output_directory)
        assert (logger.output_directory / "1_log.npz").exists()


def test_a_burst_of_messages_larger_than_a_lanes_quarter_is_whole_when_stop_returns(tmp_path):
    frame = bytes(3_000_000)  # parts of one message come to lie in two journals
    with logger_in(tmp_path) as logger:
        logger.start()
        for number in range(3000):  # the making of files lags behind
            logger.input_queue.put(package(b"small", source=2, time=number))
        for number in range(50):
            logger.input_queue.put(package(frame, time=number))
        logger.stop()
        names = [path.name for path in logger.output_directory.iterdir()]
        assert sum(name.startswith("001_") for name in names) == 50
        assert sum(name.startswith("002_") for name in names) == 3000
        assert not [name for name in names if ".axj" in name]
        assert all(path.stat().st_size > 3_000_000 for path in logger.output_directory.glob("001_*.npy"))


def test_stop_returns_whenever_the_logger_process_is_killed_before_it(tmp_path):
    for step in range(8):
        with logger_in(tmp_path, f"test{step}", storage="journal") as logger:
            logger.start()
            logger.input_queue.put(package(b"x", time=step))
            os.kill(logger.statistics.pid, signal.SIGKILL)
            time.sleep(0.015 * step)  # the replacement is at another point of its start each time
            stopping = threading.Thread(target=logger.stop, daemon=True)
            stopping.start()
            stopping.join(30)
            assert not stopping.is_alive()
            assert len(read_log(logger.output_directory)) == 1


def test_a_put_that_a_signal_handler_overtakes_does_not_sleep_on_an_empty_lane(tmp_path):
    with logger_in(tmp_path, storage="journal", lane_bytes=4096) as logger:
        logger.start()
        queue = logger.input_queue
        queue.put(package(bytes(64)))
        logger.flush()
        pid = logger.statistics.pid
        os.kill(pid, signal.SIGSTOP)
        for time in range(1, 5):
            queue.put(package(bytes(536), time=time))
        before = signal.signal(signal.SIGUSR1, lambda *_: queue.put(package(bytes(536), time=5)))
        try:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            threading.Timer(0.8, os.kill, (pid, signal.SIGCONT)).start()
            queue.put(package(bytes(2016), time=6), timeout=20)
        finally:
            signal.signal(signal.SIGUSR1, before)
        logger.stop()
        assert [time for _, time, _ in read_log(logger.output_directory)] == list(range(7))


def test_nothing_of_a_completed_session_stays_in_shared_memory(tmp_path):
    with logger_in(tmp_path) as logger:
        name = logger.input_queue.name
        logger.start()
        logger.input_queue.put(package(b"x"))
        logger.stop()
    assert not [found for found in list_segments() if found.startswith(name)]
