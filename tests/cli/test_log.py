"""`axds log`: every command on a log that was recorded, on one that is damaged, and on what is no log."""

import io
import os
import pty
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogArchiveReader, LogPackage, assemble_log_archives
from conftest_cli import ONSET_US, PROGRAM, record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One log in each of its forms, for tests to copy."""
    root = tmp_path_factory.mktemp("recorded")
    found = {kind: record(root / kind, storage=kind) for kind in ("journal", "npy")}
    shutil.copytree(root / "npy", root / "archives")
    assemble_log_archives(root / "archives" / "rig_data_log")
    return {
        "journals": found["journal"],
        "files": found["npy"],
        "archives": (root / "archives" / "rig_data_log", found["npy"][1]),
    }


@pytest.fixture
def journals(recorded, tmp_path):
    return copied(recorded["journals"], tmp_path)


@pytest.fixture
def files(recorded, tmp_path):
    return copied(recorded["files"], tmp_path)


@pytest.fixture
def archives(recorded, tmp_path):
    return copied(recorded["archives"], tmp_path)


def copied(log, tmp_path):
    directory, put = log
    return shutil.copytree(directory, tmp_path / "data" / directory.name), put


def damage(directory):
    """Flip a bit in the middle of the first archive's data; return the archive."""
    path = directory / "1_log.npz"
    data = bytearray(path.read_bytes())
    at = data.index(b"\x93NUMPY", len(data) // 3) + 130  # behind a header: in a message's bytes
    data[at] ^= 4
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("storage", "kind", "count"), [("npy", "files", 402), ("journal", "journals", 1)])
def test_logs_are_found_with_what_is_left_to_do(axds, tmp_path, storage, kind, count):
    directory, _ = record(tmp_path, storage=storage)
    row = axds("log", "ls", tmp_path, "--json").json[0]
    assert (row["directory"], row["state"], row[kind]) == (str(directory), "not assembled", count)
    assert "axds log assemble" in axds("log", "ls", tmp_path).out


def test_a_log_in_archives_is_listed_as_done(axds, archives, tmp_path):
    row = axds("log", "ls", tmp_path, "--json").json[0]
    assert (row["state"], row["archives"], row["files"]) == ("assembled", 2, 0)


def test_no_log_is_status_1_and_an_empty_list(axds, tmp_path):
    got = axds("log", "ls", tmp_path, "--json")
    assert (got.status, got.json) == (1, [])


@pytest.mark.parametrize("kept", ["journals", "files", "archives"])
def test_the_figures_shown_are_those_of_what_was_put(axds, kept, request):
    directory, put = request.getfixturevalue(kept)
    shown = {source["source"]: source for source in axds("log", "show", directory, "--json").json}
    assert shown.keys() == put.keys()
    for source, times in put.items():
        got, intervals = shown[source], np.diff(times)
        assert (got["messages"], got["payload_bytes"]) == (200, 200 * 16)
        assert (got["onset_us"], got["first_us"], got["last_us"]) == (ONSET_US, times[0], times[-1])
        assert got["longest_gap_us"] == intervals.max()
        assert got["gaps"] == 1
        assert got["interval_median_us"] == np.median(intervals)
        assert got["rate_hz"] == pytest.approx(199e6 / (times[-1] - times[0]))
    assert "200" in axds("log", "show", directory).out


def test_a_gap_is_what_is_asked_for(axds, archives):
    shown = axds("log", "show", archives[0], "--json", "--gap-ms", "300").json
    assert [source["gaps"] for source in shown] == [0, 0]


def test_assembly_prints_the_archives_and_they_hold_what_was_put(axds, files):
    directory, put = files
    rows = axds("log", "assemble", directory, "--verify", "--json").json
    assert {row["source"]: row["messages"] for row in rows} == {"1": 200, "2": 200}
    for source, times in put.items():
        assert (LogArchiveReader(directory / f"{source}_log.npz").read_all_messages()[0] == times).all()
    assert not list(directory.glob("*.npy"))


def test_assembly_keeps_its_sources_when_asked(axds, files):
    assert axds("log", "assemble", files[0], "--keep").status == 0
    assert len(list(files[0].glob("*.npy"))) == 402


@pytest.mark.parametrize("kept", ["journals", "files", "archives"])
def test_a_sound_log_is_verified(axds, kept, request):
    got = axds("log", "verify", request.getfixturevalue(kept)[0], "--json", "--gap-ms", "1000")
    assert (got.status, got.json["sound"]) == (0, True)


