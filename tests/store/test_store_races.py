"""Several writers and readers at once: processes, threads, and the garbage collector among them; and random kills."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ataraxis_data_structures import ConflictError, Store
from helpers.crash import FULL

SPAWN = multiprocessing.get_context("fork")


def in_processes(count, work):
    """Run work(0), work(1), ... in a process each; all must end well."""
    processes = [SPAWN.Process(target=work, args=(i,)) for i in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def in_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("sync", ["process", "power"])
def test_four_processes_that_add_lose_nothing_and_leave_no_hole(tmp_path, rounds, sync):
    count = rounds(500, 40)
    Store(tmp_path)

    def work(i):
        store = Store(tmp_path, sync=sync)
        for n in range(count):
            store.add(f"p{i}/item{n}", {"i": i, "n": n} if n % 3 else np.full(200, n))

    in_processes(4, work)
    store = Store(tmp_path)
    assert len(store) == store.version == 4 * count
    for i in range(4):
        for n in range(count):
            value = store.get(f"p{i}/item{n}")
            assert value == {"i": i, "n": n} if n % 3 else (value == n).all()
    assert store.verify() == []
    assert list((tmp_path / ".axds" / "tmp").iterdir()) == []


def test_four_threads_of_one_instance_lose_nothing(tmp_path, rounds):
    count = rounds(500, 60)
    store = Store(tmp_path, sync="process")

    def work(i):
        for n in range(count):
            version = store.add(f"t{i}/item{n}", n)
            assert store.get(f"t{i}/item{n}@{version}") == n
            store.extend(f"rows{i}", [float(n)])

    in_threads(4, work)
    assert store.version == 4 * count * 2
    assert [store.get(f"rows{i}").tolist() for i in range(4)] == [list(range(count))] * 4
    assert store.verify() == []


def test_of_several_that_race_for_a_name_exactly_one_wins(tmp_path, rounds):
    count = rounds(1000, 60)
    Store(tmp_path / "s")

    def work(i):
        store, won = Store(tmp_path / "s", sync="process"), []
        for n in range(count):
            try:
                store.add(f"item{n}", i, overwrite=False)
            except ConflictError:
                continue
            won.append(n)
        (tmp_path / f"won{i}").write_text(" ".join(map(str, won)))

    in_processes(4, work)
    store = Store(tmp_path / "s")
    won = [(int(n), i) for i in range(4) for n in (tmp_path / f"won{i}").read_text().split()]
    assert sorted(n for n, _ in won) == list(range(count))
    assert all(store.get(f"item{n}") == i for n, i in won)
    assert store.version == count


def test_a_counter_by_if_version_loses_no_step(tmp_path, rounds):
    count = rounds(200, 25)
    Store(tmp_path).add("counter", 0)

    def work(i):
        store = Store(tmp_path, sync="process")
        done = 0
        while done < count:
            version = store.info("counter").version
            value = store.get(f"counter@{version}")
            try:
                store.add("counter", value + 1, if_version=version)
            except ConflictError:
                continue
            done += 1

    in_processes(4, work)
    assert Store(tmp_path).get("counter") == 4 * count


def test_several_that_make_one_store_get_the_same(tmp_path, rounds):
    for n in range(rounds(100, 5)):
        folder = tmp_path / str(n)

        def work(i, folder=folder):
            (tmp_path / f"{folder.name}.{i}").write_text(Store(folder).uuid)

        in_processes(4, work)
        assert len({(tmp_path / f"{n}.{i}").read_text() for i in range(4)}) == 1


def test_readers_never_fail_during_overwrites_and_gc(tmp_path):
    """A reader meets whole versions only, also where gc removes those that it has just looked up."""
    seconds = 60 if FULL else 3
    store = Store(tmp_path, sync="process")
    store.add("array", np.full(5000, 0))
    store.add("value", [0, 0])
    store.extend("rows", np.zeros(10))
    end = time.monotonic() + seconds

    def work(i):
        store, n, seen = Store(tmp_path, sync="process"), 0, 0
        while time.monotonic() < end:
            n += 1
            if i == 0:
                with store.batch():
                    store.add("array", np.full(5000, n))
                    store.add("value", [n, n])
                store.extend("rows", [float(n)])
            elif i == 1:
                store.gc(grace_s=0, history="snapshots")
            else:
                array = store.get("array")
                assert (array == array[0]).all()
                assert array[0] >= seen
                seen = array[0]
                first, second = store.get("value")
                assert first == second >= seen
                mapped = store.open("array")
                assert (mapped == mapped[0]).all()
                rows = store.get("rows")
                assert len(rows) >= 10
                assert store.list() == ["array", "rows", "value"]
                assert len(np.load(store.path / "array.npy")) == 5000
        (tmp_path.parent / f"{tmp_path.name}.{i}").write_text(str(n))

    in_processes(4, work)
    print([(tmp_path.parent / f"{tmp_path.name}.{i}").read_text() for i in range(4)], "looks")
    assert Store(tmp_path).verify() == []


def test_a_fork_that_another_thread_makes_holds_no_lock(tmp_path):
    store = Store(tmp_path, sync="process")
    stop = threading.Event()
    children = []

    def fork():
        while not stop.is_set() and len(children) < 40:
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"], close_fds=False)
            children.append(process)

    thread = threading.Thread(target=fork)
    thread.start()
    for n in range(200):
        store.add("a", n)
    stop.set()
    thread.join()
    start = time.monotonic()
    Store(tmp_path, sync="process").add("b", 1)
    assert time.monotonic() - start < 2
    for process in children:
        process.kill()
        process.wait()


LOAD = """
import random, sys
import numpy as np
from ataraxis_data_structures import Store
folder, seed, acknowledged = sys.argv[1:]
chance = random.Random(int(seed))
store = Store(folder, sync="process")
log = open(acknowledged, "ab", buffering=0)
start = store.version
while True:
    n = store.version
    what = chance.randrange(8)
    name = f"item{chance.randrange(6)}"
    if what < 3:
        version = store.add(name, {"n": n})
        log.write(f"value {name} {version} {n}\\n".encode())
    elif what < 5:
        version = store.add(f"big{chance.randrange(3)}", np.full(chance.randrange(200, 3000), n))
        log.write(f"big - {version} {n}\\n".encode())
    elif what == 5:
        version = store.extend("rows", np.full(3, float(n)))
        log.write(f"rows rows {version} {n}\\n".encode())
    elif what == 6:
        with store.batch() as batch:
            store.add("pair/a", n)
            store.add("pair/b", n)
        log.write(f"pair - {batch.version} {n}\\n".encode())
    elif chance.random() < 0.3:
        store.gc(grace_s=0)
    elif name in store:
        store.delete(name, warn_dependents=False)
