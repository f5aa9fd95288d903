"""Leak fixtures for the whole suite, and how much work a stress test does."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
import threading
import time
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path

import pytest

FULL = os.environ.get("AXDS_STRESS") == "full"

# A shell starts what runs in its background with SIGINT ignored, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A temporary folder of the suite's own: what other programs leave in theirs is no leak of a test. The one that
# multiprocessing keeps is made outside, since it is removed last of all. A suite within a suite (workers, the portable
# door) has its folder beside the outer one's: within it, the paths of sockets would grow too long.
tempfile.tempdir = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
util.get_temp_dir()
_temporary = tempfile.TemporaryDirectory(prefix="axds-")
atexit.register(_temporary.cleanup)
tempfile.tempdir = os.environ["TMPDIR"] = _temporary.name

# Names in shared memory of the suite's own too (and of each worker's): it neither sees nor removes anybody else's.
_memory = tempfile.mkdtemp(prefix="axds-suite-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
os.chmod(_memory, 0o1777)
atexit.register(shutil.rmtree, _memory, ignore_errors=True)
os.environ["AXDS_SHM_FOLDER"] = _memory


def pytest_xdist_auto_num_workers():
    """Return how many tests run at a time: two for each CPU, for most of them wait for processes and disks."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture
def rounds(record_property):
    """Return the rounds of a stress loop: all of them under AXDS_STRESS=full, else the short form."""

    def chosen(full, short):
        count = full if FULL else short
        record_property("rounds", count)
        return count

    return chosen


def pytest_collection_modifyitems(items):
    """Mark the fault and race tests, which `tox -e stress` runs at full length."""
    for item in items:
        if "rounds" in item.fixturenames or "stress" in item.path.parts:
            item.add_marker("fault")


def pytest_terminal_summary(terminalreporter):
    """Print what each stress loop did, and what it said last."""
    if not FULL:
        return
    terminalreporter.section("what the fault loops did")
    total, reports = 0, [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in sorted(reports, key=lambda report: report.nodeid):
        counts = [value for name, value in report.user_properties if name == "rounds"]
        if report.when != "call" or not counts:
            continue
        total += counts[0]
        what = f"{report.outcome:<7}{counts[0]:>10,} rounds {report.duration:>7.1f} s  "
        terminalreporter.write_line(what + report.nodeid.removeprefix("tests/"))
        for line in report.capstdout.strip().splitlines()[-1:]:
            terminalreporter.write_line(" " * len(what) + line[:160])
    terminalreporter.write_line(f"{total:,} rounds in all")


@pytest.fixture(scope="session", autouse=True)
def multiprocessing_helpers():
    """Start the two processes that multiprocessing keeps for good, so that no test is blamed for them."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()


def _children():
    pids = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            pids.update(map(int, (task / "children").read_text().split()))
        except FileNotFoundError:  # a thread that just ended has no children
            continue
    return pids


def _descriptors():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the descriptor that listed the folder
            continue
    return found


def _segments():
    return set(os.listdir(_memory))


def _temporaries():
    return set(os.listdir(tempfile.gettempdir()))


def _snapshot():
    return {
        "shared memory": _segments(),
        "descriptors": set(_descriptors().items()),
        "children": _children(),
        "threads": set(threading.enumerate()),
        "temporary files": _temporaries(),
    }


def _leaks(before):
    now = _snapshot()
    return {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}


@pytest.fixture(autouse=True)
def no_leaks(request, tmp_path_factory):
    """Fail a test that leaves a segment, descriptor, child, thread or temporary file behind."""
    tmp_path_factory.getbasetemp()  # pytest's own folder is no leak
    gc.collect()
    gc.freeze()  # the next collections look at what this test makes alone: they were half of the time of a small test
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a command that ran in this process ignores it at its end
    before = _snapshot()
    yield
    deadline = time.monotonic() + 5
    gc.collect()
    while (leaks := _leaks(before)) and time.monotonic() < deadline:
        time.sleep(0.02)  # a process that was told to end needs a moment to be gone
        gc.unfreeze()
        gc.collect()
    if leaks:
        pytest.fail(f"left behind: {leaks}")
