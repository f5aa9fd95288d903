"""SIGKILL of everything that has a part in a log, at random moments: nothing lost, nothing twice, nothing torn.

The oracle is a mapped file in which each producer counts the puts that returned. A put that was done when the process
died, but not counted yet, may be there too: one for each death of a producer.
"""

import mmap
import multiprocessing
import os
import resource
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogPackage, recover_log_directory
from ataraxis_data_structures.system import platform
from logtools import leftovers, logger_in, read_files, read_journals, wait_for

FORK = multiprocessing.get_context("fork")
STORAGES = ["journal", "npy"]
PAUSE_S = {"journal": 0.0, "npy": 0.005}  # a file system makes some thousand files a second, a burst of kills 200 logs


def payload_of(source, i):
    return bytes([(i * 31 + source) % 256]) * (i % 97)


def put_one(queue, source, i):
    queue.put(LogPackage(np.uint8(source), np.uint64(i), np.frombuffer(payload_of(source, i), np.uint8)))


@contextmanager
def counters(path):
    """256 counts that outlive whoever counts."""
    path.write_bytes(bytes(2048))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 2048) as page, memoryview(page).cast("Q") as words:
        yield words


def produce(queue, counts, source, pause_s, limit=1 << 40):
    for i in range(limit):
        put_one(queue, source, i)
        counts[source] = i + 1
        if pause_s and i % 20 == 19:
            time.sleep(pause_s)


def produce_and_wait(*arguments):
    """Produce up to the limit; a kill that comes late finds the producer at rest."""
    produce(*arguments)
    while True:
        signal.pause()


def forked(work, *arguments):
    """Run `work` in a child that never returns from it; a session of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            work(*arguments)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return pid


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def reap(pid):
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def check(folder, counts, *, deaths=0):
    """Hold the log against the counts; return how many messages it has."""
    got = {}
    messages = read_files(folder) + read_journals(folder)[0]
    for source, time_us, payload in messages:
        assert payload == payload_of(source, time_us)
        assert time_us not in got.setdefault(source, set()), (source, time_us)
        got[source].add(time_us)
    extra = 0
    for source in range(256):
        seen = got.get(source, set())
        assert seen >= set(range(counts[source])), (source, counts[source], len(seen))
        assert seen <= set(range(counts[source] + 1)), source
        extra += len(seen) - counts[source]
    assert extra <= deaths
    return len(messages)


@pytest.fixture(autouse=True)
def many_files():
    """Each death of a logger process leaves a journal file, and a reader maps them all."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.timeout(1800)
def test_kills_of_a_producer_lose_nothing(tmp_path, rounds, storage):
    kills = rounds(1000 if storage == "journal" else 200, 12)
    rng = np.random.default_rng(1)
    total = 0
    with counters(tmp_path / "counts") as counts:
        for first in range(0, kills, 200):
            with logger_in(tmp_path, f"log{first}", storage=storage) as logger:
                logger.start()
                counts[:] = memoryview(bytes(2048)).cast("Q")
                bystander = FORK.Process(target=produce, args=(logger.input_queue, counts, 255, 0.001, 2000))
                bystander.start()
                for source in range(min(200, kills - first)):
                    pid = forked(produce_and_wait, logger.input_queue, counts, source, PAUSE_S[storage], 20_000)
                    wait_for(lambda source=source, counts=counts: counts[source])
                    time.sleep(rng.uniform(0, 0.005))
                    kill(pid)
                    reap(pid)
                bystander.join()
                assert bystander.exitcode == 0
                bystander.close()
                logger.stop()
                total += check(logger.output_directory, counts, deaths=min(200, kills - first))
                assert counts[255] == 2000
    print(f"producers, {storage}: {kills} kills, {total} messages, 0 lost, 0 twice, 0 torn")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.timeout(1800)
