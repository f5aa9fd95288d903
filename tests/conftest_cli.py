"""The command line, run as its users run it: as a program."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

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
