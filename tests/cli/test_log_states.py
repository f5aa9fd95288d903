"""Every state of a log against every look at it: answer, exit status, and the next command."""

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pytest

from ataraxis_data_structures import LogPackage, ProcessingTracker, assemble_log_archives
from conftest_cli import ONSET_US, PROGRAM, record
from logtools import logger_in

SOUND = {"messages": 60, "gap_us": 0, "sources": (1,)}


class Look(NamedTuple):
    """What commands say of a state: ls' state (None: no log), exit statuses, words of verify, show, report, recover."""

    state: str | None
    show: int
    verify: int
    report: int
    recover: int
    words: tuple[str, ...] = ()
    sessions: int = 1
    dropped: bool = False
    gaps: int | None = 0  # None: an archive is damaged


def empty(root, stack):
    directory = root / "rig_data_log"
    directory.mkdir(parents=True)
    return directory


def interrupted(root, stack, storage="journal", stopped=False):
    code = """
import os, signal, sys
from pathlib import Path
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage
logger = DataLogger(Path(sys.argv[1]), "rig", storage=sys.argv[2])
logger.start()
if sys.argv[3] == "True":
    os.kill(logger.statistics.pid, signal.SIGSTOP)
onset = int(sys.argv[4]).to_bytes(8, "little")
logger.input_queue.put(LogPackage(1, 0, np.frombuffer(onset, np.uint8)))
for number in range(1, 60):
    logger.input_queue.put(LogPackage(1, number * 1000, np.zeros(16, np.uint8)))
if sys.argv[3] != "True":
    logger.flush(30)
os.kill(logger.statistics.pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, root, storage, str(stopped), str(ONSET_US)], check=False)
    return root / "rig_data_log"


def interrupted_in_lanes(root, stack):
    return interrupted(root, stack, stopped=True)


def sound(root, stack, storage="journal"):
    directory, _ = record(root, storage=storage, **SOUND)
    return directory


def assembled(root, stack):
    directory = sound(root, stack, "npy")
    assemble_log_archives(directory)
    return directory


def merged(root, stack):
    directory = assembled(root, stack)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with logger_in(root, "rig", session="continue") as logger:
            logger.start()
            for number in range(60, 80):
                logger.input_queue.put(LogPackage(1, number * 1000, np.zeros(16, np.uint8)))
            logger.stop()
    assemble_log_archives(directory)
    return directory


def two_sessions(root, stack):
    directory = sound(root, stack)
    with warnings.catch_warnings(), logger_in(root, "rig", storage="journal", session="continue") as logger:
        logger.start()
        onset = np.frombuffer((ONSET_US + 10**9).to_bytes(8, "little"), np.uint8)
        logger.input_queue.put(LogPackage(1, 0, onset))
        for number in range(1, 60):
            logger.input_queue.put(LogPackage(1, number * 1000, np.zeros(16, np.uint8)))
        logger.stop()
    return directory


def dropped(root, stack):
    with (
        warnings.catch_warnings(),
        logger_in(root, "rig", storage="journal", lane_bytes=1 << 14, overflow="drop_newest") as logger,
    ):
        warnings.simplefilter("ignore")
        queue = logger.input_queue
        queue.put(LogPackage(1, 0, np.frombuffer(ONSET_US.to_bytes(8, "little"), np.uint8)))
        for number in range(1, 101):
            queue.put(LogPackage(1, number * 1000, np.zeros(1000, np.uint8)))
        logger.start()
        logger.flush(30)
        queue.put(LogPackage(1, 15_000, np.zeros(8, np.uint8)))
        logger.stop()
    return root / "rig_data_log"


def gaps(root, stack):
    return record(root, sources=(1,), messages=60)[0]


def cut_archive(root, stack):
    directory = assembled(root, stack)
    path = directory / "1_log.npz"
    os.truncate(path, path.stat().st_size // 2)
    return directory


def damaged_journal(root, stack):
    directory = sound(root, stack)
    (path,) = directory.glob("journal-*")
    data = bytearray(path.read_bytes())
    data[4096 + 10 * 72] ^= 8  # within the records behind the header page
    path.write_bytes(data)
    return directory


def foreign_files(root, stack):
    directory = assembled(root, stack)
    for name in ("._1_log.npz", ".DS_Store", "notes.txt", "settings.yaml"):
        (directory / name).write_bytes(b"jobs:\n\x00\xff not ours")
    (directory / "lost+found").mkdir()
    return directory


def in_use(root, stack):
    logger = stack.enter_context(logger_in(root, "rig", storage="journal"))
    logger.start()
    logger.input_queue.put(LogPackage(1, 0, np.frombuffer(ONSET_US.to_bytes(8, "little"), np.uint8)))
    for number in range(1, 60):
        logger.input_queue.put(LogPackage(1, number * 1000, np.zeros(16, np.uint8)))
    logger.flush(30)
    stack.callback(logger.stop)
    return logger.output_directory


def failed_jobs(root, stack):
    directory = assembled(root, stack)
    tracker = ProcessingTracker(directory / "tracker.yaml")
    (job,) = tracker.initialize_jobs([("video", "s1")])
    tracker.start_job(job)
    tracker.fail_job(job, "a camera is missing")
    return directory


NEXT_RECOVER, NEXT_ASSEMBLE, NEXT_SPLIT = "axds log recover", "axds log assemble", "axds log split"
STATES = {
    empty: Look(None, 1, 1, 1, 1, ("axds log ls", "axds log ls", "axds log ls", "NAME_data_log")),
    interrupted: Look("interrupted", 0, 1, 1, 0, (NEXT_RECOVER, NEXT_RECOVER, "state", "whole in journals")),
    interrupted_in_lanes: Look("interrupted", 0, 1, 1, 0, (NEXT_RECOVER, NEXT_RECOVER, "state", "from shared memory")),
    sound: Look("not assembled", 0, 0, 0, 0, (NEXT_ASSEMBLE, "rate Hz", "all checks passed", "nothing is known")),
    assembled: Look("assembled", 0, 0, 0, 0, ("check sums", "rate Hz", "all checks passed", "nothing is known")),
    merged: Look("assembled", 0, 0, 0, 0, ("check sums", "rate Hz", "all checks passed", "nothing is known")),
    two_sessions: Look("not assembled", 0, 1, 1, 0, (NEXT_SPLIT, NEXT_SPLIT, "sessions", "nothing"), sessions=2),
    dropped: Look("not assembled", 0, 1, 1, 0, ("dropped", "dropped", "drops", "dropped"), dropped=True),
    gaps: Look("not assembled", 0, 1, 1, 0, ("gaps", "gaps", "gaps", "nothing is known"), gaps=1),
    cut_archive: Look(
        "assembled", 1, 1, 1, 1, ("1_log.npz", "1_log.npz", "1_log.npz", "archives that were cut"), gaps=None
    ),
    damaged_journal: Look("not assembled", 0, 1, 1, 1, ("damaged", "rate Hz", "journals", "axds log verify")),
    foreign_files: Look("assembled", 0, 0, 0, 0, ("check sums", "rate Hz", "all checks passed", "nothing is known")),
    in_use: Look("recording", 0, 0, 0, 1, ("recorded", "rate Hz", "all checks passed", "at work")),
    failed_jobs: Look("assembled", 0, 1, 1, 0, ("axds jobs status", "rate Hz", "jobs", "nothing is known")),
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_each_look_tells_the_state_and_the_next_command(axds, tmp_path, state):
    want = STATES[state]
    with ExitStack() as stack:
        directory = state(tmp_path / "root", stack)
        before = sorted(tmp_path.rglob("*"))
        listed = axds("log", "ls", directory, "--json")
        assert [row["state"] for row in listed.json] == ([want.state] if want.state else [])
        if want.state:
            (row,) = listed.json
            assert (row["sessions"], row["dropped"] > 0) == (want.sessions, want.dropped)
            assert (row["gaps"], row["failed_jobs"]) == (want.gaps, int(state is failed_jobs))
        verify, show = axds("log", "verify", directory), axds("log", "show", directory)
        page = tmp_path / "report.html"
        report = axds("log", "report", directory, "-o", page)
        as_json = [
            axds("log", *words, directory, "--json") for words in (("show",), ("verify",), ("report", "-o", page))
        ]
        assert sorted(tmp_path.rglob("*")) == sorted([*before, *([page] if page.exists() else [])])
        recover = axds("log", "recover", directory, "--patience", "0.2")
        assert (show.status, verify.status, report.status, recover.status) == want[1:5], (show, verify, report, recover)
        assert [got.status for got in as_json] == [want.show, want.verify, want.report]
        for word, got in zip(want.words, (verify, show, report, recover), strict=True):
            assert word in got.out + got.err, got
        if want.verify:
            assert "all checks passed" not in report.out
            assert not page.exists() or "all checks passed" not in page.read_text()


def test_doctor_counts_the_logs_below_its_folder_and_names_what_waits(axds, tmp_path):
    states = (empty, interrupted_in_lanes, two_sessions, dropped, gaps, cut_archive, assembled, failed_jobs)
    with ExitStack() as stack:
        places = {state: str(state(tmp_path / state.__name__, stack)) for state in states}
        plan = ("--sources", "1", "--rate", "10", "--seconds", "0.5", "--storage", "journal")
        got = axds("doctor", tmp_path, *plan, "--json")
        assert axds("log", "recover", places[interrupted_in_lanes]).status == 0
    found = {finding["name"]: finding for finding in got.json["findings"]}
    count = found["logs here"]["figures"]
    assert (count["logs"], count["interrupted"], count["failed_jobs"]) == (7, 1, 1)
    assert count["sessions"] == 8
    assert min(count["dropped"], count["gaps"]) > 0
    assert (got.status, found[places[interrupted_in_lanes]]["passed"]) == (1, False)
    wanted = {
        interrupted_in_lanes: "axds log recover",
        two_sessions: "axds log split",
        dropped: "axds log assemble",
        gaps: "axds log assemble",
        cut_archive: "axds log verify",
        failed_jobs: "axds log verify",
    }
    assert {place: found[place]["advice"] for place in places.values() if place in found} == {
        places[state]: f"`{command} {places[state]}`" for state, command in wanted.items()
    }


def test_nothing_is_drawn_of_a_log_whose_messages_wait_for_recovery(axds, tmp_path):
    directory = interrupted_in_lanes(tmp_path, None)
    got = axds("log", "plot", directory, "-o", tmp_path / "rates.png")
    assert (got.status, NEXT_RECOVER in got.err) == (1, True)
    assert not (tmp_path / "rates.png").exists()
    assert axds("log", "recover", directory).status == 0


def test_top_tells_sessions_failed_jobs_drops_and_gaps(axds, tmp_path):
    directory = sound(tmp_path, None)
    tracker = ProcessingTracker(directory / "tracker.yaml")
    tracker.fail_job(tracker.initialize_jobs([("video", "s1")])[0], "a camera is missing")
    with warnings.catch_warnings(), logger_in(tmp_path, "rig", storage="journal", session="continue") as logger:
        warnings.simplefilter("ignore")
        logger.start()
        watch = subprocess.Popen(
            [*PROGRAM, "log", "top", "rig", "--json", "--every", "0.2"], stdout=subprocess.PIPE, text=True
        )
        looks = documents(watch.stdout)
        next(looks)
        for number in range(1, 2001):  # for two looks at least, then silence
            logger.input_queue.put(LogPackage(1, number, np.zeros(8, np.uint8)))
            if number % 4 == 0:
                time.sleep(0.001)
        deadline = time.monotonic() + 60
        while (found := next(looks))["sources"][0]["gaps"] != 1:
            assert time.monotonic() < deadline
        text = axds("log", "top", "rig", "--count", "1", "--every", "0.1").out
        logger.stop()
    watch.communicate(timeout=60)
    assert (found["sessions"], found["failed_jobs"], found["sources"][0]["dropped"]) == (2, 1, 0)
    assert found["directory"] == str(directory)
    assert "2 sessions" in text
    assert "axds jobs status" in text


def documents(stream):
    """Yield the JSON documents of a stream."""
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            yield json.loads(text)
            text = ""


def test_what_was_told_is_still_told_after_assembly_merge_and_transfer(axds, tmp_path):
    first = dropped(tmp_path / "one", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with logger_in(tmp_path / "one", "rig", storage="journal") as logger:
            logger.start()
            onset = np.frombuffer((ONSET_US + 10**9).to_bytes(8, "little"), np.uint8)
            logger.input_queue.put(LogPackage(1, 0, onset))
            for number in [*range(1, 60), 400]:
                logger.input_queue.put(LogPackage(1, number * 1000, np.zeros(16, np.uint8)))
            logger.stop()
    count = axds("log", "ls", first, "--json").json[0]["dropped"]
    assert axds("log", "assemble", first).status == 0
    assert axds("transfer", tmp_path / "one", tmp_path / "copy").status == 0
    shutil.rmtree(tmp_path / "one")
    rows = {row["directory"].rpartition("/")[2]: row for row in axds("log", "ls", tmp_path / "copy", "--json").json}
    assert (rows["rig_data_log"]["dropped"], rows["rig_2_data_log"]["dropped"]) == (count, 0)
    told = axds("log", "verify", tmp_path / "copy" / "rig_data_log")
    assert (told.status, f"{count:,} of source 1" in told.out) == (1, True)
    told = axds("log", "verify", tmp_path / "copy" / "rig_2_data_log")
    assert (told.status, "gaps" in told.out) == (1, True)
