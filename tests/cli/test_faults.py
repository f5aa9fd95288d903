"""Every command, run as a program, meets every fault: no traceback reaches a user, and each message says what to do.

A row is a command line and what must be said; a text in place of a row is the reason why a command can't meet a fault.
"""

import importlib.util
import os
import random
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, ProcessingTracker, Store, assemble_log_archives, cli
from ataraxis_data_structures.system import platform
from conftest_cli import PROGRAM, record

COMMANDS = sorted(cli._COMMANDS)
FAULTS = ("missing", "wrong", "denied", "full")


@dataclass(frozen=True)
class Row:
    words: str
    says: str
    status: int = 1


NO_FILE = "No such file or directory; check the path"
NO_FOLDER = "Not a directory; name a folder"
NO_LOG = "axds log ls"
DENIED = "ermission denied; ask its owner"
FULL = "No space left on device; free some space"
NO_SEGMENT = "axds shm ls"
NO_STORE = "expected a store"

# What runs well, for the faults that come from outside: a reader that leaves, an output without room, Ctrl-C.
GOOD = {
    "demo": "demo {empty} --seconds 0.3 --rate 100",
    "doctor": "doctor {empty} --sources 1 --rate 50 --seconds 0.2 --storage journal",
    "log ls": "log ls {root}",
    "log show": "log show {log}",
    "log top": "log top watched --count 1 --every 0.1",
    "log watch": "log watch",
    "log cat": "log cat {log}",
    "log filter": "log filter {log} -o {root}/filtered",
    "log merge": "log merge {log} -o {root}/merged",
    "record": "record {rig} {root}/recorded --duration 0.2",
    "log assemble": "log assemble {files}",
    "log verify": "log verify {log}",
    "log split": "log split {files}",
    "log recover": "log recover {files}",
    "log export": "log export {log} -o {empty} --format mcap",
    "log plot": "log plot {log} -o {empty}/rates.svg",
    "log report": "log report {log} -o {empty}/report.html",
    "shm ls": "shm ls",
    "shm show": "shm show {segment}",
    "shm rm": "shm rm {segment}",
    "jobs status": "jobs status {tracker}",
    "jobs retry": "jobs retry {tracker}",
    "jobs reset": "jobs reset {tracker} --all",
    "store init": "store init {root}/new",
    "store ls": "store ls {store}",
    "store show": "store show {store} a",
    "store add": "store add {store} b --value 1",
    "store get": "store get {store} a",
    "store rm": "store rm {store} a",
    "store describe": "store describe {store}",
    "store status": "store status {store}",
    "store verify": "store verify {store}",
    "store repair": "store repair {store}",
    "store gc": "store gc {store}",
    "store export": "store export {store} {root}/out",
    "store adopt": "store adopt {store} a",
    "store trust": "store trust --list",
    "store import-folio": "store import-folio {folio} {root}/new",
    "store import-directory": "store import-directory {tree} {root}/new",
    "store snapshot create": "store snapshot create {store} s2",
    "store snapshot list": "store snapshot list {store}",
    "store snapshot show": "store snapshot show {store} s1",
    "store snapshot diff": "store snapshot diff {store} s1",
    "store snapshot restore": "store snapshot restore {store} s1",
    "store snapshot delete": "store snapshot delete {store} s1",
    "data fetch": "data fetch kept --root {store}",
    "data list": "data list {store}",
    "data contract": "data contract {data}",
    "data product": "data product --input-npz {data} --output-product {empty}/product.h5",
    "data guard check": "data guard check --all --json --repository {repository}",
    "data guard install": "data guard install {repository}",
    "checksum": "checksum {folder}",
    "compare": "compare {folder} {log}",
    "transfer": "transfer {folder} {root}/copy",
    "delete": "delete {folder} --yes",
}
NEEDS = {"log export": "mcap", "log plot": "matplotlib", "data product": "h5py"}

