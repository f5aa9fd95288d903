import multiprocessing
import os
import time

import numpy as np
import pytest

from ataraxis_data_structures.errors import LaneFullError
from ataraxis_data_structures.memory.channel import LogDrain
from ataraxis_data_structures.memory.statistics import QueueWatch, SourceStatistics, queue_statistics
from draining import drain_once, package, queue_of


@pytest.fixture
def queue(request):
    with queue_of(lane_bytes=1 << 16) as made:
        yield made
    request.node.funcargs.pop("queue", None)


def put_some(queue, source, count, size):
    for i in range(count):
        queue.put(package(bytes(size), source=source, time=i))


def in_child(deed, *arguments):
    child = multiprocessing.get_context("spawn").Process(target=deed, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0


def test_statistics_count_by_producer_and_by_source(queue):
    put_some(queue, 1, 3, 10)
    put_some(queue, 2, 1, 0)
    in_child(put_some, queue, 2, 5, 100)
    found = queue_statistics(queue.name)
    assert (found.state, found.logger_pid, found.restarts) == ("new", 0, 0)
    assert (found.accepted, found.accepted_bytes, found.dropped, found.queued) == (9, 530, 0, 9)
    assert [(p.accepted, p.alive, p.pid == os.getpid()) for p in found.producers] == [
        (4, True, True),
        (5, False, False),
    ]
    assert found.sources == {
        1: SourceStatistics(3, 30, 0, 0, 0, 0),
        2: SourceStatistics(6, 500, 0, 0, 0, 0),
    }


def test_producers_that_are_gone_stay_in_the_totals(queue):
    for _ in range(3):
        in_child(put_some, queue, 7, 10, 8)
        with LogDrain.attach(queue.name) as drain:
            drain_once(drain)
            assert drain.retire_finished() == 1
    found = queue_statistics(queue.name)
    assert found.producers == ()
    assert (found.accepted, found.accepted_bytes, found.queued) == (30, 240, 0)
    assert found.sources[7].accepted == 30


def test_what_the_logger_wrote_is_seen_by_others(queue):
    put_some(queue, 3, 2, 8)
    with LogDrain.attach(queue.name) as drain:
        drain.sources[3] = (2, 1, 16, 0)
        in_child(_expect_written, queue.name, os.getpid())


def _expect_written(name, logger_pid):
    found = queue_statistics(name)
    assert found.logger_pid == logger_pid
    assert found.sources[3] == SourceStatistics(2, 16, 0, 2, 16, 1)


def test_blocked_time_and_high_water_are_told(queue):
    queue.state = "running"
    with LogDrain.attach(queue.name) as drain:
        with pytest.raises(LaneFullError, match="in time"):
            put_forever(queue)
        drain_once(drain)
        (producer,) = queue_statistics(queue.name).producers
    assert 0.05 <= producer.blocked_s < 5
    assert 60_000 <= producer.high_water_bytes <= 65536 == producer.lane_bytes


def put_forever(queue):
    while True:
        queue.put(package(bytes(1000)), timeout=0.06)


def test_lag_grows_while_nobody_drains_and_is_zero_when_caught_up(queue):
    with LogDrain.attach(queue.name) as drain, _watching(queue) as watch:
        put_some(queue, 1, 1, 1)
        time.sleep(0.05)
        assert 0.05 <= watch.read().lag_s < 10
        drain_once(drain)
        assert watch.read().lag_s == 0


def _watching(queue):
    import contextlib

    return contextlib.closing(QueueWatch(queue.name))


def test_the_statistics_of_an_absent_queue_are_a_file_not_found_error():
    with pytest.raises(FileNotFoundError):
        queue_statistics("axds-nobody")


def test_reading_is_cheap_enough_for_a_hundred_times_a_second(queue):
    for source in range(4):
        in_child(put_some, queue, source, 10, 8)
    with _watching(queue) as watch:
        watch.read()
        took_s = np.median([_timed(watch.read) for _ in range(100)])
    assert took_s < 0.002


def _timed(deed):
    start = time.thread_time()
    deed()
    return time.thread_time() - start
