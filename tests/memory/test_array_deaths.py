"""No death locks anyone out, and none that may have torn the data is hidden."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import SharedMemoryArray, TornArrayError, TornArrayWarning

ATTACH = """
import sys, time
from ataraxis_data_structures import SharedMemoryArray
sma = SharedMemoryArray.attach(sys.argv[1])
def ready():
    print("ready", flush=True)
"""
# Each holds the lock in its own way until it is killed.
WRITER = ATTACH + "with sma.array() as a:\n    a[0] = 1\n    ready()\n    time.sleep(60)"
READER = ATTACH + "with sma.array(read_only=True) as a:\n    ready()\n    time.sleep(60)"
HOLDER = ATTACH + "with sma.lock():\n    ready()\n    time.sleep(60)"
INDEXER = ATTACH + (
    "class Slow:\n    def __float__(self):\n        ready()\n        time.sleep(60)\n        return 1.0\n"
    "sma[0] = Slow()"
)
PAUSING = ATTACH + (
    "with sma.array() as a:\n    a[0] = 1\n    ready()\n    sys.stdin.readline()\n    a[1] = 1\nready()\ntime.sleep(60)"
)


class Child:
    """A process that runs code on the array until it is killed; it has said that it is ready."""

    def __init__(self, code, *args):
        self.process = subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


@pytest.fixture
def sma(name):
    with SharedMemoryArray.create_array(name, np.zeros(4)) as sma:
        yield sma


@pytest.mark.parametrize("code", [WRITER, HOLDER, INDEXER], ids=["array", "lock", "index"])
def test_a_death_inside_a_write_is_told_once_to_every_survivor(sma, name, code):
    Child(code, name).kill()
    with SharedMemoryArray.attach(name) as other:
        for survivor in (sma, other):
            with pytest.warns(TornArrayWarning, match=name):
                survivor[1]
            survivor[1]
            assert survivor.torn
    assert (sma.tears, sma.owner_deaths) == (1, 1)


def test_the_warning_names_the_line_of_the_caller(sma, name):
    Child(WRITER, name).kill()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with sma.array():
            pass
    assert [warning.filename for warning in caught] == [__file__]


def test_a_death_inside_a_read_is_no_tear(sma, name):
    Child(READER, name).kill()
    sma[0] = 5
    assert (sma.tears, sma.owner_deaths, sma.torn) == (0, 1, False)


def test_a_late_comer_learns_of_a_tear_that_nobody_mended(sma, name):
    Child(WRITER, name).kill()
    with pytest.warns(TornArrayWarning):
        sma[0]
    with SharedMemoryArray.attach(name) as late, pytest.warns(TornArrayWarning):
        late[0]
    sma.mend()
    assert not sma.torn
    with SharedMemoryArray.attach(name) as late:
        late[0]
        assert late.tears == 1


def test_strict_refuses_until_the_data_is_mended(sma, name):
    Child(WRITER, name).kill()
    strict = SharedMemoryArray.attach(name, strict=True)
    acts = [lambda: strict[0], lambda: strict.__setitem__(1, 1), strict.read, lambda: strict.add(0, 1)]
    acts += [lambda: strict.array().__enter__(), lambda: strict.lock().__enter__(), lambda: strict.exchange(0, 1)]
    for act in acts * 2:
        with pytest.raises(TornArrayError, match=name):
            act()
    assert strict.torn
    strict.mend(np.full(4, 7.0))
    assert strict[:].tolist() == [7, 7, 7, 7]
    assert sma[0] == 7
    strict.disconnect()


def test_a_warning_that_is_an_error_leaves_the_lock_free(sma, name):
    Child(WRITER, name).kill()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TornArrayWarning), sma.array():
            pass
    sma.mend()
    sma[0] = 2


def test_survivors_go_on_at_once(sma, name):
    child = Child(HOLDER, name)
    waits = []

    def wait():
        with pytest.warns(TornArrayWarning), sma.lock(timeout=5):
            waits.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)  # it waits now, or later: the bound below holds in both cases
    killed = time.monotonic()
    child.kill()
    thread.join()
    assert waits[0] - killed < 2


def test_a_dead_writer_counts_as_a_change_for_those_who_wait(sma, name):
    version = sma.version
    Child(WRITER, name).kill()
    assert sma.wait_for_change(version, timeout=5) == version + 1
    with pytest.warns(TornArrayWarning):
        sma[0]


def test_a_stopped_holder_keeps_the_lock(sma, name):
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGSTOP)
    process.stdin.write("\n")
    process.stdin.flush()
    for _ in range(3):
        with pytest.raises(TimeoutError), sma.lock(timeout=0.1):
            pass
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == "ready\n"
    with sma.lock(timeout=5):
        pass
    assert sma[:2].tolist() == [1, 1]
    assert (sma.owner_deaths, sma.tears) == (0, 0)
    process.kill()
    process.communicate()


INTERRUPTED = (
    ATTACH
    + """
import signal
waits = {
    "index": lambda: sma[0], "write": lambda: sma.__setitem__(0, 1), "lock": lambda: sma.lock().__enter__(),
    "array": lambda: sma.array().__enter__(), "add": lambda: sma.add(0, 1), "read": sma.read, "mend": sma.mend,
    "change": lambda: sma.wait_for_change(int(sys.argv[3])),
}
signal.signal(signal.SIGALRM, signal.default_int_handler)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    waits[sys.argv[2]]()
except KeyboardInterrupt:
    print("interrupted")
"""
)


@pytest.mark.parametrize("wait", ["index", "write", "lock", "array", "add", "read", "mend", "change"])
def test_ctrl_c_interrupts_every_wait(sma, name, wait, run):
    with sma.lock():
        assert run(INTERRUPTED, name, wait, str(sma.version)) == "interrupted"


def test_fork_while_a_thread_holds_the_lock(sma):
    held, release = threading.Event(), threading.Event()

    def hold():
        with sma.lock():
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = fork(lambda: _times_out(sma))
    assert os.waitpid(child, 0)[1] == 0
    waiting = fork(lambda: sma.add(0, 1) == 1)
    release.set()
    assert os.waitpid(waiting, 0)[1] == 0
    thread.join()
    assert (sma[0], sma.owner_deaths) == (1, 0)


def test_a_child_forked_inside_a_block_does_not_release_its_parents_lock(sma):
    version = sma.version
    with sma.array() as array:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            assert sma.version == version
            assert os.waitpid(fork(lambda: _times_out(sma)), 0)[1] == 0
            array[0] = 3
    if not child:
        os._exit(0)  # it left the block, and let the lock be
    assert (sma[0], sma.version, sma.owner_deaths) == (3, version + 1, 0)


def _times_out(sma):
    try:
        with sma.lock(timeout=0.05):
            return False
    except TimeoutError:
        return True


def fork(act):
    """Run something in a forked child, which exits with 0 if it returns a true value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of threads; the point is to have them
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        status = 0 if act() else 2
    finally:
        os._exit(status)
