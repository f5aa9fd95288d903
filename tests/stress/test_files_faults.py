"""A transfer that is killed, and one that meets a full disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import oracle_files
from ataraxis_data_structures import transfer_directory

TRANSFER = """
import sys
from pathlib import Path
from ataraxis_data_structures import transfer_directory
options = eval(sys.argv[3])
print(flush=True)
transfer_directory(Path(sys.argv[1]), Path(sys.argv[2]), **options)
"""
OPTIONS = (
    {},
    {"verify_integrity": True},
    {"num_threads": 2, "verify_integrity": True, "remove_source": True},
    {"remove_source": True},
)


def start(source, target, options):
    command = [sys.executable, "-c", TRANSFER, source, target, repr(options)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    return child


def whole(root, want):
    """Return whether a folder holds exactly what is wanted, and its checksum file at most."""
    return root.is_dir() and oracle_files.checksum(root, ("ax_checksum.txt",)) == want and not list(root.glob(".axds*"))


def duration(pristine, tmp_path, options):
    shutil.copytree(pristine, tmp_path / "s")
    child = start(tmp_path / "s", tmp_path / "t", options)
    begun = time.perf_counter()
    child.communicate()
    taken = time.perf_counter() - begun
    for name in ("s", "t"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    return taken


def plant(root, entries):
    for name, contents in entries.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).mkdir() if contents is None else (root / name).write_bytes(contents)
    return root


@pytest.fixture
def pristine(tmp_path):
    rng = random.Random(1)
    files = {f"{i % 7}/{i}": rng.randbytes(rng.choice([0, 10, 4096])) for i in range(150)}
    return plant(tmp_path / "pristine", files | {f"big{i}": rng.randbytes(2_000_000) for i in range(3)} | {"e/f": None})


@pytest.mark.parametrize("existing", [False, True], ids=["new target", "existing target"])
def test_sigkill_at_any_moment_leaves_the_source_whole_and_the_target_absent_partial_or_whole(
    tmp_path, pristine, rounds, existing
):
    rng = random.Random(2)
    want = oracle_files.checksum(pristine)
    taken = [duration(pristine, tmp_path, options) for options in OPTIONS]
    seen = {"absent": 0, "partial": 0, "whole": 0}
    source, target, marker = tmp_path / "s", tmp_path / "t", tmp_path / ".t.partial"
    for turn in range(rounds(150, 4)):
        options = OPTIONS[turn % len(OPTIONS)]
        shutil.copytree(pristine, source)
        if existing:
            target.mkdir()
            shutil.copy2(pristine / "big0", target / "big0")
            marker = target / ".axds.partial"
        child = start(source, target, options)
        time.sleep(rng.uniform(0, taken[turn % len(OPTIONS)]))
        child.send_signal(signal.SIGKILL)
        child.communicate()

        published = whole(target, want)
        is_whole_source = source.is_dir() and oracle_files.checksum(source) == want
        assert published or is_whole_source  # only what is published may have left the source
        if not published:
            assert marker.exists() or existing or not target.exists()
            seen["partial" if marker.exists() else "absent"] += 1
        else:
            seen["whole"] += 1

        if is_whole_source:
            staged = inodes(marker)
            transfer_directory(source, target, **options)
            assert whole(target, want)
            assert not marker.exists()
            assert staged <= inodes(target), "what was copied once was copied again"
        else:  # killed while it was being removed, which the second call ends
            leftover = tmp_path / ".s.removed"
            assert not source.exists()
            if leftover.exists():
                transfer_directory(source, target, **options)
            assert not leftover.exists()
            assert whole(target, want)
        for folder in (source, target):
            shutil.rmtree(folder, ignore_errors=True)
    print(f"killed {sum(seen.values())} transfers: {seen}")
    assert sum(seen.values()) == rounds(150, 4)


def inodes(root):
    """Return name and inode of the large files, which are gone on with and not made again."""
    return {(path.name, path.stat().st_ino) for path in root.rglob("big*")}


def in_small_tmpfs(folder, size, code, *arguments):
    """Run code in a mount namespace where `folder` is a tmpfs of that size."""
    script = f'mount -t tmpfs -o size={size} tmpfs {folder} && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid():
        command += ["--user", "--map-root-user"]
    command += ["sh", "-c", script, "sh", sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("existing", [False, True], ids=["new target", "existing target"])
@pytest.mark.parametrize("large", [True, False], ids=["a large file", "many small files"])
def test_a_full_disk_is_an_error_the_source_is_kept_and_the_rest_follows_when_there_is_room(tmp_path, existing, large):
    small = tmp_path / "small"
    small.mkdir()
    entries = {"a": b"1", "big": os.urandom(16 << 20)} if large else {f"d/{i}": os.urandom(20_000) for i in range(800)}
    source = plant(tmp_path / "source", {"a": b"1", **entries})
    code = """
import errno, os, sys
from pathlib import Path
from ataraxis_data_structures import compare_directories, transfer_directory
source, target, marker, existing = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "True"
if existing:
    target.mkdir()
    (target / "a").write_bytes(b"before")
names = sorted(map(str, source.rglob("*")))
try:
    transfer_directory(source, target, 2, verify_integrity=True, remove_source=True)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    raise AssertionError("a full disk was not noticed")
assert sorted(map(str, source.rglob("*"))) == names
assert marker.is_dir()
assert (target / "a").read_bytes() == b"before" if existing else not target.exists()
os.system(f"mount -o remount,size=64m {target.parent}")
transfer_directory(source, target, 2, verify_integrity=True)
assert not compare_directories(source, target)
assert not marker.exists()
"""
    target = small / "t"
    marker = target / ".axds.partial" if existing else small / ".t.partial"
    done = in_small_tmpfs(small, "8m", code, source, target, marker, existing)
    assert done.returncode == 0, (
        f"{done.stderr} (this test mounts a tmpfs in a namespace of its own, as root or with one)"
    )
    assert Path(source / "a").exists()
