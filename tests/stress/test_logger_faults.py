"""Disks that fail: full ones, broken ones, those that write half; the log goes on or stops with a clear error.

A shim in front of the C library makes the logger process's calls fail as a mapped page says, while the test runs.
"""

import errno
import mmap
import os
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from ataraxis_data_structures.logs.journal.reader import open_journals
from logtools import leftovers, logger_in, package, read_files, read_journals, read_log, wait_for

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* For each call: the errno it fails with, each how manieth call fails (0: none), whether it is cut short instead. */
struct fault { int error, every, cut, calls; };
enum { PWRITE, WRITE, SYNC, RENAME, CLOCK };
static struct fault *faults;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("AXDS_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    faults = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
}

static int hits(int call) {
    return faults && faults[call].every && ++faults[call].calls % faults[call].every == 0;
}
static int is_file(int fd) {
    struct stat status;
    return !fstat(fd, &status) && S_ISREG(status.st_mode);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    if (is_file(fd) && hits(PWRITE)) {
        if (!faults[PWRITE].cut) { errno = faults[PWRITE].error; return -1; }
        if (size > 1) size /= 2;
    }
    return real(fd, data, size, at);
}
ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (is_file(fd) && hits(WRITE)) {
        if (!faults[WRITE].cut) { errno = faults[WRITE].error; return -1; }
        if (size > 1) size /= 2;
    }
    return real(fd, data, size);
}
#define FAILING(name, call, parameters, arguments) \
    int name parameters { \
        static int (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        if (hits(call)) { errno = faults[call].error; return -1; } \
        return real arguments; \
    }
FAILING(fdatasync, SYNC, (int fd), (fd))
FAILING(fsync, SYNC, (int fd), (fd))
FAILING(syncfs, SYNC, (int fd), (fd))
FAILING(rename, RENAME, (const char *from, const char *to), (from, to))

/* The wall clock goes back by `error` seconds more at each look. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (clock == CLOCK_REALTIME && hits(CLOCK)) now->tv_sec -= (long)faults[CLOCK].calls * faults[CLOCK].error;
    return failed;
}
"""
CALLS = ["pwrite", "write", "sync", "rename", "clock"]


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    command = ["gcc", "-O2", "-shared", "-fPIC", folder / "shim.c", "-o", folder / "shim.so", "-ldl"]
    subprocess.run(command, check=True)
    return folder / "shim.so"


@pytest.fixture
def fault(shim, tmp_path, monkeypatch):
    """Return fault(call, error, every=1, cut=False), which sets what happens from now on; error 0 ends it."""
    path = tmp_path / "faults"
    path.write_bytes(bytes(4096))
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("AXDS_FAULTS", str(path))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as page:

        def set_fault(call, error, every=1, *, cut=False):
            struct.pack_into("<3i", page, 16 * CALLS.index(call), error, every if error else 0, cut)

        yield set_fault


def hold(logger, **settings):
    logger._session._settings.update(settings)


def put_some(queue, source, count, size=50, first=0):
    for i in range(first, first + count):
        queue.put(package(bytes([i % 256]) * (i % size), source=source, time=i))


def put_while_taken(queue, source, count):
    """Put `count` messages, or those that are taken before the logger is given up; return how many."""
    for i in range(count):
        try:
            put_some(queue, source, 1, first=i)
        except ChildProcessError:
            return i
    return count


def some(source, count, size=50):
    return [(source, i, bytes([i % 256]) * (i % size)) for i in range(count)]


@pytest.mark.parametrize("storage", ["npy", "journal"])
@pytest.mark.parametrize("call", ["pwrite", "write"])
@pytest.mark.parametrize(("error", "cut"), [(errno.EINTR, False), (errno.EIO, True)], ids=["EINTR", "short"])
def test_interrupted_and_short_writes_change_nothing(tmp_path, fault, storage, call, error, cut):
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        fault(call, error, 3, cut=cut)
        put_some(logger.input_queue, 1, 400)
        logger.stop()
        assert logger.statistics.restarts == 0
        assert read_log(logger.output_directory) == some(1, 400)


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_full_disk_is_waited_for(tmp_path, fault, storage):
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        for call in ("pwrite", "write"):
            fault(call, errno.ENOSPC)
        put_some(logger.input_queue, 1, 300)
        time.sleep(0.3)  # long enough to be met by every thread, whatever it then does
        assert logger.alive
        for call in ("pwrite", "write"):
            fault(call, 0)
        logger.stop()
        assert logger.statistics.restarts == 0
        assert read_log(logger.output_directory) == some(1, 300)


def test_a_write_error_moves_the_log_to_a_new_journal(tmp_path, fault):
    with logger_in(tmp_path, storage="journal") as logger:
        logger.start()
        put_some(logger.input_queue, 1, 100)
        logger.flush(30)
        fault("pwrite", errno.EIO, 3)
        for i in range(20):
            put_some(logger.input_queue, 2, 1, first=i)
            wait_for(lambda i=i: logger.statistics.sources[2].written == i + 1)
        fault("pwrite", 0)
        logger.stop()
        assert logger.statistics.restarts == 0
        assert len(list(logger.output_directory.glob("journal-*"))) > 5
        assert read_log(logger.output_directory) == some(1, 100) + some(2, 20)


def test_a_broken_disk_is_given_up_with_an_error_and_the_lanes_keep_what_they_hold(tmp_path, fault):
    with logger_in(tmp_path, storage="journal") as logger:
        logger.start()
        put_some(logger.input_queue, 1, 100)
        logger.flush(30)
        fault("pwrite", errno.EIO)
        put_some(logger.input_queue, 2, 100)
        wait_for(lambda: not logger.alive)
        with pytest.raises(ChildProcessError):
            logger.input_queue.put(package())
        with pytest.raises(ChildProcessError, match="100 of source 2"):
            logger.stop()
        fault("pwrite", 0)
        logger.start()
        logger.stop()
        assert read_log(logger.output_directory) == some(1, 100) + some(2, 100)


@pytest.mark.parametrize("sync", ["none", "batch"])
def test_a_failed_sync_stops_the_logger_and_is_told(tmp_path, fault, sync):
    with logger_in(tmp_path, storage="journal", sync=sync) as logger:
        logger.start()
        fault("sync", errno.EIO)
        accepted = put_while_taken(logger.input_queue, 1, 100)  # with batches a put may meet the end itself
        assert accepted
        with pytest.raises(OSError, match="Input/output error"):
            logger.flush(30)
        wait_for(lambda: not logger.alive)
        with pytest.raises(ChildProcessError):
            logger.input_queue.put(package())
        with pytest.raises(ChildProcessError, match="Input/output error"):
            logger.stop()
        fault("sync", 0)
        logger.start()
        logger.stop()
        assert read_log(logger.output_directory) == some(1, accepted)


def test_journals_rotate_and_a_rotation_that_fails_lets_the_old_one_go_on(tmp_path, fault):
    with logger_in(tmp_path, storage="journal") as logger:
        hold(logger, rotate_bytes=10_000)
        logger.start()
        for turn in range(20):
            fault("rename", errno.EIO if 5 < turn < 15 else 0)
            put_some(logger.input_queue, turn, 100)
            logger.flush(30)
        logger.stop()
        assert logger.statistics.restarts == 0
        assert 4 < len(list(logger.output_directory.glob("journal-*"))) < 20
        got, account = read_journals(logger.output_directory)
        assert sorted(got) == sorted(message for turn in range(20) for message in some(turn, 100))
        assert account.whole


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_wall_clock_that_jumps_back_changes_nothing(tmp_path, fault, storage):
    with logger_in(tmp_path, storage=storage, sync="interval") as logger:
        hold(logger, rotate_bytes=10_000)
        fault("clock", 3600)
        logger.start()
        for turn in range(10):
            put_some(logger.input_queue, turn, 100)
            logger.flush(30)
        logger.stop()
        messages = read_files(logger.output_directory)
        if storage == "journal":
            created = [journal.header.created_us for journal in open_journals(logger.output_directory)]
            assert created == sorted(created, reverse=True)
            messages, account = read_journals(logger.output_directory)
            assert messages == [message for turn in range(10) for message in some(turn, 100)]
            assert account.whole
        assert sorted(messages) == [message for turn in range(10) for message in some(turn, 100)]


def test_files_that_cannot_be_made_are_an_error_at_stop_and_made_later(tmp_path, fault):
    with logger_in(tmp_path) as logger:
        hold(logger, give_up_s=0.5)
        logger.start()
        put_some(logger.input_queue, 1, 50)
        logger.flush(30)
        # A file has its name before it has its bytes.
        wait_for(lambda: sum(path.stat().st_size > 0 for path in logger.output_directory.glob("*.npy")) == 50)
        fault("write", errno.EIO)
        put_some(logger.input_queue, 2, 50)
        with pytest.raises(OSError, match="50 of source 2"):
            logger.stop()
        fault("write", 0)
        logger.start()
        logger.stop()
        assert sorted(read_files(logger.output_directory)) == some(1, 50) + some(2, 50)
        assert leftovers(logger.output_directory) == []


ON_A_SMALL_DISK = """
    import ctypes, errno, os, sys, threading, time
    from pathlib import Path
    import numpy as np
    libc = ctypes.CDLL(None, use_errno=True)
    folder = Path(sys.argv[1])
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=1m"):
        raise OSError(ctypes.get_errno(), "mount")
    from ataraxis_data_structures import DataLogger, LogPackage
    ballast = folder / "ballast"
    logger = DataLogger(folder, "small", storage=sys.argv[2])
    logger.start()
    ballast.write_bytes(bytes(900_000))
    for i in range(60):
        logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), np.full(5000, i, np.uint8)))
    time.sleep(0.5)
    assert logger.alive
    ballast.unlink()
    logger.stop()
    from logtools import read_log
    got = read_log(logger.output_directory)
    assert got == [(1, i, bytes([i]) * 5000) for i in range(60)], len(got)
    print(logger.statistics.restarts)
"""


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_small_disk_that_fills_and_is_freed_again(tmp_path, storage):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        sys.executable,
        "-c",
        textwrap.dedent(ON_A_SMALL_DISK),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*command, disk, storage], check=True, capture_output=True, env=environment, text=True)
    assert done.stdout.strip() == "0"


WITHOUT_PERMISSION = """
    import sys
    from pathlib import Path
    import numpy as np
    from ataraxis_data_structures import DataLogger, LogPackage
    folder = Path(sys.argv[1])
    logger = DataLogger(folder / "open", "test")
    for turn in range(2):
        logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(turn), np.zeros(9, np.uint8)))
        try:
            logger.start()
        except PermissionError:
            print("start", logger.alive)
    (folder / "open" / "test_data_log").chmod(0o755)
    logger.start()
    logger.stop()
    try:
        DataLogger(folder / "shut", "test")
    except PermissionError:
        print("init")
"""


def test_a_directory_without_write_permission_is_an_error_at_once_and_logged_into_once_it_has_it(tmp_path):
    """In a user namespace of its own a process of root's obeys the mode of a folder, too."""
    made = tmp_path / "open" / "test_data_log"
    made.mkdir(parents=True, mode=0o555)
    (tmp_path / "shut").mkdir(mode=0o555)
    command = ["unshare", "--user", sys.executable, "-c", textwrap.dedent(WITHOUT_PERMISSION), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "shut").chmod(0o755)
    assert (done.stdout, done.stderr, done.returncode) == ("start False\nstart False\ninit\n", "", 0)
    assert sorted(read_files(made)) == [(1, 0, bytes(9)), (1, 1, bytes(9))]
    assert leftovers(made) == []
