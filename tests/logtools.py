"""What tests of the logger share: a log directory read back as messages, and programs that run beside the test."""

import gc
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ataraxis_data_structures import DataLogger, LogPackage, assemble_log_archives
from ataraxis_data_structures.logs.journal.messages import MessageScan
from ataraxis_data_structures.logs.journal.reader import open_journals


def package(payload=b"", source=1, time=0):
    return LogPackage(np.uint8(source), np.uint64(time), np.frombuffer(payload, np.uint8))


@contextmanager
def logger_in(folder, name="test", **options):
    """Give a logger that is put away, with all it holds in shared memory, at the end."""
    logger = DataLogger(folder, name, **options)
    try:
        yield logger
    finally:
        logger._finalizer()
        del logger
        gc.collect()


def assemble_when_free(directory, within_s=60):
    """Assemble a log whose program was killed, once its logger process has ended."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return assemble_log_archives(directory)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def read_files(folder):
    """Return [(source, time, payload)] of the .npy files in a log directory; the name must agree with the bytes."""
    got = []
    for path in Path(folder).glob("*.npy"):
        data = np.load(path).tobytes()
        source, time = data[0], int.from_bytes(data[1:9], "little")
        assert path.name.startswith(f"{source:03d}_{time:020d}"), path
        got.append((source, time, data[9:]))
    return got


def read_journals(folder):
    """Return [(source, time, payload)] of the journals in a log directory, and the account of what is missing."""
    scan = MessageScan(open_journals(folder))
    got = [
        (int(message["source"]), int(message["time"]), bytes(scan.payload(message)))
        for batch in scan.batches()
        for message in batch
    ]
    return got, scan.account


def read_log(folder):
    return sorted(read_files(folder) + read_journals(folder)[0])


def leftovers(folder):
    """Names in a log directory that are neither a message's file nor a journal nor the record of a session."""
    known = ("journal-", ".axds-session-")
    return sorted(p.name for p in Path(folder).iterdir() if p.suffix != ".npy" and not p.name.startswith(known))


def wait_for(condition, timeout_s=30):
    """Return when a condition holds; fail if it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def run(code, *arguments, **options):
    """Run a program to its end and return what it printed."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **options).stdout
