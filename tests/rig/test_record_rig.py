"""`axds record`: what a rig file names is recorded whole, and whatever goes wrong is told at once and in one line."""

import json
import signal
import socket
import struct
import subprocess
import textwrap
import time

import pytest

from ataraxis_data_structures import ConfigError, assemble_log_archives, open_session
from ataraxis_data_structures.rig.plan import read_rig
from conftest_cli import PROGRAM, axds, refused  # noqa: F401 fixtures

FUNCTIONS = """
import os, signal, sys
import numpy as np

def count(source, start=0):
    for number, _ in enumerate(source.running(rate_hz=200)):
        source.put(start + number)

def few(source, raises=False, kills=False):
    for number in range(20):
        source.put(number)
    if raises:
        raise ValueError("the pump\\nis dry")
    if kills:
        os.kill(os.getpid(), signal.SIGKILL)

def stuck(source):
    source.put(1)
    while True:
        signal.pause()
"""


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def rig(tmp_path):
    """Write a rig file beside a module of functions."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)

    def write(text):
        path = tmp_path / "rig.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return write


class Recording:
    """A recording that runs in a process of its own."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [*PROGRAM, "record", *map(str, words), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines = iter(self.process.stderr.readline, "")
        assert any("recording into" in line for line in lines)  # libraries may say something before

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        out, err = self.process.communicate(timeout=60)
        assert "Traceback" not in err
        return json.loads(out), err

    def rows(self, document):
        return {source["name"]: source for source in document["sources"]}


def opened(directory):
    assemble_log_archives(directory)
    return open_session(directory)


def wait_until(condition):
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


BOTH = """
    log: morning
    storage: {storage}
    metadata: {{animal: M17}}
    sources:
      encoder:
        udp: {port}
        dtype: {{position: <u4, speed: <f4}}
        unit: counts
        rate_hz: 1000
        metadata: {{wheel: left}}
      counter: {{producer: "functions:count", dtype: <i8, options: {{start: 5}}, code: 77}}
"""