TABLE = {
    "demo": {
        "missing": "makes the folder it is given",
        "wrong": Row("demo {notes}", "notes.txt"),
        "denied": Row("demo {locked}/deep --seconds 0.1", DENIED),
        "full": Row("demo {full} --seconds 0.1", "No space left on device"),
    },
    "doctor": {
        "missing": Row("doctor {nowhere}", NO_FILE),
        "wrong": Row("doctor {notes}", NO_FOLDER),
        "denied": Row("doctor {locked} --seconds 0.1", DENIED),
        "full": Row("doctor {full} --seconds 0.1", FULL),
    },
    "log ls": {
        "missing": Row("log ls {nowhere}", NO_FILE),
        "wrong": Row("log ls {notes}", NO_FOLDER),
        "denied": Row("log ls {locked}", DENIED),
        "full": "writes nothing",
    },
    "log show": {
        "missing": Row("log show {nowhere}", NO_FILE),
        "wrong": Row("log show {empty}", NO_LOG),
        "denied": Row("log show {sealed}", f"1_log.npz: P{DENIED}"),
        "full": "writes nothing",
    },
    "log top": {
        "missing": Row("log top nobody", "instance_name"),
        "wrong": Row("log top {notes}", "instance_name"),
        "denied": Row("log top watched", "expected a logger called 'watched' that runs here and is yours"),
        "full": "writes nothing",
    },
    "log watch": {
        "missing": Row("log watch {nowhere}", NO_FILE),
        "wrong": Row("log watch {notes}", "log ls --running"),
        "denied": Row("log watch", "log ls --running"),
        "full": "writes nothing",
    },
    "log cat": {
        "missing": Row("log cat {nowhere}", NO_FILE),
        "wrong": Row("log cat {empty}", NO_LOG),
        "denied": Row("log cat {sealed}", f"1_log.npz: P{DENIED}"),
        "full": "writes nothing",
    },
    "log filter": {
        "missing": Row("log filter {nowhere} -o {root}/filtered", NO_FILE),
        "wrong": Row("log filter {empty} -o {root}/filtered", NO_LOG),
        "denied": Row("log filter {sealed} -o {root}/filtered", f"1_log.npz: P{DENIED}"),
        "full": Row("log filter {log} -o {full}/filtered", FULL),
    },
    "log merge": {
        "missing": Row("log merge {nowhere} -o {root}/merged", NO_FILE),
        "wrong": Row("log merge {empty} -o {root}/merged", NO_LOG),
        "denied": Row("log merge {sealed} -o {root}/merged", f"1_log.npz: P{DENIED}"),
        "full": Row("log merge {log} -o {full}/merged", FULL),
    },
    "record": {
        "missing": Row("record {nowhere}", NO_FILE),
        "wrong": Row("record {notes}", "notes.txt"),
        "denied": Row("record {rig} {locked}/deep --duration 0.1", DENIED),
        "full": Row("record {rig} {full}/deep --duration 0.1", "No space left on device"),
    },
    "log assemble": {
        "missing": Row("log assemble {nowhere}", NO_FILE),
        "wrong": Row("log assemble {empty}", NO_LOG),
        "denied": Row("log assemble {locked}", DENIED),
        "full": Row("log assemble {full}/rig_data_log", FULL),
    },
    "log verify": {
        "missing": Row("log verify {nowhere}", NO_FILE),
        "wrong": Row("log verify {notes}", "SOURCE_log.npz"),
        "denied": Row("log verify {sealed}", "BAD  1_log.npz"),
        "full": "writes nothing",
    },
    "log split": {
        "missing": Row("log split {nowhere}", NO_FILE),
        "wrong": Row("log split {empty}", NO_LOG),
        "denied": Row("log split {locked}", DENIED),
        "full": "moves files within one file system",
    },
    "log recover": {
        "missing": Row("log recover {nowhere}", NO_FILE),
        "wrong": Row("log recover {notes}", NO_FOLDER),
        "denied": Row("log recover {locked}", DENIED),
        "full": "changes nothing in a log that no crash left",
    },
    "log export": {
        "missing": Row("log export {nowhere}", NO_FILE),
        "wrong": Row("log export {files}", "axds log assemble"),
        "denied": Row("log export {sealed} -o {empty} --format mcap", f"1_log.npz: P{DENIED}"),
        "full": Row("log export {log} -o {full} --format mcap", FULL),
    },
    "log plot": {
        "missing": Row("log plot {nowhere}", NO_FILE),
        "wrong": Row("log plot {log} -o {root}/rates.gif", ".png or .svg"),
        "denied": Row("log plot {log} -o {locked}/rates.svg", DENIED),
        "full": Row("log plot {log} -o {full}/rates.png", FULL),
    },
    "log report": {
        "missing": Row("log report {nowhere}", NO_FILE),
        "wrong": Row("log report {notes}", "SOURCE_log.npz"),
        "denied": Row("log report {log} -o {locked}/report.html", DENIED),
        "full": Row("log report {log} -o {full}/report.html", FULL),
    },
    "shm ls": {
        "missing": "takes no name",
        "wrong": Row("shm ls", "no shared memory of this library", status=0),
        "denied": Row("shm ls", "no shared memory of this library", status=0),
        "full": "writes nothing",
    },
    "shm show": {
        "missing": Row("shm show nowhere", NO_SEGMENT),
        "wrong": Row("shm show {foreign}", "foreign bytes"),
        "denied": Row("shm show {segment}", DENIED),
        "full": "writes nothing",
    },
    "shm rm": {
        "missing": Row("shm rm nowhere", NO_SEGMENT),
        "wrong": Row("shm rm {foreign} --force", "not a segment of this library, left alone"),
        "denied": Row("shm rm {segment}", "ask its owner"),
        "full": "writes nothing",
    },
    "jobs status": {
        "missing": Row("jobs status {nowhere}.yaml", NO_FILE),
        "wrong": Row("jobs status {broken}", "broken.yaml"),
        "denied": Row("jobs status {tracker}", DENIED),
        "full": "writes nothing",
    },
    "jobs retry": {
        "missing": Row("jobs retry {nowhere}.yaml", NO_FILE),
        "wrong": Row("jobs retry {empty}", "Is a directory; name a file"),
        "denied": Row("jobs retry {tracker}", DENIED),
        "full": Row("jobs retry {full}/tracker.yaml", FULL),
    },
    "jobs reset": {
        "missing": Row("jobs reset {nowhere}.yaml --all", NO_FILE),
        "wrong": Row("jobs reset {notes} --all", ".yaml"),
        "denied": Row("jobs reset {tracker} --all", DENIED),
        "full": Row("jobs reset {full}/tracker.yaml --all", FULL),
    },
    "store init": {
        "missing": "makes the folder it is given",
        "wrong": Row("store init {notes}", NO_FOLDER),
        "denied": Row("store init {locked}/deep", DENIED),
        "full": Row("store init {full}/new", FULL),
    },
    "store ls": {
        "missing": Row("store ls {nowhere}", NO_STORE),
        "wrong": Row("store ls {empty}", NO_STORE),
        "denied": Row("store ls {store}", DENIED),
        "full": "writes nothing",
    },
    "store show": {
        "missing": Row("store show {nowhere} a", NO_STORE),
        "wrong": Row("store show {empty} a", NO_STORE),
        "denied": Row("store show {store} a", DENIED),
        "full": "writes nothing",
    },
    "store add": {
        "missing": Row("store add {nowhere} b --value 1", NO_STORE),
        "wrong": Row("store add {empty} b --value 1", NO_STORE),
        "denied": Row("store add {store} b --value 1", DENIED),
        "full": Row("store add {full}/store b {folder}/data.bin", FULL),
    },
    "store get": {
        "missing": Row("store get {nowhere} a", NO_STORE),
        "wrong": Row("store get {empty} a", NO_STORE),
        "denied": Row("store get {store} a", DENIED),
        "full": "writes nothing",
    },
    "store rm": {
        "missing": Row("store rm {nowhere} a", NO_STORE),
        "wrong": Row("store rm {empty} a", NO_STORE),
        "denied": Row("store rm {store} a", DENIED),
        "full": "adds one line to a file whose last page has room",
    },
    "store describe": {
        "missing": Row("store describe {nowhere}", NO_STORE),
        "wrong": Row("store describe {empty}", NO_STORE),
        "denied": Row("store describe {store}", DENIED),
        "full": "writes nothing",
    },
    "store status": {
        "missing": Row("store status {nowhere}", NO_STORE),
        "wrong": Row("store status {empty}", NO_STORE),
        "denied": Row("store status {store}", DENIED),
        "full": "writes nothing",
    },
    "store verify": {
        "missing": Row("store verify {nowhere}", NO_STORE),
        "wrong": Row("store verify {empty}", NO_STORE),
        "denied": Row("store verify {store}", DENIED),
        "full": "writes nothing",
    },
    "store repair": {
        "missing": Row("store repair {nowhere}", NO_STORE),
        "wrong": Row("store repair {empty}", NO_STORE),
        "denied": Row("store repair {store}", DENIED),
        "full": "writes what was lost, and nothing was",
    },
    "store gc": {
        "missing": Row("store gc {nowhere}", NO_STORE),
        "wrong": Row("store gc {empty}", NO_STORE),
        "denied": Row("store gc {store}", DENIED),
        "full": "frees space",
    },
    "store export": {
        "missing": Row("store export {nowhere} {root}/out", NO_STORE),
        "wrong": Row("store export {empty} {root}/out", NO_STORE),
        "denied": Row("store export {store} {root}/out", DENIED),
        "full": Row("store export {store} {full}/out", FULL),
    },
    "store adopt": {
        "missing": Row("store adopt {nowhere} a", NO_STORE),
        "wrong": Row("store adopt {empty} a", NO_STORE),
        "denied": Row("store adopt {store} a", DENIED),
        "full": Row("store adopt {full}/store a", FULL),
    },
    "store trust": {
        "missing": Row("store trust {nowhere}", NO_FILE),
        "wrong": Row("store trust {notes}", "expected a key of 64 hexadecimal digits"),
        "denied": Row("store trust {locked}/inner", DENIED),
        "full": "writes one file of 32 bytes below the user's own folder",
    },
    "store import-folio": {
        "missing": Row("store import-folio {nowhere} {root}/new", "items.json"),
        "wrong": Row("store import-folio {folder} {root}/new", "items.json"),
        "denied": Row("store import-folio {folio} {locked}/new", DENIED),
        "full": Row("store import-folio {folio} {full}/new", FULL),
    },
    "store import-directory": {
        "missing": Row("store import-directory {nowhere} {root}/new", "a folder that datamate wrote, got none"),
        "wrong": Row("store import-directory {empty} {root}/new", "as datamate writes them, got none"),
        "denied": Row("store import-directory {tree} {locked}/new", DENIED),
        "full": Row("store import-directory {tree} {full}/new", FULL),
    },
    "store snapshot create": {
        "missing": Row("store snapshot create {nowhere} s2", NO_STORE),
        "wrong": Row("store snapshot create {empty} s2", NO_STORE),
        "denied": Row("store snapshot create {store} s2", DENIED),
        "full": "adds one line to a file whose last page has room",
    },
    "store snapshot list": {
        "missing": Row("store snapshot list {nowhere}", NO_STORE),
        "wrong": Row("store snapshot list {empty}", NO_STORE),
        "denied": Row("store snapshot list {store}", DENIED),
        "full": "writes nothing",
    },
    "store snapshot show": {
        "missing": Row("store snapshot show {nowhere} s1", NO_STORE),
        "wrong": Row("store snapshot show {empty} s1", NO_STORE),
        "denied": Row("store snapshot show {store} s1", DENIED),
        "full": "writes nothing",
    },
    "store snapshot diff": {
        "missing": Row("store snapshot diff {nowhere} s1", NO_STORE),
        "wrong": Row("store snapshot diff {empty} s1", NO_STORE),
        "denied": Row("store snapshot diff {store} s1", DENIED),
        "full": "writes nothing",
    },
    "store snapshot restore": {
        "missing": Row("store snapshot restore {nowhere} s1", NO_STORE),
        "wrong": Row("store snapshot restore {empty} s1", NO_STORE),
        "denied": Row("store snapshot restore {store} s1", DENIED),
        "full": "adds one line to a file whose last page has room",
    },
    "store snapshot delete": {
        "missing": Row("store snapshot delete {nowhere} s1", NO_STORE),
        "wrong": Row("store snapshot delete {empty} s1", NO_STORE),
        "denied": Row("store snapshot delete {store} s1", DENIED),
        "full": "adds one line to a file whose last page has room",
    },
    "data fetch": {
        "missing": Row("data fetch kept --root {nowhere}", "expected a store"),
        "wrong": Row("data fetch nothing --root {store}", "got nothing"),
        "denied": Row("data fetch http://127.0.0.1:9/a --root {locked}/new", DENIED),
        "full": Row("data fetch http://127.0.0.1:9/a --root {full}/new --retries 0", FULL),
    },
    "data list": {
        "missing": Row("data list {nowhere}", "expected a store"),
        "wrong": Row("data list {folder}", "expected a store"),
        "denied": Row("data list {locked}", DENIED),
        "full": "writes nothing",
    },
    "data contract": {
        "missing": Row("data contract {nowhere}", NO_FILE),
        "wrong": Row("data contract {notes}", "expected an npz archive or an HDF5 file"),
        "denied": Row("data contract {data} --convert {locked}/a.npz", DENIED),
        "full": Row("data contract {data} --convert {full}/a.npz", FULL),
    },
    "data product": {
        "missing": Row("data product --input-npz {nowhere} --output-product {root}/a.h5", NO_FILE),
        "wrong": Row("data product --input-npz {notes} --output-product {root}/a.h5", "expected an npz archive"),
        "denied": Row("data product --input-npz {data} --output-product {locked}/a.h5", DENIED),
        "full": Row("data product --input-npz {data} --output-product {full}/a.h5", FULL),
    },
    "data guard check": {
        "missing": Row("data guard check --repository {nowhere}", NO_FILE),
        "wrong": Row("data guard check --repository {folder}", "not a git repository"),
        "denied": Row("data guard check --repository {locked}/inner", DENIED),
        "full": "writes nothing",
    },
    "data guard install": {
        "missing": Row("data guard install {nowhere}", NO_FILE),
        "wrong": Row("data guard install {folder}", "not a git repository"),
        "denied": Row("data guard install {locked}/inner", DENIED),
        "full": "writes two small files, as every command that makes a file of its own does",
    },
    "checksum": {
        "missing": Row("checksum {nowhere}", NO_FILE),
        "wrong": Row("checksum {notes}", NO_FOLDER),
        "denied": Row("checksum {sealed}", f"1_log.npz: P{DENIED}"),
        "full": Row("checksum {full} --save", FULL),
    },
    "compare": {
        "missing": Row("compare {folder} {nowhere}", NO_FILE),
        "wrong": Row("compare {folder} {notes}", NO_FOLDER),
        "denied": Row("compare {folder} {sealed}", f"1_log.npz: P{DENIED}"),
        "full": "writes nothing",
    },
    "transfer": {
        "missing": Row("transfer {nowhere} {root}/copy", NO_FILE),
        "wrong": Row("transfer {notes} {root}/copy", NO_FOLDER),
        "denied": Row("transfer {sealed} {root}/copy", f"1_log.npz: P{DENIED}"),
        "full": Row("transfer {folder} {full}/copy", FULL),
    },
    "delete": {
        "missing": Row("delete {nowhere} --yes", NO_FILE),
        "wrong": Row("delete {notes} --yes", NO_FOLDER),
        "denied": Row("delete {locked}/inner --yes", DENIED),
        "full": "frees space",
    },
}
ROWS = [
    pytest.param(command, fault, TABLE[command][fault], id=f"{command}-{fault}")
    for command in COMMANDS
    for fault in FAULTS
    if isinstance(TABLE[command][fault], Row)
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Record one log, and keep it as files and as archives."""
    root = tmp_path_factory.mktemp("logs")
    files, _ = record(root / "files", messages=30, storage="npy")
    shutil.copytree(files, root / "log" / files.name)
    assemble_log_archives(root / "log" / files.name)
    return root


def save_ptycho(path):
    """Write a data set that keeps its contract; each array is larger than what a full disk leaves."""
    ones = np.ones((2, 64, 64), np.float32)
    guesses = {name: np.ones((64, 64), np.complex64) for name in ("objectGuess", "probeGuess")}
    np.savez(path, diffraction=ones, xcoords=np.zeros(2), ycoords=np.zeros(2), **guesses)


@pytest.fixture
def scene(logs, tmp_path):
    """Return what command lines name, in a folder of this test."""
    root = Path(shutil.copytree(logs, tmp_path / "root"))
    for name in ("folder", "empty", "locked/inner"):
        (root / name).mkdir(parents=True)
    (root / "folder" / "data.bin").write_bytes(os.urandom(200_000))
    (root / "notes.txt").write_text("no archive")
    (root / "broken.yaml").write_text("jobs: [not, {a tracker")
    tracker = ProcessingTracker(root / "tracker.yaml")
    (job,) = tracker.initialize_jobs([("video", "s1")])
    tracker.start_job(job)
    tracker.fail_job(job, "a camera is missing")
    store = Store(root / "store")
    store.add("a", {"x": "text" * 2000})
    store.snapshot("s1")
    shutil.copytree(root / "log", root / "sealed")
    subprocess.run(["git", "init", "-q", root / "repository"], check=True)
    save_ptycho(root / "data.npz")
    (root / "idle_rig.py").write_text(
        "def idle(source):\n    for _ in source.running(rate_hz=50):\n        source.put(1)\n"
    )
    (root / "rig.yaml").write_text("log: rig\nsources:\n  idle: {producer: 'idle_rig:idle', dtype: u1}\n")
    (root / "tree").mkdir()
    (root / "tree" / "_meta.yaml").write_text("config: {n: 1}\nstatus: done\n")
    (root / "folio").mkdir()
    (root / "folio" / "items.json").write_text('{"items": []}')
    store.add("external/kept", root / "data.npz")
    places = {name: root / name for name in ("folder", "empty", "locked", "nowhere")}
    return places | {
        "root": root,
        "notes": root / "notes.txt",
        "broken": root / "broken.yaml",
        "tracker": tracker.file_path,
        "repository": root / "repository",
        "folio": root / "folio",
        "tree": root / "tree",
        "data": root / "data.npz",
        "files": root / "files" / "rig_data_log",
        "log": root / "log" / "rig_data_log",
        "sealed": root / "sealed" / "rig_data_log",
        "store": store.path,
        "rig": root / "rig.yaml",
        "segment": f"axds-fault-{os.getpid()}",
        "foreign": f"foreign-{os.getpid()}",
    }


def seal(scene):
    """Take from everybody what the faults `denied` are denied; return a deed that gives it back."""
    places = [scene["locked"], scene["sealed"] / "1_log.npz", scene["tracker"]]
    places.append(scene["store"] / ".axds" / "ledger")
    places += [path for path in platform.FOLDER.iterdir() if path.name.startswith("axds-")]
    modes = {path: path.stat().st_mode for path in places}
    for path in places:
        path.chmod(0)
    return lambda: [path.chmod(mode) for path, mode in modes.items() if path.exists()]


def fill(scene, disk):
    """Put a log, a tracker and nothing else on a small disk, and leave no room."""
    shutil.copytree(scene["files"], disk / "rig_data_log")
    shutil.copy(scene["tracker"], disk / "tracker.yaml")
    shutil.copytree(scene["store"], disk / "store")
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize))


def line_of(text, scene):
    return [word.format(**scene) for word in text.split()]


def needs_memory(command, stack, tmp_path, name):
    """Let there be the shared memory that a command looks at."""
    if command in ("log top", "log watch"):
        stack.enter_context(DataLogger(tmp_path / "top", "watched", storage="journal"))
    if command in ("shm show", "shm rm"):
        code = "import sys; from ataraxis_data_structures.memory.segment import Kind, Segment\n"
        code += "Segment.create(sys.argv[1], 64, kind=Kind.ARRAY)"
        subprocess.run([sys.executable, "-c", code, name], check=True)
        stack.callback((platform.FOLDER / name).unlink, missing_ok=True)


def test_every_command_has_a_row_for_every_fault():
    assert sorted(TABLE) == sorted(GOOD) == COMMANDS
    assert all(set(rows) == set(FAULTS) for rows in TABLE.values())


@pytest.mark.parametrize(("command", "fault", "row"), ROWS)
def test_a_fault_is_answered_with_what_to_do(command, fault, row, scene, axds, request, tmp_path, monkeypatch):
    monkeypatch.chdir(scene["empty"])
    if fault == "full":
        scene["full"] = request.getfixturevalue("small_disk")
        fill(scene, scene["full"])
    library = NEEDS.get(command)  # asked for once the words and the log were read
    if library and fault in ("denied", "full") and not importlib.util.find_spec(library):
        row = Row(row.words, "pip install 'ataraxis-data-structures[")
    with ExitStack() as stack:
        needs_memory(command if fault == "denied" else "", stack, tmp_path, scene["segment"])
        if "{foreign}" in row.words or row.words == "shm ls":
            foreign = platform.FOLDER / scene["foreign"]
            foreign.write_bytes(b"mine" * 2048)
            stack.callback(foreign.unlink)
        if fault == "denied":
            stack.callback(seal(scene))
        got = axds(*line_of(row.words, scene), powerless=fault == "denied")
    said = got.err if row.status and command != "log verify" else got.out + got.err
    assert (got.status, row.says in said) == (row.status, True), got
    assert got.err.count("\n") <= 1, got.err
    assert not [path for path in scene["empty"].rglob("*") if "partial" in path.name]


def run_good(command, scene, stack, tmp_path, **options):
    """Start a command that would run well."""
    if (library := NEEDS.get(command)) and not importlib.util.find_spec(library):
        command = "log report"
    needs_memory(command, stack, tmp_path, scene["segment"])
    words = line_of(GOOD[command], scene)
    return subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, text=True, cwd=scene["empty"], **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_leaves_ends_a_command_silently(command, scene, tmp_path):
    read, write = os.pipe()
    os.close(read)
    with ExitStack() as stack:
        process = run_good(command, scene, stack, tmp_path, stdout=write)
        os.close(write)
        err = process.communicate(timeout=60)[1]
    bars = [line for line in err.replace("\r", "\n").splitlines() if line and "recording" not in line]
    assert (process.returncode, bars) == (141, [])


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_without_room_is_told(command, scene, tmp_path):
    with ExitStack() as stack, Path("/dev/full").open("w") as full:
        process = run_good(command, scene, stack, tmp_path, stdout=full)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert err.splitlines()[-1] == f"axds: {FULL} and run the command again"


# Ctrl-C some milliseconds after the command began; a terminal sends it to the whole group.
INTERRUPTED = """
import os, signal, sys, threading
from ataraxis_data_structures.cli import main
timer = threading.Timer(float(sys.argv[1]), os.killpg, (0, signal.SIGINT))
timer.daemon = True
timer.start()
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_any_moment_is_one_word(command, scene, tmp_path, rounds):
    chance = random.Random(command)
    longest_s = {"demo": 3.0, "doctor": 2.0}.get(command, 0.4)
    for turn in range(rounds(25, 2)):
        with ExitStack() as stack:
            needs_memory(command, stack, tmp_path / str(turn), scene["segment"])
            after_s = chance.uniform(0.01, longest_s)  # the command's own frame is up by then
            words = line_of(GOOD[command], scene)
            process = subprocess.Popen(
                [sys.executable, "-c", INTERRUPTED, f"{after_s}", *words],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=scene["empty"],
            )  # fmt: skip
            _, err = process.communicate(timeout=60)
        assert "Traceback" not in err, (after_s, err)
        assert process.returncode in (0, 1, 130), (after_s, err)
        if process.returncode == 130:
            assert err.splitlines()[-1].endswith("axds: interrupted"), (after_s, err)
