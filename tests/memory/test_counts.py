import multiprocessing
import os
import signal
import time
from array import array

import numpy as np
import pytest

from ataraxis_data_structures.errors import LaneFullError
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue
from ataraxis_data_structures.system.process import pid_of
from draining import drain_once, package, queue_of


@pytest.fixture
def queue(request):
    with queue_of(lane_bytes=1 << 16) as made:
        yield made
    request.node.funcargs.pop("queue", None)  # a queue keeps its words mapped as long as it lives


def put_some(queue, source, count, size):
    for i in range(count):
        queue.put(package(bytes(size), source=source, time=i))


def in_child(deed, *arguments):
    child = multiprocessing.get_context("spawn").Process(target=deed, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0


def by_source(table):
    return {int(source): int(table[source]) for source in np.flatnonzero(table)}


def test_puts_are_counted_by_producer_and_by_source(queue):
    put_some(queue, 1, 3, 10)
    put_some(queue, 2, 1, 0)
    in_child(put_some, queue, 2, 5, 100)
    lanes, (accepted, size_bytes, dropped, _) = queue.counted()
    assert [(lane.counts[0], lane.owner_alive(), pid_of(lane.owner) == os.getpid()) for lane in lanes] == [
        (4, True, True),
        (5, False, False),
    ]
    assert by_source(accepted) == {1: 3, 2: 6}
    assert by_source(size_bytes) == {1: 30, 2: 500}
    assert by_source(dropped) == {}


def test_producers_that_are_gone_stay_in_the_counts(queue):
    for turn in range(1, 4):
        in_child(put_some, queue, 7, 10, 8)
        assert by_source(queue.counted()[1][0]) == {7: 10 * turn}
        with LogDrain.attach(queue.name) as drain:
            drain_once(drain)
            assert drain.retire_finished() == 1
        lanes, tables = queue.counted()
        assert lanes == []
        assert by_source(tables[0]) == {7: 10 * turn}


def test_a_lane_is_counted_once_though_its_consumer_died_while_retiring_it(queue):
    in_child(put_some, queue, 7, 10, 8)
    child = multiprocessing.get_context("fork").Process(target=_count_and_die, args=(queue.name,))
    child.start()
    child.join()
    assert by_source(queue.counted()[1][0]) == {7: 10}
    LogDrain.attach(queue.name).close()
    lanes, tables = queue.counted()
    assert lanes == []
    assert by_source(tables[0]) == {7: 10}


def _count_and_die(name):
    drain = LogDrain.attach(name)
    drain_once(drain)
    LogQueue.attach(name).hub.add_to_totals(drain.lanes()[0])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_the_consumer_notes_is_seen_by_others(queue):
    with LogDrain.attach(queue.name) as drain:
        drain.sources[12:16] = memoryview(array("Q", [2, 1, 16, 0]))
        in_child(_expect_noted, queue.name, os.getpid())


def _expect_noted(name, consumer_pid):
    hub = LogQueue.attach(name).hub
    assert pid_of(hub.consumer) == consumer_pid
    assert list(hub.sources.cast("Q"))[12:16] == [2, 1, 16, 0]


def put_until_it_times_out(queue):
    while True:
        queue.put(package(bytes(1000)), timeout=0.06)


def test_blocked_time_and_high_water_are_told(queue):
    queue.state = "running"
    with LogDrain.attach(queue.name) as drain:
        with pytest.raises(LaneFullError, match="in time"):
            put_until_it_times_out(queue)
        drain_once(drain)
        (lane,) = queue.held_lanes()
    blocked_ns = lane.counts[3]
    assert 5e7 <= blocked_ns < 5e9
    assert 60_000 <= lane.high_water <= 65536 == lane.lane_bytes


def test_reading_the_counts_is_cheap_enough_for_a_hundred_times_a_second(queue):
    for source in range(4):
        in_child(put_some, queue, source, 10, 8)
    queue.counted()
    took_s = np.median([_timed(queue.counted) for _ in range(100)])
    assert took_s < 0.002


def _timed(deed):
    start = time.thread_time()
    deed()
    return time.thread_time() - start
