"""What the other tests of this folder rely on: every call is seen, and a program ends where it was told to."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading

import pytest

from ataraxis_data_structures._core.bulk import load_files
from helpers.crash import CHANGES, READS, chosen, count_steps, fail_at, kill_at, trace


def writer(folder):
    """Return a program of four calls and two middles."""

    def program():
        fd = os.open(folder / "f", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"12345678")
        os.pwrite(fd, b"abcd", 4)
        os.rename(folder / "f", folder / "g")

    return program


def test_steps_are_the_calls_and_the_middles_of_writes(tmp_path):
    f = str(tmp_path / "f")
    assert [(step.call, step.target, step.is_middle) for step in trace(writer(tmp_path))] == [
        ("openat", f, False),
        ("write", f, False),
        ("write", f, True),
        ("pwrite64", f, False),
        ("pwrite64", f, True),
        ("rename", f, False),
    ]


def test_a_program_ends_before_each_call_and_in_the_middle_of_each_write(tmp_path):
    found = []
    for n in range(6):
        run = kill_at(writer(tmp_path), n)
        assert run.status == -signal.SIGKILL
        found.append({name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)})
        for name in os.listdir(tmp_path):
            (tmp_path / name).unlink()
    assert found == [{}, {"f": b""}, {"f": b"1234"}, {"f": b"12345678"}, {"f": b"1234ab78"}, {"f": b"1234abcd"}]


def test_beyond_the_last_step_nothing_happens(tmp_path):
    run = kill_at(writer(tmp_path), 6)
    assert (run.hit, run.status, len(run.steps)) == (None, 0, 6)


def test_a_call_fails_with_the_errno_and_the_program_goes_on(tmp_path):
    run = fail_at(writer(tmp_path), 1, errno.ENOSPC)
    assert run.status == 1
    assert "No space left" in run.error
    assert (tmp_path / "f").read_bytes() == b""


def test_the_middle_of_a_write_that_fails_is_a_short_write(tmp_path):
    def program():
        fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
        assert os.write(fd, b"12345678") == 4
        os.writev(fd, [b"x", b"", b"yz"])

    assert fail_at(program, 2, errno.EIO).status == 0
    assert (tmp_path / "f").read_bytes() == b"1234xyz"


def test_calls_of_c_of_threads_and_of_other_programs_are_seen(tmp_path, plant):
    import numpy as np

    source = plant(tmp_path / "s", {"a": b"12345678"})
    target = plant(tmp_path / "t", {})

    def program():
        ends = [os.open(folder, os.O_RDONLY) for folder in (source, target)]
        rows = np.empty((1, 8), np.int64)
        load_files(ends[0], [b"a"], np.empty(1 << 20, np.uint8), rows, 1 << 18, ends[1])
        thread = threading.Thread(target=lambda: os.mkdir(tmp_path / "thread"))
        thread.start()
        thread.join()
        subprocess.run(
            [sys.executable, "-S", "-c", "import os, sys; os.mkdir(sys.argv[1])", tmp_path / "other"], check=True
        )

    steps = trace(program)
    targets = [(step.call, os.path.basename(step.target)) for step in steps]
    assert ("openat", "a") in targets
    assert ("write", "a") in targets
    assert ("mkdir", "thread") in targets
    assert ("mkdir", "other") in targets
    assert len({step.pid for step in steps}) == 3


def test_everybody_or_only_the_caller_is_killed(tmp_path):
    def program():
        pid = os.fork()
        if not pid:
            os.mkdir(tmp_path / "child")
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        os.mkdir(tmp_path / "parent")
        assert os.WIFSIGNALED(status)

    assert kill_at(program, 0).status == 0
    assert os.listdir(tmp_path) == ["parent"]
    (tmp_path / "parent").rmdir()
    assert kill_at(program, 0, everybody=True).status == -signal.SIGKILL
    assert os.listdir(tmp_path) == []


def test_reading_calls_are_counted_on_request(tmp_path):
    (tmp_path / "f").write_bytes(b"1")

    def program():
        os.stat(tmp_path / "f")

    assert count_steps(program) == 0
    steps = trace(program, calls=CHANGES | READS)
    n = next(n for n, step in enumerate(steps) if step.target == str(tmp_path / "f"))
    assert "Input/output error" in fail_at(program, n, errno.EIO, calls=CHANGES | READS).error


def test_a_program_that_fails_by_itself_and_one_that_does_not_end_are_told():
    def stuck():
        os.read(os.pipe()[0], 1)

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        trace(lambda: 1 / 0)
    with pytest.raises(TimeoutError):
        trace(stuck, timeout_s=0.2)


def test_a_slice_is_spread_over_all_steps(monkeypatch, capsys):
    monkeypatch.setattr("helpers.crash.FULL", False)
    got = chosen(1000, short=100)
    assert len(got) == 100
    assert {b - a for a, b in itertools.pairwise(got)} == {10}
    assert "AXDS_SEED=" in capsys.readouterr().out
    monkeypatch.setattr("helpers.crash.FULL", True)
    assert chosen(1000, short=100) == list(range(1000))