"""


@pytest.mark.timeout(1800)
def test_killed_at_random_amid_a_mixed_load_it_keeps_what_was_acknowledged(tmp_path, rounds):
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    folder, acknowledged = tmp_path / "s", tmp_path / "acknowledged"
    Store(folder)
    acknowledged.touch()
    checked = 0
    for n in range(rounds(500, 6)):
        processes = [
            subprocess.Popen([sys.executable, "-c", LOAD, str(folder), str(seed + 2 * n + i), str(acknowledged)])
            for i in range(2)
        ]
        time.sleep(0.3 + chance.random() * 0.5)
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        store = Store(folder, sync="process")
        assert store.verify(deep=n % 20 == 0 or not FULL) == []
        lines = acknowledged.read_bytes().split(b"\n")[:-1]
        for line in lines[checked:]:
            what, name, version, value = line.decode().split()
            if what == "value":
                assert store.get(f"{name}@{version}") == {"n": int(value)}
            elif what == "rows":
                assert store.get(f"rows@{version}")[-1] == int(value)
            elif what == "pair":
                assert store.get(f"pair/a@{version}") == store.get(f"pair/b@{version}") == int(value)
        checked = len(lines)
        store.add("after", n)
        for name in store.list():
            info = store.info(name)
            if info.kind == "array":
                np.testing.assert_array_equal(np.load(info.path), store.get(name))
        assert [path.name for path in (folder / ".axds").glob("mirror.*")] == []
    store.gc(grace_s=0)
    assert os.listdir(folder / ".axds" / "tmp") == []
    assert Store(folder).verify() == []
    print(checked, "acknowledged,", store.version, "transactions")
