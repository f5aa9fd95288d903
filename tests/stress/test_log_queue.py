"""Deaths, stops and races around the log queue, each against a record of what put() had returned for."""

import mmap
import multiprocessing
import os
import random
import signal
import threading
import time
from queue import Full

import numpy as np
import pytest

from ataraxis_data_structures import LogPackage
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.errors import LaneFullError, QueueClosedError
from ataraxis_data_structures.memory.lane import find_lanes
from ataraxis_data_structures.memory.queue import LogDrain
from ataraxis_data_structures.system.process import pid_of
from draining import drain_once, drain_round, messages, queue_of, scan
from logtools import wait_for

FORK = multiprocessing.get_context("fork")
LANE_BYTES = 1 << 16


class Acknowledged:
    """Counters that outlive the process that counts: puts that returned."""

    def __init__(self, slots):
        self.words = memoryview(mmap.mmap(-1, 8 * slots)).cast("Q")

    def close(self):
        self.words.release()


def payload_of(number, longest):
    """A length and bytes that follow from a number; some are larger than a lane when `longest` is."""
    size = (number * 2654435761 >> 7) % (longest if number % 50 == 0 else 300)
    return np.full(size, number & 0xFF, dtype=np.uint8)


def put_until_killed(queue, source, words, slot, longest):
    number = 0
    while True:
        queue.put(LogPackage(source, number, payload_of(number, longest)))
        number += 1
        words[slot] = number


def start(deed, *arguments):
    child = FORK.Process(target=deed, args=arguments)
    child.start()
    return child


