"""A rig, ended at each system call of its main program or logger process: what was accepted is in the log exactly once.

The program notes in shared memory what it hands over, what was accepted, and what a flush acknowledged; memory outlives
it. Each run ends with an assembly, which recovers, and every archive is read back byte for byte.
"""

import errno
import mmap
import os
import shutil
import warnings
from contextlib import suppress

import numpy as np
import pytest

from ataraxis_data_structures import (
    DataLogger,
    LogArchiveReader,
    LogPackage,
    assemble_log_archives,
    recover_log_directory,
)
from ataraxis_data_structures.system import platform
from helpers.crash import chosen, count_steps, fail_at, kill_at

SIZES = [0, 1, 8, 100, 3000, 5000, 40_000, 200_000]  # a lane of 4 KiB holds 1.9 KiB; what is larger goes through files
SHORT = 16
MERGED = {(1, 5), (2, 10**9)}  # messages of an earlier recording
ONSET = 17 * 10**14


def payload(number):
    return np.random.default_rng(number).integers(0, 256, SIZES[number % len(SIZES)]).astype(np.uint8)


class Rig:
    """What a program records, and what it has noted of it."""

    COUNT = 24

    def __init__(self, root, storage, lane_bytes):
        self.root, self.storage, self.lane_bytes = root, storage, lane_bytes
        self.notes = mmap.mmap(-1, 3 * self.COUNT)
        self.directory = root / "rig_data_log"

    def prepare(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        self.notes[:] = bytes(3 * self.COUNT)

    def put(self, queue, numbers):
        for number in numbers:
            self.notes[number] = 1
            queue.put(LogPackage(1 + number % 2, 1000 + number, payload(number)))
            self.notes[self.COUNT + number] = 1

    def flush(self, logger):
        put = [number for number in range(self.COUNT) if self.notes[self.COUNT + number]]
        logger.flush()
        for number in put:
            self.notes[2 * self.COUNT + number] = 1

    def record(self):
        """Record with all that a session has: flushes, a stop and a start, puts between them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger = DataLogger(self.root, "rig", storage=self.storage, lane_bytes=self.lane_bytes)
            logger.start()
            self.put(logger.input_queue, range(8))
            self.flush(logger)
            self.put(logger.input_queue, range(8, 14))
            logger.stop()
            self.put(logger.input_queue, range(14, 15))
            logger.start()
            self.put(logger.input_queue, range(15, 24))
            self.flush(logger)
            logger.stop()

    def check(self, step):
        """Assert that every accepted message is there once, each other at most once, and nothing is left behind."""
        handed = {number for number in range(self.COUNT) if self.notes[number]}
        accepted = {number for number in handed if self.notes[self.COUNT + number]}
        if self.directory.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    assemble_log_archives(self.directory, 1)
                except Exception as error:
                    error.add_note(f"{step}; {sorted(os.listdir(self.directory))}")
                    raise
        found = [one for one in read_all(self.directory) if one[:2] not in MERGED]
        numbers = [time - 1000 for _, time, _ in found]
        assert len(numbers) == len(set(numbers)), f"{step}: twice: {sorted(numbers)}"
        assert accepted <= set(numbers) <= handed, f"{step}: missing {accepted - set(numbers)}, {set(numbers) - handed}"
        for source, time, data in found:
            assert (source, data) == (1 + (time - 1000) % 2, payload(time - 1000).tobytes()), f"{step}: {time}"
        if self.directory.exists():
            left = {name for name in os.listdir(self.directory) if not name.endswith("_log.npz")}
            if not found:  # a session without a message leaves its record: host, versions, metadata
                left = {name for name in left if not name.startswith(".axds-session-")}
            assert not left, f"{step}: left behind: {left}"
        assert not segments(), f"{step}: left in shared memory: {segments()}"


def segments():
    return [name for name in os.listdir(platform.FOLDER) if name.startswith("axds-")]


def read_all(directory):
    """Return (source, time, payload) of all messages in the archives of a directory, by numpy."""
    found = []
    for path in directory.glob("*_log.npz"):
        with np.load(path) as archive:
            for name in archive.files:
                data = archive[name].tobytes()
                found.append((data[0], int.from_bytes(data[1:9], "little"), data[9:]))
    return found


@pytest.fixture(params=["npy", "journal"])
def rig(request, tmp_path):
    made = Rig(tmp_path / "data", request.param, 4096)
    yield made
    made.notes.close()


@pytest.mark.parametrize("everybody", [False, True], ids=["the one that calls", "everybody"])
def test_a_rig_killed_at_any_call_loses_and_doubles_nothing(rig, everybody):
    rig.prepare()
    total = count_steps(rig.record)
    rig.check("none")
    killed = 0
    for n in chosen(total, short=SHORT):
        rig.prepare()
        run = kill_at(rig.record, n, everybody=everybody)
        killed += run.hit is not None
        rig.check(run.hit)
    print(f"record, {rig.storage}: {total} steps, {killed} kills")
    assert killed


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EINTR])
def test_a_call_that_fails_loses_and_doubles_nothing_that_was_accepted(rig, code):
    rig.prepare()
    total = count_steps(rig.record)
    failed = 0
    for n in chosen(total, short=SHORT // 2):
        rig.prepare()
        run = fail_at(rig.record, n, code)
        failed += run.hit is not None
        rig.check(run.hit)
    print(f"record, {rig.storage}: {total} steps, {failed} failed with {errno.errorcode[code]}")
    assert failed


def test_a_recovery_killed_at_any_call_is_finished_by_the_next(rig):
    def die():
        rig.record()
        os.kill(os.getpid(), 9)

    def recover():
        with suppress(FileNotFoundError):
            recover_log_directory(rig.directory)

    def prepare():
        rig.prepare()
        kill_at(rig.record, stop, everybody=True)

    rig.prepare()
    stop = count_steps(rig.record) * 3 // 4
    prepare()
    total = count_steps(recover)
    rig.check("none")
    for n in chosen(total, short=SHORT):
        prepare()
        run = kill_at(recover, n)
        rig.check(run.hit)
    print(f"recover, {rig.storage}: {total} steps")


@pytest.mark.parametrize("keep", [False, True], ids=["remove", "keep"])
@pytest.mark.parametrize("merge", [False, True], ids=["new", "merge"])
def test_an_assembly_killed_at_any_call_is_finished_by_the_next(rig, tmp_path, keep, merge):
    pristine = tmp_path / "pristine"
    rig.prepare()

    def earlier():
        with DataLogger(rig.root, "rig", storage=rig.storage) as logger:
            logger.input_queue.put(LogPackage(1, 5, np.zeros(3, np.uint8)))
            logger.input_queue.put(LogPackage(2, 10**9, np.ones(3, np.uint8)))
        assemble_log_archives(rig.directory, 1)

    if merge:
        count_steps(earlier)
    count_steps(rig.record)  # in a process of its own
    shutil.copytree(rig.directory, pristine)

    def prepare():
        shutil.rmtree(rig.directory)
        shutil.copytree(pristine, rig.directory)

    def assemble():
        assemble_log_archives(rig.directory, 1, remove_sources=not keep)

    def fail(program, n):
        return fail_at(program, n, errno.EIO)

    total = count_steps(assemble)
    for n in chosen(total, short=SHORT):
        for deed in (kill_at, fail):
            prepare()
            run = deed(assemble, n)
            rig.check((deed.__name__, n, str(run.hit)))
            assert ({one[:2] for one in read_all(rig.directory)} >= MERGED) == merge, run.hit
    print(f"assemble, {rig.storage}, {'keep' if keep else 'remove'}, {'merge' if merge else 'new'}: {total} steps")


def test_archives_of_the_rig_are_read_by_the_library_too(rig):
    rig.prepare()
    logger = DataLogger(rig.root, "rig", storage=rig.storage)
    with logger:
        logger.input_queue.put(LogPackage(1, 0, np.frombuffer(ONSET.to_bytes(8, "little"), np.uint8)))
        rig.put(logger.input_queue, range(10))
    assemble_log_archives(rig.directory)
    reader = LogArchiveReader(rig.directory / "1_log.npz")
    assert [message.payload.tobytes() for message in reader.iter_messages()] == [
        payload(number).tobytes() for number in range(0, 10, 2)
    ]
