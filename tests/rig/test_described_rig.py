"""The rig of the documents: recorded, killed, recovered and read, small as on the page and at full size."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ataraxis_data_structures import SharedMemoryArray, assemble_log_archives, open_session
from logtools import assemble_when_free

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "describe-the-sources.md"
RECORD, READ = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def written(folder, size="(240, 320)", seconds="5"):
    (folder / "rig.py").write_text(RECORD.replace("(240, 320), 5", f"{size}, {seconds}"))
    return [sys.executable, "rig.py"]


def test_the_rig_takes_no_more_than_25_lines_and_reading_ten():
    lines = [line for line in RECORD.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 25
    assert len([line for line in READ.splitlines() if line.strip()]) <= 10


def test_a_rig_that_was_killed_is_read_as_any_other(tmp_path):
    program = subprocess.Popen(written(tmp_path, seconds="None"), cwd=tmp_path, start_new_session=True)
    directory = tmp_path / "data" / "rig_data_log"
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 3_000_000 for path in directory.glob("*.axj")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    assemble_when_free(directory)
    SharedMemoryArray.create_array("rig_run", np.ones(1, np.uint8), exists_ok=True).destroy()  # the rig could not
    session = open_session(directory)
    frames = session["camera"].arrays()
    assert frames.shape[1:] == (240, 320)
    assert (frames == frames[:, :1, :1]).all()
    ticks = session["encoder"].arrays()
    np.testing.assert_array_equal(ticks, np.arange(len(ticks)))
    aligned = session.align(onto="camera", before="nan")
    assert aligned["encoder"].shape == (len(frames),)
    assert session.session.metadata == {"subject": "m1"}


def test_a_rig_drops_nothing(tmp_path, rounds):
    seconds = rounds(full=60, short=2)
    size = "(1080, 1920)" if seconds == 60 else "(240, 320)"
    program = subprocess.run(written(tmp_path, size, str(seconds)), cwd=tmp_path, check=False, timeout=600)
    assert program.returncode == 0
    directory = tmp_path / "data" / "rig_data_log"
    assemble_log_archives(directory)
    session = open_session(directory)
    counts = {name: (len(reader), reader.drops) for name, reader in session.items()}
    print(f"{seconds} s of {size}: {counts}")
    assert [drops for _, drops in counts.values()] == [0, 0]
    assert counts["camera"][0] > 10 * seconds
