import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import oracle_files
from ataraxis_data_structures import (
    IntegrityError,
    calculate_directory_checksum,
    compare_directories,
    delete_directory,
    transfer_directory,
)

ODD = os.fsdecode(b"\xff\xfe")
MANY = {f"many/{i // 100}/{i}": os.urandom(i) for i in range(300)}
ENTRIES = {
    "a": b"1",
    "empty": b"",
    "e/f": None,
    "big": os.urandom(3_000_001),
    ODD: b"2",
    f"{ODD}d/x": b"3",
    "n" * 255: b"4",
    "/".join(["deep"] * 40): b"5",
    **MANY,
}
KINDS = {"verify_integrity": True}, {}


def listing(root):
    """Return every path with its kind, mode, mtime and contents, without following links."""
    found = {}
    for path in Path(root).rglob("*"):
        status = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (
            stat.S_IFMT(status.st_mode),
            stat.S_IMODE(status.st_mode),
            status.st_mtime_ns,
            what,
        )
    return found


@pytest.fixture
def source(tmp_path, plant):
    root = plant(tmp_path / "source", ENTRIES)
    (root / "a").chmod(0o640)
    (root / "e").chmod(0o750)
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(10**18, 10**18 + len(path.name)))
    return root


@pytest.mark.disk
@pytest.mark.parametrize("threads", [1, 0, 3])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_contents_empty_folders_modes_and_times_are_kept(tmp_path, source, options, threads):
    os.utime(source, ns=(10**18, 10**18))
    assert transfer_directory(source, tmp_path / "p.q" / "t.r", threads, **options) is None
    assert sorted(os.listdir(tmp_path / "p.q")) == ["t.r"]
    assert listing(tmp_path / "p.q/t.r") == listing(source)
    if not options:
        assert (tmp_path / "p.q/t.r").stat().st_mtime_ns == 10**18


@pytest.mark.parametrize("mask", [0, 0o077])
def test_the_umask_has_no_say_in_modes(tmp_path, source, mask):
    before = os.umask(mask)
    try:
        transfer_directory(source, tmp_path / "t")
    finally:
        os.umask(before)
    assert listing(tmp_path / "t") == listing(source)


def test_verification_makes_the_checksum_of_the_source_and_copies_it(tmp_path, source):
    transfer_directory(source, tmp_path / "t", verify_integrity=True)
    want = oracle_files.checksum(source)
    for root in (source, tmp_path / "t"):
        assert (root / "ax_checksum.txt").read_text() == want
    assert calculate_directory_checksum(tmp_path / "t", save_checksum=False) == want


def test_a_checksum_that_the_source_does_not_keep_publishes_nothing(tmp_path, source):
    (source / "ax_checksum.txt").write_text("0" * 32)
    with pytest.raises(RuntimeError, match="expected checksum"):
        transfer_directory(source, tmp_path / "t", verify_integrity=True, remove_source=True)
    assert not (tmp_path / "t").exists()
    assert (source / "a").exists()


def test_an_empty_source_is_transferred_with_verification(tmp_path):
    (tmp_path / "s").mkdir()
    transfer_directory(tmp_path / "s", tmp_path / "t", verify_integrity=True)
    assert os.listdir(tmp_path / "t") == ["ax_checksum.txt"]


@pytest.mark.disk
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_source_is_removed_once_its_copy_was_read_back(tmp_path, source, options):
    want = {name: value for name, value in listing(source).items() if name != "ax_checksum.txt"}
    transfer_directory(source, tmp_path / "t", remove_source=True, **options)
    assert not source.exists()
    got = {name: value for name, value in listing(tmp_path / "t").items() if name != "ax_checksum.txt"}
    assert got == want


def test_unknown_files_stay_without_verification_and_stop_one_with_it(tmp_path, source, plant):
    target = plant(tmp_path / "t", {"mine": b"m", "a": b"old", "e/other": b"o"})
    with pytest.raises(RuntimeError, match="mine"):
        transfer_directory(source, target, verify_integrity=True)
    assert (target / "a").read_bytes() == b"old"
    assert not (source / "ax_checksum.txt").exists()
    transfer_directory(source, target)
    assert (target / "mine").read_bytes() == b"m"
    got = listing(target)
    assert {name: got[name] for name in ENTRIES if ENTRIES[name] is not None} == {
        name: value for name, value in listing(source).items() if ENTRIES.get(name) is not None
    }
    assert ".axds.partial" not in os.listdir(target)


