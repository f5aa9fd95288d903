"""Ledgers, mirrors, payloads and plain files that were cut, changed, lost, copied, merged or forged."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DamagedError, Store, StoreError
from ataraxis_data_structures.store.ledger.lines import line_of, record_of
from helpers.crash import FULL


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s", sync="process")


def filled(store, lines=20):
    """Make a history of as many lines, of all operations."""
    store.add("array", np.arange(500.0), note="größe")
    store.extend("rows", np.zeros((3, 2)))
    store.reference("raw", "s3://bucket/raw.parquet")
    store.snapshot("first")
    store.extend("rows", np.ones((2, 2)))
    store.note("array", "another")
    store.add("array", {"x": 1}, inputs=["raw"])
    store.delete("array", warn_dependents=False)
    with store.batch():
        store.add("b/one", 1)
        store.add("b/two", np.zeros((40, 50)))
    while store.version < lines:
        store.add("count", store.version)
    return store


def seen(store):
    items = {}
    for name in store.list():
        value = store.get(name)
        items[name] = (value.tolist() if isinstance(value, np.ndarray) else value, store.versions(name))
    return items, [snapshot.name for snapshot in store.snapshots()]


def files_of(store):
    folder = store.path / ".axds"
    return folder / "ledger", folder / "mirror"


def test_the_last_line_cut_at_each_byte_is_a_torn_write(store):
    filled(store, 12)
    before = seen(store)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    store.add("last", {"x": 2})
    line = ledger.read_bytes()[len(whole) :]
    for size in range(len(line)):
        ledger.write_bytes(whole + line[:size])
        mirror.write_bytes(whole)
        reader = Store(store.path, read_only=True)
        assert seen(reader) == before
        assert [fault for fault in reader.verify() if fault.what in ("ledger", "mirror")] == []
        assert ledger.read_bytes() == whole + line[:size]
        (store.path / "last.json").unlink(missing_ok=True)
        writer = Store(store.path)
        assert writer.add("next", size) == 13
        assert seen(writer)[0]["next"][0] == size
        assert ledger.read_bytes() == mirror.read_bytes()
        assert writer.verify() == []
        (store.path / "next.json").unlink()


def test_a_longer_mirror_is_told_and_taken_only_when_asked_for(store):
    filled(store, 12)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    short = whole[: whole.rindex(b"\n", 0, -1) + 1]
    ledger.write_bytes(short)
    assert Store(store.path).version == 11
    assert [fault.what for fault in Store(store.path).verify() if fault.what != "view"] == ["mirror"]
    assert mirror.read_bytes() == whole
    Store(store.path).repair()
    assert ledger.read_bytes() == mirror.read_bytes() == short
    mirror.write_bytes(whole)
    assert Store(store.path).repair(from_mirror=True).lines == 1
    assert ledger.read_bytes() == whole
    assert Store(store.path).verify() == []


def test_a_writer_sets_a_longer_mirror_aside(store):
    filled(store, 12)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    Store(store.path).add("new", 1)
    assert ledger.read_bytes() == mirror.read_bytes()
    assert [path.read_bytes() for path in mirror.parent.glob("mirror.*")] == [whole]


@pytest.mark.timeout(1800)
def test_any_flipped_byte_of_the_ledger_is_reported_and_repaired(store, rounds):
    filled(store)
    before = seen(store)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    step = max(1, len(whole) // rounds(len(whole), 150))
    places = range(random.randrange(step), len(whole), step)
    for place in [*places, len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 1 << random.randrange(8)
        ledger.write_bytes(changed)
        damaged = Store(store.path)
        with pytest.raises(DamagedError, match="transaction"):
            damaged.list()
        with pytest.raises(DamagedError):
            damaged.add("new", 1)
        assert "ledger" in [fault.what for fault in damaged.verify()]
        assert ledger.read_bytes() == changed
        report = damaged.repair()
        assert (report.left, report.lines >= 1) == ([], True), place
        assert ledger.read_bytes() == mirror.read_bytes() == whole
        assert seen(damaged) == before
        for kept in report.kept:
            Path(kept).unlink()


def test_any_flipped_byte_of_the_mirror_is_reported_and_repaired(store, rounds):
    filled(store)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    for _ in range(rounds(300, 30)):
        changed = bytearray(whole)
        changed[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        mirror.write_bytes(changed)
        reader = Store(store.path)
        assert [fault.what for fault in reader.verify()] == ["mirror"]
        assert reader.repair().left == []
        assert mirror.read_bytes() == ledger.read_bytes() == whole


@pytest.mark.parametrize("lost", ["ledger", "mirror"])
def test_a_lost_ledger_or_mirror_comes_back_whole(store, lost):
    filled(store)
    before = seen(store)
    ledger, mirror = files_of(store)
    whole = ledger.read_bytes()
    (store.path / ".axds" / lost).unlink()
    again = Store(store.path)
    assert lost in [fault.what for fault in again.verify()]
    if lost == "ledger":
        with pytest.raises(DamagedError, match="repair"):
            again.get("count")
        with pytest.raises(DamagedError):
            again.add("new", 1)
    assert again.repair().left == []
    assert ledger.read_bytes() == mirror.read_bytes() == whole
    assert seen(again) == before


def test_a_lost_mirror_is_written_by_the_next_writer(store):
    filled(store)
    ledger, mirror = files_of(store)
    mirror.unlink()
    Store(store.path).add("new", 1)
    assert ledger.read_bytes() == mirror.read_bytes()


def test_with_ledger_and_mirror_lost_names_and_payloads_come_back(store, tmp_path):
    store.add("array", np.arange(500.0), note="lost")
    store.add("array", np.arange(501.0))
    store.add("deep/value", {"x": (1, 2)}, inputs=["array"])
    store.add("arrays", {"x": np.ones(3)})
    (tmp_path / "plot.png").write_bytes(b"png")
    store.add("plot", tmp_path / "plot.png")
    for path in files_of(store):
        path.unlink()
    again = Store(store.path)
    with pytest.raises(DamagedError):
        again.list()
    assert again.repair().left == []
    assert again.list() == ["array", "arrays", "deep/value", "plot"]
    assert again.get("array").shape == (501,)
    assert again.get("array@1").shape == (500,)
    assert again.get("deep/value") == {"x": (1, 2)}
    assert again.get("arrays")["x"].tolist() == [1, 1, 1]
    assert again.get("plot").read_bytes() == b"png"
    assert again.info("array").note == ""
    assert again.verify() == []
    assert again.add("next", 1) == 6


def test_two_histories_that_git_merged_are_a_named_error(store):
    filled(store, 12)
    ledger, _ = files_of(store)
    whole = ledger.read_bytes()
    store.add("mine", 1)
    mine = ledger.read_bytes()[len(whole) :]
    theirs = line_of({**record_of(mine), "by": "7@other"})
    for text in (mine + theirs, b"<<<<<<< HEAD\n" + mine + b"=======\n" + theirs + b">>>>>>> theirs\n"):
        ledger.write_bytes(whole + text)
        with pytest.raises(DamagedError):
            Store(store.path).list()
        with pytest.raises(DamagedError):
            Store(store.path).add("new", 1)
        report = Store(store.path).repair()
        assert report.left == []
        assert Path(report.kept[0]).read_bytes() == whole + text
        assert Store(store.path).get("mine") == 1


# Copies


def copy_with_cp(source, target):
    subprocess.run(["cp", "-r", source, target], check=True)


def copy_with_tar(source, target):
    target.mkdir()
    packed = subprocess.run(["tar", "-C", source, "-c", "."], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-C", target, "-x"], check=True, input=packed)


def copy_with_rsync(source, target):
    if not shutil.which("rsync"):
        shutil.copytree(source, target)  # as it does: files one by one, times and modes kept
        return
    subprocess.run(["rsync", "-a", f"{source}/", f"{target}/"], check=True)


@pytest.mark.parametrize("copy", [copy_with_cp, copy_with_tar, copy_with_rsync])
def test_a_copy_is_a_whole_store(store, tmp_path, copy):
    filled(store)
    store.add("large", np.arange(200_000.0))
    store.extend("large", [1.0])
    copy(store.path, tmp_path / "copy")
    copied = Store(tmp_path / "copy")
    assert seen(copied) == seen(store)
    assert copied.verify() == []
    large = tmp_path / "copy" / "large.npy"
    is_linked = large.stat().st_nlink == 2
    report = copied.repair()
    assert (report.left, report.views) == ([], [] if is_linked else ["large.npy"])
    assert large.stat().st_nlink == 2
    copied.extend("large", [2.0])
    copied.add("array", [2])
    copied.delete("count")
    assert copied.verify() == []
    assert np.load(large).shape == (200_002,)
    assert store.get("large").shape == (200_001,)


def test_a_clone_by_git_opens_todays_items_and_calls_the_others_absent(store, tmp_path):
    filled(store)
    store.add("medium", np.arange(1000.0))
    store.add("old", np.arange(3000.0))
    store.add("old", np.arange(3001.0))

    def git(*words):
        identity = ["-c", "user.name=rig", "-c", "user.email=rig@lab"]
        subprocess.run(["git", *identity, *words], cwd=store.path, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "state")
    subprocess.run(["git", "clone", "-q", store.path, tmp_path / "clone"], check=True, capture_output=True)
    assert sorted(os.listdir(tmp_path / "clone" / ".axds")) == ["ledger", "store.json"]
    clone = Store(tmp_path / "clone")
    assert clone.list() == store.list()
    assert clone.get("medium").sum() == clone.open("medium").sum() == 499500
    assert clone.get("count") == store.get("count")
    assert clone.get("rows").shape == clone.open("rows").shape == (5, 2)
    assert {fault.what for fault in clone.verify()} <= {"absent"}
    assert "old" in [fault.name for fault in clone.verify()]
    assert not [fault for fault in clone.verify() if fault.name == "medium"]
    with pytest.raises(DamagedError):
        clone.get("old@22")
    clone.add("new", np.zeros(1000))
    assert clone.get("new").shape == (1000,)
    clone.repair()
    assert {fault.what for fault in clone.verify()} <= {"absent"}
    assert clone.get("medium").sum() == 499500
    clone.extend("rows", np.zeros((1, 2)))
    assert np.load(clone.path / "rows.npy").shape == (6, 2)


# Forgeries


FORGED = """
import json, sys
from ataraxis_data_structures import Store, StoreError, DamagedError, IntegrityError
NAMED = (StoreError, IntegrityError, KeyError, OSError, TypeError)
for folder in json.load(open(sys.argv[1])):
    calls = 0
    try:
        store = Store(folder, create=False)
        for fault in store.verify():
            str(fault)
        names = store.list()
    except NAMED:
        continue
    for name in names:
        for call in (store.get, store.open, store.info, store.versions, store.lineage, store.describe):
            try:
                if call != store.open or store.info(name).kind != "reference":  # which leads outside by intent
                    repr(call(name))
            except NAMED as error:
                calls += 1
    for call in (store.status, store.snapshots, store.repair, lambda: store.add("added", [1]),
                 lambda: store.gc(grace_s=0, history="snapshots"), lambda: store.delete(names, warn_dependents=False)):
        try:
            call()
        except NAMED:
            calls += 1
