"""The log queue: puts a second, rows a second, and how soon the consumer holds a message."""

import multiprocessing
import sys
import time

import measure
import numpy as np
import peers

from ataraxis_data_structures import LogPackage
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue

COUNT = 60_000  # 64-byte messages that fit a lane of 8 MiB
ARRAY = np.arange(64, dtype=np.uint8)
CONTEXT = multiprocessing.get_context("fork")

PEER = """
import sys, tempfile, time
from pathlib import Path
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage

def main():
    with tempfile.TemporaryDirectory() as folder:
        logger = DataLogger(output_directory=Path(folder), instance_name="bench")
        queue, array, count = logger.input_queue, np.arange(64, dtype=np.uint8), args[0]
        logger.start()
        start = time.perf_counter()
        for i in range(count):
            queue.put(LogPackage(np.uint8(i & 0xFF), np.uint64(i), array))
        rate = count / (time.perf_counter() - start)
        logger.stop()
        print(rate)

if __name__ == "__main__":
    main()
"""


def put_fresh(queue):
    """Build each package from fresh scalars, as an acquisition loop does."""
    for i in range(COUNT):
        queue.put(LogPackage(np.uint8(i & 0xFF), np.uint64(i), ARRAY))


def put_ready(queue):
    """Build each package from scalars made beforehand."""
    put, source, stamps = queue.put, np.uint8(1), [np.uint64(i) for i in range(1000)]
    for _ in range(COUNT // 1000):
        for stamp in stamps:
            put(LogPackage(source, stamp, ARRAY))


def put_rows(queue):
    """Put the same bytes as one block of an acquisition card."""
    queue.put_many(1, np.arange(COUNT, dtype=np.uint64), np.broadcast_to(ARRAY, (COUNT, 64)).copy())


def rate_of(deed):
    """Return messages a second of a burst that fits the lane; nobody drains meanwhile."""

    def measured():
        queue = LogQueue.create()
        queue.put(LogPackage(1, 1, ARRAY))
        drain = LogDrain.attach(queue.name)
        best = []
        for _ in range(3):  # the first one also touches the lane's pages
            best.append(COUNT / measure.seconds(lambda: deed(queue)))
            empty(drain)
        drain.close()
        queue.discard()
        return max(best)

    return measured


def empty(drain):
    """Release everything; return the bytes."""
    done = 0
    for lane, span in drain.turns():
        done += len(span)
        lane.release(len(span))
    return done + empty(drain) if done else 0


def rate_with_consumer(producers):
    """Return messages a second from `producers` processes to a consumer that copies every span."""

    def measured():
        queue = LogQueue.create()
        queue.state = "running"
        drain = LogDrain.attach(queue.name)
        children = [CONTEXT.Process(target=put_ready_often, args=(queue,)) for _ in range(producers)]
        for child in children:
            child.start()
        taken = [0] * 2
        start = None
        want = producers * (COUNT // 1000) * 1000 * 10 * 96
        while taken[0] < want:
            drain.wait(0.05)
            start = start or time.perf_counter()
            for lane, span in drain.turns():
                taken[0] += len(bytes(span))
                lane.release(len(span))
        rate = taken[0] / 96 / (time.perf_counter() - start)
        for child in children:
            child.join()
        drain.close()
        queue.discard()
        return rate

    return measured


def put_ready_often(queue):
    for _ in range(10):
        put_ready(queue)


def latencies_us(count=1500):
    """Return how long each message at 1 kHz took from before its put until the consumer held its bytes."""
    queue = LogQueue.create()
    queue.state = "running"
    child = CONTEXT.Process(target=put_at_1_khz, args=(queue, count))
    drain = LogDrain.attach(queue.name)
    child.start()
    taken = []
    while len(taken) < count:
        drain.wait(0.05)
        for lane, span in drain.turns():
            now = time.monotonic_ns()
            rows = np.frombuffer(frame.Scanner(bytes(span), queue.salt).next(len(span) // 32), dtype=frame.ROW)
            taken.extend((now - rows["time"].astype(np.int64)) / 1e3)
            lane.release(len(span))
    child.join()
    drain.close()
    queue.discard()
    return np.array(taken[100:])


def put_at_1_khz(queue, count):
    due = time.monotonic()
    for _ in range(count):
        due += 0.001
        time.sleep(max(due - time.monotonic(), 0))
        queue.put(LogPackage(1, time.monotonic_ns(), ARRAY))


def main():
    """Measure and print."""
    peer_rate = float(np.median([peers.run(PEER, 3000) for _ in range(3)]))
    ours = measure.interleaved({deed.__name__: rate_of(deed) for deed in (put_fresh, put_ready, put_rows)}, rounds=5)
    table = measure.Table("Log queue")
    table.add(
        "put, fresh scalars, 64 B", ours["put_fresh"], peer_rate, ours["put_fresh"] / peer_rate, 100, unit="msg/s"
    )
    table.add("put, scalars made before", ours["put_ready"], 1e6, ours["put_ready"] / 1e6, 1, unit="msg/s")
    table.add("put_many of 64 B rows", ours["put_rows"], 8e6, ours["put_rows"] / 8e6, 1, unit="rows/s")
    drained = measure.interleaved({n: rate_with_consumer(n) for n in (1, 4)}, rounds=3)
    table.add("drained, 4 producers against 1", drained[4], drained[1], drained[4] / drained[1], 0.8, unit="msg/s")
    p50, p99 = np.percentile(latencies_us(), [50, 99])
    table.add("put to consumer at 1 kHz, p50", p50, 30, p50 / 30, 1, unit="us", at_least=False)
    sys.stdout.write(f"put to consumer at 1 kHz, p99: {p99:.1f} us\n")
    table.print()
    return [table]


if __name__ == "__main__":
    main()
