"""One unchanged function on Dask and on MPI, each in a program of its own, as its users start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import log_files
from ataraxis_data_structures import map_archive

FUNCTION = """
def total(messages):
    return sum(int(message.payload.sum()) for message in messages)
"""
DASK = """
import sys
from pathlib import Path
from ataraxis_data_structures import map_archive
from batch_total import total
from distributed import Client, LocalCluster

if __name__ == "__main__":
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        print(map_archive(Path(sys.argv[1]), total, client.get_executor(), workers=2))
"""
MPI = """
import sys
from pathlib import Path
from ataraxis_data_structures import map_archive
from batch_total import total
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        print(map_archive(Path(sys.argv[1]), total, executor, workers=2))
"""


def run(folder, archive, code, *launcher):
    (folder / "batch_total.py").write_text(FUNCTION)
    script = folder / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [*launcher, script, archive],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def archive(tmp_path):
    return log_files.session_archive(tmp_path / "1_log.npz", [(at, [at % 200]) for at in range(1, 4000)])


@pytest.fixture
def want(archive):
    names = {}
    exec(FUNCTION, names)
    totals = map_archive(archive, names["total"], workers=2)
    assert len(totals) == 8
    return str(totals)


def test_dask(archive, want, tmp_path):
    pytest.importorskip("distributed")
    assert run(tmp_path, archive, DASK, sys.executable) == want


def test_mpi(archive, want, tmp_path):
    pytest.importorskip("mpi4py")
    launcher = Path(sys.executable).with_name("mpiexec")  # of the wheel that the extra `executors` brings
    assert run(tmp_path, archive, MPI, launcher, "-n", "3", sys.executable, "-m", "mpi4py.futures") == want
