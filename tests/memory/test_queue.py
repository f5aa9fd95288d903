import gc
import multiprocessing
import pickle
import queue as standard
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue
from draining import drain_once, drain_round, messages, package, queue_of, records

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def queue(request):
    with queue_of(lane_bytes=1 << 16) as made:
        yield made
    request.node.funcargs.pop("queue", None)  # a queue keeps its words mapped as long as it lives


def put_three(queue, source=2):
    for i in range(3):
        queue.put(package(b"abc", source=source, time=i))


def same(one, other):
    return (one.source_id, one.acquisition_time, one.serialized_data.tobytes()) == (
        other.source_id,
        other.acquisition_time,
        other.serialized_data.tobytes(),
    )


def test_before_start_get_returns_what_was_put_in_order(queue):
    for i in range(5):
        queue.put(package(bytes([i]), time=i))
    assert queue.qsize() == 5
    assert not queue.empty()
    for i in range(5):
        assert same(queue.get(), package(bytes([i]), time=i))
    assert queue.empty()
    assert queue.qsize() == 0


def test_get_from_an_empty_queue_raises_as_the_standard_queue_does(queue):
    with pytest.raises(standard.Empty):
        queue.get_nowait()
    with pytest.raises(standard.Empty):
        queue.get(timeout=0.01)
    with pytest.raises(standard.Empty):
        queue.get(block=False)


def test_get_waits_for_a_put_of_another_thread(queue):
    thread = threading.Timer(0.05, queue.put, [package(b"late")])
    thread.start()
    assert queue.get(timeout=10).serialized_data.tobytes() == b"late"
    thread.join()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.integers(0, 3000)), min_size=1, max_size=60),
    st.sampled_from([4096, 8192, 16384]),
)
def test_every_message_comes_out_as_it_went_in(wanted, lane_bytes):
    with queue_of(lane_bytes=lane_bytes) as queue, LogDrain.attach(queue.name) as drain:
        got, want = [], []
        for source, stamp, size in wanted:
            payload = bytes((stamp + i) & 0xFF for i in range(size))
            while True:
                try:
                    queue.put_nowait(package(payload, source, stamp))
                    break
                except standard.Full:
                    got += drain_once(drain, max_bytes=1000)
            want.append((source, stamp, payload))
        got += drain_once(drain)
        assert messages(got) == want
        assert [row[2] for row in got] == list(range(len(got)))


@pytest.mark.parametrize("method", METHODS)
def test_a_child_of_any_start_method_puts(queue, method):
    put_three(queue, source=1)
    child = multiprocessing.get_context(method).Process(target=put_three, args=(queue,))
    child.start()
    child.join()
    assert child.exitcode == 0
    with LogDrain.attach(queue.name) as drain:
        got = drain_once(drain)
        assert sorted(messages(got)) == [(s, i, b"abc") for s in (1, 2) for i in range(3)]
        assert len({row[3] for row in got}) == 2


def test_a_queue_sent_through_a_pipe_is_the_same_queue(queue):
    near, far = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_put_into_what_comes, args=(far,))
    child.start()
    near.send(queue)
    child.join()
    assert messages_of(queue) == [(2, i, b"abc") for i in range(3)]
    near.close()
    far.close()


def _put_into_what_comes(pipe):
    put_three(pipe.recv())


def test_tasks_of_a_pool_share_one_lane_for_each_worker(queue):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for done in [pool.submit(put_three, queue) for _ in range(20)]:
            done.result()
    with LogDrain.attach(queue.name) as drain:
        got = drain_once(drain)
    assert len(messages(got)) == 60
    assert len({row[3] for row in got}) <= 2


def messages_of(queue):
    with LogDrain.attach(queue.name) as drain:
        return messages(drain_once(drain))


def test_pickling_within_a_process_gives_the_same_queue(queue):
    assert pickle.loads(pickle.dumps(queue)) is queue


def test_a_queue_that_is_gone_is_a_file_not_found_error():
    with queue_of() as queue:
        pickled = pickle.dumps(queue)
    name = queue.name
    del queue
    gc.collect()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled)
    with pytest.raises(FileNotFoundError):
        LogQueue.attach(name)


@pytest.mark.parametrize("thing", [None, 1, b"bytes", (1, 2, np.zeros(1, np.uint8)), np.zeros(3, np.uint8)])
def test_anything_but_a_package_is_a_type_error(queue, thing):
    with pytest.raises(TypeError, match="expected a LogPackage"):
        queue.put(thing)
    assert queue.empty()


@pytest.mark.parametrize(
    ("source", "stamp", "payload", "error"),
    [
        (300, 0, np.zeros(1, np.uint8), OverflowError),
        (1, -1, np.zeros(1, np.uint8), OverflowError),
        (1.0, 0, np.zeros(1, np.uint8), TypeError),
        (1, 0, np.zeros(1, np.int8), TypeError),
        (1, 0, np.zeros(1), TypeError),
        (1, 0, np.zeros((2, 2), np.uint8), ValueError),
        (1, 0, "text", TypeError),
    ],
)
def test_a_package_that_can_not_be_stored_fails_at_the_put(queue, source, stamp, payload, error):
    with pytest.raises(error):
        queue.put(LogPackage(source, stamp, payload))
    assert queue.empty()


def test_payloads_are_narrowed_as_the_package_narrows_them(queue):
    for payload in (np.array([1, 300], np.uint16), np.array([True, False]), np.arange(9, dtype=np.uint8)[::-2]):
        queue.put(LogPackage(3, 4, payload))
        assert queue.get().serialized_data.tolist() == LogPackage(3, 4, payload).data[1][9:].tolist()