def test_kills_of_the_logger_process_lose_nothing(tmp_path, rounds, storage):
    kills = rounds(1000 if storage == "journal" else 200, 6)
    rng = np.random.default_rng(2)
    total = 0
    with counters(tmp_path / "counts") as counts, logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        producer = FORK.Process(
            target=produce, args=(logger.input_queue, counts, 1, 0.01 if storage == "npy" else 1e-4)
        )
        producer.start()
        for turn in range(kills):
            wait_for(lambda turn=turn: logger.statistics.restarts == turn and logger.statistics.pid)
            time.sleep(rng.uniform(0, 0.03))
            kill(logger.statistics.pid)
        producer.kill()
        producer.join()
        producer.close()
        logger.stop()
        assert logger.statistics.restarts == kills
        total = check(logger.output_directory, counts, deaths=1)
    print(f"logger process, {storage}: {kills} kills, {total} messages, 0 lost, 0 twice, 0 torn")


def session(folder, counts, storage, source):
    """A main process: its logger, a producer beside it, and puts of its own until it is killed."""
    logger = DataLogger(folder, "test", storage=storage)
    logger.start()
    producer = FORK.Process(target=produce, args=(logger.input_queue, counts, source + 1, PAUSE_S[storage] or 1e-4))
    producer.start()
    counts[253], counts[254] = logger.statistics.pid, producer.pid
    produce(logger.input_queue, counts, source, PAUSE_S[storage] or 1e-4)


def begin(folder, counts, storage, source):
    """Return the pids of (main, logger, producer) once both have put something."""
    counts[source] = counts[source + 1] = 0
    main = forked(session, folder, counts, storage, source)
    wait_for(lambda: counts[source] and counts[source + 1])
    pids = main, counts[253], counts[254]
    counts[253] = counts[254] = 0
    return pids


def no_segment_is_left():
    return not any(name.startswith("axds-") for name in os.listdir(platform.FOLDER))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.timeout(1800)
def test_kills_of_the_main_process_lose_nothing(tmp_path, rounds, storage):
    kills = rounds(1000 if storage == "journal" else 200, 3)
    rng = np.random.default_rng(3)
    total = 0
    with counters(tmp_path / "counts") as counts:
        for _ in range(kills):
            main, _, producer = begin(tmp_path, counts, storage, 0)
            time.sleep(rng.uniform(0, 0.02))
            kill(main)
            reap(main)
            going_on = counts[1]
            wait_for(lambda going_on=going_on: counts[1] > going_on)  # the logger goes on for those that live
            kill(producer)
            wait_for(no_segment_is_left)
            assert leftovers(tmp_path / "test_data_log") == []
            total += check(tmp_path / "test_data_log", counts, deaths=2)
            clear(tmp_path / "test_data_log")
    print(f"main process, {storage}: {kills} kills, {total} messages, 0 lost, 0 twice, 0 torn")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.timeout(1800)
def test_kills_of_all_at_once_lose_nothing(tmp_path, rounds, storage):
    kills = rounds(1000 if storage == "journal" else 200, 4)
    rng = np.random.default_rng(4)
    total = salvaged = 0
    with counters(tmp_path / "counts") as counts:
        for _ in range(kills):
            main, logger, producer = begin(tmp_path, counts, storage, 0)
            time.sleep(rng.uniform(0, 0.02))
            kill(*rng.permutation([main, logger, producer]).tolist())
            reap(main)
            wait_for(lambda pids=(logger, producer): not any(map(is_running, pids)))
            report = recover_log_directory(tmp_path / "test_data_log")
            assert report.whole
            assert no_segment_is_left()
            salvaged += sum(report.salvaged.values())
            assert leftovers(tmp_path / "test_data_log") == []
            total += check(tmp_path / "test_data_log", counts, deaths=2)
            clear(tmp_path / "test_data_log")
    print(f"all at once, {storage}: {kills} kills, {total} messages ({salvaged} from lanes), 0 lost, 0 twice, 0 torn")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def clear(folder):
    for path in folder.iterdir():
        path.unlink()
