"""SIGKILL of an assembly at random moments: archive and sources together always hold every message."""

import random
import signal
import subprocess
import sys
import time
import zipfile

import pytest

import log_files
from ataraxis_data_structures import assemble_log_archives

MESSAGES = 1500
ASSEMBLE = """
import sys
from pathlib import Path
from ataraxis_data_structures import assemble_log_archives
print("ready", flush=True)
sys.stdin.readline()
assemble_log_archives(Path(sys.argv[1]))
"""


def fill(folder, generation):
    want = set()
    for source in (1, 2):
        for at in range(1, MESSAGES // 2):
            log_files.save(folder, source, at + generation, [generation % 256, at % 256])
            want.add((source, at + generation, (generation % 256, at % 256)))
    return want


def message(data):
    """Return source, time and payload of a message's .npy file."""
    return data[128], int.from_bytes(data[129:137], "little"), tuple(data[137:])


def held(folder):
    """Every (source, time, payload) that archives and sources hold between them, as the standard library reads them."""
    found = []
    for path in folder.glob("*.npz"):
        with zipfile.ZipFile(path) as entries:
            found += [message(entries.read(name)) for name in entries.namelist()]
    return found, {message(path.read_bytes()) for path in folder.glob("*.npy")}


@pytest.mark.timeout(1800)
def test_no_moment_of_an_assembly_loses_or_doubles_a_message(tmp_path, rounds):
    folder = tmp_path / "log"
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    count, longest, interrupted = rounds(300, 6), 0.1, 0
    for number in range(count):
        folder.mkdir(exist_ok=True)
        want = fill(folder, number % 5 * 3)
        before = [*held(folder)[0], *want]
        child = subprocess.Popen(
            [sys.executable, "-c", ASSEMBLE, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        start = time.perf_counter()
        child.stdin.write("\n")
        child.stdin.flush()
        time.sleep(chance.uniform(0, longest))  # the moment is the point
        child.kill()
        status = child.wait()
        child.stdin.close()
        child.stdout.close()
        if status == 0:
            longest = 0.9 * longest + 0.1 * (time.perf_counter() - start)
        else:
            assert status == -signal.SIGKILL
            interrupted += 1
        archived, files = held(folder)
        assert set(archived) | files == set(before), f"seed {seed}, round {number}"
        assemble_log_archives(folder)
        archived, files = held(folder)
        assert sorted(archived) == sorted(before), f"seed {seed}, round {number}"
        assert not files
        assert log_files.names(folder) == ["1_log.npz", "2_log.npz"]
        if number % 5 == 4:
            for path in folder.iterdir():
                path.unlink()
    print(f"{count} assemblies, {interrupted} killed before their end")
