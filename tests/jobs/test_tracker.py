"""The contract of ProcessingTracker."""

import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock, Timeout

from ataraxis_data_structures import JobState, ProcessingStatus, ProcessingTracker, TrackerError, TrackerStatus
from ataraxis_data_structures.jobs import lock
from ataraxis_data_structures.jobs.executor import default_executor_id

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "jobs.json").read_text())
JOBS = [("process_video", "session_001"), ("generate_report", "")]
VIDEO, REPORT = "a0583411a46b8e94", "4032ebe7c29eb4c9"
SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus


@pytest.fixture
def tracker(tmp_path):
    tracker = ProcessingTracker(tmp_path / "tracker.yaml")
    assert tracker.initialize_jobs(JOBS) == [VIDEO, REPORT]
    return tracker


@pytest.mark.parametrize("job", GOLDEN["job_ids"], ids=lambda job: job["id"])
def test_ids_are_the_contract_s(job):
    assert ProcessingTracker.generate_job_id(job["job_name"], job["specifier"]) == job["id"]


@pytest.mark.parametrize("job", [("a:b", ""), ("a", "b:c")])
def test_a_colon_would_make_ids_collide(job):
    with pytest.raises(ValueError, match="':'"):
        ProcessingTracker.generate_job_id(*job)


def test_the_file_is_the_contract_s_byte_for_byte(tracker):
    assert tracker.file_path.read_text() == GOLDEN["initialized"]["6.0.0"]
    assert sorted(os.listdir(tracker.file_path.parent)) == ["tracker.yaml", "tracker.yaml.lock"]
    tracker.reset()
    assert tracker.file_path.read_text() == GOLDEN["empty"]
    assert tracker.get_summary() == dict.fromkeys(ProcessingStatus, 0)
    assert not tracker.complete


def test_writing_an_instance_writes_the_contract_s_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed = JobState(
        "process_video", "session_001", FAILED, "slurm_12345", "Out of memory", 1700000000000001, 1700000000000002
    )
    path = Path("tracker.yaml")
    tracker = ProcessingTracker(path, {VIDEO: failed, REPORT: JobState("generate_report")})
    tracker.to_yaml(path)
    assert path.read_text() == GOLDEN["written"]["6.0.0"]
    got = ProcessingTracker.from_yaml(path)
    assert (got.file_path, got.jobs, got.lock_path) == (path, tracker.jobs, "tracker.yaml.lock")
    assert ProcessingTracker.from_yaml(path, strict=True) == got


@pytest.mark.parametrize("version", ["6.0.0", "7.2.0"])
@pytest.mark.parametrize("kind", ["initialized", "written"])
def test_files_of_every_version_are_read_and_changed(tmp_path, kind, version):
    path = tmp_path / "tracker.yaml"
    path.write_text(GOLDEN[kind][version])
    want = yaml.safe_load(GOLDEN[kind][version])["jobs"]
    tracker = ProcessingTracker.from_yaml(path)
    assert list(tracker.jobs) == list(want)
    for job_id, values in want.items():
        assert tracker.get_job_info(job_id) == JobState(**values | {"status": ProcessingStatus(values["status"])})
    tracker.start_job(VIDEO, "me")
    got = yaml.safe_load(path.read_text())
    assert got["jobs"][REPORT] == want[REPORT]
    assert got["jobs"][VIDEO]["executor_id"] == "me"
    assert list(got) == ["file_path", "jobs", "lock_path"]


def test_a_job_s_way(tracker):
    tracker.start_job(VIDEO)
    info = tracker.get_job_info(VIDEO)
    assert (info.status, info.executor_id, info.completed_at) == (RUNNING, f"pid:{os.getpid()}", None)
    tracker.fail_job(VIDEO, "boom: it's\nover")
    assert tracker.get_job_info(VIDEO).error_message == "boom: it's\nover"
    assert tracker.encountered_error
    tracker.start_job(VIDEO, "again")
    info = tracker.get_job_info(VIDEO)
    assert (info.status, info.executor_id, info.error_message, info.completed_at) == (RUNNING, "again", None, None)
    tracker.complete_job(VIDEO)
    tracker.complete_job(REPORT)
    assert tracker.complete
    assert tracker.get_job_info(REPORT).started_at is None
    assert tracker.get_job_info(VIDEO).started_at <= tracker.get_job_info(VIDEO).completed_at


def test_completing_clears_the_error(tracker):
    tracker.fail_job(VIDEO, "x")
    tracker.complete_job(VIDEO)
    assert tracker.get_job_info(VIDEO).error_message is None


def test_unknown_ids_are_refused_everywhere(tracker):
    before = tracker.file_path.read_bytes()
    for deed in (
        tracker.start_job,
        tracker.complete_job,
        tracker.fail_job,
        tracker.get_job_status,
        tracker.get_job_info,
        lambda job_id: tracker.reset_jobs([VIDEO, job_id]),
    ):
        with pytest.raises(ValueError, match="'nothing'"):
            deed("nothing")
    with pytest.raises(ValueError, match="'nothing'"), tracker.run_job("nothing"):
        pass
    assert tracker.file_path.read_bytes() == before