def test_a_damaged_archive_is_status_1_and_named(axds, archives):
    path = damage(archives[0])
    got = axds("log", "verify", archives[0])
    assert got.status == 1
    assert f"BAD  {path.name}" in got.out
    assert "ok   2_log.npz" in got.out
    assert axds("log", "verify", archives[0] / "2_log.npz", "--gap-ms", "1000").status == 0


def test_a_damaged_journal_is_status_1_and_says_how_much(axds, journals):
    path = next(journals[0].glob("*.axj"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    got = axds("log", "verify", journals[0])
    assert got.status == 1
    assert "damaged bytes" in got.out


def test_recovery_of_a_whole_log_finds_nothing_lost(axds, journals):
    got = axds("log", "recover", journals[0], "--json")
    assert (got.status, got.json["whole"]) == (0, True)
    assert sum(got.json["recovered"].values()) == 402


def interrupted(root, storage):
    """Record 100 messages of source 3 behind an onset, all still in shared memory when every process is killed."""
    code = (
        "import sys, os, signal, numpy as np; from pathlib import Path\n"
        "from ataraxis_data_structures import DataLogger, LogPackage\n"
        "logger = DataLogger(Path(sys.argv[1]), 'rig', storage=sys.argv[2]); logger.start()\n"
        "os.kill(logger.statistics.pid, signal.SIGSTOP)\n"
        "for t in range(101): logger.input_queue.put(LogPackage(np.uint8(3), np.uint64(t), np.zeros(8, np.uint8)))\n"
        "os.kill(logger.statistics.pid, signal.SIGKILL); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    words = [sys.executable, "-c", code, str(root), storage]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return root / "rig_data_log"


def test_recovery_completes_a_log_whose_processes_were_all_killed(axds, tmp_path):
    directory = interrupted(tmp_path, "journal")
    assert axds("log", "ls", tmp_path, "--json").json[0]["state"] == "interrupted"
    got = axds("log", "recover", directory, "--json")
    assert (got.status, got.json["recovered"]) == (0, {"3": 101})
    assert "nothing is known to be lost" in axds("log", "recover", directory).out
    assert axds("log", "ls", tmp_path, "--json").json[0]["state"] == "not assembled"


def test_assembly_recovers_first_what_a_crash_left(axds, tmp_path):
    directory = interrupted(tmp_path, "npy")
    rows = axds("log", "assemble", directory, "--json").json
    assert [(row["source"], row["messages"]) for row in rows] == [("3", 100)]
    assert axds("shm", "ls", "--json").json == []


@pytest.mark.parametrize("command", ["show", "verify", "assemble", "plot", "report"])
def test_what_is_no_log_is_refused_with_the_way_to_one(command, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No such" in refused("log", command, tmp_path / "nowhere")
    assert "axds log ls" in refused("log", command, tmp_path)
    (tmp_path / "notes.txt").write_text("no archive")
    assert "SOURCE_log.npz" in refused("log", command, tmp_path / "notes.txt")
    assert sorted(os.listdir(tmp_path)) == ["notes.txt"]


@pytest.mark.parametrize("command", ["show", "assemble", "plot"])
def test_an_archive_that_is_none_is_refused_by_name(command, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1_log.npz").write_bytes(b"not a zip file at all" * 40)
    (tmp_path / "001_00000000000000000000.npy").write_bytes(b"")
    assert "1_log.npz" in refused("log", command, tmp_path) or command == "assemble"


@pytest.mark.parametrize("command", ["show", "verify", "report"])
def test_an_archive_that_may_not_be_read_is_told(command, axds, archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (archives[0] / "1_log.npz").chmod(0)
    got = axds("log", command, archives[0], powerless=True)
    assert got.status == 1
    assert "1_log.npz" in got.err + got.out
    assert "ermission denied" in got.err + got.out


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_plot_is_a_picture_of_every_source(axds, archives, tmp_path, kind):
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"rates.{kind}"
    got = axds("log", "plot", archives[0], "-o", picture, "--json")
    assert [source["source"] for source in got.json["sources"]] == ["1", "2"]
    if kind == "svg":
        assert ET.parse(picture).getroot().tag.endswith("svg")
        return
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(picture.read_bytes()))
    assert pixels.shape[1] > 1000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def test_a_plot_of_what_is_not_there_is_refused(refused, archives, tmp_path):
    assert ".png or .svg" in refused("log", "plot", archives[0], "-o", tmp_path / "rates.gif")
    assert "expected sources among 1, 2" in refused("log", "plot", archives[0], "--source", "9")


def test_without_matplotlib_a_plot_says_what_to_install(archives, tmp_path, refused):
    blocker = tmp_path / "blocked" / "matplotlib"
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('planted')")
    env = {**os.environ, "PYTHONPATH": str(blocker.parent)}
    said = refused("log", "plot", archives[0], "-o", tmp_path / "a.png", env=env)
    assert "pip install 'ataraxis-data-structures[plot]'" in said
    assert not (tmp_path / "a.png").exists()


def test_a_report_is_one_page_with_the_figures_of_the_log(axds, archives, tmp_path):
    page = tmp_path / "report.html"
    assert axds("log", "report", archives[0], "-o", page, "--json").json["failed"] == ["gaps"]
    got = axds("log", "report", archives[0], "-o", page, "--json", "--gap-ms", "1000")
    assert (got.status, got.json["failed"]) == (0, [])
    text = page.read_text()
    assert 'data-source="1"' in text
    assert 'data-messages="200"' in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_report_of_a_damaged_log_says_so_and_is_status_1(axds, archives, tmp_path):
    damage(archives[0])
    got = axds("log", "report", archives[0], "-o", tmp_path / "report.html")
    assert got.status == 1
    assert "look at: 1_log.npz" in got.out
    assert "a check failed" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("command", ["plot", "report"])
def test_a_full_disk_leaves_no_half_picture(command, archives, refused, tmp_path, small_disk):
    pytest.importorskip("matplotlib")
    (small_disk / "filler").write_bytes(bytes(1 << 20))
    name = "out.png" if command == "plot" else "out.html"
    assert "No space left" in refused("log", command, archives[0], "-o", small_disk / name)
    assert sorted(os.listdir(small_disk)) == ["filler"]


def test_names_in_a_report_are_text_and_never_markup(axds, tmp_path):
    directory, _ = record(tmp_path / "<b>data", "<script>alert(1)", messages=20)
    page = tmp_path / "report.html"
    axds("log", "report", directory, "-o", page)
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;alert(1)_data_log" in page.read_text()


def test_top_shows_a_running_logger(axds, tmp_path):
    with DataLogger(tmp_path, "topped", storage="journal") as logger:
        for time in range(50):
            logger.input_queue.put(LogPackage(np.uint8(7), np.uint64(time), np.zeros(100, np.uint8)))
        logger.flush()
        got = axds("log", "top", "topped", "--json", "--count", "1", "--every", "0.1").json
        assert (got["state"], got["pid"]) == ("running", logger.statistics.pid)
        assert [(s["source"], s["accepted"], s["written"]) for s in got["sources"]] == [(7, 50, 50)]
        assert [producer["pid"] for producer in got["producers"]] == [os.getpid()]
        text = axds("log", "top", "topped", "--count", "1", "--every", "0.1").out
        assert "topped: running" in text
        assert "messages/s" in text


def test_top_ends_with_its_logger_and_at_ctrl_c(tmp_path):
    logger = DataLogger(tmp_path, "ending")
    watching = [*PROGRAM, "log", "top", "ending", "--every", "0.1"]
    first, second = (subprocess.Popen(watching, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2))
    for process in (first, second):
        process.stdout.readline()
    first.send_signal(signal.SIGINT)
    assert first.wait(20) == 130
    assert first.stderr.read() == b"axds: interrupted\n"
    del logger
    out, err = second.communicate(timeout=20)
    assert (second.returncode, err) == (0, b"")
    assert out.endswith(b"the logger has ended\n")
    first.stdout.close()
    first.stderr.close()


def test_top_on_a_terminal_draws_in_place_and_gives_the_cursor_back(tmp_path):
    with DataLogger(tmp_path, "drawn", storage="journal"):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([*PROGRAM, "log", "top", "drawn", "--every", "0.1"], stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""
        while b"no message yet" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        os.close(ours)
    assert b"\x1b[?25l" in seen
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    assert b"Traceback" not in seen


@pytest.mark.parametrize(("kind", "library"), [("parquet", "pyarrow"), ("h5", "h5py"), ("mcap", "mcap")])
def test_an_export_without_its_library_says_what_to_install(archives, tmp_path, refused, kind, library):
    blocker = tmp_path / "blocked" / library
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('planted')")
    env = {**os.environ, "PYTHONPATH": str(blocker.parent)}
    said = refused("log", "export", archives[0], "--format", kind, "-o", tmp_path / "out", env=env)
    assert "pip install 'ataraxis-data-structures[export]'" in said
    assert not (tmp_path / "out").exists()


def test_an_export_is_a_table_of_each_source(axds, archives, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    directory, put = archives
    assert axds("log", "export", directory, "-o", tmp_path / "out").status == 0
    for source, times in put.items():
        got = parquet.read_table(tmp_path / "out" / f"{source}_log.parquet")
        assert got["timestamp_us"].to_pylist() == times.tolist()
