"""Described sources: what a put, a loan, and reading mixed messages cost beside what a program does without them."""

import tempfile
from pathlib import Path

import measure
import numpy as np

from ataraxis_data_structures import DataLogger, LogArchiveReader, LogPackage, assemble_log_archives
from ataraxis_data_structures.logs.descriptions import describe
from ataraxis_data_structures.logs.logger.source import LogSource
from ataraxis_data_structures.memory.queue import LogDrain, LogQueue

COUNT = 60_000  # 64-byte messages that fit a lane of 8 MiB
FRAMES, HEIGHT, WIDTH = 24, 1024, 2048  # of 2 MiB, in a lane of 64 MiB
MIXED = 1_000_000
TYPES = {1: np.dtype("<f4"), 2: np.dtype([("x", "<i2"), ("y", "<i2")])}


def source_of(queue, code, dtype, shape):
    told = describe(code, name="", dtype=dtype, shape=shape, rate_hz=None, unit="", onset_us=1, metadata={})
    return LogSource(queue, told, 1)


def in_turns(queue, *deeds):
    """Return the seconds of each deed in turns; nobody drains meanwhile, and everything is released in between."""
    rounds = []
    for _ in range(12):
        rounds.append([])
        for deed in deeds:
            rounds[-1].append(measure.seconds(deed))
            drain = LogDrain.attach(queue.name)
            for lane, span in drain.turns(1 << 30):
                lane.release(len(span))
            while not drain.idle:
                for lane, span in drain.turns(1 << 30):
                    lane.release(len(span))
            drain.close()
    return np.median(np.array(rounds[2:]), axis=0)  # the first ones touch the lanes' pages


def put_cost():
    """Return seconds a message of a put that builds its package, and of a source's put."""
    queue = LogQueue.create()
    array, source = np.arange(64, dtype=np.uint8), source_of(queue, 1, "u1", (64,))

    def packages():
        for number in range(1, COUNT):
            queue.put(LogPackage(np.uint8(1), np.uint64(number), array))

    def arrays():
        for _ in range(1, COUNT):
            source.put(array)

    found = in_turns(queue, packages, arrays) / COUNT
    queue.discard()
    return found


def loan_cost():
    """Return seconds a frame of filling an array and putting it, and of filling a loan."""
    queue = LogQueue.create(lane_bytes=1 << 26)
    camera, kept = source_of(queue, 1, "u1", (HEIGHT, WIDTH)), np.empty((HEIGHT, WIDTH), np.uint8)

    def filled():
        for number in range(FRAMES):
            kept[...] = number
            camera.put(kept)

    def lent():
        for number in range(FRAMES):
            with camera.loan() as frame:
                frame[...] = number

    found = in_turns(queue, filled, lent) / FRAMES
    queue.discard()
    return found


def records_cost(folder):
    """Return seconds for a million mixed messages by a loop over iter_messages, and by `records`."""
    with DataLogger(folder, "bench", storage="journal") as logger:
        queue = logger.input_queue
        queue.put(LogPackage(1, 0, np.frombuffer((17 * 10**14).to_bytes(8, "little"), np.uint8)))
        rows = np.zeros((MIXED, 5), np.uint8)
        rows[:, 0] = 1 + np.arange(MIXED) % 2
        rows[:, 1:] = np.arange(MIXED, dtype="<u4").view(np.uint8).reshape(-1, 4)
        queue.put_many(1, np.arange(1, MIXED + 1, dtype=np.uint64), rows)
    assemble_log_archives(logger.output_directory)
    path = logger.output_directory / "1_log.npz"

    def loop():
        found = {code: [] for code in TYPES}
        for message in LogArchiveReader(path).iter_messages():
            code = int(message.payload[0])
            found[code].append((message.timestamp_us, np.frombuffer(message.payload[1:], TYPES[code])[0]))

    took = [measure.seconds(lambda: LogArchiveReader(path).records(TYPES)) for _ in range(5)]
    return measure.seconds(loop), float(np.median(took))


def main():
    package, array = put_cost()
    filled, lent = loan_cost()
    with tempfile.TemporaryDirectory() as folder:
        loop, records = records_cost(Path(folder))
    table = measure.Table("Described sources, against what a program does without them")
    scale = 1e9
    table.add("put an array / put a package built in the loop", array * scale, package * scale, array / package, 1.0,
              unit="ns", at_least=False)  # fmt: skip
    table.add("a frame of 2 MiB filled in a loan / filled and put", lent * 1e6, filled * 1e6, lent / filled, 0.7,
              unit="us", at_least=False)  # fmt: skip
    table.add("records of 1,000,000 mixed messages / a loop", records, loop, loop / records, 50, unit="s")
    table.print()
    return [table]