def test_a_reset_removes_unknown_files_first(tmp_path, source, plant):
    target = plant(
        tmp_path / "t", {"mine": b"m", "e/other": b"o", "p": os.mkfifo, "many": b"a file in a folder's place"}
    )
    (target / "l").symlink_to("mine")
    transfer_directory(source, target, verify_integrity=True, reset_dirty_destination=True)
    assert listing(target) == listing(source)


def test_files_of_the_same_name_are_replaced_and_links_are_not_written_through(tmp_path, source, plant):
    kept = plant(tmp_path / "kept", {"data": b"kept"})
    target = plant(tmp_path / "t", {"a": b"old"})
    (target / "empty").symlink_to(kept / "data")
    transfer_directory(source, target, verify_integrity=True)
    assert listing(target) == listing(source)
    assert (kept / "data").read_bytes() == b"kept"


def test_a_linked_destination_is_the_folder_it_leads_to(tmp_path, source):
    (tmp_path / "real").mkdir()
    (tmp_path / "t").symlink_to("real")
    transfer_directory(source, tmp_path / "t")
    assert (tmp_path / "t").is_symlink()
    assert listing(tmp_path / "real") == listing(source)


@pytest.mark.disk
def test_a_second_call_writes_only_what_is_missing_or_differs(tmp_path, source):
    target = tmp_path / "t"
    transfer_directory(source, target)
    inodes = {path: path.stat().st_ino for path in target.rglob("*") if path.is_file()}
    (target / "a").unlink()
    times = (target / "big").stat()
    with open(target / "big", "r+b") as file:
        file.write(b"\0")
    os.utime(target / "big", ns=(times.st_atime_ns, times.st_mtime_ns))  # only the contents tell
    transfer_directory(source, target, verify_integrity=True)
    assert listing(target) == listing(source)
    moved = {path.name for path, inode in inodes.items() if path.stat().st_ino != inode}
    assert moved <= {"a", "big"}
    assert "big" in moved


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_staged_leftover_is_gone_on_with_and_its_strays_are_dropped(tmp_path, source, plant, options):
    staging = plant(tmp_path / ".t.partial", {"stray": b"x", "gone/f": b"x", "a": b"wrong!", "many/0/7": b""})
    shutil.copy(source / "big", staging / "big")
    os.truncate(staging / "big", 2_000_000)
    with open(staging / "big", "r+b") as file:
        file.write(b"x")
    inode = (staging / "big").stat().st_ino
    (staging / "many").chmod(0o500)
    transfer_directory(source, tmp_path / "t", **options)
    assert listing(tmp_path / "t") == listing(source)
    assert (tmp_path / "t/big").stat().st_ino == inode
    assert not staging.exists()


def pipe(path):
    os.mkfifo(path)


