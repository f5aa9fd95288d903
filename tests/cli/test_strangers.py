"""Files of others beside a log, a tracker or a segment stop no command, and looking leaves no file behind.

A row of the table is a stranger; each command meets each of them and must answer as it does without.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ataraxis_data_structures import ProcessingTracker, assemble_log_archives
from ataraxis_data_structures.system import platform
from conftest_cli import record

CI = "on: push\njobs:\n  build:\n    runs-on: ubuntu\n"
FOREIGN = {
    "ci.yml": CI.encode(),
    "three.yaml": b"token: x\njobs: 3\n",
    "escape.yaml": b'file_path: "C:\\data"\njobs:\n  a: {job_name: "C:\\d"}\n',
    "tag.yaml": b"jobs:\n  a: !!python/object/apply:os.system ['true']\n",
    "deep.yaml": b"jobs:\n" + b"[" * 20_000,
    "bomb.yaml": b"a: &a [x, x]\nb: &b [*a, *a]\njobs:\n  - *b\n",
    "latin.yaml": "jobs:\n  größe: 1\n".encode("latin-1"),
    "binary.yaml": b"\njobs:" + bytes(range(256)) * 40,
}


def apple(place, _):
    """Leave what macOS leaves on a disk that is not its own: a twin of each file."""
    for path in [path for path in place.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7" + bytes(4000))
    for folder in (place, *(path for path in place.rglob("*") if path.is_dir())):
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(1000))
    return ["._001_00000000000000000000.npy"]


def lost_and_found(place, stack):
    for folder in (place, place / "rig_data_log"):
        closed(folder / "lost+found", stack)
    return ["lost+found"]


def closed(folder, stack):
    folder.mkdir()
    (folder / "2_log.npz").write_bytes(b"not yours")
    folder.chmod(0)
    stack.callback(folder.chmod, 0o700)
    return folder


def listed_only(place, stack):
    """Leave a folder whose names can be seen, and nothing more."""
    folder = closed(place / "theirs_data_log", stack)
    folder.chmod(0o400)
    return ["theirs_data_log"]


def unreadable(place, _):
    for folder in (place, place / "rig_data_log"):
        (folder / "secret.yaml").write_text("token: x\njobs: 3\n")
        (folder / "secret.yaml").chmod(0)
    return ["secret.yaml"]


def foreign(place, _):
    for folder in (place, place / "rig_data_log"):
        for name, data in FOREIGN.items():
            (folder / name).write_bytes(data)
    return [*FOREIGN]


def no_files(place, stack):
    """Leave names that end like a tracker's or a log's, and are links, pipes and folders."""
    vault = closed(place.parent / "vault", stack)
    for folder in (place, place / "rig_data_log"):
        (folder / "folder.yaml").mkdir()
        (folder / "9_log.npz").mkdir()
        (folder / "nowhere.yaml").symlink_to("nothing")
        (folder / "8_log.npz").symlink_to("nothing")
        (folder / "loop.yaml").symlink_to("loop.yaml")
        (folder / "into.yaml").symlink_to(vault / "2_log.npz")
        (folder / "7_log.npz").symlink_to("7_log.npz")
        for name in ("pipe.yaml", ".axds-session-00000000deadbeef.json", ".axds-source-00000000deadbeef-7.json"):
            os.mkfifo(folder / name)
    return ["into.yaml"]


def locked(place, stack):
    """Leave a tracker that a program holds all the time."""
    shutil.copy(place / "tracker.yaml", place / "held.yaml")
    code = (
        "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n print('held', flush=True)\n sys.stdin.readline()"
    )
    words = [sys.executable, "-c", code, str(place / "held.yaml.lock")]
    holder = stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    assert holder.stdout.readline() == "held\n"
    stack.callback(holder.stdin.close)
    return ["held.yaml"]


def in_memory(_, stack):
    """Leave files of others where segments are."""
    folder = platform.FOLDER
    made = [folder / "._axds-camera", folder / ".DS_Store", folder / "axds-0123456789abcdef", folder / "sem.theirs"]
    for path in made:
        path.write_bytes(b"theirs" * 2000)
        stack.callback(path.unlink)
    made[2].chmod(0)
    (folder / "lost+found").mkdir(0)
    stack.callback((folder / "lost+found").rmdir)
    (folder / "axds-loop").symlink_to("axds-loop")
    os.mkfifo(folder / "axds-pipe")
    for name in ("axds-loop", "axds-pipe"):
        stack.callback((folder / name).unlink)
    return []


STRANGERS = (apple, lost_and_found, listed_only, unreadable, foreign, no_files, locked, in_memory)

# What each command is asked, and which strangers it has to speak of: it says what it would have looked at otherwise.
COMMANDS = {
    "log ls": ("log ls {place}", {apple, lost_and_found, listed_only}),
    "log show": ("log show {log}", {apple}),
    "log verify": ("log verify {log}", {apple, unreadable, foreign, no_files, locked}),
    "log plot": ("log plot {log} -o {out}/p.svg", {apple}),
    "log report": ("log report {log} -o {out}/r.html --json", {apple, unreadable, foreign, no_files, locked}),
    "log export": ("log export {log} -o {out} --format mcap", {apple}),
    "log assemble": ("log assemble {log} --keep", {apple}),
    "log recover": ("log recover {log}", {apple}),
    "shm ls": ("shm ls", set()),
    "shm show": ("shm show {segment}", set()),
    "jobs status": ("jobs status {place}/tracker.yaml", set()),
}
NEEDS = {"log plot": "matplotlib", "log export": "mcap"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return a place with a log in all its forms, and a tracker beside it."""
    place = tmp_path_factory.mktemp("clean")
    directory, _ = record(place, sources=(1,), messages=5, gap_us=0, storage="npy")
    assemble_log_archives(directory)
    for storage in ("npy", "journal"):
        with pytest.warns(UserWarning, match="another session"):
            record(place, sources=(1, 2), messages=5, gap_us=0, storage=storage)
    tracker = ProcessingTracker(place / "tracker.yaml")
    decode, track = tracker.initialize_jobs([("decode", "camera"), ("track", "")])
    tracker.complete_job(decode)
    tracker.fail_job(track, "no eye found")
    return place


