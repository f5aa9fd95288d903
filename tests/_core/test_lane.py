import re
import subprocess
from pathlib import Path

import pytest

from ataraxis_data_structures import _core

HARNESS = Path(__file__).with_name("lane_harness.c")
HEADERS = Path(_core.__file__).parent / "include"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter"]


def build(folder, *flags):
    program = folder / "harness"
    sources = ["gcc", "-O2", "-g", "-pthread", *WARNINGS, *flags, f"-I{HEADERS}", str(HARNESS), "-o", str(program)]
    subprocess.run(sources, check=True, capture_output=True)
    return program


def run(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("waiting", ["race", "poll"])
def test_a_producer_and_a_consumer_thread_do_not_race(tmp_path, rounds, waiting):
    count = rounds(full=1_000_000, short=20_000)
    program = build(tmp_path, "-fsanitize=thread")
    assert run(program, waiting, str(count)) == f"{count} messages\n"


def test_memory_stays_within_the_lane(tmp_path):
    program = build(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert run(program, "race", "100000") == "100000 messages\n"


def test_a_death_at_any_step_of_a_put_tears_nothing_and_loses_nothing_acknowledged(tmp_path):
    program = build(tmp_path)
    deaths = [int(number) for number in re.findall(r"^(\d+) deaths", run(program, "die"), re.MULTILINE)]
    assert deaths[0] > 800
    assert deaths[1] == 2
