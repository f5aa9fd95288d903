"""Everything that holds for shared memory holds at the portable door too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ataraxis_data_structures.system import platform

HERE = Path(__file__).parent


@pytest.mark.skipif(platform.PORTABLE, reason="the tests run at the portable door already")
def test_the_tests_of_arrays_pass_at_the_portable_door():
    names = ["test_array.py", "test_array_deaths.py", "test_array_processes.py", "test_segment.py"]
    names += ["../stress/test_memory_kills.py", "../stress/test_memory_wakes.py"]
    got = subprocess.run(
        [sys.executable, "-m", "pytest", "-qx", "-n", "0", "-p", "no:cacheprovider", *(HERE / name for name in names)],
        env=os.environ | {"AXDS_PORTABLE": "1", "AXDS_STRESS": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert got.returncode == 0, got.stdout
