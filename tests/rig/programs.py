"""Functions that the whole-chain tests run in other processes; importable there by name."""

import os
from pathlib import Path

import numpy as np

from ataraxis_data_structures import LogPackage


def put_some(queue, source, count, array=None):
    """Put the onset and `count` messages whose payload is their time; count them in the array if there is one."""
    queue.put(LogPackage(np.uint8(source), np.uint64(0), np.frombuffer((1).to_bytes(8, "little"), np.uint8)))
    for time in range(1, count + 1):
        queue.put(LogPackage(np.uint8(source), np.uint64(time), np.frombuffer(time.to_bytes(8, "little"), np.uint8)))
        if array is not None:
            array[source] = time
    return count


def take_from_pipe(connection, source, count):
    """Receive a queue and an array through a pipe, and use both."""
    queue, array = connection.recv()
    put_some(queue, source, count, array)


def take_from_queue(carrier, source, count):
    """Receive a queue and an array through a multiprocessing.Queue, and use both."""
    queue, array = carrier.get()
    put_some(queue, source, count, array)


def put_until_killed(queue, source, ledger, payload_bytes):
    """Put in a tight loop; the ledger file's size says how many puts have returned."""
    acknowledged = os.open(Path(ledger), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    body = bytearray(payload_bytes)
    time = 0
    while True:
        time += 1
        body[:8] = time.to_bytes(8, "little")
        body[-8:] = body[:8]
        queue.put(LogPackage(np.uint8(source), np.uint64(time), np.frombuffer(bytes(body), np.uint8)))
        os.write(acknowledged, b".")
