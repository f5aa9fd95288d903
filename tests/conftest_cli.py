"""The command line, run as its users run it: as a program."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogPackage

PROGRAM = [sys.executable, "-m", "ataraxis_data_structures.cli"]


@dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def mortal():
    """Words before a command that take root's power over others' files away."""
    return [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def axds():
    """Run `axds WORDS...` to its end; no run may show a traceback, whatever it met."""

    def run(*words, timeout=60, powerless=False, **options):
        done = subprocess.run(
            [*(mortal() if powerless else []), *PROGRAM, *map(str, words)],
            capture_output="stdout" not in options,
            text=True,
            timeout=timeout,
            check=False,
            **({"stderr": subprocess.PIPE} if "stdout" in options else {}),
            **options,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout or "", done.stderr)

    return run


@pytest.fixture
def refused(axds):
    """Run a command that must fail with one line that says what to do; return that line."""

    def run(*words, status=1, **options):
        got = axds(*words, **options)
        assert got.status == status, got
        lines = [line for line in got.err.splitlines() if line.strip()]
        assert lines, got
        assert lines[-1].startswith("axds"), got
        return lines[-1]

    return run


ONSET_US = 1_763_690_000_000_000


def record(root, name="rig", *, sources=(1, 2), messages=200, interval_us=1000, storage="journal", gap_us=250_000):
    """Record a log with a gap in its middle; return its directory and what was put by source."""
    put = {}
    with DataLogger(root, name, storage=storage) as logger:
        for source in sources:
            onset = np.frombuffer(ONSET_US.to_bytes(8, "little"), np.uint8)
            logger.input_queue.put(LogPackage(np.uint8(source), np.uint64(0), onset))
            times = (np.arange(1, messages + 1) * interval_us * source).astype(np.uint64)
            times[messages // 2 :] += np.uint64(gap_us)
            rows = np.arange(messages * 16, dtype=np.uint8).reshape(messages, 16)
            logger.input_queue.put_many(source, times, rows)
            put[str(source)] = times + np.uint64(ONSET_US)
    return root / f"{name}_data_log", put


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB; needs the right to mount."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run(["umount", disk], check=True)