def test_a_full_lane_before_the_start_raises_at_once_and_names_its_size(queue):
    with pytest.raises(standard.Full, match="65536 bytes"):
        put_forever(queue.put)
    assert queue.qsize() == 65536 // (32 + 104)
    with pytest.raises(standard.Full):
        put_forever(queue.put, size=1)
    assert queue.full()
    queue.get()
    queue.get()
    queue.put(package(bytes(100)))


def test_a_put_times_out_when_nobody_drains(queue):
    queue.state = "running"
    fill(queue)
    start = time.monotonic()
    with pytest.raises(standard.Full, match="in time"):
        queue.put(package(bytes(100)), timeout=0.1)
    assert 0.1 <= time.monotonic() - start < 5
    with pytest.raises(standard.Full):
        queue.put_nowait(package(bytes(100)))


def fill(queue):
    with pytest.raises(standard.Full):
        put_forever(queue.put_nowait)


def put_forever(put, size=100):
    while True:
        put(package(bytes(size)))


def test_a_blocked_put_goes_on_when_the_lane_is_drained(queue):
    queue.state = "running"
    with LogDrain.attach(queue.name) as drain:
        fill(queue)
        thread = threading.Thread(target=queue.put, args=[package(b"waited")])
        thread.start()
        got = drain_once(drain)
        thread.join(timeout=10)
        got += drain_once(drain)
    assert messages(got)[-1] == (1, 0, b"waited")


def test_threads_of_a_process_share_a_lane_and_lose_nothing(queue):
    queue.state = "running"
    stop = threading.Event()
    got = []
    threads = [threading.Thread(target=put_numbered, args=(queue, source, 2000)) for source in range(4)]
    with LogDrain.attach(queue.name) as drain:
        reader = threading.Thread(target=keep_draining, args=(drain, got, stop))
        reader.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        reader.join()
        got += drain_once(drain)
    assert [row[2] for row in got] == list(range(len(got)))
    for source in range(4):
        assert [m[1] for m in messages(got) if m[0] == source] == list(range(2000))


def put_numbered(queue, source, count):
    for i in range(count):
        queue.put(package(bytes(i % 200), source=source, time=i))


def keep_draining(drain, got, stop):
    while not stop.is_set():
        drain.wait(0.01)
        got += records(drain_round(drain), drain.salt)


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65000, 65536, 300_000])
def test_a_payload_of_any_size_crosses(queue, size):
    queue.state = "running"
    payload = np.random.default_rng(size).bytes(size)
    with LogDrain.attach(queue.name) as drain:
        thread = threading.Thread(target=queue.put, args=[package(payload, source=9, time=7)])
        thread.start()
        got = []
        while thread.is_alive() or not drain.idle:
            drain.wait(0.01)
            got += drain_once(drain)
        thread.join()
    assert messages(got) == [(9, 7, payload)]


@pytest.mark.parametrize("kind", ["array", "list", "strided", "wide"])
def test_put_many_is_one_message_a_row(queue, kind):
    rows = np.random.default_rng(1).integers(0, 255, (50, 24), dtype=np.uint8)
    stamps = np.arange(50, dtype=np.uint64) * 3
    given = {"array": rows, "list": list(rows), "strided": np.asfortranarray(rows), "wide": rows.astype(np.uint16)}
    queue.put_many(5, stamps, given[kind])
    want = [(5, int(t), row.tobytes()) for t, row in zip(stamps, rows, strict=True)]
    assert messages_of(queue) == want


def test_put_many_of_nothing_and_of_empty_rows(queue):
    queue.put_many(5, [], np.zeros((0, 8), np.uint8))
    queue.put_many(5, [], [])
    assert queue.empty()
    queue.put_many(5, [1, 2], np.zeros((2, 0), np.uint8))
    assert messages_of(queue) == [(5, 1, b""), (5, 2, b"")]


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_put_many_that_finds_no_room_says_how_many_were_taken(queue, kind):
    rows = np.zeros((2000, 64), np.uint8)
    with pytest.raises(standard.Full) as caught:
        queue.put_many(5, np.arange(2000), kind(rows))
    assert 0 < caught.value.accepted < 2000
    assert len(messages_of(queue)) == caught.value.accepted


@pytest.mark.parametrize(
    ("stamps", "rows", "error"),
    [
        ([1], np.zeros((2, 3), np.uint8), ValueError),
        ([1.5], np.zeros((1, 3), np.uint8), TypeError),
        ([-1], np.zeros((1, 3), np.uint8), OverflowError),
        ([[1]], np.zeros((1, 3), np.uint8), ValueError),
        ([1], np.zeros((1, 3), np.int16), TypeError),
        ([1], np.zeros((1, 3, 2), np.uint8), ValueError),
        ([1, 2], [np.zeros(1, np.uint8), np.zeros(1)], TypeError),
    ],
)
def test_put_many_refuses_what_does_not_match(queue, stamps, rows, error):
    with pytest.raises(error):
        queue.put_many(5, stamps, rows)
    assert queue.empty()


@pytest.mark.parametrize("options", [{"lane_bytes": 1000}, {"lane_bytes": 5000}, {"overflow": "x"}, {"timeout": -1}])
def test_options_that_make_no_sense_are_value_errors(options):
    with pytest.raises(ValueError, match="expected"):
        LogQueue.create(**options)
