import os
import shutil
import threading
import time

import pytest

from ataraxis_data_structures import delete_directory


def test_a_tree_with_everything_in_it_is_removed(tmp_path, plant, make_socket):
    odd = os.fsdecode(b"\xff\xfe")
    root = plant(
        tmp_path / "r",
        {"a": b"1", "e/f": None, "p": os.mkfifo, "s/s": make_socket, odd: b"2", "n" * 255: b"3", f"{odd}d/x": b"4"},
    )
    plant(root, {f"many/{i // 50}/{i}": b"" for i in range(2000)})
    delete_directory(root)
    assert os.listdir(tmp_path) == []


def test_links_are_unlinked_and_never_followed(tmp_path, plant):
    kept = plant(tmp_path / "kept", {"data": b"1", "sub/data": b"2"})
    root = plant(tmp_path / "r", {"x": b"1"})
    (root / "file").symlink_to(kept / "data")
    (root / "folder").symlink_to(kept)
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    delete_directory(root)
    assert sorted(os.listdir(tmp_path)) == ["kept"]
    assert (kept / "data").exists()
    assert (kept / "sub/data").exists()


def test_of_a_link_to_a_folder_only_the_link_goes(tmp_path, plant):
    kept = plant(tmp_path / "kept", {"data": b"1"})
    (tmp_path / "link").symlink_to(kept)
    delete_directory(tmp_path / "link")
    assert os.listdir(tmp_path) == ["kept"]
    assert (kept / "data").exists()


def test_a_dangling_link_is_unlinked(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    delete_directory(tmp_path / "link")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_nothing_to_remove(tmp_path):
    delete_directory(tmp_path / "none")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(NotADirectoryError):
        delete_directory(tmp_path / "f")
    assert (tmp_path / "f").exists()


def test_a_tree_deeper_than_any_path_is_removed(tmp_path):
    top = os.open(tmp_path, os.O_RDONLY)
    fd = os.dup(top)
    for _ in range(2500):
        os.mkdir("d", dir_fd=fd)
        with open(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd), "w"):
            pass
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    os.close(top)
    delete_directory(tmp_path / "d")
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_that_cannot_be_removed_is_left_with_a_warning(tmp_path, plant, unprivileged):
    root = plant(tmp_path / "r", {"closed/x": b"1"})
    (root / "closed").chmod(0o500)
    start = time.monotonic()
    with unprivileged(root), pytest.warns(RuntimeWarning, match="could not remove"):
        delete_directory(root)
    assert time.monotonic() - start < 4
    assert (root / "closed/x").exists()
    (root / "closed").chmod(0o700)


def test_a_folder_that_others_empty_as_well_is_gone_when_the_call_returns(tmp_path, plant):
    for turn in range(10):
        root = plant(tmp_path / f"r{turn}", {f"{i}/f": b"" for i in range(300)})

        def remove_some(root=root):
            for i in range(0, 300, 7):
                try:
                    (root / f"{i}/f").unlink()
                    (root / str(i)).rmdir()
                except OSError:
                    continue

        other = threading.Thread(target=remove_some)
        other.start()
        delete_directory(root)
        assert not root.exists()
        other.join()


def become_files(root):
    for name in ("a", "b"):
        shutil.rmtree(root / name)
        (root / name).write_bytes(b"")


def become_folders(root):
    (root / "f").unlink()
    (root / "f/g").mkdir(parents=True)


def lead_out(root):
    shutil.rmtree(root / "a")
    (root / "a").symlink_to(root.parent / "kept")


@pytest.mark.parametrize(
    "change",
    [lambda root: (root / "a").rmdir(), become_files, become_folders, lead_out, shutil.rmtree],
    ids=["a folder is gone", "folders are files", "a file is a folder", "a folder is a link", "all is gone"],
)
def test_what_others_replace_between_a_look_and_a_removal_goes_too(tmp_path, plant, monkeypatch, change):
    kept = plant(tmp_path / "kept", {"data": b"1"})
    root = plant(tmp_path / "r", {"a": None, "b/x": b"1", "f": b"2"})
    real, looked = os.scandir, []

    class Looking:
        """A look into a folder, after which others have their turn."""

        def __init__(self, fd):
            self.entries = real(fd)

        def __enter__(self):
            listed = list(self.entries)
            for entry in listed:
                entry.is_dir(follow_symlinks=False)
            if not looked:
                looked.append(1)
                change(root)
            return iter(listed)

        def __exit__(self, *error):
            self.entries.close()

    monkeypatch.setattr(os, "scandir", lambda fd: Looking(fd) if not looked else real(fd))
    delete_directory(root)
    assert looked
    assert not root.exists()
    assert (kept / "data").exists()


def test_a_folder_that_is_still_written_to_is_removed_once_the_writer_ends(tmp_path):
    root = tmp_path / "r"
    root.mkdir()
    ends = time.monotonic() + 0.8

    def keep_writing():
        i = 0
        while time.monotonic() < ends:
            try:
                root.mkdir(exist_ok=True)
                (root / str(i)).write_text("x")
            except (FileNotFoundError, FileExistsError):
                continue  # removed between the two, or between mkdir's own attempt and its look at what is there
            i += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    writer.join(0.1)
    delete_directory(root)
    writer.join()
    delete_directory(root)
    assert not root.exists()
