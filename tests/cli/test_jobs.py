"""`axds jobs`: where jobs stand, and how they run again."""

import os
import pty
import select
import subprocess
import sys

import pytest

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker
from ataraxis_data_structures.cli.jobs.pace import bar, pace_of, told
from conftest_cli import PROGRAM

NOW_US = 1_800_000_000_000_000


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
    assert axds("jobs", "reset", tracker.file_path, job).out == "scheduled video:s1\n"
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
    assert axds("jobs", "retry", "--abandoned", tracker.file_path).out == "scheduled report\n"
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


@pytest.mark.parametrize(
    ("words", "scheduled"),
    [
        (("video:s1",), ["video:s1"]),
        (("report",), ["report"]),
        (("video:*",), ["video:s1", "video:s2"]),
        (("*:s?", "report"), ["video:s1", "video:s2", "report"]),
        (("video:s1", "video:s1"), ["video:s1"]),
    ],
)
def test_jobs_are_named_by_what_they_do(axds, tracker, words, scheduled):
    got = axds("jobs", "reset", tracker.file_path, *words)
    assert got.out == "".join(f"scheduled {name}\n" for name in scheduled)


def test_a_name_that_fits_no_job_or_several_is_refused_with_what_was_meant(tracker, refused):
    before = tracker.file_path.read_bytes()
    assert "of which there are 2; name video:s1, or 'video:*'" in refused("jobs", "reset", tracker.file_path, "video")
    assert "did you mean video:s2?" in refused("jobs", "reset", tracker.file_path, "report", "vidoe:s2")
    assert "'audio:*'" in refused("jobs", "reset", tracker.file_path, "audio:*")
    assert tracker.file_path.read_bytes() == before


def test_the_table_names_jobs_first(axds, tracker):
    head, first, *_ = axds("jobs", "status", tracker.file_path).out.splitlines()[1:]
    assert head.split() == ["job", "status", "executor", "started", "id", "error"]
    assert first.split()[:2] == ["video:s2", "failed"]


def jobs_of(*ended_minutes_ago, took_minutes=1, unfinished=0):
    done = [
        {
            "status": "SUCCEEDED",
            "started_at": NOW_US - int((ago + took_minutes) * 60e6),
            "completed_at": NOW_US - int(ago * 60e6),
        }
        for ago in ended_minutes_ago
    ]
    return done + [{"status": "SCHEDULED", "started_at": None, "completed_at": None}] * unfinished


@pytest.mark.parametrize(
    ("jobs", "per_min", "left_min"),
    [
        (jobs_of(unfinished=3), None, None),
        (jobs_of(*range(10), unfinished=5), 1.0, 5.0),
        (jobs_of(*range(10), *range(2000, 2100), unfinished=5), 1.0, 5.0),  # those of the day before do not count
        (jobs_of(110, 230, 350, took_minutes=120, unfinished=2), 3 / 470, 2 * 470 / 3),  # none within the last hour
        (jobs_of(*range(1, 600, 2)), 0.5, 0.0),
        (jobs_of(-10, unfinished=1), None, None),  # by a clock that was set back meanwhile
        (jobs_of(0, took_minutes=0, unfinished=1), None, None),
    ],
)
def test_the_pace_is_that_of_the_last_hour_or_day(jobs, per_min, left_min):
    pace = pace_of(jobs, NOW_US)
    assert pace.per_s == (per_min and pytest.approx(per_min / 60))
    assert pace.left_s == (left_min if left_min is None else pytest.approx(left_min * 60))


def test_a_pace_is_told_in_the_unit_that_fits():
    assert told(pace_of(jobs_of(*range(10), unfinished=5), NOW_US)) == "1.0 jobs/min, about 5 min left"
    assert told(pace_of(jobs_of(110, 230, 350, took_minutes=120, unfinished=2), NOW_US)) == (
        "0.4 jobs/h, about 5 h 13 min left"
    )
    assert told(pace_of([], NOW_US)) == ""
    assert [bar(done, 4) for done in (0, 3, 4)] == [
        "[------------------------]   0 %", "[##################------]  75 %", "[########################] 100 %",
    ]  # fmt: skip
    assert bar(0, 0) == "[------------------------]   0 %"


def test_watching_draws_a_bar_in_place_on_a_terminal_and_only_there(axds, tracker):
    (job,) = tracker.get_jobs_by_status(ProcessingStatus.SCHEDULED)
    leader, follower = pty.openpty()
    words = [*PROGRAM, "jobs", "status", str(tracker.file_path), "--watch", "--every", "0.1"]
    watching = subprocess.Popen(words, stdout=follower, stderr=follower, env={**os.environ, "COLUMNS": "120"})
    os.close(follower)
    seen = read_until(leader, " 66 %")
    tracker.complete_job(job)
    seen += read_until(leader, "100 %")
    assert watching.wait(30) == 1
    os.close(leader)
    assert "\x1b[H" in seen
    assert "[################--------]  66 %" in seen
    tracker.reset_jobs([job])
    piped = axds("jobs", "status", tracker.file_path).out
    assert "%" not in piped
    assert "\x1b" not in piped


def read_until(descriptor, text):
    seen = ""
    while text not in seen:
        assert select.select([descriptor], [], [], 30)[0], seen
        seen += os.read(descriptor, 65536).decode()
    return seen
