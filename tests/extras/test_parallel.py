"""Items of a store and archives on a Dask cluster of two worker processes."""

import os
import subprocess
import sys

import numpy as np
import pytest

import log_files
from ataraxis_data_structures.datasets import to_dask, to_delayed
from ataraxis_data_structures.store.store import Store

pytest.importorskip("dask.array")

FUNCTION = """
import os
def total(messages):
    return os.getpid(), sum(int(message.payload.sum()) for message in messages)
def pid_of(block):
    import numpy as np
    return np.full((1, 1), os.getpid())
"""
CLUSTER = """
import sys
from pathlib import Path
import dask
from ataraxis_data_structures.datasets import to_dask, to_delayed
from ataraxis_data_structures.store.store import Store
from cluster_functions import pid_of, total
from distributed import Client, LocalCluster

if __name__ == "__main__":
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        frames = to_dask(Store(sys.argv[1]), "frames", chunks=(100, -1))
        mean = float(frames.mean().compute())
        pids = set(frames.map_blocks(pid_of, chunks=(1, 1), dtype=int).compute().ravel().tolist())
        sums = dask.compute(*to_delayed(Path(sys.argv[2]), total, workers=2))
        import os
        print(mean, len(pids), len(sums), sum(part for _, part in sums), os.getpid() in pids | {pid for pid, _ in sums})
"""


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.add("frames", np.arange(60_000.0).reshape(1000, 60))
    made.add("text", ["a"])
    return made


def test_a_cluster_of_two_computes_on_items_and_archives(store, tmp_path):
    pytest.importorskip("distributed")
    messages = [(at, [at % 7]) for at in range(1, 9000)]
    archive = log_files.session_archive(tmp_path / "1_log.npz", messages)
    (tmp_path / "cluster_functions.py").write_text(FUNCTION)
    (tmp_path / "script.py").write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, "script.py", store.path, archive],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=240,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mean, pids, batches, total, is_here = done.stdout.split()
    assert float(mean) == 29_999.5
    assert int(pids) == 2
    assert int(batches) > 1
    assert int(total) == sum(at % 7 for at in range(1, 9000))
    assert is_here == "False"


def test_blocks_are_read_from_the_version_that_was_asked_for(store):
    first = to_dask(store, "frames", chunks=(300, 60))
    store.add("frames", np.zeros((2, 2)))
    assert first.shape == (1000, 60)
    assert float(first[999, 59].compute(scheduler="synchronous")) == 59_999
    assert to_dask(store, "frames").shape == (2, 2)
    assert to_dask(store, "frames@1").shape == (1000, 60)


def test_what_travels_is_a_name_and_no_values(store):
    import pickle

    assert len(pickle.dumps(to_dask(store, "frames", chunks=(500, 60)))) < 10_000


def test_what_is_no_array_is_refused(store):
    with pytest.raises(TypeError, match="expected an array"):
        to_dask(store, "text")
    with pytest.raises(TypeError, match="name of an item"):
        to_dask(store)
    with pytest.raises(KeyError):
        to_dask(store, "nothing")


def test_batches_are_computed_on_any_scheduler(tmp_path):
    import dask

    archive = log_files.session_archive(tmp_path / "1_log.npz", [(at, [at % 7]) for at in range(1, 900)])
    batches = to_delayed(archive, lambda messages: sum(1 for _ in messages), workers=2)
    assert sum(dask.compute(*batches, scheduler="synchronous")) == 899
