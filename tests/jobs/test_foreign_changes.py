"""What others do to the file in the middle of a run is honoured or refused with the reason."""

import os
import re
import shutil

import pytest
import yaml

from ataraxis_data_structures import JobState, ProcessingStatus, ProcessingTracker, TrackerError
from oracle_jobs import WholeFileTracker, add

SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus
SIZES = [3, 200]  # one page, many pages


@pytest.fixture(params=SIZES, ids=["one page", "many pages"])
def shared(tmp_path, request):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(request.param)])
    tracker.start_job(ids[0], "first")
    return tracker, ids


def edit(tracker, pattern, replacement, count=1):
    path = tracker.file_path
    text, changes = re.subn(pattern, replacement, path.read_text(), count=count)
    assert changes
    aside = path.with_name("editor~")
    aside.write_text(text)
    os.replace(aside, path)


@pytest.mark.parametrize("layout", ["6.0.0", "7.2.0"])
def test_the_published_library_and_ours_change_one_file_in_turns(shared, layout):
    tracker, ids = shared
    twin = WholeFileTracker(tracker.file_path, layout)
    for turn in range(20 if len(ids) < 20 else 5):
        theirs, ours = ids[turn % len(ids)], ids[(turn * 7 + 1) % len(ids)]
        twin.change(theirs, status=1, executor_id="twin", started_at=turn, error_message=f"it's {turn}:\n\n  x")
        assert tracker.get_job_info(theirs).started_at == turn
        tracker.fail_job(ours, f"ours {turn}")
        assert twin.read()[ours]["error_message"] == f"ours {turn}"
    want = {i: JobState(**v | {"status": ProcessingStatus(v["status"])}) for i, v in twin.read().items()}
    assert tracker.snapshot() == want


def test_jobs_that_the_published_library_adds_and_removes_are_seen(shared):
    tracker, ids = shared
    twin = WholeFileTracker(tracker.file_path)
    jobs = add(twin.read(), "f" * 16, "theirs", "2026-01-02")
    del jobs[ids[1]]
    twin.write(jobs)
    tracker.start_job("f" * 16, "ours")
    assert twin.read()["f" * 16]["executor_id"] == "ours"
    with pytest.raises(ValueError, match=ids[1]):
        tracker.start_job(ids[1])


def test_a_status_set_by_hand_is_honoured(shared):
    tracker, ids = shared
    edit(tracker, r"(session_2\n    status: )0", r"\g<1>2")
    assert tracker.get_job_status(ids[2]) is SUCCEEDED
    tracker.complete_job(ids[0])
    assert tracker.get_summary()[SUCCEEDED] == 2
    assert not (tracker.file_path.parent / "t.yaml.edited").exists()


def test_a_hand_edit_in_place_is_honoured(shared):
    tracker, ids = shared
    data = tracker.file_path.read_bytes()
    at = data.index(b"status: 0", data.index(b"session_2\n"))
    with tracker.file_path.open("r+b") as file:
        file.seek(at)
        file.write(b"status: 3")
    tracker.start_job(ids[1])
    assert tracker.get_job_status(ids[2]) is FAILED


def test_remarks_and_foreign_keys_are_kept_in_a_copy_before_the_file_is_written_anew(shared, caplog):
    tracker, ids = shared
    edit(tracker, r"(    job_name: job\n)(    specifier: session_1\n)", r"\1    # checked by Ann\n    colour: red\n\2")
    before = tracker.file_path.read_bytes()
    assert tracker.get_job_status(ids[0]) is RUNNING
    assert tracker.file_path.read_bytes() == before
    tracker.complete_job(ids[1])
    assert (tracker.file_path.parent / "t.yaml.edited").read_bytes() == before
    assert "t.yaml.edited" in caplog.text
    assert tracker.get_job_status(ids[1]) is SUCCEEDED
    assert tracker.get_job_info(ids[0]).executor_id == "first"


def test_another_style_of_yaml_is_honoured(shared):
    tracker, ids = shared
    jobs = yaml.safe_load(tracker.file_path.read_text())["jobs"]
    jobs[ids[2]]["status"] = "SUCCEEDED"
    jobs[ids[1]] = {"job_name": "by hand", "executor_id": 12}
    tracker.file_path.write_text(yaml.safe_dump({"jobs": jobs}, default_flow_style=True, sort_keys=True))
    assert tracker.get_job_info(ids[1]) == JobState("by hand", executor_id="12")
    tracker.start_job(ids[2], "me")
    assert tracker.get_job_info(ids[2]).executor_id == "me"
    assert tracker.get_job_info(ids[0]).executor_id == "first"


NAMED = r"    job_name: job\n    specifier: session_1\n"


