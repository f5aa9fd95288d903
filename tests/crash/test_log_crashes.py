"""A log that is ended at each call: by the death of the process that calls, of its owner, or by an error of the call.

The program is a whole session: puts of 0 bytes to 9 MB through a lane of 64 KiB, a flush, a stop, a restart, and the
owner's end; or the recovery of what a session left. Afterwards recovery finds each message whose put returned, once and
byte for byte, and nothing is left beside the log. How many puts returned is counted in a mapped page, which outlives
the program. The logger process is no member of the owner's process group: it goes on when that is killed.
"""

import errno
import mmap
import os
import shutil
import signal
import time

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogPackage, recover_log_directory
from ataraxis_data_structures.system import platform
from helpers.crash import chosen, count_steps, fail_at, kill_at
from logtools import leftovers, read_log

LANE = 1 << 16
SIZES = [0, 1, 50, 5000, LANE // 2, 3 * LANE, 9 << 20]
RETURNED = 0  # which word of the account counts the puts that returned


def payload_of(i):
    return np.full(SIZES[i % len(SIZES)], i % 251, np.uint8)


class Place:
    """A folder with a log, and the account of it, which outlives the program."""

    def __init__(self, root):
        self.root, self.log = root / "logs", root / "logs" / "test_data_log"
        (root / "account").write_bytes(bytes(4096))
        with (root / "account").open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 4096)
        self.account = memoryview(self._page).cast("Q")

    def prepare(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        self.account[RETURNED] = 0

    def close(self):
        self.account.release()
        self._page.close()

    def put(self, logger, count):
        for _ in range(count):
            i = self.account[RETURNED]
            logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), payload_of(i)))
            self.account[RETURNED] = i + 1

    def session(self, storage):
        """Put, flush, stop, put between, start again, end."""
        logger = DataLogger(self.root, "test", storage=storage, lane_bytes=LANE)
        self.put(logger, 3)
        logger.start()
        self.put(logger, len(SIZES))
        logger.flush(20)
        logger.stop()
        self.put(logger, 2)
        logger.start()
        self.put(logger, 2)
        logger._finalizer()

    def check(self, step):
        """Assert that the log has each message whose put returned, once, and at most the one that was being put."""
        got = read_log(self.log) if self.log.exists() else []
        returned = self.account[RETURNED]
        assert [time_us for _, time_us, _ in got] in (list(range(returned)), list(range(returned + 1))), step
        for _, time_us, payload in got:
            assert payload == payload_of(time_us).tobytes(), step

    def recover(self, step):
        """Recover until nothing is left: of a session whose logger process may be just ending."""
        if not self.log.exists():
            return
        assert recover_log_directory(self.log, patience_s=20).whole, step
        assert leftovers(self.log) == [], step


def wait_for_nobody(pids):
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline, "a process never ended"
        time.sleep(0.002)


def nothing_in_memory(step):
    assert [name for name in os.listdir(platform.FOLDER) if name.startswith("axds-")] == [], step


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.mark.fault
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("everybody", [False, True], ids=["who calls", "the owner"])
@pytest.mark.parametrize("storage", ["journal", "npy"])
def test_a_session_killed_at_any_call_is_recovered_in_full(place, storage, everybody):
    def program():
        place.session(storage)

    place.prepare()
    points = chosen(count_steps(program), short=4)
    hits = 0
    for n in points:
        place.prepare()
        run = kill_at(program, n, everybody=everybody)
        hits += run.hit is not None
        place.recover(run.hit)
        place.check(run.hit)
        nothing_in_memory(run.hit)
    print(f"session, {storage}: {hits} kills")
    assert hits > len(points) // 2


def left_session(place, storage):
    """Leave what a session leaves whose processes are all killed before its end."""
    place.prepare()

    def program():
        logger = DataLogger(place.root, "test", storage=storage, lane_bytes=LANE)
        place.put(logger, 3)
        logger.start()
        place.put(logger, len(SIZES))
        logger.flush(20)
        pid = logger.statistics.pid
        os.kill(pid, signal.SIGSTOP)  # what comes now stays in the lane
        place.put(logger, 3)
        os.kill(pid, signal.SIGKILL)
        os.killpg(0, signal.SIGKILL)

    steps = kill_at(program, 1 << 30, everybody=True).steps
    assert place.account[RETURNED] == len(SIZES) + 6
    wait_for_nobody({step.pid for step in steps})


@pytest.mark.fault
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("code", [None, errno.EIO, errno.ENOSPC], ids=["killed", "EIO", "ENOSPC"])
@pytest.mark.parametrize("storage", ["journal", "npy"])
def test_a_recovery_ended_at_any_call_is_ended_by_the_next_one(place, storage, code):
    def program():
        recover_log_directory(place.log, patience_s=5)

    left_session(place, storage)
    points = chosen(count_steps(program), short=4)
    hits = 0
    for n in points:
        left_session(place, storage)
        run = kill_at(program, n) if code is None else fail_at(program, n, code)
        hits += run.hit is not None  # a session leaves more or less, by how far its logger process came
        place.recover(run.hit)
        place.check(run.hit)
        assert len(read_log(place.log)) == place.account[RETURNED], run.hit
        nothing_in_memory(run.hit)
    print(f"recovery, {storage}: ended {hits} times")
    assert hits
