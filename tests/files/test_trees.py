"""Generated trees are copied with no right more and nothing less than `cp` keeps, by root and by an ordinary user."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import pytest

from ataraxis_data_structures import calculate_directory_checksum, transfer_directory
from helpers import trees

FULL = os.environ.get("AXDS_STRESS") == "full"
TREES = 500 if FULL else 12  # for each of the users
ORDINARY = 65534
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of other users")
OPTIONS = (
    {},
    {"num_threads": 4},
    {"verify_integrity": True},
    {"verify_integrity": True, "durable": True, "num_threads": 4},
)
EXISTING = 5  # each fifth goes into a folder that exists

# Imports are made before the privileges go: an environment may be closed to other users.
TRANSFER = """
import json, os, subprocess, sys, warnings
from pathlib import Path
from ataraxis_data_structures import transfer_directory
from helpers import trees
warnings.simplefilter("error")
user, jobs = json.load(sys.stdin)
if user:
    os.setgroups([]), os.setresgid(user, user, user), os.setresuid(user, user, user)
for job in jobs:
    trees.copied_by_cp(job["source"], job["by_cp"])
    try:
        transfer_directory(Path(job["twin"]), Path(job["copy"]), symlinks=True, **job["options"])
    except Exception as error:
        sys.exit(f"seed {job['seed']}: {type(error).__name__}: {error}")
"""


@pytest.fixture
def disk():
    """Return a folder on the disk that others may enter: memory file systems may hold no attributes of users."""
    with tempfile.TemporaryDirectory(prefix="trees-", dir=os.environ.get("AXDS_TREES_FOLDER")) as folder:
        Path(folder).chmod(0o777)
        for parent in Path(folder).parents:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o055)
        yield Path(folder)


def planned(disk, seed, user, counts):
    """Make a tree twice, one for `cp` and one for the transfer, and a place for the copies."""
    home = disk / str(seed)
    home.mkdir()
    for name in ("source", "twin"):
        trees.grow(home / name, seed, user, counts if name == "source" else None)
    copy = home / "copy"
    if seed % EXISTING == 0:
        copy.mkdir()
        os.chown(copy, user, user)
    home.chmod(0o777)
    paths = {name: str(home / name) for name in ("source", "twin", "by_cp", "copy")}
    return {"seed": seed, "options": OPTIONS[seed % len(OPTIONS)], **paths}


def judged(job, before):
    by_cp, copy = (trees.with_data(job[name], trees.picture(job[name])) for name in ("by_cp", "copy"))
    source = trees.with_data(job["twin"], before)
    if job["seed"] % EXISTING == 0:  # the folder that exists keeps what it is
        for one in (source, by_cp, copy):
            del one[b""]
    elif "verify_integrity" in job["options"]:  # the checksum was written into the source: its time is a new one
        now = os.stat(job["twin"]).st_mtime_ns
        assert copy[b""]["status"].st_mtime_ns == now
        copy[b""]["status"] = by_cp[b""]["status"]
    extra = [b"ax_checksum.txt"] if "verify_integrity" in job["options"] else []
    return trees.compare(source, by_cp, copy, without=extra)


@NEEDS_ROOT
@pytest.mark.parametrize("user", [0, ORDINARY], ids=["root", "an ordinary user"])
def test_no_right_more_and_nothing_less_than_cp(disk, user):
    """AXDS_STRESS=full draws 500 trees for each user and prints what was drawn."""
    counts, wrong = Counter(), {}
    for start in range(0, TREES, 20):
        jobs = [planned(disk, seed, user, counts) for seed in range(start, min(start + 20, TREES))]
        before = {job["seed"]: trees.picture(job["twin"]) for job in jobs}
        done = subprocess.run(
            [sys.executable, "-c", TRANSFER],
            input=json.dumps([user, jobs]),
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        assert done.returncode == 0, done.stderr
        wrong |= {job["seed"]: found for job in jobs if (found := judged(job, before[job["seed"]]))}
        for job in jobs:
            shutil.rmtree(disk / str(job["seed"]))
    print(f"{TREES} trees for user {user}: {dict(sorted(counts.items()))}")
    assert not wrong
    assert min(counts.values()) >= (20 if FULL else 1)


LATE_NS = 16725225600 * 10**9 + 5  # the year 2500, which ext4 and XFS cannot store


@pytest.mark.parametrize("kind", ["small", "large", "folder", "link", "access"])
def test_a_time_that_the_target_cannot_store_is_told_with_its_name(disk, kind):
    with tempfile.TemporaryDirectory(dir=os.environ["AXDS_SHM_FOLDER"]) as memory:
        source = Path(memory) / "source"
        source.mkdir()
        path = source / kind
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("nowhere")
        else:
            path.write_bytes(b"x" * (500_000 if kind == "large" else 5))
        times = (LATE_NS, 10**18) if kind == "access" else (10**18, LATE_NS)
        os.utime(path, ns=times, follow_symlinks=False)
        if (path.lstat().st_atime_ns, path.lstat().st_mtime_ns) != times:
            pytest.skip("no file system here stores the year 2500")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            transfer_directory(source, disk / "t", symlinks=True)
        copy = (disk / "t" / kind).lstat()
        kept = (copy.st_atime_ns, copy.st_mtime_ns) == times
        assert [kind in str(one.message) and "cannot store the time" in str(one.message) for one in told] == [True] * (
            not kept
        )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_transfer_changes_no_time_of_access_of_its_source(tmp_path, options):
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    for name in ("folder/small", "folder/large", "ax_checksum.txt"):
        (source / name).write_bytes(b"x" * (500_000 if name.endswith("large") else 5))
    if "verify_integrity" in options:
        calculate_directory_checksum(source)
    paths = [*source.rglob("*"), source]
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))
    transfer_directory(source, tmp_path / "t", **options)
    assert {path.stat().st_atime_ns for path in paths if path.name != "ax_checksum.txt"} == {10**18}
    assert {(tmp_path / "t" / path.relative_to(source)).stat().st_atime_ns for path in paths} == {10**18}