@pytest.mark.parametrize(
    ("pattern", "replacement", "reason"),
    [
        (r"status: 0", "status: 9", "status: expected a number from 0 to 3, got 9"),
        (r"status: 0", "status: done", "got 'done'"),
        (NAMED, "    specifier: session_1\n", "expected a job_name"),
        (
            r"    job_name: job\n    specifier: session_1\n",
            "    job_name: [1]\n    specifier: session_1\n",
            "job_name: expected text",
        ),
        (
            r"(?s)\n  \w+:\n    job_name: job\n    specifier: session_1\n.*?completed_at: null\n",
            "\n  broken: 5\n",
            "fields of a job",
        ),
        (r"session_1\n", "session_1\n   oops\n", "expected YAML"),
        (r"session_1\n", "!!python/name:os.system\n", "expected YAML"),
        (r"started_at: null", "started_at: yesterday", "started_at: expected UTC"),
        (r"(?s)jobs:\n.*(lock_path)", r"jobs: null\n\1", "expected a mapping of jobs"),
        (r"(?s)^.*$", "[]\n", "expected a mapping with the key 'jobs'"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_left_alone(shared, pattern, replacement, reason):
    tracker, ids = shared
    edit(tracker, pattern, replacement)
    before = tracker.file_path.read_bytes()
    for deed in (
        lambda: tracker.complete_job(ids[0]),
        lambda: tracker.initialize_jobs([("new", "")]),
        tracker.claim,
        tracker.retry_failed_jobs,
        tracker.get_summary,
    ):
        with pytest.raises(TrackerError, match=re.escape(reason)) as caught:
            deed()
        assert str(tracker.file_path) in str(caught.value)
        assert "restore()" in str(caught.value)
        assert tracker.file_path.read_bytes() == before


def test_a_job_that_stands_there_twice_is_refused(shared):
    tracker, ids = shared
    edit(tracker, r"(?s)(\n  \w+:\n    job_name.*?completed_at: null)", r"\1\1")
    with pytest.raises(TrackerError, match=f"each key once, got '{ids[0]}'"):
        tracker.complete_job(ids[0])
    with pytest.raises(TrackerError, match="each key once"):
        tracker.get_summary()


def test_a_file_cut_at_any_byte_says_so_and_the_last_good_state_comes_back(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(3)])
    tracker.fail_job(ids[1], "it's: over\n\n  x")
    whole, want = tracker.file_path.read_bytes(), tracker.snapshot()
    for size in range(len(whole) - 1):
        tracker.file_path.write_bytes(whole[:size])
        for deed in (tracker.snapshot, lambda: tracker.complete_job(ids[0]), tracker.get_summary, tracker.claim):
            with pytest.raises(TrackerError, match="3 jobs"):
                deed()
        assert tracker.file_path.read_bytes() == whole[:size]
    damaged = tracker.restore()
    assert damaged.read_bytes() == whole[:size]
    assert tracker.snapshot() == want
    tracker.start_job(ids[0], "goes on")


def test_a_big_file_that_is_cut_comes_back_too(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(300)])
    for job_id in ids[::3]:
        tracker.fail_job(job_id, "x" * 200)
    want, size = tracker.snapshot(), tracker.file_path.stat().st_size
    for cut in (0, 1, 4096, 4097, 8192, size // 2, size - 2):
        with tracker.file_path.open("r+b") as file:
            file.truncate(cut)
        with pytest.raises(TrackerError, match="of 300 jobs"):
            tracker.complete_job(ids[-1])
        tracker.restore()
        assert tracker.snapshot() == want
    with pytest.raises(TrackerError, match="readable"):
        tracker.restore()


def test_without_a_former_state_the_error_says_so(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("---\njobs:\n  a:\n")
    tracker = ProcessingTracker(path)
    with pytest.raises(TrackerError, match="no earlier state"):
        tracker.snapshot()
    with pytest.raises(TrackerError, match="last good state"):
        tracker.restore()


def test_resetting_a_damaged_file_keeps_it_aside(shared):
    tracker, _ = shared
    tracker.file_path.write_text("---\njobs:\n")
    tracker.reset()
    assert tracker.snapshot() == {}
    assert (tracker.file_path.parent / "t.yaml.edited").read_text() == "---\njobs:\n"


@pytest.mark.parametrize("lost", ["index", "last", "attempts", ""])
def test_nothing_of_the_yaml_needs_the_folder_beside_it(shared, lost):
    tracker, ids = shared
    side = tracker.file_path.parent / "t.yaml.axds"
    if lost:
        (side / lost).unlink(missing_ok=True)
    else:
        shutil.rmtree(side)
    tracker.complete_job(ids[0])
    tracker.start_job(ids[-1], "me")
    assert tracker.claim("me") == ids[1]
    assert tracker.get_summary() == {SCHEDULED: len(ids) - 3, RUNNING: 2, SUCCEEDED: 1, FAILED: 0}


def test_an_index_of_rubbish_is_only_a_hint(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(300)])
    index = tmp_path / "t.yaml.axds" / "index"
    good = index.read_bytes()
    for start in range(48, len(good), 97):
        index.write_bytes(good[:start] + bytes(byte ^ 0xA5 for byte in good[start : start + 97]) + good[start + 97 :])
        job_id = ids[start % 300]
        tracker.start_job(job_id, str(start))
        assert tracker.get_job_info(job_id).executor_id == str(start)
        index.write_bytes(good[:start])
        assert tracker.get_job_status(job_id) is RUNNING
    assert list(tracker.snapshot()) == ids


def test_a_reader_without_the_right_to_write_reads(shared, monkeypatch):
    tracker, ids = shared
    WholeFileTracker(tracker.file_path).change(ids[1], status=2)
    shutil.rmtree(tracker.file_path.parent / "t.yaml.axds")

    def refuse(*_, **__):
        raise PermissionError("read-only folder")

    monkeypatch.setattr("ataraxis_data_structures.jobs.tracker_file.TrackerFile.remember", refuse)
    assert tracker.get_job_status(ids[1]) is SUCCEEDED
    assert tracker.get_summary()[SUCCEEDED] == 1