def test_known_jobs_keep_their_state_and_the_order_is_the_caller_s(tracker, caplog):
    tracker.start_job(REPORT, "me")
    with caplog.at_level(logging.WARNING):
        assert tracker.initialize_jobs([("c", ""), JOBS[1]])[1] == REPORT
    assert "already tracks 1" in caplog.text
    assert tracker.get_job_status(REPORT) is RUNNING
    assert list(tracker.jobs) == [VIDEO, REPORT, ProcessingTracker.generate_job_id("c")]


def test_aligning_drops_adds_and_keeps(tracker, caplog):
    tracker.fail_job(REPORT, "x")
    new = ("new", "1")
    ids = tracker.align_jobs([new, JOBS[1]], universe=[new, JOBS[1], ("later", "")])
    assert list(tracker.snapshot()) == [REPORT, ids[0]]
    assert tracker.get_job_status(REPORT) is FAILED
    assert VIDEO in caplog.text
    with pytest.raises(ValueError, match="at least one"):
        tracker.align_jobs([])
    with pytest.raises(ValueError, match="universe"):
        tracker.align_jobs([new], universe=JOBS)


def test_resolving_a_job_needs_the_universe_only(tmp_path):
    tracker = ProcessingTracker(tmp_path / "none.yaml")
    assert tracker.resolve_job(VIDEO, JOBS) == JOBS[0]
    with pytest.raises(ValueError, match="nothing"):
        tracker.resolve_job("nothing", JOBS)


def test_questions_by_name_and_status(tracker):
    assert tracker.find_jobs() == {VIDEO: JOBS[0], REPORT: JOBS[1]}
    assert tracker.find_jobs("process", "001") == {VIDEO: JOBS[0]}
    assert tracker.find_jobs(specifier="") == tracker.find_jobs(job_name="")
    assert tracker.get_jobs_by_status("SCHEDULED") == tracker.get_jobs_by_status(0) == [VIDEO, REPORT]
    with pytest.raises(KeyError):
        tracker.get_jobs_by_status("scheduled")
    assert tracker.get_summary() == {SCHEDULED: 2, RUNNING: 0, SUCCEEDED: 0, FAILED: 0}


def test_the_summary_as_plain_values(tracker):
    tracker.fail_job(VIDEO, "boom")
    got = tracker.summarize()
    assert got["summary"] == {"total": 2, "succeeded": 0, "failed": 1, "running": 0, "scheduled": 1}
    assert got["status"] == TrackerStatus.FAILED == "failed"
    keys = ["job_id", "job_name", "specifier", "status", "executor_id", "started_at", "completed_at"]
    assert [list(job) for job in got["jobs"]] == [[*keys, "error_message"], keys]
    assert got["jobs"][0]["status"] == "FAILED"


@pytest.mark.parametrize("case", GOLDEN["statuses"], ids=lambda case: case["status"])
def test_the_status_of_a_whole(case):
    assert ProcessingTracker.resolve_status(case["summary"]) == case["status"]


def test_questions_to_a_missing_file_make_none(tmp_path):
    tracker = ProcessingTracker(tmp_path / "deep" / "tracker.yaml")
    assert (tracker.complete, tracker.encountered_error, tracker.snapshot()) == (False, False, {})
    assert tracker.summarize()["summary"]["total"] == 0
    assert tracker.find_abandoned() == tracker.retry_failed_jobs() == tracker.get_attempts("x") == []
    assert tracker.claim() is None
    with pytest.raises(ValueError, match="'x'"):
        tracker.start_job("x")
    assert os.listdir(tmp_path) == []


def test_running_a_job_notes_how_it_ended(tracker):
    with tracker.run_job(VIDEO, "me"):
        assert tracker.get_job_status(VIDEO) is RUNNING
    assert tracker.get_job_status(VIDEO) is SUCCEEDED
    with pytest.raises(RuntimeError), tracker.run_job(VIDEO):
        raise RuntimeError("why")
    assert (tracker.get_job_status(VIDEO), tracker.get_job_info(VIDEO).error_message) == (FAILED, "why")
    with pytest.raises(KeyboardInterrupt), tracker.run_job(VIDEO):
        raise KeyboardInterrupt
    assert tracker.get_job_status(VIDEO) is RUNNING


def test_jobs_are_given_back_as_new(tracker):
    tracker.start_job(VIDEO, "me")
    tracker.fail_job(VIDEO, "x")
    assert tracker.retry_failed_jobs() == [VIDEO]
    assert tracker.get_job_info(VIDEO) == JobState(*JOBS[0])
    tracker.complete_job(VIDEO)
    assert tracker.reset_jobs([REPORT, VIDEO, VIDEO]) == [VIDEO, REPORT]
    assert tracker.get_summary()[SCHEDULED] == 2


def test_an_answer_is_a_copy(tracker):
    tracker.get_job_info(VIDEO).status = FAILED
    tracker.snapshot()[VIDEO].status = FAILED
    assert tracker.get_job_status(VIDEO) is SCHEDULED


