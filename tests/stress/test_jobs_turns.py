"""A host with the published library and one with ours change one file in turns, and agree after every round."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from ataraxis_data_structures import JobState, ProcessingStatus, ProcessingTracker
from bench import peers
from oracle_jobs import WholeFileTracker

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "jobs.json").read_text())
FULL = os.environ.get("AXDS_STRESS") == "full"
SIDES = ["twin 6.0.0", "twin 7.2.0", *(["6.0.0", "7.2.0"] if FULL else [])]

# The published library in an environment of its own, told what to do line by line.
PEER = """
import dataclasses, json, sys
from pathlib import Path
from ataraxis_data_structures import ProcessingTracker
tracker = ProcessingTracker(file_path=Path(sys.argv[1]))
for line in sys.stdin:
    deed, *arguments = json.loads(line)
    if deed == "states":
        got = [list(dataclasses.astuple(tracker.get_job_info(job_id))) for job_id in arguments]
    else:
        got = getattr(tracker, deed)(*arguments)
    print(json.dumps(got), flush=True)
"""


class Peer:
    def __init__(self, path, version):
        python = peers.environment(f"ataraxis-data-structures=={version}")
        command = [python, "-c", PEER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, *deed):
        self.process.stdin.write(json.dumps(deed) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        while not line.startswith(("[", "null", "{")):  # it also talks on its standard output
            assert line, "the peer ended"
            line = self.process.stdout.readline()
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Twin:
    def __init__(self, path, version):
        self.tracker = WholeFileTracker(path, version)

    def do(self, deed, *arguments):
        if deed == "states":
            jobs = self.tracker.read()
            return [list(jobs[job_id].values()) for job_id in arguments]
        job_id, *rest = arguments
        changes = {
            "start_job": {"status": 1, "executor_id": (rest or [None])[0], "started_at": 5},
            "complete_job": {"status": 2, "completed_at": 6},
            "fail_job": {"status": 3, "error_message": (rest or [None])[0], "completed_at": 7},
        }
        return self.tracker.change(job_id, **changes[deed])

    def close(self):
        pass


@pytest.mark.parametrize("side", SIDES)
def test_both_sides_agree_after_every_round(tmp_path, rounds, side):
    chance = random.Random(3)
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    vectors = [(job["job_name"], job["specifier"]) for job in GOLDEN["job_ids"]]
    odd = [("yes", "1e3"), ("null", "2026-01-02"), ("0x1f", "it's # odd"), ("- a", "word " * 60)]
    ids = tracker.initialize_jobs([*vectors, *odd, *(("process", f"session_{i}") for i in range(16))])
    other = (Twin if side.startswith("twin") else Peer)(tracker.file_path, side.split()[-1])
    for number in range(rounds(1_000, 40)):
        job_id = chance.choice(ids)
        message = chance.choice(["plain", "it's: # odd\n\n  yes", "caf\u00e9", "word " * 80, "null"])
        deed = chance.choice(
            [("start_job", job_id, f"host {number}"), ("complete_job", job_id), ("fail_job", job_id, message)]
        )
        if number % 2:
            other.do(*deed)
        else:
            getattr(tracker, deed[0])(*deed[1:])
        (theirs,) = other.do("states", job_id)
        assert JobState(*theirs) == tracker.get_job_info(job_id)
        if number % 20 == 0:
            ours = tracker.snapshot()
            assert [JobState(*values) for values in other.do("states", *ids)] == list(ours.values())
    assert list(tracker.snapshot()) == ids
    assert sum(tracker.get_summary().values()) == len(ids)
    assert ProcessingStatus(theirs[2]) is tracker.get_job_status(job_id)
    other.close()
