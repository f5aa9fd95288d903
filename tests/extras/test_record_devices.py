"""`axds record` with the libraries of its extras: a pseudo-terminal as a serial port, and pylsl's own outlet."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import tty

import numpy as np
import pytest

from ataraxis_data_structures import open_session
from conftest_cli import axds  # noqa: F401 a fixture
from rig.test_record_rig import Recording, opened, rig, wait_until  # noqa: F401 a fixture


@pytest.fixture
def terminal():
    """Give the device's end of a serial line, and the name of the other end."""
    pytest.importorskip("serial")
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def send(descriptor, data):
    while data:
        data = data[os.write(descriptor, data[:512]) :]


def test_records_of_a_serial_port_are_recorded(rig, terminal, tmp_path):  # noqa: F811
    device, name = terminal
    text = f"log: a\nsources: {{scale: {{serial: {name}, dtype: {{at: <u4, grams: <f4}}, unit: g}}}}"
    recording = Recording(rig(text), tmp_path)
    rows = np.zeros(3000, [("at", "<u4"), ("grams", "<f4")])
    rows["at"], rows["grams"] = np.arange(3000), np.arange(3000) / 8
    send(device, rows.tobytes())
    time.sleep(0.5)
    document, _ = recording.end()
    assert recording.process.returncode == 0
    assert recording.rows(document)["scale"]["messages"] == 3000
    np.testing.assert_array_equal(opened(tmp_path / "a_data_log")["scale"].arrays(), rows)


def test_records_behind_a_header_are_found_amid_other_bytes(rig, terminal, tmp_path):  # noqa: F811
    device, name = terminal
    text = f"log: a\nsources: {{imu: {{serial: {name}, dtype: <i2, shape: 3, header: 'aa 55'}}}}"
    recording = Recording(rig(text), tmp_path)
    rows = np.arange(600, dtype="<i2").reshape(200, 3)
    send(
        device,
        b"\x01\x02\xaa" + b"".join(b"\xaa\x55" + row.tobytes() + b"\x00" * (at % 2) for at, row in enumerate(rows)),
    )
    time.sleep(0.5)
    document, _ = recording.end()
    assert recording.rows(document)["imu"]["skipped"] >= 3 + 99
    np.testing.assert_array_equal(opened(tmp_path / "a_data_log")["imu"].arrays(), rows)


def test_lines_of_numbers_are_read_and_others_told(rig, terminal, tmp_path):  # noqa: F811
    device, name = terminal
    text = f"log: a\nsources: {{scale: {{serial: {name}, dtype: <u1, shape: 2, lines: true}}}}"
    recording = Recording(rig(text), tmp_path)
    send(device, b"1,2\r\n\r\nready\n3; 4\n5\n6 700\n8\t9\n10,1")
    time.sleep(0.5)
    document, _ = recording.end()
    row = recording.rows(document)["scale"]
    assert (row["messages"], row["skipped"]) == (3, 3)
    assert "line 'ready': expected 2 numbers, got 1" in row["error"]
    assert opened(tmp_path / "a_data_log")["scale"].arrays().tolist() == [[1, 2], [3, 4], [8, 9]]


def test_a_killed_recording_of_a_serial_port_is_recovered(axds, rig, terminal, tmp_path):  # noqa: F811
    device, name = terminal
    recording = Recording(rig(f"log: a\nsources: {{s: {{serial: {name}, dtype: <u4}}}}"), tmp_path)
    send(device, np.arange(1000, dtype="<u4").tobytes())
    time.sleep(0.5)
    recording.process.kill()
    recording.process.communicate()
    wait_until(lambda: axds("log", "recover", tmp_path / "a_data_log").status == 0)
    assert opened(tmp_path / "a_data_log")["s"].arrays().tolist() == list(range(1000))


OUTLET = """
import json, sys, time, pylsl
name = sys.argv[1]
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 4, 500, pylsl.cf_float32, name))
print("open", flush=True)
for line in sys.stdin:
    times = []
    for number in range(int(line)):
        times.append(pylsl.local_clock())
        outlet.push_sample([number, number + 0.25, number + 0.5, number + 0.75], times[-1])
        time.sleep(0.002)
    print(json.dumps(times), flush=True)
"""


@pytest.fixture
def outlet(monkeypatch, tmp_path):
    """Give a process with pylsl's own outlet, and the stream's name."""
    pytest.importorskip("pylsl")
    settings = tmp_path / "lsl_api.cfg"  # of this machine alone
    settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n")
    monkeypatch.setenv("LSLAPICFG", str(settings))
    name = f"axds-{os.getpid()}-{time.monotonic_ns()}"
    words = [sys.executable, "-c", OUTLET, name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        yield process, name
        process.kill()


def push(outlet, count):
    """Have samples pushed; return their times."""
    print(count, file=outlet[0].stdin, flush=True)
    return json.loads(outlet[0].stdout.readline())


@pytest.mark.parametrize("killed", [False, True])
def test_a_stream_is_recorded_with_its_own_times_and_recovered(axds, rig, outlet, tmp_path, killed):  # noqa: F811
    recording = Recording(rig(f"log: a\nsources: {{eeg: {{lsl: {outlet[1]}, unit: uV}}}}"), tmp_path)
    times = push(outlet, 300)
    time.sleep(0.5)
    directory = tmp_path / "a_data_log"
    if killed:
        recording.process.send_signal(signal.SIGKILL)
        recording.process.communicate()
        wait_until(lambda: axds("log", "recover", directory).status == 0)
    else:
        document, _ = recording.end()
        assert recording.rows(document)["eeg"]["messages"] == 300
    reader = opened(directory)["eeg"]
    assert open_session(directory)["eeg"].source.rate_hz == 500
    assert reader.arrays().dtype == np.dtype("<f4")
    np.testing.assert_array_equal(reader.arrays(), np.arange(300)[:, None] + np.array([0, 0.25, 0.5, 0.75]))
    steps = np.diff(reader.timestamps.astype(np.int64)) - np.diff(np.array(times) * 1e6)
    assert np.abs(steps).max() < 1000  # the clock of the stream is this machine's


@pytest.mark.parametrize(
    ("more", "said"),
    [("dtype: <i4", "expected a stream of int32, got float32"), ("shape: 3", "of the shape (3,), got 4 channels")],
)
def test_a_stream_of_another_kind_is_refused_before_anything_is_recorded(axds, rig, outlet, tmp_path, more, said):  # noqa: F811
    path = rig(f"log: a\nsources: {{eeg: {{lsl: {outlet[1]}, {more}}}}}")
    got = axds("record", path, tmp_path / "data")
    assert (got.status, said in got.err) == (1, True), got
    assert not (tmp_path / "data").exists()


def test_a_stream_that_is_not_there_is_told(axds, rig, outlet, tmp_path):  # noqa: F811
    got = axds("record", rig("log: a\nsources: {eeg: {lsl: nobody, wait_s: 0.5}}"), tmp_path)
    assert "expected a stream with name='nobody', found none within 0.5 s" in got.err
