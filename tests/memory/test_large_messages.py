"""A message of any size is one record; the file that holds a large one is gone once it is consumed, whoever dies."""

import errno
import mmap
import multiprocessing
import os
import queue as standard
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.consumer import LogDrain
from ataraxis_data_structures.memory.sweep import sweep
from ataraxis_data_structures.system import platform
from draining import drain_once, messages, package, queue_of

FORK = multiprocessing.get_context("fork")
LANE = 1 << 16


@pytest.fixture
def queue(request, tmp_path):
    with queue_of(lane_bytes=LANE, directory=tmp_path) as made:
        yield made
        assert files(made, tmp_path) == []
    request.node.funcargs.pop("queue", None)


def files(queue, directory):
    """Return the files of large messages that are left."""
    names = [name for name in os.listdir(platform.FOLDER) if name.startswith(f"{queue.name}-")]
    return [name for name in names if name.count("-") > 2] + [n for n in os.listdir(directory) if n.startswith(".axds")]


def payload(i, size):
    return np.random.default_rng([i, size]).bytes(size)


SIZES = [0, LANE // 2 - 32, LANE // 2 - 31, LANE, 1, 3 * LANE + 5, 17, 1_000_003]


def put_all(queue, sizes=SIZES):
    for i, size in enumerate(sizes):
        queue.put(package(payload(i, size), source=i % 3, time=i))


def wanted(sizes=SIZES):
    return [(i % 3, i, payload(i, size)) for i, size in enumerate(sizes)]


def test_messages_of_all_sizes_come_out_in_order_each_as_one_record(queue):
    queue.state = "running"
    producer = threading.Thread(target=put_all, args=[queue])
    with LogDrain.attach(queue.name) as drain:
        producer.start()
        got = []
        while len(got) < len(SIZES):
            drain.wait(0.01)
            got += drain_once(drain)
        producer.join()
    assert messages(got) == wanted()
    assert [row[2] for row in got] == list(range(len(SIZES)))


def test_get_returns_large_messages(queue):
    put_all(queue, [3 * LANE, 5])
    assert [queue.get().serialized_data.tobytes() for _ in range(2)] == [payload(0, 3 * LANE), payload(1, 5)]


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_put_many_takes_rows_larger_than_the_lane(queue, kind):
    rows = np.random.default_rng(1).integers(0, 255, (4, LANE), dtype=np.uint8)
    queue.put_many(5, range(4), kind(rows))
    with LogDrain.attach(queue.name) as drain:
        assert messages(drain_once(drain)) == [(5, i, rows[i].tobytes()) for i in range(4)]


def test_more_than_two_gigabytes_is_a_value_error(queue):
    huge = np.frombuffer(mmap.mmap(-1, 2**31 + 1), np.uint8)
    with pytest.raises(ValueError, match="at most 2147483648"):
        queue.put(LogPackage(1, 1, huge))


def test_what_may_wait_is_bounded_and_one_alone_always_may(queue):
    size = 3 * LANE
    for _ in range(2):
        queue.put(package(bytes(size)))
    with pytest.raises(standard.Full, match="large messages"):
        queue.put(package(bytes(size)))
    queue.get()
    queue.put(package(bytes(size)))
    queue.get()
    queue.get()
    queue.put(package(bytes(20 * LANE)))
    with pytest.raises(standard.Full, match="large messages"):
        queue.put(package(bytes(size)))
    queue.get()


def test_a_put_waits_until_a_large_message_is_consumed(queue):
    queue.state = "running"
    queue.put(package(bytes(8 * LANE), time=0))
    producer = threading.Thread(target=queue.put, args=[package(bytes(8 * LANE), time=1)])
    producer.start()
    producer.join(0.2)
    assert producer.is_alive()
    with LogDrain.attach(queue.name) as drain:
        got = drain_once(drain)
        producer.join(20)
        got += drain_once(drain)
    assert [row[1] for row in messages(got)] == [0, 1]


def test_a_full_allowance_drops_the_newest_and_tells():
    with queue_of(lane_bytes=LANE, overflow="drop_newest") as queue:
        for i in range(2):
            queue.put(package(bytes(3 * LANE), time=i))
        with pytest.warns(RuntimeWarning, match="dropped"):
            queue.put(package(bytes(3 * LANE), time=2))
        queue.put(package(bytes(3 * LANE), time=3))
        with LogDrain.attach(queue.name) as drain:
            assert [row[1] for row in messages(drain_once(drain))] == [0, 1]
            assert drain.lanes()[0].gaps_left() == {1: 2}


def test_an_unconsumed_large_message_outlives_its_producer(queue, tmp_path):
    child = FORK.Process(target=_put_then_die, args=[queue])
    child.start()
    child.join()
    with LogDrain.attach(queue.name) as drain:
        assert messages(drain_once(drain)) == wanted()[:4]
        assert drain.retire_finished() == 1
    assert files(queue, tmp_path) == []


def _put_then_die(queue):
    put_all(queue, SIZES[:4])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_producer_had_not_published_goes_with_its_lane(queue, tmp_path):
    child = FORK.Process(target=_stage_then_die, args=[queue])
    child.start()
    child.join()
    assert len(files(queue, tmp_path)) == 2
    with LogDrain.attach(queue.name) as drain:
        drain_once(drain)
        assert drain.retire_finished() == 1
    assert files(queue, tmp_path) == []


def _stage_then_die(queue):
    queue.put(package(b"x"))
    for on_disk in (False, True):
        queue._stage(np.zeros(LANE, np.uint8), queue._lane.claim, 99, on_disk)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_sweep_takes_files_whose_lane_is_gone(queue):
    orphan = platform.FOLDER / f"{queue.name}-7-1"
    orphan.write_bytes(b"x")
    queue.put(package(bytes(LANE)))
    kept = [name for name in os.listdir(platform.FOLDER) if name.startswith(f"{queue.name}-1-")]
    assert orphan.name in sweep()
    assert len(kept) == 1
    assert (platform.FOLDER / kept[0]).exists()
    queue.get()


@pytest.mark.parametrize("harm", ["removed", "cut", "record"])
def test_a_file_that_others_removed_or_cut_is_one_loss_that_is_told(queue, harm):
    for i in range(3):
        queue.put(package(bytes(LANE), source=4, time=i))
    path = platform.FOLDER / f"{queue.name}-1-2"
    if harm == "removed":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, 100)
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        if harm == "record":
            lane._segment.payload[12288 + 88 + 40] ^= 0xFF
        assert [row[1] for row in messages(drain_once(drain))] == [0, 2]
        assert drain.lost == {4: 1}
        assert drain.retire_finished() == 0
    path.unlink(missing_ok=True)