def check_numbers(data, rows, acknowledged, longest):
    """Every acknowledged message once, in order and whole; at most one that was not acknowledged yet."""
    whole = rows[rows["flags"] & frame.GAP == 0]
    assert (whole["time"] == np.arange(len(whole))).all()
    assert acknowledged <= len(whole) <= acknowledged + 1
    assert (np.diff(rows["seq"].astype(np.int64)) == 1).all()
    for row in rows[:: max(len(rows) // 100, 1)]:
        at = int(row["offset"]) + frame.RECORD_BYTES
        assert data[at : at + int(row["length"])] == payload_of(int(row["time"]), longest).tobytes()
    return len(whole)


@pytest.mark.parametrize("longest", [2000, 150_000])
def test_a_killed_producer_loses_and_tears_nothing(rounds, longest):
    """SIGKILL of producers in tight put loops: what was acknowledged is there, once, and whole."""
    kills, at_once = rounds(full=500, short=20), 5
    rng = random.Random(longest)
    counts = {"kills": 0, "acknowledged": 0, "beyond": 0}
    with queue_of(lane_bytes=LANE_BYTES) as queue, LogDrain.attach(queue.name) as drain:
        queue.state = "running"
        while counts["kills"] < kills:
            oracle = Acknowledged(at_once)
            children = [start(put_until_killed, queue, s, oracle.words, s, longest) for s in range(at_once)]
            got = bytearray()
            for child in rng.sample(children, at_once):
                deadline = time.monotonic() + rng.uniform(0.001, 0.02)
                while time.monotonic() < deadline or not oracle.words[children.index(child)]:
                    got += drain_round(drain, max_bytes=8192)
                    drain.wait(0.002)
                child.kill()
            for child in children:
                child.join()
            while not drain.idle:
                got += drain_round(drain)
            rows = scan(got, queue.salt)
            for source in range(at_once):
                found = check_numbers(got, rows[rows["source"] == source], oracle.words[source], longest)
                counts["beyond"] += found - oracle.words[source]
                counts["acknowledged"] += oracle.words[source]
            counts["kills"] += at_once
            oracle.close()
            drain.retire_finished()
            assert find_lanes(queue.name) == []
    print(counts)


def consume_into(name, path):
    """Be a logger: append spans to a file, then release them; what the file holds already is released first."""
    with open(path, "a+b") as file, LogDrain.attach(name) as drain:
        size = os.path.getsize(path)
        size -= cut_torn_end(file, size, drain.salt)
        last = last_numbers(path, drain.salt)
        skipped = set()
        while True:
            for lane in drain.lanes():
                if lane.claim in last and lane.claim not in skipped:
                    lane.release_through(last[lane.claim])
                skipped.add(lane.claim)
            for lane, span in drain.turns():
                os.write(file.fileno(), span)
                lane.release(len(span))
            if drain.state == "closing" and drain.idle:
                return
            drain.wait(0.05)


def rows_of(path, salt):
    with open(path, "rb") as file:
        data = file.read()
    scanner = frame.Scanner(data, salt)
    rows = np.frombuffer(scanner.next(len(data) // frame.RECORD_BYTES + 1), dtype=frame.ROW)
    return data, rows, scanner.damaged


def cut_torn_end(file, size, salt):
    _, _, damaged = rows_of(file.name, salt)
    if not damaged:
        return 0
    assert len(damaged) == 1
    assert damaged[0][1] == size
    os.ftruncate(file.fileno(), damaged[0][0])
    return size - damaged[0][0]


def last_numbers(path, salt):
    _, rows, _ = rows_of(path, salt)
    return {int(claim): int(rows["seq"][rows["claim"] == claim].max()) for claim in np.unique(rows["claim"])}


def put_count(queue, source, words, slot, count):
    for number in range(count):
        queue.put(LogPackage(source, number, payload_of(number, 3000)))
        words[slot] = number + 1


def test_a_killed_consumer_is_followed_by_another_and_nothing_is_lost_or_doubled(rounds, tmp_path):
    """SIGKILL of the consumer between write and release and everywhere else; the next goes on from its file."""
    kills, producers, count = rounds(full=300, short=20), 3, rounds(full=150_000, short=10_000)
    path = tmp_path / "journal"
    path.touch()
    rng = random.Random(5)
    oracle = Acknowledged(producers)
    with queue_of(lane_bytes=LANE_BYTES) as queue:
        queue.state = "running"
        consumer = start(consume_into, queue.name, path)
        children = [start(put_count, queue, s, oracle.words, s, count) for s in range(producers)]
        for _ in range(kills):
            time.sleep(rng.uniform(0.005, 0.05))
            consumer.kill()
            consumer.join()
            queue.state = "restarting"
            consumer = start(consume_into, queue.name, path)
            queue.state = "running"
        for child in children:
            child.join()
            assert child.exitcode == 0
        queue.state = "closing"
        consumer.join()
        assert consumer.exitcode == 0
        data, rows, damaged = rows_of(path, queue.salt)
    assert damaged == []
    for claim in np.unique(rows["claim"]):
        assert (rows["seq"][rows["claim"] == claim] == np.arange((rows["claim"] == claim).sum())).all()
    for source in range(producers):
        of = rows[rows["source"] == source]
        assert (of["time"] == np.arange(count)).all()
        for row in of[:: max(len(of) // 200, 1)]:
            at = int(row["offset"]) + frame.RECORD_BYTES
            assert data[at : at + int(row["length"])] == payload_of(int(row["time"]), 3000).tobytes()
    assert list(oracle.words) == [count] * producers
    print({"kills": kills, "messages": len(rows)})
    oracle.close()


def put_until_closed(queue, words, slot):
    number = 0
    try:
        while True:
            queue.put(LogPackage(slot, number, payload_of(number, 2000)))
            number += 1
            words[slot] = number
    except QueueClosedError:
        pass


def test_a_put_that_returned_before_the_close_is_in_the_last_drain(rounds):
    """The close is set, then the last drain runs; every put that returned is in it, the others raise."""
    closes, producers = rounds(full=400, short=20), 2
    total = 0
    for close in range(closes):
        oracle = Acknowledged(producers)
        with queue_of(lane_bytes=LANE_BYTES) as queue, LogDrain.attach(queue.name) as drain:
            queue.state = "running"
            children = [start(put_until_closed, queue, oracle.words, s) for s in range(producers)]
            got = bytearray()
            deadline = time.monotonic() + 0.01 + close % 7 / 1000
            while time.monotonic() < deadline or not all(oracle.words):
                got += drain_round(drain)
            queue.state = "closed"
            while not drain.idle:
                got += drain_round(drain)
            for child in children:
                child.join()
                assert child.exitcode == 0
            rows = scan(got, queue.salt)
            for slot in range(producers):
                assert oracle.words[slot] <= (rows["source"] == slot).sum()
                total += oracle.words[slot]
        oracle.close()
    print({"closes": closes, "acknowledged": total})


def put_three(queue, source):
    for number in range(3):
        queue.put(LogPackage(source, number, np.full(10, source, np.uint8)))


def test_producers_come_and_go_by_the_thousand(rounds):
    """Each claims a lane, puts and ends; the lanes are retired, and the totals know all of them."""
    producers, at_once = rounds(full=3000, short=120), 12
    with queue_of(lane_bytes=LANE_BYTES) as queue, LogDrain.attach(queue.name) as drain:
        queue.state = "running"
        got, most = [], 0
        for first in range(0, producers, at_once):
            children = [start(put_three, queue, (first + i) % 256) for i in range(at_once)]
            for child in children:
                child.join()
                assert child.exitcode == 0
            got += drain_once(drain)
            most = max(most, len(find_lanes(queue.name)))
            drain.retire_finished()
        lanes, tables = queue.counted()
        assert lanes == []
        assert find_lanes(queue.name) == []
    assert len(messages(got)) == tables[0].sum() == 3 * producers
    assert len({row[3] for row in got}) == producers
    assert most <= 2 * at_once


def test_a_hundred_producers_at_once_are_all_served(rounds):
    """Every one of many live producers gets everything through, and none waits much longer than the others."""
    producers, count = rounds(full=200, short=40), 200
    oracle = Acknowledged(producers)
    with queue_of(lane_bytes=4096) as queue, LogDrain.attach(queue.name) as drain:
        queue.state = "running"
        children = [start(put_count, queue, s % 256, oracle.words, s, count) for s in range(producers)]
        got = bytearray()
        while sum(oracle.words) < producers * count:
            drain.wait(0.01)
            got += drain_round(drain, max_bytes=4096)
        for child in children:
            child.join()
        while not drain.idle:
            got += drain_round(drain)
        whole = scan(got, queue.salt)["flags"] & frame.GAP == 0
    assert whole.sum() == producers * count
    oracle.close()


def put_and_note_timeouts(queue, words, slot):
    number = 0
    while number < 3000:
        try:
            queue.put(LogPackage(slot, number, np.zeros(200, np.uint8)), timeout=0.05)
        except Full:
            words[slot + 2] += 1
            continue
        number += 1
        words[slot] = number


def consume_all(name, words):
    count = 0
    with LogDrain.attach(name) as drain:
        while drain.state == "running" or not drain.idle:
            drain.wait(0.05)
            count += int((scan(drain_round(drain), drain.salt)["flags"] & frame.GAP == 0).sum())
            words[4] = count


def test_a_stopped_consumer_is_waited_for_and_nobody_is_declared_dead():
    """SIGSTOP of the consumer: puts block or time out as asked; after SIGCONT everything arrives."""
    oracle = Acknowledged(5)
    with queue_of(lane_bytes=LANE_BYTES) as queue:
        queue.state = "running"
        consumer = start(consume_all, queue.name, oracle.words)
        wait_for(lambda: pid_of(queue.hub.consumer) == consumer.pid)
        os.kill(consumer.pid, signal.SIGSTOP)
        children = [
            start(put_and_note_timeouts, queue, oracle.words, 0),
            start(put_count, queue, 1, oracle.words, 1, 3000),
        ]
        deadline = time.monotonic() + 30
        while oracle.words[2] < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert oracle.words[2] >= 3
        assert all(child.is_alive() for child in children)
        assert pid_of(queue.hub.consumer) == consumer.pid
        os.kill(consumer.pid, signal.SIGCONT)
        for child in children:
            child.join()
            assert child.exitcode == 0
        queue.state = "closing"
        consumer.join()
        assert consumer.exitcode == 0
    assert oracle.words[4] == 6000
    oracle.close()


def test_children_forked_between_the_puts_of_threads_use_lanes_of_their_own(rounds):
    """fork() while other threads put: each process's records stay in its own lane, in order."""
    forks = rounds(full=300, short=20)
    with queue_of(lane_bytes=1 << 20) as queue, LogDrain.attach(queue.name) as drain:
        queue.state = "running"
        stop = threading.Event()
        counts = [0, 0]

        def put_on(slot):
            while not stop.is_set():
                queue.put(LogPackage(slot, counts[slot], np.zeros(30, np.uint8)))
                counts[slot] += 1

        threads = [threading.Thread(target=put_on, args=[slot]) for slot in range(2)]
        for thread in threads:
            thread.start()
        got = bytearray()
        for _ in range(forks):
            child = os.fork()
            if not child:
                try:
                    put_three(queue, 9)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            got += drain_round(drain)
        stop.set()
        for thread in threads:
            thread.join()
        while not drain.idle:
            got += drain_round(drain)
        rows = scan(got, queue.salt)
    for claim in np.unique(rows["claim"]):
        assert (rows["seq"][rows["claim"] == claim] == np.arange((rows["claim"] == claim).sum())).all()
    for slot in range(2):
        assert (rows["time"][rows["source"] == slot] == np.arange(counts[slot])).all()
    assert (rows["source"] == 9).sum() == 3 * forks


def test_a_signal_in_a_waiting_put_is_heard(rounds):
    """A handler that raises ends the wait; one that puts finds the turn free; nothing accepted is lost."""
    with queue_of(lane_bytes=4096) as queue:
        queue.state = "running"
        message = LogPackage(1, 0, np.zeros(8, np.uint8))
        with pytest.raises(LaneFullError):
            fill(queue, message)
        before = queue.qsize()
        heard = []

        def handler(*_):
            heard.append(1)
            with pytest.raises(Full):
                queue.put_nowait(message)
            if len(heard) == 3:
                raise KeyboardInterrupt

        old = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        try:
            with pytest.raises(KeyboardInterrupt):
                queue.put(message)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        assert len(heard) == 3
        assert queue.qsize() == before
        with LogDrain.attach(queue.name) as drain:
            assert len(messages(drain_once(drain))) == before
        queue.put(message)


def fill(queue, message):
    while True:
        queue.put_nowait(message)
