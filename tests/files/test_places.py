"""What destroys is refused where nobody means it, before anything is done."""

import os
import subprocess
from pathlib import Path

import pytest

from ataraxis_data_structures import transfer_directory


@pytest.fixture
def home(tmp_path, plant, monkeypatch):
    """Return a home folder, which is also the working directory."""
    folder = plant(tmp_path / "homes/me", {"thesis.txt": b"x", "sub/f": b"y"})
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def mounted(tmp_path):
    if os.geteuid():
        pytest.skip("mounts a file system")
    place = tmp_path / "holder/mnt"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    (place / "precious").write_text("x")
    yield place
    subprocess.run(["umount", place], check=True)


PLACES = [
    "",
    ".",
    "./",
    "..",
    "sub/..",
    "sub/.",
    "sub/../",
    "../me",
    "../../homes",
    "/",
    "//",
    "/.",
    "s3:/bucket",
    "s3://bucket/x",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_nobody_means_to_delete_is_refused(axds, home, place):
    got = axds("delete", place, "--yes")
    assert got.status in (1, 2)
    assert "expected" in got.err
    assert (home / "thesis.txt").exists()
    assert (home / "sub/f").exists()


@pytest.mark.parametrize("place", [place for place in PLACES if place not in (".", "./", "sub/.")])
def test_a_source_that_nobody_means_to_remove_is_refused_before_the_copy(axds, home, tmp_path, place):
    got = axds("transfer", place, tmp_path / "copy", "--remove-source")
    assert got.status in (1, 2)
    assert "expected" in got.err
    assert not (tmp_path / "copy").exists()
    assert (home / "thesis.txt").exists()


def test_the_working_directory_is_removed_by_its_name(axds, home, tmp_path, plant, monkeypatch):
    source = plant(tmp_path / "source", {"a": b"1"})
    monkeypatch.chdir(source)
    assert axds("transfer", ".", tmp_path / "copy", "--remove-source").status == 0
    monkeypatch.chdir(home)
    assert not source.exists()
    assert (tmp_path / "copy/a").exists()


@pytest.mark.parametrize("source", [Path(), Path("."), Path("sub/..")])
def test_a_path_without_a_name_is_not_removed_by_the_library(home, tmp_path, source):
    with pytest.raises(ValueError, match="expected"):
        transfer_directory(source, tmp_path / "copy", remove_source=True)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", [".", "mnt"], ids=["on", "beneath"])
def test_what_is_mounted_is_not_removed(axds, home, mounted, tmp_path, name):
    place = mounted if name == "mnt" else mounted.parent
    assert "mounted at" in axds("delete", place, "--yes").err
    with pytest.raises(ValueError, match="mounted at"):
        transfer_directory(place, tmp_path / "copy", remove_source=True)
    assert not (tmp_path / "copy").exists()
    assert (mounted / "precious").exists()


@pytest.mark.parametrize("command", ["checksum", "compare", "transfer"])
def test_an_empty_name_is_not_the_working_directory(axds, home, tmp_path, command):
    for words in (["", tmp_path / "x"], [tmp_path, ""]) if command != "checksum" else ([""],):
        assert axds(command, *words).status == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("options", [{}, {"remove_source": True}])
def test_a_url_that_went_through_a_path_is_no_local_folder(home, options):
    with pytest.raises(ValueError, match="URL"):
        transfer_directory(home / "sub", Path("s3://bucket/session"), **options)
    with pytest.raises(ValueError, match="URL"):
        transfer_directory(Path("s3://bucket/session"), home / "t", **options)
    assert sorted(os.listdir(home)) == ["sub", "thesis.txt"]


def test_a_link_to_the_home_folder_is_a_link_to_delete(axds, home, tmp_path):
    (tmp_path / "link").symlink_to(home)
    assert axds("delete", tmp_path / "link", "--yes").status == 0
    assert (home / "thesis.txt").exists()
