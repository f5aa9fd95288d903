"""What tests of the queue share: queues that leave nothing behind, and messages read out of a drain."""

import contextlib

import numpy as np

from ataraxis_data_structures import LogPackage
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.memory.queue import LogQueue


@contextlib.contextmanager
def queue_of(**options):
    queue = LogQueue.create(**options)
    try:
        yield queue
    finally:
        queue.discard()


def package(payload=b"", source=1, time=0):
    return LogPackage(np.uint8(source), np.uint64(time), np.frombuffer(payload, dtype=np.uint8))


def records(span, salt):
    """Return (source, time, seq, claim, flags, payload) of each record of a span; none may be harmed."""
    return [
        (
            int(row["source"]),
            int(row["time"]),
            int(row["seq"]),
            int(row["claim"]),
            int(row["flags"]),
            bytes(span[int(row["offset"]) + 32 : int(row["offset"]) + 32 + int(row["length"])]),
        )
        for row in scan(span, salt)
    ]


def drain_round(drain, max_bytes=1 << 18):
    """Release what one round of turns gives and return its bytes; the producers may be faster."""
    found = bytearray()
    for lane, span in drain.turns(max_bytes):
        found += span
        lane.release(len(span))
    return found


def scan(data, salt):
    """Return the rows of joined spans; nothing in them may be harmed."""
    scanner = frame.Scanner(data, salt)
    rows = np.frombuffer(scanner.next(len(data) // frame.RECORD_BYTES + 1), dtype=frame.ROW)
    assert scanner.damaged == []
    assert scanner.position == len(data)
    return rows


def drain_once(drain, max_bytes=1 << 18):
    """Release everything and return its records; for producers that are done."""
    found = []
    while True:
        before = len(found)
        for lane, span in drain.turns(max_bytes):
            found += records(span, drain.salt)
            lane.release(len(span))
        if len(found) == before and drain.idle:
            return found


def messages(found):
    """Return (source, time, payload) of each message among records, in order."""
    return [(source, time, payload) for source, time, _, _, flags, payload in found if not flags & frame.GAP]
