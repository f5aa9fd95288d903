"""Processes that die anywhere in their use of a shared array: the others go on, and every tear is told."""

import ctypes
import mmap
import os
import random
import signal
import time
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import SharedMemoryArray, TornArrayWarning

WORKERS = 4
ROW = 64  # elements, all equal whenever nobody is inside
PATIENCE_S = 2.0

# One line of private words for each worker, in memory that the parent reads after a death.
WORDS = np.dtype([("laps", "u8"), ("writes", "u8"), ("lies", "u8"), ("_", "V40")])


@pytest.fixture
def name():
    return f"axds-test-kills-{os.getpid()}"


@pytest.fixture
def words():
    memory = mmap.mmap(-1, WORKERS * WORDS.itemsize)
    return np.frombuffer(memory, dtype=WORDS)


def check(sma, row):
    """Tell whether a row that isn't whole went unreported; called with the lock held."""
    return row.min() != row.max() and not sma.torn


def write_by_index(sma, value):
    sma[:] = value


def write_in_a_block(sma, value):
    with sma.array() as array:
        for index in range(ROW):
            array[index] = value


def add_and_take_back(sma, value):
    # Two writes that leave the row as it was, if nobody dies between them: so only under the block's lock.
    with sma.array() as array:
        array[value % ROW] += 1
        array[value % ROW] -= 1


def read_by_index(sma, value):
    sma[:]
    sma[value % ROW]


def read_in_a_block(sma, value):
    with sma.array(read_only=True) as array:
        if check(sma, array):
            raise AssertionError("a torn row was not reported")


WRITES = (write_by_index, write_in_a_block, add_and_take_back)
READS = (read_by_index, read_in_a_block)


def work(sma, word, seed, acts):
    """Act in a tight loop until killed; `writes` is odd while a write may be going on."""
    warnings.simplefilter("ignore", TornArrayWarning)
    chance = random.Random(seed)
    while True:
        act = chance.choice(acts)
        word["writes"] += act in WRITES
        act(sma, chance.randrange(1 << 30))
        word["writes"] += act in WRITES
        word["laps"] += 1
        if sma.torn:
            word["writes"] += 1
            sma.mend(np.full(ROW, 1))
            word["writes"] += 1


def start(sma, word, seed, acts):
    """Fork a worker that dies with its parent; a failure in it is a lie that the parent finds."""
    word["laps"] = word["writes"] = 0
    child = os.fork()
    if child:
        return child
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        work(sma, word, seed, acts)
    finally:
        word["lies"] = 1
        os._exit(1)


def wait_until_all_moved(words, before, killed):
    """Return how long each survivor took to finish another lap, in seconds; the patience counts as never."""
    began = time.monotonic()
    took = {}
    while len(took) < WORKERS - 1 and time.monotonic() - began < PATIENCE_S * 5:
        for number in range(WORKERS):
            if number != killed and number not in took and words["laps"][number] > before[number]:
                took[number] = time.monotonic() - began
        time.sleep(0.0005)
    return [took.get(number, PATIENCE_S * 5) for number in range(WORKERS) if number != killed]


def kill_in_turns(sma, words, kills, acts):
    """Kill random workers; returns (waits of the survivors, kills that may have torn the data)."""
    chance = random.Random(1)
    children = [start(sma, words[number], number, acts) for number in range(WORKERS)]
    waits, maybe = [], 0
    try:
        for kill in range(kills):
            time.sleep(chance.uniform(0, 0.01))
            number = chance.randrange(WORKERS)
            os.kill(children[number], signal.SIGKILL)
            os.waitpid(children[number], 0)
            before = words["laps"].copy()
            maybe += int(words["writes"][number]) % 2
            waits += wait_until_all_moved(words, before, number)
            assert not words["lies"].any()
            children[number] = start(sma, words[number], kills + kill, acts)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return waits, maybe + sum(int(writes) % 2 for writes in words["writes"])


def test_no_death_locks_anyone_out_and_every_tear_is_told(name, words, rounds):
    kills = rounds(1_000, 60)
    with SharedMemoryArray.create_array(name, np.zeros(ROW, dtype="i8")) as sma:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TornArrayWarning)
            waits, maybe = kill_in_turns(sma, words, kills, WRITES + READS)
            with sma.array(read_only=True) as row:  # and the four that were killed at the end
                assert not check(sma, row)
        p99 = float(np.percentile(waits, 99))
        print(f"\n{kills} kills: {sma.owner_deaths} with the lock, {sma.tears} tears of {maybe} that may have been; "
              f"survivors went on after p50 {np.median(waits) * 1e3:.1f}, p99 {p99 * 1e3:.1f}, "
              f"max {max(waits) * 1e3:.1f} ms")  # fmt: skip
        assert max(waits) < PATIENCE_S
        assert p99 < 0.1
        assert sma.tears <= min(maybe, sma.owner_deaths)
        assert sma.owner_deaths <= kills + WORKERS


def test_deaths_of_readers_are_never_tears(name, words, rounds):
    kills = rounds(200, 30)
    with SharedMemoryArray.create_array(name, np.zeros(ROW, dtype="i8")) as sma:
        waits, _ = kill_in_turns(sma, words, kills, READS)
        assert sma.tears == 0
        assert max(waits) < PATIENCE_S
        sma[0] = 1
