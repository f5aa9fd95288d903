"""`axds jobs`: where jobs stand, and how they run again."""

import subprocess
import sys

import pytest

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker


@pytest.fixture
def tracker(tmp_path):
    made = ProcessingTracker(tmp_path / "tracker.yaml")
    ids = made.initialize_jobs([("video", "s1"), ("video", "s2"), ("report", "")])
    made.start_job(ids[0])
    made.complete_job(ids[0])
    made.start_job(ids[1])
    made.fail_job(ids[1], "camera 3\nis missing")
    return made


def test_the_state_of_jobs_is_told_and_a_failure_is_status_1(axds, tracker):
    got = axds("jobs", "status", tracker.file_path, "--json")
    assert got.status == 1
    assert got.json["summary"] == {"total": 3, "succeeded": 1, "failed": 1, "running": 0, "scheduled": 1}
    text = axds("jobs", "status", tracker.file_path).out
    assert "camera 3 is missing" in text
    assert "s1" not in text
    assert "s1" in axds("jobs", "status", tracker.file_path, "--all").out


def test_failed_jobs_run_again_when_asked(axds, tracker):
    got = axds("jobs", "retry", tracker.file_path, "--json").json
    assert [tracker.get_job_info(job).specifier for job in got["scheduled"]] == ["s2"]
    assert axds("jobs", "retry", tracker.file_path).out == "no job has failed\n"
    assert axds("jobs", "status", tracker.file_path).status == 0


def test_chosen_jobs_run_again_all_or_none(axds, tracker, refused):
    job = tracker.generate_job_id("video", "s1")
    assert "nonsense" in refused("jobs", "reset", tracker.file_path, job, "nonsense")
    assert tracker.get_job_status(job) is ProcessingStatus.SUCCEEDED
    assert axds("jobs", "reset", tracker.file_path, job).out == f"scheduled {job}\n"
    assert tracker.get_job_status(job) is ProcessingStatus.SCHEDULED
    assert len(axds("jobs", "reset", tracker.file_path, "--all", "--json").json["scheduled"]) == 3


def test_a_job_whose_process_died_is_told_and_scheduled_when_asked(axds, tracker):
    code = (
        "import sys, os; from pathlib import Path; from ataraxis_data_structures import ProcessingTracker\n"
        "print(ProcessingTracker(Path(sys.argv[1])).claim(), flush=True); os._exit(9)"
    )
    claimed = subprocess.run(
        [sys.executable, "-c", code, str(tracker.file_path)], capture_output=True, text=True, check=False
    )
    job = claimed.stdout.strip()
    got = axds("jobs", "status", tracker.file_path, "--json")
    assert (got.status, got.json["abandoned"]) == (1, [job])
    assert "abandoned" in axds("jobs", "status", tracker.file_path).out
    assert axds("jobs", "retry", "--abandoned", tracker.file_path).out == f"scheduled {job}\n"
    assert axds("jobs", "retry", "--abandoned", tracker.file_path).out == "no job was abandoned\n"


def test_watching_ends_when_every_job_has(axds, tracker):
    for job in tracker.get_jobs_by_status(ProcessingStatus.SCHEDULED):
        tracker.start_job(job)
        tracker.complete_job(job)
    got = axds("jobs", "status", tracker.file_path, "--watch")
    assert got.status == 1
    assert "2 succeeded" in got.out


@pytest.mark.parametrize("command", [("status",), ("retry",), ("reset", "--all")])
def test_a_tracker_that_is_none_is_refused(command, refused, tmp_path):
    assert "nowhere.yaml: No such file" in refused("jobs", *command, tmp_path / "nowhere.yaml")
    assert "Is a directory; name a file" in refused("jobs", *command, tmp_path)
    (tmp_path / "broken.yaml").write_text("jobs: [not, {a tracker")
    assert "broken.yaml" in refused("jobs", *command, tmp_path / "broken.yaml")
    assert (tmp_path / "broken.yaml").read_text() == "jobs: [not, {a tracker"
    (tmp_path / "text.txt").write_text("")
    assert ".yaml" in refused("jobs", *command, tmp_path / "text.txt")
