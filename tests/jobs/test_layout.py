"""The text of a tracker's file: PyYAML's, at places that a change of one job keeps."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ataraxis_data_structures import JobState, ProcessingStatus, ProcessingTracker
from ataraxis_data_structures.jobs import entry, layout
from oracle_jobs import dump

TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=" '\"#:-?!&*[]{},|>%@`.=<~0123456789abyesnoYN_\n\t\\", max_size=12),
    st.text(alphabet="word \n'", min_size=150, max_size=400),
    st.sampled_from(
        ["yes", "null", "~", "1e3", "1.5", "0x1f", "0b1", "12:30", "2026-01-02", "=", "<<", "...", "---", "- a"]
    ),
    st.sampled_from(
        ["\ud800", "caf\xe9", "\x85", "\u2028", "\ufeff", "\0", "a\r\nb", "Traceback:\n  File 'x'\n\n    y = z\n"]
    ),
)
STAMP = st.none() | st.integers(0, 2**60)
STATES = st.builds(
    JobState, TEXT, TEXT, st.sampled_from(ProcessingStatus), st.none() | TEXT, st.none() | TEXT, STAMP, STAMP
)
IDS = st.text(alphabet="0123456789abcdef", min_size=16, max_size=16)


def mapping(state):
    fields = ("job_name", "specifier", "status", "executor_id", "error_message", "started_at", "completed_at")
    return {name: int(getattr(state, name)) if name == "status" else getattr(state, name) for name in fields}


@given(IDS, STATES)
@settings(max_examples=400, deadline=None)
def test_an_entry_is_what_pyyaml_writes_and_reads(job_id, state):
    raw = entry.render(job_id, state)
    want = dump({"jobs": {job_id: mapping(state)}}).removeprefix("---\njobs:\n").removesuffix("...\n")
    assert raw.decode() == want
    assert entry.parse(raw) == state
    assert entry.status(raw) is state.status
    assert list(layout.scan(layout.contract([raw]))) == [job_id]


@given(st.dictionaries(IDS, STATES, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_laid_out_file_is_yaml_of_whole_pages_and_scans(jobs):
    raws = {job_id: entry.render(job_id, state) for job_id, state in jobs.items()}
    text = layout.lay_out(list(raws.values()))
    assert yaml.safe_load(text)["jobs"] == {job_id: mapping(state) for job_id, state in jobs.items()}
    assert {job_id: place.raw for job_id, place in layout.scan(text).items()} == raws
    counts = layout.count(text)
    assert [counts[s] for s in ProcessingStatus] == [
        sum(j.status is s for j in jobs.values()) for s in ProcessingStatus
    ]
    if len(layout.contract(raws.values())) <= layout.PAGE:
        assert text == layout.contract(raws.values())
    else:
        assert len(text) % layout.PAGE == 0


@given(st.lists(STATES, min_size=1, max_size=5), st.data())
@settings(max_examples=40, deadline=None)
def test_an_entry_that_fits_into_its_page_changes_no_other_page(states, data):
    jobs = {f"{number:016x}": states[number % len(states)] for number in range(40)}
    raws = {job_id: entry.render(job_id, state) for job_id, state in jobs.items()}
    text = layout.lay_out(list(raws.values()))
    job_id = data.draw(st.sampled_from(sorted(jobs)))
    number = layout.scan(text)[job_id].start // layout.PAGE
    page_text = text[number * layout.PAGE :][: layout.PAGE]
    page = layout.scan_page(number, page_text, is_last=len(text) == (number + 1) * layout.PAGE)
    if page is None:
        assert len(raws[job_id]) > layout.PAGE // 8
        return
    new = entry.render(job_id, data.draw(STATES))
    held = page.holding(job_id, new)
    if held is None:
        assert len(new) > len(raws[job_id])
        return
    assert len(held) == layout.PAGE
    changed = text[: number * layout.PAGE] + held + text[(number + 1) * layout.PAGE :]
    assert {i: place.raw for i, place in layout.scan(changed).items()} == raws | {job_id: new}


def test_room_is_yaml_without_a_meaning():
    for size in range(300):
        assert len(layout.room(size)) == size
        assert yaml.safe_load(b"a: 1\n" + layout.room(size) + b"b: 2\n") == {"a": 1, "b": 2}


def test_a_fresh_entry_has_room_for_a_run_and_an_error(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("process_video", f"session_{i:04d}") for i in range(500)])
    inode, size = tracker.file_path.stat().st_ino, tracker.file_path.stat().st_size
    for job_id in ids:
        tracker.start_job(job_id, "slurm:1234567")
        tracker.fail_job(job_id, "Out of memory: the frame buffer of camera 3 is full")
    assert (tracker.file_path.stat().st_ino, tracker.file_path.stat().st_size) == (inode, size)
    assert set(yaml.safe_load(tracker.file_path.read_text())["jobs"]) == set(ids)


def test_a_small_file_is_the_contract_s_text_after_every_change(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("process_video", f"session_{i}") for i in range(5)])
    inode = tracker.file_path.stat().st_ino
    for number in range(40):
        job_id = ids[number % 3]
        (tracker.start_job, tracker.complete_job, lambda i: tracker.fail_job(i, "x" * 50))[number % 4 % 3](job_id)
        assert tracker.file_path.read_bytes() == layout.contract(entry.render(i, j) for i, j in tracker.jobs.items())
    assert tracker.file_path.stat().st_ino == inode


def test_blank_lines_that_a_kill_left_at_the_end_are_nothing(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    (job_id,) = tracker.initialize_jobs([("job", "")])
    with tracker.file_path.open("ab") as file:
        file.write(b"\n\n\n")
    assert yaml.safe_load(tracker.file_path.read_text())["jobs"][job_id]["status"] == 0
    tracker.start_job(job_id, "me")
    assert tracker.get_summary()[ProcessingStatus.RUNNING] == 1
    assert tracker.file_path.read_bytes().endswith(b"lock_path: ''\n...\n")


def test_an_error_without_room_lays_the_file_out_anew(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("process_video", f"session_{i:04d}") for i in range(100)])
    for size in (3_000, 5_000, 50_000, 10):
        for job_id in ids[:3]:
            tracker.fail_job(job_id, "e" * size)
            tracker.complete_job(ids[-1])
    assert [tracker.get_job_info(i).error_message for i in ids[:4]] == ["e" * 10] * 3 + [None]
    assert list(tracker.snapshot()) == ids


@pytest.mark.parametrize("count", [1, 12, 17, 18, 19, 20, 200])
def test_any_number_of_jobs_goes_its_way(tmp_path, count):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("j", str(i)) for i in range(count)])
    for job_id in ids:
        tracker.start_job(job_id)
        tracker.complete_job(job_id)
    assert tracker.complete
    assert set(yaml.safe_load(tracker.file_path.read_text())) == {"file_path", "jobs", "lock_path"}
    assert list(tracker.jobs) == ids
    tracker.reset_jobs(ids)
    assert tracker.get_summary()[ProcessingStatus.SCHEDULED] == count