def test_construction_touches_nothing_and_the_instance_shows_what_it_last_saw(tracker):
    other = ProcessingTracker(tracker.file_path)
    assert other.jobs == {}
    tracker.start_job(VIDEO, "me")
    assert tracker.jobs[VIDEO].status is RUNNING
    assert (
        repr(other)
        == f"ProcessingTracker(file_path={tracker.file_path!r}, jobs={{}}, lock_path='{tracker.file_path}.lock')"
    )


def test_paths_that_cannot_be_a_tracker_s(tmp_path):
    with pytest.raises(ValueError, match="path of a file"):
        ProcessingTracker(Path())
    with pytest.raises(ValueError, match="yaml"):
        ProcessingTracker(tmp_path / "t.txt").initialize_jobs(JOBS)
    with pytest.raises(FileNotFoundError):
        ProcessingTracker.from_yaml(tmp_path / "none.yaml")


def test_trackers_are_discovered_in_a_tree(tracker, tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    ProcessingTracker(deep / "tracker.yaml").initialize_jobs(JOBS)
    tracker.start_job(VIDEO)
    got = [t.file_path for t in ProcessingTracker.discover(tmp_path, "tracker.yaml")]
    assert got == [deep / "tracker.yaml", tmp_path / "tracker.yaml"]
    with pytest.raises(FileNotFoundError):
        ProcessingTracker.discover(tmp_path / "none", "tracker.yaml")


def test_the_lock_is_filelock_s_and_is_waited_for_only_so_long(tracker, monkeypatch):
    monkeypatch.setattr("ataraxis_data_structures.jobs.lock.TIMEOUT_S", 0.1)
    with FileLock(tracker.lock_path), pytest.raises(Timeout):
        tracker.start_job(VIDEO)
    tracker.start_job(VIDEO)


def test_the_lock_is_waited_for_ten_seconds():
    assert lock.TIMEOUT_S == 10


def test_two_threads_of_a_process_exclude_each_other(tmp_path):
    import threading

    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", str(i)) for i in range(40)])
    threads = [threading.Thread(target=lambda n=n: [tracker.start_job(i, "x") for i in ids[n::4]]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.get_summary()[RUNNING] == 40


ENVIRONMENTS = {
    "slurm": {"SLURM_JOB_ID": "12"},
    "slurm old": {"SLURM_JOBID": "13"},
    "pbs": {"PBS_JOBID": "4.h"},
    "lsf": {"LSB_JOBID": "5"},
    "oar": {"OAR_JOB_ID": "6"},
    "sge": {"JOB_ID": "7", "SGE_ROOT": "/sge"},
    "sge without SGE_ROOT": {"JOB_ID": "7"},
    "hpc": {"CCP_JOBID": "8"},
    "azure": {"AZ_BATCH_JOB_ID": "9"},
    "aws": {"AWS_BATCH_JOB_ID": "10"},
    "slurm before pbs": {"SLURM_JOB_ID": "2", "PBS_JOBID": "3"},
    "empty value": {"SLURM_JOB_ID": ""},
}


@pytest.mark.parametrize("case", GOLDEN["executor_ids"])
def test_the_executor_is_named_after_its_scheduler(case):
    want = GOLDEN["executor_ids"][case].replace("<pid>", str(os.getpid()))
    assert default_executor_id(ENVIRONMENTS[case]) == want


def test_another_process_shares_the_file(tracker):
    code = f"""
from pathlib import Path
from ataraxis_data_structures import ProcessingTracker
ProcessingTracker(Path({str(tracker.file_path)!r})).complete_job({VIDEO!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert tracker.get_job_status(VIDEO) is SUCCEEDED


def test_a_claimed_job_that_was_given_back_cannot_be_ended_by_its_first_owner(tracker):
    job_id = tracker.claim("me")
    assert job_id == VIDEO
    other = ProcessingTracker(tracker.file_path)
    other.reset_jobs([VIDEO])
    assert other.claim("other") == VIDEO
    with pytest.raises(TrackerError, match="given to other"):
        tracker.complete_job(VIDEO)
    other.complete_job(VIDEO)
    assert tracker.get_job_info(VIDEO).executor_id == "other"


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_to_the_file_stays_and_the_file_keeps_its_mode(tmp_path, exists):
    real, link = tmp_path / "elsewhere" / "real.yaml", tmp_path / "tracker.yaml"
    real.parent.mkdir()
    link.symlink_to(real)
    if exists:
        ProcessingTracker(real).initialize_jobs([("a", "1")])
        real.chmod(0o640)
    tracker = ProcessingTracker(link)
    (job,) = tracker.initialize_jobs([("b", "2")])
    tracker.start_job(job)
    assert link.is_symlink()
    assert ProcessingTracker(real).get_job_status(job) == ProcessingStatus.RUNNING
    assert len(ProcessingTracker(real).snapshot()) == 1 + exists
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "tracker.yaml", "tracker.yaml.lock"]
    if exists:
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
