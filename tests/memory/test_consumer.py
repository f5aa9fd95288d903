import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ataraxis_data_structures._core import frame
from ataraxis_data_structures.errors import QueueBusyError, QueueClosedError, SegmentError
from ataraxis_data_structures.memory import sweep
from ataraxis_data_structures.memory.lane import find_lanes
from ataraxis_data_structures.memory.queue import LogDrain, holds_messages
from ataraxis_data_structures.memory.segment import Kind, Segment, list_segments
from draining import drain_once, messages, package, queue_of, records

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def queue(request):
    with queue_of(lane_bytes=1 << 16) as made:
        yield made
    request.node.funcargs.pop("queue", None)  # a queue keeps its words mapped as long as it lives


def in_child(deed, *arguments):
    child = FORK.Process(target=deed, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0


def put_numbered(queue, count, source=1, size=64):
    for i in range(count):
        queue.put(package(bytes(size), source=source, time=i))


def put_then_die(queue, count, source=1, size=64):
    put_numbered(queue, count, source, size)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_span_is_whole_records_in_the_bytes_of_the_journal(queue):
    put_numbered(queue, 10)
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        span = lane.span(3 * 96)
        assert span.readonly
        assert [row[:3] for row in records(span, queue.salt)] == [(1, i, i) for i in range(3)]
        lane.release(2 * 96)
        assert [row[2] for row in records(lane.span(1 << 20), queue.salt)] == list(range(2, 10))


@pytest.mark.parametrize("size", [1, 95, 97, 97 * 96, 1 << 40])
def test_a_release_that_ends_within_a_record_is_refused(queue, size):
    put_numbered(queue, 3)
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        lane.span(1 << 20)
        with pytest.raises(ValueError, match="expected the end of a record"):
            lane.release(size)
        assert queue.qsize() == 3


def test_a_span_gives_one_record_however_small_the_limit(queue):
    put_numbered(queue, 2)
    with LogDrain.attach(queue.name) as drain:
        assert len(drain.lanes()[0].span(0)) == 96


def test_a_second_consumer_is_refused_while_the_first_lives(queue):
    with LogDrain.attach(queue.name) as drain:
        with pytest.raises(QueueBusyError, match=str(os.getpid())):
            LogDrain.attach(queue.name, patience_s=0.05)
        queue.state = "running"
        in_child(_expect_busy, queue.name)
        with pytest.raises(QueueBusyError):
            queue.get_nowait()
        assert drain.idle
    LogDrain.attach(queue.name).close()


def _expect_busy(name):
    with pytest.raises(QueueBusyError):
        LogDrain.attach(name, patience_s=0.05)


def test_the_next_consumer_goes_on_where_a_killed_one_stopped(queue):
    put_numbered(queue, 10)
    child = FORK.Process(target=_release_four_and_die, args=(queue.name,))
    child.start()
    child.join()
    with LogDrain.attach(queue.name) as drain:
        assert [row[2] for row in drain_once(drain)] == list(range(4, 10))


def _release_four_and_die(name):
    drain = LogDrain.attach(name)
    lane = drain.lanes()[0]
    lane.span(1 << 20)
    lane.release(4 * 96)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_written_before_a_restart_is_released_by_its_number(queue):
    put_numbered(queue, 10)
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        assert lane.release_through(6) == 7
        assert [row[2] for row in drain_once(drain)] == [7, 8, 9]
        assert lane.release_through(100) == 0


def test_the_lane_of_a_dead_producer_is_drained_then_retired(queue):
    child = FORK.Process(target=put_then_die, args=(queue, 5))
    child.start()
    child.join()
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        assert not lane.owner_alive()
        assert drain.retire_finished() == 0
        with pytest.raises(ValueError, match="expected an empty lane"):
            lane.retire()
        assert len(drain_once(drain)) == 5
        assert drain.retire_finished() == 1
        assert drain.lanes() == []
        assert find_lanes(queue.name) == []


def test_a_zombie_is_dead(queue):
    child = FORK.Process(target=put_numbered, args=(queue, 1))
    child.start()
    with LogDrain.attach(queue.name) as drain:
        deadline = time.monotonic() + 10
        while (not drain.lanes() or drain.lanes()[0].owner_alive()) and time.monotonic() < deadline:
            drain.wait(0.01)
        assert not drain.lanes()[0].owner_alive()  # nobody joined the child: it is a zombie now
    child.join()


def test_a_stopped_producer_is_alive(queue):
    child = FORK.Process(target=_put_and_stop, args=(queue,))
    child.start()
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    with LogDrain.attach(queue.name) as drain:
        assert drain.lanes()[0].owner_alive()
        with pytest.raises(ValueError, match="expected a lane whose owner ended"):
            drain.lanes()[0].retire()
        os.kill(child.pid, signal.SIGCONT)
        child.join()


def _put_and_stop(queue):
    queue.put(package(b"x"))
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_forked_child_does_not_write_into_its_parents_lane(queue):
    put_numbered(queue, 2, source=1)
    in_child(put_numbered, queue, 2, 2)
    put_numbered(queue, 2, source=3)
    with LogDrain.attach(queue.name) as drain:
        got = drain_once(drain)
        assert {row[0]: row[3] for row in got} == {1: 1, 2: 2, 3: 1}
        assert [row[2] for row in got if row[3] == 1] == [0, 1, 2, 3]


def test_a_dead_queue_is_salvaged_from_its_lanes_alone():
    code = """
import sys, os, signal, numpy
from pathlib import Path
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogQueue
queue = LogQueue.create(directory=Path("/somewhere"), lane_bytes=1 << 16)
for i in range(7):
    queue.put(LogPackage(1, i, numpy.zeros(5, numpy.uint8)))
print(queue.name, queue.id, queue.salt, flush=True)
os.unlink(os.path.join(os.environ["AXDS_SHM_FOLDER"], queue.name))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    name, queue_id, salt = done.stdout.split()
    assert sweep.sweep() == []
    (found,) = find_lanes(name)
    assert holds_messages(found)
    with LogDrain.salvage(name) as drain:
        (lane,) = drain.lanes()
        described = lane.description
        assert (described["queue_id"], described["salt"]) == (int(queue_id), int(salt)) == (int(queue_id), lane.salt)
        assert described["directory"] == "/somewhere"
        assert drain.state == "closed"
        in_child(_expect_salvage_busy, name)
        ((same, span),) = drain.turns()
        assert [row[1] for row in records(span, lane.salt)] == list(range(7))
        same.release(len(span))
        assert drain.retire_finished() == 1
    assert find_lanes(name) == []


def _expect_salvage_busy(name):
    with pytest.raises(QueueBusyError):
        LogDrain.salvage(name)


def test_the_sweep_takes_a_dead_queue_that_holds_nothing():
    code = """
import os, signal, numpy
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogQueue
queue = LogQueue.create(lane_bytes=1 << 16)
queue.put(LogPackage(1, 1, numpy.zeros(5, numpy.uint8)))
queue.get()
print(queue.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    name = done.stdout.strip()
    assert sorted(sweep.sweep()) == [name, f"{name}-1"]


def test_each_lane_gets_its_share_by_bytes(queue):
    for source, size, count in ((1, 64, 600), (2, 8000, 7), (3, 0, 2000)):
        in_child(put_numbered, queue, count, source, size)
    taken = {1: 0, 2: 0, 3: 0}
    with LogDrain.attach(queue.name) as drain:
        for _ in range(12):
            for lane, span in drain.turns(max_bytes=4096):
                taken[records(span, queue.salt)[0][0]] += len(span)
                lane.release(len(span))
    assert max(taken.values()) - min(taken.values()) <= 8032


def test_state_changes_wake_the_consumer(queue):
    with LogDrain.attach(queue.name) as drain:
        assert drain.state == "new"
        child = FORK.Process(target=_set_state_later, args=(queue, "closing"))
        child.start()
        deadline = time.monotonic() + 10
        while drain.state != "closing" and time.monotonic() < deadline:
            drain.wait(5)
        child.join()
        assert drain.state == "closing"


def _set_state_later(queue, state):
    time.sleep(0.05)
    queue.state = state


def test_a_put_to_a_logger_that_was_given_up_is_a_child_process_error(queue):
    put_numbered(queue, 1)
    queue.state = "failed"
    with pytest.raises(ChildProcessError):
        put_numbered(queue, 1)
    with pytest.raises(ChildProcessError):
        queue.put_many(1, [1], np.zeros((1, 1), np.uint8))
    assert queue.qsize() == 1


def test_a_put_to_a_closed_queue_is_an_error(queue):
    queue.state = "closed"
    with pytest.raises(QueueClosedError):
        put_numbered(queue, 1)


@pytest.mark.parametrize("state", ["running", "restarting", "closing"])
def test_other_states_take_messages(queue, state):
    queue.state = state
    put_numbered(queue, 1)
    assert queue.qsize() == 1


def test_a_blocked_put_fails_when_nobody_is_left_to_drain():
    code = """
import os, signal
from ataraxis_data_structures.memory.queue import LogQueue
queue = LogQueue.create(lane_bytes=1 << 16)
queue.state = "running"
print(queue.name, flush=True)
input()
"""
    creator = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    name = creator.stdout.readline().strip()
    from ataraxis_data_structures.memory.queue import LogQueue

    queue = LogQueue.attach(name)
    creator.kill()
    creator.communicate()
    with pytest.raises(ChildProcessError, match="ended"):
        put_numbered(queue, 10_000)
    assert queue.qsize() == (1 << 16) // 96
    queue.discard()


def test_harmed_bytes_in_a_lane_are_skipped_to_the_next_whole_record(queue):
    put_numbered(queue, 20)
    (name,) = find_lanes(queue.name)
    block = Segment.attach(name)
    at = 12288 + 5 * 96
    block.payload[at : at + 96 * 2] = bytes([0xAB]) * 192
    with LogDrain.attach(queue.name) as drain:
        got = drain_once(drain)
        assert [row[1] for row in got] == [0, 1, 2, 3, 4, *range(7, 20)]
        assert drain.lanes()[0].damaged_bytes == 192


WILD = [0, 7, 95, 96, 4096, 1 << 60, (1 << 64) - 1]


@pytest.mark.parametrize("value", WILD)
@pytest.mark.parametrize("at", [0, 8, 16, 24, 128, 256, 264, 272, 384, 392, 512, 640])
def test_words_of_a_lane_that_were_written_over_lose_nothing_and_end_nothing(queue, at, value):
    """The producer dies, puts more, or puts more once the consumer has looked: each message comes once."""
    for more, looks_before, looks_between in itertools.product((0, 3), (False, True), (False, True)):
        child, go_on = _start_putting(queue, more)
        with LogDrain.attach(queue.name) as drain:
            lane = drain.lanes()[-1]
            got = drain_once(drain) if looks_before else []
            _write_over(lane.name, at, value)
            if looks_between:
                got += drain_once(drain)
            go_on.set()
            child.join()
            got += drain_once(drain)
            if not drain.retire_finished():
                got += drain_once(drain)
                assert drain.retire_finished() == 1
            assert [row[1] for row in got] == [0, 1, 2, *range(more)]


def _start_putting(queue, more):
    """Start a child that puts three messages at once and the others when it is told to."""
    ready, go_on = FORK.Event(), FORK.Event()
    child = FORK.Process(target=_put_twice, args=(queue, more, ready, go_on))
    child.start()
    assert ready.wait(20)
    return child, go_on


def _put_twice(queue, more, ready, go_on):
    put_numbered(queue, 3)
    ready.set()
    assert go_on.wait(20)
    put_numbered(queue, more)


def _write_over(name, at, value):
    block = Segment.attach(name, in_use=False)
    block.payload[at : at + 8] = value.to_bytes(8, "little")


def test_a_dead_producers_lane_with_a_damaged_tail_is_drained_and_retired(queue):
    in_child(put_numbered, queue, 3)
    (name,) = find_lanes(queue.name)
    _write_over(name, 128, 1 << 60)
    with LogDrain.attach(queue.name) as drain:
        (lane,) = drain.lanes()
        assert lane.damaged
        assert len(drain_once(drain)) == 3
        assert drain.retire_finished() == 1


def test_a_lane_that_is_none_is_named_and_those_beside_it_are_drained(queue):
    in_child(put_numbered, queue, 3)
    bad = f"{queue.name}-77"
    block = Segment.create(bad, 100, kind=Kind.LANE)
    assert queue.hub.register(0x77)
    with LogDrain.attach(queue.name) as drain:
        assert len(drain_once(drain)) == 3
        assert list(drain.unreadable) == [bad]
        assert "format" in drain.unreadable[bad]
    with LogDrain.salvage(queue.name) as drain:
        assert list(drain.unreadable) == [bad]
    block.unlink()


def test_a_segment_that_is_no_queue_is_refused():
    block = Segment.create("axds-0000000000", 100, kind=Kind.QUEUE)
    with pytest.raises(SegmentError):
        LogDrain.attach("axds-0000000000")
    block.unlink()


def test_dropped_messages_are_counted_told_in_a_gap_and_warned_of_once():
    with queue_of(lane_bytes=4096, overflow="drop_newest") as queue:
        put_numbered(queue, 102, size=8)
        with pytest.warns(RuntimeWarning, match="dropped") as caught:
            put_numbered_of_two_sources(queue)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        with LogDrain.attach(queue.name) as drain:
            assert drain.lanes()[0].gaps_left() == {1: 5, 2: 7}
            got = drain_once(drain)
            put_numbered(queue, 1, source=3)
            got += drain_once(drain)
            assert drain.lanes()[0].gaps_left() == {}
        gaps = {row[0]: int.from_bytes(row[5], "little") for row in got if row[4] & frame.GAP}
        assert gaps == {1: 5, 2: 7}
        assert len(messages(got)) == 103
        assert [row[2] for row in got] == list(range(105))


def put_numbered_of_two_sources(queue):
    put_numbered(queue, 5, source=1)
    put_numbered(queue, 7, source=2)


def test_a_lane_shrinks_where_shared_memory_is_short(tmp_path):
    code = """
import json, numpy
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue
queue = LogQueue.create()
message = LogPackage(1, 1, numpy.zeros(5, numpy.uint8))
queue.put(message)
with LogDrain.attach(queue.name) as drain:
    sizes = [lane.lane_bytes for lane in drain.lanes()]
other = LogQueue.create()
try:
    while True:
        LogQueue.create()
except OSError as error:
    errors = [error.errno]
try:
    other.put(message)
except OSError as error:
    errors.append(error.errno)
print(json.dumps([sizes, errors]))
other.discard(); queue.discard()
"""
    script = 'mount -t tmpfs -o size=3m tmpfs $AXDS_SHM_FOLDER && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, "-c", code]
    if os.geteuid():
        command[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[1 << 19], [28, 28]]


def test_every_slot_taken_is_a_full_queue_until_a_dead_producers_lane_is_retired():
    with queue_of(lane_bytes=1 << 16, max_producers=2) as queue:
        in_child(put_numbered, queue, 1)
        in_child(put_numbered, queue, 1)
        child = FORK.Process(target=_expect_full, args=(queue,))
        child.start()
        child.join()
        assert child.exitcode == 0
        queue.state = "running"
        child = FORK.Process(target=put_numbered, args=(queue, 1))
        child.start()
        with LogDrain.attach(queue.name) as drain:
            got = []
            while len(got) < 3:
                got += drain_once(drain)
                drain.retire_finished()
                drain.wait(0.01)
        child.join()
        assert child.exitcode == 0
        assert len([name for name in list_segments() if name.startswith(queue.name)]) <= 2


def _expect_full(queue):
    import queue as standard

    with pytest.raises(standard.Full, match="producers at a time"):
        queue.put(package(b"x"))
