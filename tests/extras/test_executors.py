"""One unchanged function on Dask and on MPI."""

import subprocess
import sys
from pathlib import Path

import pytest

import log_files
from ataraxis_data_structures import LogArchiveReader, map_archive

MPI = """
import sys
from pathlib import Path
from mpi4py.futures import MPIPoolExecutor
from ataraxis_data_structures import map_archive
import batch_total

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        print(sum(map_archive(Path(sys.argv[1]), batch_total.total, executor, workers=2)))
"""


def total(messages):
    return sum(int(message.payload.sum()) for message in messages)


@pytest.fixture
def archive(tmp_path):
    return log_files.session_archive(tmp_path / "1_log.npz", [(at, [at % 200]) for at in range(1, 4000)])


def test_dask(archive):
    distributed = pytest.importorskip("distributed")
    want = map_archive(archive, total, workers=2)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        assert map_archive(archive, total, client.get_executor(), workers=2) == want


def test_mpi(archive, tmp_path):
    pytest.importorskip("mpi4py")
    (tmp_path / "batch_total.py").write_text(
        "def total(messages):\n    return sum(int(message.payload.sum()) for message in messages)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(MPI)
    launcher = Path(sys.executable).with_name("mpiexec")
    command = [launcher, "-n", "3", sys.executable, "-m", "mpi4py.futures", script, archive]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert int(done.stdout) == sum(int(m.payload.sum()) for m in LogArchiveReader(archive).iter_messages())
