"""A producer that is killed takes nothing with it that its completed puts handed over, and stops nobody else."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import programs
import pytest

from ataraxis_data_structures import DataLogger, LogArchiveReader, assemble_log_archives

VICTIM, SURVIVOR = 1, 2


def times_in(archive):
    return [int(key.split("_")[1]) for batch in LogArchiveReader(archive, onset_us=0).get_batches() for key in batch]


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_kills_of_producers_lose_and_tear_nothing(tmp_path, rounds, storage):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    context = multiprocessing.get_context("spawn")
    kills = rounds(200, 3)
    for kill in range(kills):
        kill_one(tmp_path / str(kill), storage, context, chance)
    print(f"{storage}: {kills} producers killed, 0 messages lost, 0 torn")


def kill_one(directory, storage, context, chance):
    directory.mkdir()
    logger = DataLogger(directory, "rig", storage=storage)
    logger.start()
    size = chance.choice([16, 64, 1000, 5000])
    ledger = directory / "acknowledged"
    child = context.Process(target=programs.put_until_killed, args=(logger.input_queue, VICTIM, ledger, size))
    child.start()
    while not ledger.exists() or not ledger.stat().st_size:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.004))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    programs.put_some(logger.input_queue, SURVIVOR, 50)
    logger.stop()
    assemble_log_archives(logger.output_directory)
    acknowledged = ledger.stat().st_size
    check_victim(logger.output_directory / f"{VICTIM}_log.npz", acknowledged, size)
    assert times_in(logger.output_directory / f"{SURVIVOR}_log.npz") == list(range(1, 51))


def check_victim(archive, acknowledged, size):
    times, payloads = LogArchiveReader(Path(archive), onset_us=np.uint64(0)).read_all_messages()
    # The one put that was under way at the kill may be there as a whole, or not at all.
    assert len(times) in (acknowledged, acknowledged + 1)
    assert times.tolist() == list(range(1, len(times) + 1))
    for stamp, payload in zip(times.tolist(), payloads, strict=True):
        assert payload.size == size
        assert payload[:8].tobytes() == payload[-8:].tobytes() == stamp.to_bytes(8, "little")
