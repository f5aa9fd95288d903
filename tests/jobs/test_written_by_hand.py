"""A tracker's file as a person writes it: text without quotes is text; what YAML cannot read is told with its place."""

import pytest
import yaml

from ataraxis_data_structures import ConfigError, ProcessingStatus, ProcessingTracker, TrackerError

ENTRY = """---
file_path: .
jobs:
  abc:
    job_name: decode
    specifier: {specifier}
    status: 0
    executor_id: {executor}
    error_message: null
    started_at: null
    completed_at: null
lock_path: ''
...
"""
# What YAML 1.1 takes for numbers of each kind, times of day, dates, truth values and null.
WORDS = [
    "007", "0123", "0o17", "0x1F", "0b101", "0b2", "1_000", "+1", "-0", "1.50", "1e3", "1.0e+20", ".5", ".inf", ".NaN",
    "12:30", "12:30:00", "190:20:30", "190:20:30.15", "2024-01-15", "2024-13-45", "2024-01-15 10:00:00",
    "2001-12-14t21:59:43.10-05:00", "no", "NO", "yes", "on", "Off", "true", "False", "y", "n", "~", "null", "Null",
    "1" * 900, "a#b", "a\tb", "C:\\data\\s1", "-x", "?x", ":x",
]  # fmt: skip
STYLES = {"the layout": "{}", "a remark behind it": "{}  # checked", "other spaces": "  {}   "}


def written(tmp_path, specifier, executor="null"):
    path = tmp_path / "t.yaml"
    path.write_bytes(ENTRY.format(specifier=specifier, executor=executor).encode())
    return ProcessingTracker(path)


def every_method(tracker):
    """Each way to read or change the file."""
    return [
        tracker.snapshot, tracker.summarize, tracker.get_summary, tracker.find_jobs, tracker.find_abandoned,
        lambda: tracker.jobs["abc"], lambda: tracker.complete, lambda: tracker.encountered_error,
        lambda: tracker.get_job_info("abc"), lambda: tracker.get_job_status("abc"),
        lambda: tracker.get_jobs_by_status("SCHEDULED"), lambda: tracker.start_job("abc", "me"),
        lambda: tracker.complete_job("abc"), lambda: tracker.fail_job("abc", "x"), tracker.claim,
        lambda: tracker.run_job("abc").__enter__(), lambda: tracker.initialize_jobs([("new", "")]),
        lambda: tracker.align_jobs([("new", "")]), tracker.retry_failed_jobs, tracker.reschedule_abandoned,
        lambda: tracker.reset_jobs(["abc"]), lambda: ProcessingTracker.from_yaml(tracker.file_path),
        lambda: ProcessingTracker.from_yaml(tracker.file_path, strict=True),
    ]  # fmt: skip


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("word", WORDS, ids=lambda word: word[:20])
def test_a_word_without_quotes_is_the_text_that_was_written(tmp_path, word, style):
    tracker = written(tmp_path, style.format(word))
    assert tracker.get_job_info("abc").specifier == word
    assert ProcessingTracker.from_yaml(tracker.file_path, strict=True).jobs["abc"].specifier == word
    tracker.start_job("abc", "me")
    assert tracker.get_job_info("abc").specifier == word
    assert yaml.safe_load(tracker.file_path.read_text())["jobs"]["abc"]["specifier"] == word  # quoted where it must be


@pytest.mark.parametrize("word", [word for word in WORDS if word not in ("~", "null", "Null")], ids=lambda w: w[:20])
def test_an_executor_without_quotes_is_text_unless_it_is_null(tmp_path, word):
    assert written(tmp_path, "x", executor=word).get_job_info("abc").executor_id == word
    for null in ("null", "~", "Null", ""):
        assert written(tmp_path, "x", executor=null).get_job_info("abc").executor_id is None


@pytest.mark.parametrize(
    "job_id", ["my job", "a\\nb", "it's", '"', "é", "<<", "=", "a: b", "#", "-", "12:30", "x " * 90]
)
def test_any_id_of_one_line_is_kept(tmp_path, job_id):
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump({"jobs": {job_id: {"job_name": "x"}}}))
    tracker = ProcessingTracker(path)
    tracker.start_job(job_id, "me")
    tracker.complete_job(job_id)
    assert [*tracker.snapshot(), *yaml.safe_load(path.read_text())["jobs"]] == [job_id] * 2
    assert tracker.complete


def test_ids_without_quotes_are_text(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(ENTRY.format(specifier="x", executor="null").replace("  abc:", "  007:"))
    tracker = ProcessingTracker(path)
    assert list(tracker.snapshot()) == ["007"]
    tracker.start_job("007", "me")
    assert tracker.get_job_status("007") is ProcessingStatus.RUNNING
    assert list(yaml.safe_load(path.read_text())["jobs"]) == ["007"]


@pytest.mark.parametrize(
    "text",
    [
        '"C:\\data\\s1"', '"abc', "'abc", '"\\x"', "=", "<<", "[1]", "{a: 1}", "*x", "!foo 3", "!!binary aGk=", "@x",
        "`x", "%x", "a: b", "- a", "? a", "\x07", "é: x", "!!python/object:os.system x", "x\n    specifier: y",
        "x\n   bad",
    ],
)  # fmt: skip
def test_what_yaml_cannot_read_is_told_with_file_line_and_job_by_every_method(tmp_path, text):
    tracker = written(tmp_path, text)
    before = tracker.file_path.read_bytes()
    for deed in every_method(tracker):
        with pytest.raises(TrackerError) as caught:
            deed()
        assert str(caught.value).startswith(
            f"{tracker.file_path}: line {7 if text[0] == 'x' else 6}, job abc: expected"
        ) or (str(caught.value).startswith(f"{tracker.file_path}: line 6, job abc: specifier: expected"))
    assert tracker.file_path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) in (["t.yaml"], ["t.yaml", "t.yaml.lock"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "got nothing"),
        ("a: 1\n", "got the keys a"),
        ("- 1\n", "got a list"),
        ("on: push\njobs:\n  build:\n    runs-on: ubuntu\n", "line 4, job build: expected a job_name"),
        ("jobs: []\n", "expected a mapping of jobs"),
        ('jobs:\n  "a\\nb": {job_name: x}\n', "in one line"),
    ],
)
def test_yaml_that_is_no_tracker_is_refused(tmp_path, text, reason):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    tracker = ProcessingTracker(path)
    for deed in every_method(tracker):
        with pytest.raises(TrackerError, match=reason):
            deed()
    assert path.read_text() == text


def test_strict_refuses_keys_that_no_tracker_has(tmp_path):
    tracker = written(tmp_path, "007\n    colour: red")
    with pytest.raises(ConfigError, match=r"line 7.*'colour'"):
        ProcessingTracker.from_yaml(tracker.file_path, strict=True)
    assert ProcessingTracker.from_yaml(tracker.file_path).jobs["abc"].specifier == "007"


def test_the_line_and_job_are_right_in_a_file_of_many_pages(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(200)])
    lines = tracker.file_path.read_text().split("\n")
    at = lines.index("    specifier: session_123")
    lines[at] = '    specifier: "C:\\data"'
    tracker.file_path.write_text("\n".join(lines))
    for deed in (tracker.snapshot, tracker.get_summary, lambda: tracker.start_job(ids[123], "me")):
        with pytest.raises(TrackerError, match=f"line {at + 1}, job {ids[123]}: expected YAML"):
            deed()
