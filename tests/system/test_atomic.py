import os
import subprocess
import sys

import pytest

from ataraxis_data_structures import atomic_write, direct_write


@pytest.mark.parametrize("write", [atomic_write, direct_write])
def test_text_is_utf8_and_bytes_are_bytes_under_missing_parents(tmp_path, write):
    with write(tmp_path / "a" / "b" / "text") as file:
        file.write("é\n")
    with write(tmp_path / "a" / "b" / "bytes", binary=True) as file:
        file.write(b"\xff\n")
    assert (tmp_path / "a/b/text").read_bytes() == "é\n".encode()
    assert (tmp_path / "a/b/bytes").read_bytes() == b"\xff\n"


@pytest.mark.parametrize("write", [atomic_write, direct_write])
def test_the_mode_is_what_the_umask_leaves(tmp_path, write):
    before = os.umask(0o027)
    try:
        with write(tmp_path / "f"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


def test_an_atomic_write_shows_its_temporary_beside_the_old_contents_until_the_end(tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert sorted(os.listdir(tmp_path)) == [f".f.txt.{os.getpid()}.tmp", "f.txt"]
        assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f.txt"]
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_atomic_write_leaves_the_target_alone_and_no_temporary(tmp_path, error):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as file:  # noqa: PT012 - the block is what fails
        file.write("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_handle_closed_by_its_user_is_still_published(tmp_path):
    with atomic_write(tmp_path / "f") as file:
        file.write("x")
        file.close()
    assert (tmp_path / "f").read_text() == "x"


def test_two_writers_of_one_process_do_not_share_a_temporary(tmp_path):
    path = tmp_path / "f"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write("first")
        second.write("second")
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["f"]


def test_an_atomic_write_replaces_a_link_and_a_direct_one_follows_it(tmp_path):
    (tmp_path / "real").write_text("kept")
    for name, write, want in (("one", atomic_write, "kept"), ("two", direct_write, "new")):
        (tmp_path / name).symlink_to("real")
        with write(tmp_path / name) as file:
            file.write("new")
        assert (tmp_path / name).read_text() == "new"
        assert (tmp_path / "real").read_text() == want


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, os.fsdecode(b"\xff\xfe"), "x.tmp"])
def test_long_and_odd_names_can_be_written_atomically(tmp_path, name):
    with atomic_write(tmp_path / name) as file:
        file.write("x")
    assert os.listdir(tmp_path) == [name]


def test_sigkill_during_an_atomic_write_leaves_the_old_contents(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from ataraxis_data_structures import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as f:\n"
        "    f.write('new'); f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    assert path.read_text() == "old"
