"""`axds checksum`, `compare`, `transfer`, `delete`: folders told, held against each other, copied, removed."""

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios

import pytest

from ataraxis_data_structures import calculate_directory_checksum
from conftest_cli import PROGRAM


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "session"
    (made / "deep").mkdir(parents=True)
    (made / "file.txt").write_text("content")
    (made / "deep" / "more.bin").write_bytes(bytes(range(256)) * 100)
    return made


def test_a_checksum_is_printed_and_saved_only_when_asked(axds, tmp_path):
    (tmp_path / "file.txt").write_text("content")
    want = "f8a5ae921b1e0bb89f097bcacfd82a62"  # of this one file, by the contract
    assert axds("checksum", tmp_path).out == f"{want}\n"
    assert os.listdir(tmp_path) == ["file.txt"]
    assert axds("checksum", tmp_path, "--save", "--json").json["checksum"] == want
    assert (tmp_path / "ax_checksum.txt").read_text() == want


def test_a_manifest_names_each_file(axds, folder):
    got = axds("checksum", folder, "--manifest", "--json").json
    assert sorted(got["manifest"]) == ["deep/more.bin", "file.txt"]
    assert "deep/more.bin" in axds("checksum", folder, "--manifest").out


def test_a_changed_folder_fails_its_check(axds, folder):
    axds("checksum", folder, "--save")
    assert axds("checksum", folder, "--verify").status == 0
    (folder / "file.txt").write_text("changed")
    assert axds("checksum", folder, "--verify").status == 1
    got = axds("checksum", folder, "--verify", "--json")
    assert (got.status, got.json["unchanged"]) == (1, False)


def test_a_check_names_the_files_that_differ(axds, folder):
    want = axds("checksum", folder, "--save", "--json").json["checksum"]
    assert axds("checksum", folder, "--json").json["checksum"] == want  # what --save keeps counts in no checksum
    status = (folder / "file.txt").stat()
    (folder / "file.txt").write_text("x" * status.st_size)
    os.utime(folder / "file.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "deep" / "more.bin").unlink()
    (folder / "new").write_text("new")
    got = axds("checksum", folder, "--verify")
    assert "changed: 'file.txt', missing: 'deep/more.bin', unexpected: 'new'" in got.err
    assert axds("checksum", folder, "--verify", "--json").json["files"] == ["file.txt", "deep/more.bin", "new"]
    shutil.copytree(folder, folder.with_name("copy"))
    assert "'file.txt'" in axds("checksum", folder.with_name("copy"), "--verify").err


def test_a_check_of_what_the_library_saved_names_the_files_written_since(axds, folder):
    calculate_directory_checksum(folder)
    assert not (folder / ".ax_manifest").exists()
    later_ns = (folder / "ax_checksum.txt").stat().st_mtime_ns + 10**9
    for name in ("file.txt", "deep/more.bin"):
        os.utime(folder / name, ns=(0, 0))
    (folder / "file.txt").write_text("changed")
    os.utime(folder / "file.txt", ns=(later_ns, later_ns))
    got = axds("checksum", folder, "--verify")
    assert (got.status, "written since the checksum was saved: 'file.txt'" in got.err) == (1, True)
    os.utime(folder / "file.txt", ns=(0, 0))
    assert "missing, renamed, or damaged" in axds("checksum", folder, "--verify").err


def test_a_check_without_a_saved_checksum_says_so(folder, refused):
    assert "ax_checksum.txt" in refused("checksum", folder, "--verify")


def test_what_differs_between_folders_is_named(axds, folder, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", folder, copy], check=True)
    assert axds("compare", folder, copy).status == 0
    (copy / "file.txt").write_text("other")
    (copy / "new").write_text("")
    (copy / "deep" / "more.bin").unlink()
    got = axds("compare", folder, copy, "--json")
    assert got.status == 1
    assert got.json == {"same": False, "only_first": ["deep/more.bin"], "only_second": ["new"], "changed": ["file.txt"]}
    assert "changed: file.txt" in axds("compare", folder, copy).out


def test_a_folder_is_copied_and_verified(axds, folder, tmp_path):
    copy = tmp_path / "copy"
    got = axds("transfer", folder, copy, "--verify", "--json")
    assert (got.status, got.json["verified"]) == (0, True)
    assert axds("compare", folder, copy).status == 0
    assert folder.exists()


def test_the_source_goes_after_its_copy_was_verified(axds, folder, tmp_path):
    assert axds("transfer", folder, tmp_path / "copy", "--remove-source").status == 0
    assert not folder.exists()
    assert (tmp_path / "copy" / "deep" / "more.bin").exists()


def test_a_full_disk_is_told_and_the_source_is_whole(axds, folder, refused, small_disk):
    (folder / "large").write_bytes(os.urandom(2 << 20))
    assert "No space left" in refused("transfer", folder, small_disk / "copy", "--remove-source")
    assert (folder / "large").stat().st_size == 2 << 20


def test_a_folder_is_deleted_when_somebody_said_yes(axds, folder, refused):
    assert "--yes" in refused("delete", folder, stdin=subprocess.DEVNULL)
    assert folder.exists()
    assert axds("delete", folder, "--yes", "--json").json["deleted"]
    assert not folder.exists()


@pytest.mark.parametrize(("answer", "gone"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_at_a_terminal_it_is_asked_before_a_folder_goes(folder, answer, gone):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PROGRAM, "delete", str(folder)], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer)
    assert process.wait(30) == (0 if gone else 1)
    os.close(ours)
    assert folder.exists() != gone


def test_long_work_shows_a_bar_on_a_terminal_and_ends_at_ctrl_c(folder):
    with (folder / "large").open("wb") as file:
        file.truncate(64 << 30)  # sparse: a long row of zeros
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = subprocess.Popen([*PROGRAM, "checksum", str(folder)], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"%" not in seen:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    process.stdout.close()
    assert b"checksum" in seen
    assert b"axds: interrupted" in seen
    assert b"Traceback" not in seen
