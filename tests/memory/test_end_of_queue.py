"""The end of a queue: each message that was put before, or at that very moment, is in the log or its put raised."""

import itertools
import threading

import numpy as np
import pytest

from ataraxis_data_structures.errors import QueueClosedError
from ataraxis_data_structures.memory.consumer import LogDrain
from ataraxis_data_structures.memory.lane import Lane, find_lanes
from ataraxis_data_structures.memory.segment import list_segments
from draining import drain_once, messages, package, queue_of, records

LANE = 1 << 16
SMALL, LARGE = 50, 2 * LANE


@pytest.fixture
def queue(request, tmp_path):
    with queue_of(lane_bytes=LANE, directory=tmp_path) as made:
        yield made
    request.node.funcargs.pop("queue", None)


def put_one(queue, i, size):
    queue.put(package(bytes(size), time=i))


def put_rows(queue, i, size):
    queue.put_many(1, range(i, i + 3), np.zeros((3, size), np.uint8))


def put_list(queue, i, size):
    queue.put_many(1, range(i, i + 3), [np.zeros(size, np.uint8)] * 3)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("put", [put_one, put_rows, put_list])
def test_what_was_put_before_the_end_is_drained_and_later_puts_raise(queue, put, size):
    put_one(queue, 0, SMALL)
    with LogDrain.attach(queue.name) as drain:
        drain.state = "closed"
        with pytest.raises(QueueClosedError):
            put(queue, 1, size)
        assert [row[1] for row in messages(drain_once(drain))] == [0]
        assert drain.idle


@pytest.mark.parametrize("rounds", range(40))
def test_each_put_beside_the_end_is_in_the_log_or_raised(rounds):
    """A producer puts as fast as it can while the queue is closed and drained; its account is what was drained."""
    with queue_of(lane_bytes=LANE) as queue:
        queue.state = "running"
        put = (put_one, put_rows, put_list)[rounds % 3]
        account = []
        with LogDrain.attach(queue.name) as drain:
            producer = threading.Thread(target=_put_until_the_end, args=[queue, put, account])
            producer.start()
            got = []
            for _ in range(rounds):
                got += drain_one_round(drain)
            drain.state = "closed"
            got += drain_once(drain)
            producer.join(20)
            assert not producer.is_alive()
            got += drain_once(drain)
        assert [row[1] for row in messages(got)] == list(range(account[0]))


def drain_one_round(drain):
    found = []
    for lane, span in drain.turns():
        found += records(span, drain.salt)
        lane.release(len(span))
    return found


def _put_until_the_end(queue, put, account):
    count = 3 if put is not put_one else 1
    for done in itertools.count(0, count):
        try:
            put(queue, done, (SMALL, LARGE)[done % 7 == 6])
        except QueueClosedError as error:
            account.append(done + error.accepted)
            return


@pytest.mark.parametrize(("sealed_at", "accepted"), [(0, 0), (88, 1), (176, 2), (264, 3)])
def test_a_seal_decides_how_many_rows_are_accepted(queue, sealed_at, accepted):
    """Somebody else sealed the lane between the store of the tail and the look at the state."""
    (lane,) = _lane_of(queue)
    _store_bound(lane, sealed_at)
    queue.hub.state = "closed"
    writer = queue._lane
    assert writer.accepted_to == sealed_at
    with LogDrain.attach(queue.name) as drain:
        assert len(messages(drain_once(drain))) == accepted
        assert drain.idle


def _lane_of(queue):
    queue.put_many(1, range(3), np.zeros((3, 50), np.uint8))
    return [Lane(name) for name in find_lanes(queue.name)]


def _store_bound(lane, position):
    lane._segment.payload[296:304] = (1 << 63 | position).to_bytes(8, "little")


def test_a_bound_that_was_written_over_holds_up_nothing_while_the_queue_lives(queue):
    (lane,) = _lane_of(queue)
    _store_bound(lane, 88)
    queue.state = "running"
    with LogDrain.attach(queue.name) as drain:
        assert len(messages(drain_once(drain))) == 3
        queue.put(package(b"x"))
        assert len(messages(drain_once(drain))) == 1


def test_a_lane_that_came_after_the_end_is_removed_by_its_producer(queue):
    writer = queue._claim_lane(True, None)
    queue.hub.state = "closed"
    queue._refused(writer)
    assert find_lanes(queue.name) == []
    assert list_segments().count(queue.name) == 1