@pytest.mark.parametrize(("storage", "number"), [("journal", signal.SIGINT), ("npy", signal.SIGTERM)])
def test_datagrams_and_a_function_are_recorded_until_a_signal_ends_them(rig, port, tmp_path, storage, number):
    recording = Recording(rig(BOTH.format(port=port, storage=storage)), tmp_path / "data")
    sent = [struct.pack("<If", at, at / 2) for at in range(300)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for data in [*sent[:100], b"", b"longer than a message", *sent[100:]]:
            device.sendto(data, ("127.0.0.1", port))
        time.sleep(0.3)
    document, _ = recording.end(number)
    assert recording.process.returncode == 0
    rows = recording.rows(document)
    assert (rows["encoder"]["messages"], rows["encoder"]["skipped"], rows["encoder"]["dropped"]) == (300, 2, 0)
    assert "expected datagrams of 8 bytes, got" in rows["encoder"]["error"]
    assert document["next"] == f"axds log assemble {tmp_path / 'data' / 'morning_data_log'}"
    session = opened(tmp_path / "data" / "morning_data_log")
    assert session["encoder"].arrays().tobytes() == b"".join(sent)
    assert session["counter"].arrays().tolist() == [5 + at for at in range(rows["counter"]["messages"])]
    told = session["encoder"].source
    assert (told.code, told.unit, told.rate_hz) == (1, "counts", 1000)
    assert told.metadata == {"device": "udp", "wheel": "left"}
    assert session["counter"].source.code == 77
    assert session.session.metadata == {"animal": "M17"}


def test_a_second_recording_takes_a_directory_of_its_own_and_the_duration_ends_it(axds, rig, tmp_path):  # noqa: F811
    path = rig("log: a\nduration_s: 60\nsources: {counter: {producer: 'functions:count', dtype: <i4}}")
    for name in ("a_data_log", "a_2_data_log"):
        began_s = time.monotonic()
        got = axds("record", path, tmp_path, "--duration", "0.3")
        assert time.monotonic() - began_s > 0.3
        assert got.status == 0, got
        assert f"next: `axds log assemble {tmp_path / name}`" in got.out
        assert len(opened(tmp_path / name)["counter"]) > 10


@pytest.mark.parametrize("how", ["raises", "kills"])
@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_producer_that_dies_is_told_at_once_and_loses_nothing(rig, tmp_path, how, on_error):
    text = f"""
        log: a
        on_error: {on_error}
        sources:
          counter: {{producer: "functions:count", dtype: <i4}}
          pump: {{producer: "functions:few", dtype: <i4, options: {{{how}: true}}}}
    """
    recording = Recording(rig(text), tmp_path)
    line = recording.process.stderr.readline()
    said = {"raises": "exit status 1: ValueError: the pump is dry (functions.py, line 13)", "kills": "signal 9"}[how]
    assert f"source pump ended with {said}; the recording {'goes on' if on_error == 'continue' else 'ends'}" in line
    if on_error == "continue":
        time.sleep(0.3)
        assert recording.process.poll() is None
    document, _ = recording.end() if on_error == "continue" else recording.ended()
    assert recording.process.returncode == 1
    assert recording.rows(document)["pump"]["failed"]
    session = opened(tmp_path / "a_data_log")
    assert session["pump"].arrays().tolist() == list(range(20))
    assert session["counter"].arrays().tolist() == list(range(len(session["counter"])))


def test_a_recording_whose_producers_have_all_ended_is_over(axds, rig, tmp_path):  # noqa: F811
    got = axds("record", rig("log: a\nsources: {f: {producer: 'functions:few', dtype: <i4}}"), tmp_path)
    assert got.status == 0
    assert "source f ended with exit status 0; the recording ends" in got.err
    assert opened(tmp_path / "a_data_log")["f"].arrays().tolist() == list(range(20))


def test_a_function_that_does_not_end_is_killed_and_told(rig, tmp_path):
    recording = Recording(rig("log: a\nsources: {s: {producer: 'functions:stuck', dtype: <i4}}"), tmp_path)
    document, _ = recording.end()
    assert recording.process.returncode == 1
    assert "did not end within 5 s" in recording.rows(document)["s"]["error"]
    assert opened(tmp_path / "a_data_log")["s"].arrays().tolist() == [1]


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_killed_recording_is_recovered_and_its_producers_end(axds, rig, port, tmp_path, storage):  # noqa: F811
    recording = Recording(rig(BOTH.format(port=port, storage=storage)), tmp_path)
    directory = tmp_path / "morning_data_log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for at in range(50):
            device.sendto(struct.pack("<If", at, 0), ("127.0.0.1", port))
    time.sleep(0.3)
    recording.process.kill()
    recording.process.communicate()
    wait_until(lambda: axds("log", "recover", directory).status == 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:  # the producer has let go of its port
        wait_until(lambda: _binds(again, port))
    session = opened(directory)
    assert session["encoder"].arrays()["position"].tolist() == list(range(50))
    counts = session["counter"].arrays().tolist()
    assert counts == [5 + at for at in range(len(counts))]
    assert counts


def _binds(again, port):
    try:
        again.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


ONE = "log: a\nsources:\n  s:\n    udp: 5005\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: expected keys and values"),
        ("log: [a", "line 1: "),
        ("log: a\n\tx: 1", "line 2: "),
        ("sources: {}", "line 1: expected the key 'log'"),
        ("log: a", "expected at least one source"),
        ("log: a/b\nsources: {}", "line 1, log: expected a name of letters"),
        ("log: a\nlog: b", "line 2, log: the key is there twice"),
        ("log: a\nstorage: tape", "line 2, storage: expected one of journal, npy, got 'tape'"),
        ("log: a\nsnyc: batch\n" + ONE[7:], "line 2, snyc: no such key; did you mean 'sync'?"),
        ("log: a\nlane_bytes: 5000", "line 2, lane_bytes: expected a power of two"),
        ("log: a\nmetadata: {day: 2024-01-01}", "line 2, metadata: expected texts"),
        ("log: a\nsources: [1]", "line 2, sources: expected keys and values"),
        (ONE + "    dtype: float33", "line 5, sources.s.dtype: expected a data type of numpy"),
        (ONE + "    dtype: O", "line 5, sources.s.dtype: expected a dtype of a fixed size"),
        (ONE + "    shape: [0]", "line 5, sources.s.shape: expected lengths from 1 on"),
        (ONE + "    rate_hz: fast", "line 5, sources.s.rate_hz: expected a number above 0"),
        (ONE + "    code: 256", "line 5, sources.s.code: expected a whole number from 0 to 255"),
        (ONE + "    metadata: {unit: V}", "sources.s.metadata.unit: a source has a key of this name"),
        (ONE + "    baud: 9600", "line 5, sources.s.baud: no such key"),
        (ONE + "    serial: /dev/ttyS0", "line 4, sources.s: expected one of the keys serial, udp, lsl, producer"),
        ("log: a\nsources: {s: {unit: V}}", "line 2, sources.s: expected one of the keys"),
        ("log: a\nsources: {s: {udp: 70000}}", "line 2, sources.s.udp: expected a port"),
        ("log: a\nsources: {s: {producer: camera}}", "line 2, sources.s.producer: expected module:function"),
        ("log: a\nsources: {s: {serial: x, header: zz}}", "line 2, sources.s.header: expected bytes in hexadecimal"),
        ("log: a\nsources: {s: {lsl: {nam: x}}}", "line 2, sources.s.lsl.nam: no such key; did you mean 'name'?"),
        (ONE + "  t:\n    udp: 5006\n    code: 1", "line 7, sources.t.code: source 's' has the code 1 already"),
    ],
)
def test_a_wrong_rig_file_is_one_sentence_with_line_and_key(rig, text, said):
    path = rig(text)
    with pytest.raises(ConfigError) as raised:
        read_rig(path)
    line = str(raised.value)
    assert line.startswith(f"{path}, line ")
    assert said in line
    assert "\n" not in line


def test_a_wrong_rig_file_is_told_before_anything_starts(refused, rig, tmp_path):  # noqa: F811
    assert "line 2, storage: expected" in refused("record", rig("log: a\nstorage: tape"), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("producer: 'nowhere:f'", "ModuleNotFoundError: No module named 'nowhere'"),
        ("producer: 'functions:nothing'", "has no attribute 'nothing'"),
        ("producer: 'functions:count', options: {speed: 3}", "unexpected keyword argument 'speed'"),
        ("udp: '192.0.2.77:5005'", "Cannot assign requested address"),
        ("serial: /dev/nowhere", "pip install 'ataraxis-data-structures[serial]'"),
        ("lsl: nowhere", "pip install 'ataraxis-data-structures[lsl]'"),
    ],
)
def test_a_device_that_cannot_be_opened_is_told_before_anything_is_recorded(refused, rig, tmp_path, source, said):  # noqa: F811
    for library in ("serial", "pylsl"):  # the folder of the rig file comes first
        (tmp_path / f"{library}.py").write_text("raise ImportError('planted')")
    path = rig(f"log: a\nsources:\n  good: {{producer: 'functions:count'}}\n  bad: {{{source}}}")
    line = refused("record", path, tmp_path / "data")
    assert f"{path}, line 4, sources.bad." in line
    assert said in line
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_told(refused, rig, port, tmp_path):  # noqa: F811
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert "already in use" in refused("record", rig(BOTH.format(port=port, storage="npy")), tmp_path)