def link(path):
    path.symlink_to("a")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s, t: (s / "p").symlink_to("a"),
        lambda s, t: (s / "e/l").symlink_to("nowhere"),
        lambda s, t: os.mkfifo(s / "p"),
        lambda s, t: t.mkdir() or (t / "a").mkdir(),
        lambda s, t: t.mkdir() or (t / "e").write_text("x"),
        lambda s, t: t.mkdir() or (t / "e").symlink_to("elsewhere"),
    ],
    ids=["link", "dangling link", "pipe", "folder for a file", "file for a folder", "link for a folder"],
)
def test_what_cannot_be_transferred_is_refused_before_anything_is_written(tmp_path, source, spoil):
    spoil(source, tmp_path / "t")
    before = sorted(map(str, tmp_path.rglob("*")))
    with pytest.raises(RuntimeError):
        transfer_directory(source, tmp_path / "t")
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_sockets_are_refused(tmp_path, plant, make_socket):
    plant(tmp_path / "s", {"one": make_socket})
    with pytest.raises(RuntimeError, match="one"):
        transfer_directory(tmp_path / "s", tmp_path / "t")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("source", "source"),
        ("source", "source/e/t"),
        ("source/many", "source"),
        ("linked", "t"),
        ("source", "up/source"),
    ],
    ids=["same", "target inside source", "source inside target", "linked source", "same by another way"],
)
def test_folders_that_are_not_apart_are_refused(tmp_path, source, start, end):
    (tmp_path / "linked").symlink_to("source")
    (tmp_path / "up").symlink_to(".")
    before = sorted(map(str, tmp_path.rglob("*")))
    for options in ({}, {"reset_dirty_destination": True, "remove_source": True, "verify_integrity": True}):
        with pytest.raises(RuntimeError):
            transfer_directory(tmp_path / start, tmp_path / end, **options)
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_a_missing_source_and_a_file_at_either_end_are_errors(tmp_path, source):
    (tmp_path / "f").write_text("x")
    with pytest.raises(FileNotFoundError):
        transfer_directory(tmp_path / "none", tmp_path / "t")
    with pytest.raises(NotADirectoryError):
        transfer_directory(tmp_path / "f", tmp_path / "t")
    with pytest.raises(FileExistsError):
        transfer_directory(source, tmp_path / "f")


@pytest.mark.parametrize("options", [*KINDS, {"remove_source": True}], ids=str)
def test_links_are_kept_on_request(tmp_path, source, options):
    (source / "file").symlink_to("a")
    (source / "e/folder").symlink_to("../many")
    (source / "dead").symlink_to("nowhere")
    (source / "loop").symlink_to("loop")
    want = listing(source)
    transfer_directory(source, tmp_path / "t", symlinks=True, **options)
    got = {name: value for name, value in listing(tmp_path / "t").items() if name != "ax_checksum.txt"}
    assert got == want
    if options.get("verify_integrity"):
        assert (tmp_path / "t/ax_checksum.txt").read_text() == oracle_files.checksum(tmp_path / "t")
    assert source.exists() != options.get("remove_source", False)


@pytest.mark.disk
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_holes_stay_holes(tmp_path, source, options):
    size = 64 << 20
    for name, spans in {
        "hole": [],
        "mid": [(30 << 20, b"m" * 5000)],
        "end": [(size - 1, b"e")],
        "start": [(0, b"s")],
    }.items():
        with open(source / name, "wb") as file:
            for offset, data in spans:
                file.seek(offset)
                file.write(data)
            file.truncate(size)
    transfer_directory(source, tmp_path / "t", **options)
    assert not compare_directories(source, tmp_path / "t")
    for name in ("hole", "mid", "end", "start"):
        assert (tmp_path / "t" / name).stat().st_blocks * 512 < 1 << 20


def test_hard_links_become_files_of_their_own(tmp_path, source):
    os.link(source / "a", source / "twin")
    transfer_directory(source, tmp_path / "t", verify_integrity=True)
    assert (tmp_path / "t/twin").stat().st_nlink == 1
    assert listing(tmp_path / "t") == listing(source)