def test_a_successor_repeats_no_large_message_that_was_written(queue):
    """The writer dies after the file was removed, before the lane knew: the journal says that it was written."""
    put_all(queue, [LANE, LANE, 3])
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        lane.span(1 << 20)
        (platform.FOLDER / f"{queue.name}-1-1").unlink()
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        assert lane.release_through(0) == 1
        assert messages(drain_once(drain)) == wanted([LANE, LANE, 3])[1:]
        assert not drain.lost


def put_forever(queue):
    while True:
        queue.put_nowait(package(b""))


def test_a_failed_put_of_a_large_message_leaves_nothing(queue, tmp_path):
    with pytest.raises(standard.Full):
        put_forever(queue)
    before = files(queue, tmp_path)
    with pytest.raises(standard.Full):
        queue.put(package(bytes(LANE)))
    assert files(queue, tmp_path) == before == []


def test_threads_with_small_messages_do_not_wait_for_one_with_a_large_message(queue):
    queue.state = "running"
    with pytest.raises(standard.Full):
        put_forever(queue)
    large = threading.Thread(target=queue.put, args=[package(bytes(30_000), source=9)])
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        large.start()
        span = lane.span(2100)
        lane.release(len(span))
        queue.put(package(b"small", source=7), timeout=5)  # fits, while the large one waits
        assert large.is_alive()
        got = drain_once(drain)
        large.join(20)
        got += drain_once(drain)
    assert {7, 9} <= {row[0] for row in messages(got)}


def test_a_large_message_is_not_starved_by_small_ones(queue):
    """The consumer makes room little by little, and never for the large one unless the small ones leave it."""
    queue.state = "running"
    stop, deadline = threading.Event(), time.monotonic() + 30
    threads = [threading.Thread(target=_put_small, args=[queue, stop]) for _ in range(3)]
    large = threading.Thread(target=queue.put, args=[package(bytes(32_000), source=9)])
    queue.put(package(b""))
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        for thread in (*threads, large):
            thread.start()
        while large.is_alive() and time.monotonic() < deadline:
            lane.release(len(lane.span(1100)))
            time.sleep(0.0005)
        starved = large.is_alive()
        stop.set()
        while any(thread.is_alive() for thread in (*threads, large)):
            drain_once(drain)
        drain_once(drain)
    assert not starved


def _put_small(queue, stop):
    while not stop.is_set():
        queue.put(package(bytes(500)), timeout=60)


def test_without_room_in_shared_memory_a_message_goes_through_the_log_directory(tmp_path):
    code = """
import sys, numpy, pathlib
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue
folder = pathlib.Path(sys.argv[1])
queue = LogQueue.create(directory=folder)
data = numpy.random.default_rng(3).integers(0, 256, 8_000_000, numpy.uint8)
queue.put(LogPackage(1, 1, data))
print([f.stat().st_size for f in folder.iterdir()])
assert queue.get().serialized_data.tobytes() == data.tobytes()
print(list(folder.iterdir()))
queue.discard()
other = LogQueue.create()
try:
    other.put(LogPackage(1, 1, data))
except OSError as error:
    print(error.errno)
other.discard()
print([f.name for f in pathlib.Path(sys.argv[2]).iterdir()])
"""
    script = 'mount -t tmpfs -o size=6m tmpfs $AXDS_SHM_FOLDER && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, "-c", code]
    if os.geteuid():
        command[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run([*command, tmp_path, platform.FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[8000032]", "[]", str(errno.ENOSPC), "[]"]