print("done")
"""
OUTSIDE = "/../../../../outside/"
VALUES = [
    None, True, -1, 0, 1 << 70, 1e300, "", "x", "../" * 6 + "outside/secret", "/outside/secret", ".axds/ledger", "a\0b",
    [], [1], {}, {"a": 1}, "O", "|O", "<f8", [["a", "|O"]], [["a", "<f8"]], [1 << 61, 1 << 61], [-1], ["x"], "array",
    "arrays", "json", "file", "delete", "put", "extend", "link/secret", "link/new@1.npy", "C", "F", 10**12,
]  # fmt: skip


def mutated(records, chance):
    """Change a random part of a random record, and sign it again: only what it says is wrong."""
    records = json.loads(json.dumps(records))
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.choice(records)
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = chance.choice(list(keys))
            if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.85:
                place = place[key]
                continue
            if isinstance(place, dict) and chance.random() < 0.2:
                del place[key]
            elif isinstance(place, dict) and chance.random() < 0.1:
                place[chance.choice(("file", "view", "uri", "data", "about", "inputs", "meta"))] = chance.choice(VALUES)
            else:
                place[key] = chance.choice(VALUES)
            break
    return records


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(20 if FULL else 1))
def test_forged_ledgers_are_named_errors_and_nothing_outside_is_touched(store, tmp_path, rounds, part):
    filled(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (store.path / "link").symlink_to(outside)
    (store.path / ".axds" / "payloads" / "link").symlink_to(outside)
    ledger, _ = files_of(store)
    records = [record_of(line) for line in ledger.read_bytes().splitlines()]
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    total, each = rounds(1000, 60), 60
    for start in range(0, total, each):
        folders = []
        for i in range(start, start + each):
            folder = tmp_path / "forged" / str(i)
            shutil.copytree(store.path, folder, symlinks=True)
            try:
                data = b"".join(map(line_of, mutated(records, chance)))
            except (ValueError, TypeError):
                continue
            for name in ("ledger", "mirror"):
                (folder / ".axds" / name).write_bytes(data)
            folders.append(str(folder))
        (tmp_path / "list.json").write_text(json.dumps(folders))
        strace = [
            "strace",
            "-f",
            "-qq",
            "--seccomp-bpf",
            "-e",
            "trace=%file,ftruncate,fchmod",
            "-o",
            str(tmp_path / "trace"),
        ]
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", FORGED, str(tmp_path / "list.json")]
        done = subprocess.run(
            [*(strace if shutil.which("strace") else []), *command],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
        assert os.listdir(outside) == ["secret"]
        assert (outside / "secret").read_text() == "secret"
        if shutil.which("strace"):
            touched = [line for line in (tmp_path / "trace").read_text().splitlines() if "/outside/" in line]
            assert touched == []
        shutil.rmtree(tmp_path / "forged")


def test_a_symbolic_link_among_the_payloads_is_not_followed(store, tmp_path):
    store.add("a", np.arange(1000))
    (tmp_path / "secret").write_bytes((store.path / "a.npy").read_bytes())
    payload = store.path / ".axds" / "payloads" / "a@1.npy"
    payload.unlink()
    payload.symlink_to(tmp_path / "secret")
    for call in (store.get, store.open):
        with pytest.raises(DamagedError):
            call("a")
    assert [fault.what for fault in store.verify()] == ["payload", "view"]


def test_a_sealed_folder_is_read_and_not_written(store):
    if not os.geteuid():
        pytest.skip("root may write anywhere")
    filled(store)
    for path in (store.path, store.path / ".axds", *(store.path / ".axds").iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    sealed = Store(store.path)
    assert sealed.get("count") == 19
    with pytest.raises(PermissionError):
        sealed.add("new", 1)


@pytest.mark.parametrize("name", ["../x", "/abs", "a//b", "a@1", ".axds/x", "a b"])
def test_a_refused_name_reaches_no_file(store, name):
    for call in (lambda: store.add(name, 1), lambda: store.extend(name, [1.0]), lambda: store.snapshot(name)):
        with pytest.raises(StoreError):
            call()
    assert store.version == 0