def test_a_path_longer_than_the_kernel_takes_is_an_error_and_the_source_is_kept(tmp_path):
    (tmp_path / "s").mkdir()
    fd = os.open(tmp_path / "s", os.O_RDONLY)
    for _ in range(45):
        os.mkdir("d" * 100, dir_fd=fd)
        deeper = os.open("d" * 100, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    with pytest.raises(OSError, match="too long: 'ddd"):
        transfer_directory(tmp_path / "s", tmp_path / "t", verify_integrity=True, remove_source=True)
    assert not (tmp_path / "t").exists()
    assert os.stat("leaf", dir_fd=fd)
    os.close(fd)
    for folder in os.listdir(tmp_path):
        delete_directory(tmp_path / folder)


@pytest.mark.parametrize("size", [1000, 5_000_000])
def test_a_file_that_cannot_be_read_publishes_nothing(tmp_path, plant, unprivileged, size):
    source = plant(tmp_path / "source", {"ok": b"1", "closed": b"x" * size})
    (source / "closed").chmod(0)
    with unprivileged(tmp_path), pytest.raises(PermissionError) as caught:
        transfer_directory(source, tmp_path / "t", 2, verify_integrity=True, remove_source=True)
    assert caught.value.filename == "closed"
    assert sorted(os.listdir(source)) == ["closed", "ok"]
    assert not (tmp_path / "t").exists()


def test_a_user_without_privileges_keeps_folders_that_nobody_may_write_to(tmp_path, plant, unprivileged):
    source = plant(tmp_path / "source", {"locked/f": b"1", "locked/g": b"2"})
    (source / "locked/f").chmod(0o444)
    (source / "locked").chmod(0o555)
    with unprivileged(tmp_path):
        transfer_directory(source, tmp_path / "t")
        (tmp_path / "t").rename(tmp_path / ".again.partial")  # as if it had been interrupted at the very end
        transfer_directory(source, tmp_path / "again", verify_integrity=True)
        got = listing(tmp_path / "again")
        got.pop("ax_checksum.txt")
    assert {name: value[1] for name, value in got.items()} == {"locked": 0o555, "locked/f": 0o444, "locked/g": 0o644}


@pytest.mark.disk
@pytest.mark.parametrize("size", [100_000, 200_000_000])
def test_a_file_that_changes_while_it_is_copied_is_never_published_torn(tmp_path, plant, size):
    source = plant(tmp_path / "source", {"log": b"x" * size})
    done = threading.Event()

    def keep_writing():
        with open(source / "log", "r+b", buffering=0) as file:
            while not done.is_set():
                file.seek(0)
                file.write(b"y")
                file.seek(0, os.SEEK_END)
                file.write(b"z")

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        with pytest.raises(RuntimeError, match="changed"):  # noqa: PT012 - one of many calls meets the writer
            for _ in range(200):
                transfer_directory(source, tmp_path / "t", remove_source=True)
    finally:
        done.set()
        writer.join()
    assert (source / "log").exists()


def test_what_the_source_gains_after_the_copy_is_not_removed(tmp_path, source, monkeypatch):
    from ataraxis_data_structures.files import transfer

    for grow in (lambda: (source / "late").write_text("x"), lambda: (source / "a").write_text("changed")):
        real = transfer.remove_verified
        monkeypatch.setattr(transfer, "remove_verified", lambda *a, g=grow, r=real: (g(), r(*a)))
        with pytest.raises(RuntimeError, match="nothing is removed"):
            transfer_directory(source, tmp_path / "t", remove_source=True)
        monkeypatch.undo()
        (source / "late").unlink(missing_ok=True)
        assert (source / "big").exists()


def test_a_second_transfer_to_one_target_is_refused_while_the_first_runs(tmp_path, source):
    import fcntl

    staging = tmp_path / ".t.partial"
    staging.mkdir()
    holder = os.open(staging, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(RuntimeError, match="under way"):
            transfer_directory(source, tmp_path / "t")
    finally:
        os.close(holder)
    transfer_directory(source, tmp_path / "t")
    assert listing(tmp_path / "t") == listing(source)


FLIP = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#include <sys/types.h>
#include <stdlib.h>
static int hit(const void *data, size_t size) { return memmem(data, size, "NEEDLE", 6) != NULL; }
ssize_t write(int fd, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (!hit(data, size)) return real(fd, data, size);
    char *copy = malloc(size); memcpy(copy, data, size); copy[size / 2] ^= 1;
    ssize_t got = real(fd, copy, size); free(copy); return got;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (!hit(data, size)) return real(fd, data, size, at);
    char *copy = malloc(size); memcpy(copy, data, size); copy[size / 2] ^= 1;
    ssize_t got = real(fd, copy, size, at); free(copy); return got;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
"""


@pytest.fixture(scope="module")
def flipping(tmp_path_factory):
    """Return a library that flips a bit of whatever is written with NEEDLE in it."""
    folder = tmp_path_factory.mktemp("flip")
    (folder / "flip.c").write_text(FLIP)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "flip.so", folder / "flip.c", "-ldl"], check=True)
    return folder / "flip.so"


@pytest.mark.parametrize("size", [500, 3_000_000])
@pytest.mark.parametrize("options", ["verify_integrity=True", "remove_source=True"])
def test_one_bit_flipped_on_its_way_to_the_target_is_found_and_the_file_is_named(
    tmp_path, source, flipping, size, options
):
    (source / "many/victim").write_bytes(b"NEEDLE" + os.urandom(size))
    code = (
        "import sys; from pathlib import Path\n"
        "from ataraxis_data_structures import transfer_directory, IntegrityError\n"
        f"try: transfer_directory(Path(sys.argv[1]), Path(sys.argv[2]), {options})\n"
        "except IntegrityError as error: print(error.paths)"
    )
    command = [sys.executable, "-c", code, source, tmp_path / "t"]
    environment = os.environ | {"LD_PRELOAD": str(flipping)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('many/victim',)"
    assert not (tmp_path / "t").exists()
    assert (source / "many/victim").exists()
    subprocess.run(command, capture_output=True, check=True)  # a disk that writes what it is told
    if options.startswith("verify"):
        assert listing(tmp_path / "t") == listing(source)
    assert (tmp_path / "t/many/victim").stat().st_size == size + 6


def test_progress_counts_the_bytes_of_copy_and_verification(tmp_path, plant, capsys):
    plant(tmp_path / "s", {"a": b"x" * 3000, "b": b"y" * (1 << 20)})
    transfer_directory(tmp_path / "s", tmp_path / "t", progress=True, verify_integrity=True)
    shown = capsys.readouterr().err
    assert "copy" in shown
    assert "verify" in shown
    assert shown.count("1.00M/1.00M") == 2


def test_an_integrity_error_survives_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(IntegrityError("m", ("a", "b"))))
    assert (str(error), error.paths) == ("m", ("a", "b"))


def test_an_interrupted_removal_is_ended_by_the_next_call_unless_it_holds_something_else(tmp_path, source, plant):
    transfer_directory(source, tmp_path / "t", verify_integrity=True)
    left = plant(tmp_path / ".source.removed", {"a": b"1", "e/f": None, "late": b"x"})
    shutil.rmtree(source)
    with pytest.raises(IntegrityError, match="late"):
        transfer_directory(source, tmp_path / "t", remove_source=True)
    (left / "late").unlink()
    (left / "a").write_text("changed")
    with pytest.raises(IntegrityError, match="differs"):
        transfer_directory(source, tmp_path / "t", remove_source=True)
    plant(left, {"a": b"1"})
    transfer_directory(source, tmp_path / "t", remove_source=True)
    assert sorted(os.listdir(tmp_path)) == ["t"]


def test_a_url_without_fsspec_is_an_error_that_names_the_extra(tmp_path, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"ataraxis-data-structures\[remote\]"):
        transfer_directory(source, "s3://bucket/t")


def test_a_source_that_is_marked_partial_arrives_with_its_mark(tmp_path, plant):
    source = plant(tmp_path / "s", {"f": b"f", ".axds.partial/rest": b"half"})
    target = plant(tmp_path / "t", {"f": b"old"})
    for _ in range(2):
        for place in (target, tmp_path / "new"):
            transfer_directory(source, place)
            assert listing(place) == listing(source)


@pytest.mark.parametrize("name", [".t.partial", ".t.removed", "t/.axds.partial"])
def test_what_an_interrupted_call_left_is_no_source(tmp_path, plant, name):
    plant(tmp_path / name, {"f": b"half"})
    with pytest.raises(RuntimeError, match="interrupted"):
        transfer_directory(tmp_path / name, tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_a_removal_that_ended_is_ended_for_a_second_call_too(tmp_path, source):
    transfer_directory(source, tmp_path / "t", remove_source=True)
    with pytest.warns(RuntimeWarning, match="is gone"):
        transfer_directory(source, tmp_path / "t", remove_source=True)
    for other in (tmp_path / "nowhere/source", tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError):
            transfer_directory(tmp_path / "nowhere/source", other, remove_source=True)
