"""`axds doctor`: what it measures, and what it advises."""

import os
import signal
import subprocess
import time

from ataraxis_data_structures.system import platform
from conftest_cli import PROGRAM

PLAN = ("--sources", "2", "--rate", "200", "--seconds", "1", "--storage", "journal")


def test_a_small_plan_is_measured_and_the_folder_left_as_it_was(axds, tmp_path):
    got = axds("doctor", tmp_path, *PLAN, "--json")
    findings = {finding["name"]: finding for finding in got.json["findings"]}
    asked = {"clock", "time of day", "room", "disk", "small files", "sync", "rig", "puts", "stop"}
    assert asked | {str(platform.FOLDER)} <= set(findings)
    assert 100 < findings["rig"]["figures"]["lowest_hz"] <= 201
    assert findings["disk"]["figures"]["bytes_per_s"] > 0
    assert got.status == (0 if got.json["healthy"] else 1)
    assert os.listdir(tmp_path) == []


def test_room_is_told_for_whole_blocks_and_file_numbers(axds, tmp_path):
    disk = os.statvfs(tmp_path)
    words = ("doctor", tmp_path, "--sources", "2", "--rate", "100", "--seconds", "0.5", "--json", "--storage")
    findings = [{finding["name"]: finding for finding in axds(*words, storage).json["findings"]}
                for storage in ("npy", "journal")]  # fmt: skip
    files, journal = (found["room"]["figures"] for found in findings)
    assert files["hours"] * 3600 * 200 * disk.f_frsize <= files["free_bytes"]
    assert not disk.f_files or files["hours"] * 3600 * 200 <= 1.01 * disk.f_favail
    assert journal["hours"] > files["hours"]
    assert journal["hours"] * 3600 * 200 * (64 + 32) <= journal["free_bytes"]


def test_a_plan_that_no_machine_holds_is_status_1_with_advice(axds, tmp_path):
    got = axds("doctor", tmp_path, "--sources", "2", "--rate", "10000000", "--payload", "60000", "--seconds", "0.5",
               "--storage", "journal")  # fmt: skip
    assert got.status == 1
    assert "BAD   rig: " in got.out
    assert "-> " in got.out
    assert "not fit" in got.out
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_or_not_writable_is_told(refused, tmp_path):
    assert "nowhere: No such file or directory; check the path" in refused("doctor", tmp_path / "nowhere")
    tmp_path.chmod(0o500)
    assert "Permission denied" in refused("doctor", tmp_path, *PLAN, powerless=True)
    tmp_path.chmod(0o700)


def test_a_full_disk_is_told(refused, small_disk):
    assert "No space left" in refused("doctor", small_disk, *PLAN)
    assert os.listdir(small_disk) == []


def test_ctrl_c_in_the_trial_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, "doctor", str(tmp_path), "--sources", "2", "--rate", "100", "--seconds", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".axds-doctor-*/doctor_data_log/*.axj")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the whole group
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"axds: interrupted\n")
    assert os.listdir(tmp_path) == []