@pytest.fixture
def segment():
    name = f"camera-{os.getpid()}"
    code = "import sys; from ataraxis_data_structures.memory.segment import Kind, Segment\n"
    subprocess.run([sys.executable, "-c", f"{code}Segment.create(sys.argv[1], 64, kind=Kind.ARRAY)", name], check=True)
    yield name
    (platform.FOLDER / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def alone():
    """Return what commands said without a stranger."""
    return {}


def names_in(*folders):
    return {str(path) for folder in folders for path in folder.rglob("*")}


@pytest.fixture
def answer(axds, clean, segment, tmp_path):
    """Return a function that asks a command of a fresh copy of the log, beside a stranger, and what it said."""

    def ask(command, stranger=None):
        number = 1 if stranger else 0
        place, out = tmp_path / str(number) / "place", tmp_path / str(number) / "out"
        shutil.copytree(clean, place)
        out.mkdir()
        words = COMMANDS[command][0].format(place=place, log=place / "rig_data_log", out=out, segment=segment)
        with ExitStack() as stack:
            told = stranger(place, stack) if stranger else []
            before = names_in(place, platform.FOLDER)
            got = axds(*words.split(), powerless=True, cwd=out)
            left = names_in(place, platform.FOLDER) ^ before
        return got, told, {Path(name).name for name in left}

    return ask


def essence(command, got):
    """Return what a command answers, without what it says of strangers and without what differs from run to run."""
    if command == "log report":
        document = json.loads(got.out)
        return got.status, document["sources"], document["failed"]
    lines = [re.sub(r"/\S*/[01]/(place|out)", r"\1", line) for line in got.out.splitlines()]
    return got.status, [line for line in lines if not line.startswith("--   passed over: ")]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_stranger_changes_no_answer_and_is_told_of(command, stranger, answer, alone):
    if command in NEEDS:
        pytest.importorskip(NEEDS[command])
    if command not in alone or command.startswith("shm"):  # each test has a segment of its own
        alone[command] = answer(command)
    expected, _, left_expected = alone[command]
    got, told, left = answer(command, stranger)
    assert essence(command, got) == essence(command, expected), got
    assert left == left_expected
    if command != "log assemble":
        assert left == set()
    for name in told if stranger in COMMANDS[command][1] else ():
        assert name in got.err + got.out, got
    if stranger not in COMMANDS[command][1]:
        assert got.err == expected.err


def test_every_stranger_is_told_of_by_some_command_that_looks_at_it():
    spoken = set().union(*(told for _, told in COMMANDS.values()))
    assert spoken == set(STRANGERS) - {in_memory}


def test_a_tracker_that_was_named_is_never_passed_over(refused, clean, tmp_path):
    for name, data in FOREIGN.items():
        (tmp_path / name).write_bytes(data)
        words = ("log", "report", clean / "rig_data_log", "-o", tmp_path / "r.html", "--tracker", tmp_path / name)
        assert name in refused(*words)
    assert not (tmp_path / "r.html").exists()


def test_an_archive_in_a_folder_that_may_not_be_read_is_told_of_by_the_search(clean, tmp_path):
    code = (
        "import sys; from ataraxis_data_structures import find_log_archive\n"
        "try: find_log_archive(sys.argv[1], '2')\nexcept FileNotFoundError as error: print(error)"
    )
    mortal = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    with ExitStack() as stack:
        closed(tmp_path / "lost+found", stack)
        words = [*mortal, sys.executable, "-c", code, str(tmp_path)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f"could not read {tmp_path}/lost+found" in said
