import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from draining import package, queue_of

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("suite", "chosen"),
    [
        ("test_queue.py", "child or pipe or waits or blocked or full or threads or any_size"),
        ("test_consumer.py", "killed or dead or wake or stopped or forked or dropped or share"),
    ],
)
def test_the_queue_keeps_its_promises_through_the_portable_door(suite, chosen, tmp_path):
    """What depends on the platform runs again, without futexes and with files written instead of allocated."""
    options = ["-qx", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}", "-k", chosen]
    with tempfile.TemporaryDirectory() as short:  # sockets are made in it, whose paths end at 107 bytes
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, HERE / suite],
            env=os.environ | {"AXDS_PORTABLE": "1", "TMPDIR": short},
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_process_of_another_pid_namespace_is_refused():
    code = "import sys\nfrom ataraxis_data_structures.memory.queue import LogQueue\nLogQueue.attach(sys.argv[1])"
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", code]
    if os.geteuid():
        command[1:1] = ["--user", "--map-root-user"]
    with queue_of() as queue:
        queue.put(package(b"x"))
        done = subprocess.run([*command, queue.name], capture_output=True, text=True, check=False)
    assert "RuntimeError: expected a process of the same pid namespace" in done.stderr
