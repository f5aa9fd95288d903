"""The words of the lock under a race detector, and across processes with waits too long to hide a lost wake."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

import ataraxis_data_structures

HERE = Path(__file__).parent
HEADERS = Path(ataraxis_data_structures.__file__).parent / "_core" / "include"


def build(folder, *flags, source=HERE / "lock_stress.c"):
    """Compile the harness with the compiler that built this Python; returns the program."""
    program = folder / "lock_stress"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    command = [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", *flags]
    subprocess.run([*command, f"-I{HEADERS}", "-o", program, source, "-pthread"], check=True)
    return program


@pytest.mark.parametrize("door", ["native", "portable"])
def test_the_race_detector_finds_nothing(tmp_path, rounds, door):
    program = build(tmp_path, "-fsanitize=thread")
    # Without address randomisation: on some kernels the detector finds no room for its shadow otherwise.
    command = ["setarch", "-R", program, "threads", door, str(rounds(400_000, 20_000))]
    got = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (got.returncode, got.stderr) == (0, "")
    assert "updates" in got.stdout


def test_the_race_detector_would_find_one(tmp_path):
    source = (HERE / "lock_stress.c").read_text()
    racy = source.replace("        take(&memory->lock);\n        if", "        if").replace("give(&memory->lock);", "")
    assert racy != source
    (tmp_path / "racy.c").write_text(racy)
    program = build(tmp_path, "-fsanitize=thread", source=tmp_path / "racy.c")
    command = ["setarch", "-R", program, "threads", "native", "20000"]
    got = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "data race" in got.stderr


@pytest.mark.parametrize("door", ["native", "portable"])
def test_no_update_and_no_wake_is_lost_across_processes(tmp_path, rounds, door):
    program = build(tmp_path)
    got = subprocess.run(
        [program, "processes", door, str(rounds(4_000_000, 40_000) // (1 if door == "native" else 10))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (got.returncode, got.stderr) == (0, "")
