"""`axds demo` as a program: the whole chain on this machine's live counters."""

import json
import subprocess
import sys

import numpy as np
import pytest

AXDS = [sys.executable, "-m", "ataraxis_data_structures.cli"]


def test_the_demo_loses_nothing_and_keeps_what_it_is_told_to_keep(tmp_path):
    done = subprocess.run(
        [*AXDS, "demo", str(tmp_path), "--seconds", "1", "--rate", "200", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["sources"]) == 4
    for row in report["sources"]:
        assert (row["missing"], row["duplicated"]) == (0, 0)
        assert row["messages"] > 100
        assert row["bytes"] > 0
        with np.load(tmp_path / "demo_data_log" / f"{row['source']}_log.npz") as archive:
            assert len(archive.files) == row["messages"] + 1


def test_the_table_names_every_source(tmp_path):
    done = subprocess.run(
        [*AXDS, "demo", "--seconds", "0.3", "--rate", "100"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "put_p99_us" in done.stdout
    assert "0 missing, 0 duplicated" in done.stdout


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--rate", "-5"], ["--rate", "nan"], ["--seconds", "x"]])
def test_impossible_numbers_are_a_usage_error(words):
    done = subprocess.run([*AXDS, "demo", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run([*AXDS, "demo", str(tmp_path / "file" / "log")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("axds: ")
    assert "Traceback" not in done.stderr
