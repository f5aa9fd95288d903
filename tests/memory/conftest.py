"""What tests of shared memory need: names of their own, and children in any way that Python starts them."""

import multiprocessing.resource_tracker
import os
import subprocess
import sys
from itertools import count

import pytest

from ataraxis_data_structures.system import platform

_numbers = count()


@pytest.fixture
def name():
    """A name of this test's own, gone at its end."""
    name = f"axds-test-{os.getpid()}-{next(_numbers)}"
    yield name
    (platform.FOLDER / name).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def spawning():
    """Start the helper process of multiprocessing's spawn now: it lives as long as we do, and is no leak."""
    multiprocessing.resource_tracker.ensure_running()


@pytest.fixture
def run():
    """Run code in a process without any relation to this one, and return what it printed."""

    def run(code, *args, **variables):
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            capture_output=True, text=True, check=False, timeout=60, env=os.environ | variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
