"""The thread variables of worker processes."""

import concurrent.futures
import functools
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from ataraxis_data_structures import initialize_worker_threads, limit_worker_threads

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "jobs.json").read_text())["threads"]


def variables():
    return {name: os.environ[name] for name in [*GOLDEN, "NUMBA_NUM_THREADS"] if name in os.environ}


def test_the_variables_are_the_contract_s_and_come_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    monkeypatch.delenv("MY_N", raising=False)
    before = dict(os.environ)
    with pytest.raises(KeyError), limit_worker_threads(2, 6, {"MY_N": 3}):  # noqa: PT012 - the body is what is limited
        assert variables() == GOLDEN
        raise KeyError
    assert dict(os.environ) == before


def test_the_maximum_is_the_count_by_default_and_extras_override(monkeypatch):
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with limit_worker_threads(additional_thread_variables={"MKL_NUM_THREADS": 5}):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["BLIS_NUM_THREADS"] == "1"
        assert os.environ["MKL_NUM_THREADS"] == "5"


@pytest.mark.parametrize("arguments", [(0,), (4, 2), (1, None, {" ": 2}), (1, None, {"A": 0})])
@pytest.mark.parametrize("limit", [initialize_worker_threads, lambda *a: limit_worker_threads(*a).__enter__()])
def test_senseless_widths_are_refused_before_anything_is_set(limit, arguments):
    before = dict(os.environ)
    with pytest.raises(ValueError, match="expected"):
        limit(*arguments)
    assert dict(os.environ) == before


def test_the_initializer_reaches_the_workers_of_a_pool():
    initializer = functools.partial(initialize_worker_threads, 2, 6, {"MY_N": 3})
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=initializer) as pool:
        assert pool.submit(variables).result() == GOLDEN
