import os
import signal
import time
from collections import Counter

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogPackage, recover_log_directory
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.errors import QueueBusyError
from ataraxis_data_structures.logs.journal import layout
from ataraxis_data_structures.logs.journal.writer import Appender
from ataraxis_data_structures.logs.owner_record import OWNER_RECORD
from ataraxis_data_structures.system import platform
from logtools import leftovers, logger_in, package, read_files, read_journals, read_log, wait_for

HEADER = layout.Header(0xBEEF, 0, 77, layout.JOURNAL, 5, bytes(16))


def put_some(queue, source, count):
    for i in range(count):
        queue.put(package(bytes([i % 256]) * (i % 40), source=source, time=i))


def some(source, count):
    return [(source, i, bytes([i % 256]) * (i % 40)) for i in range(count)]


def die_with_messages_in_lanes(folder, storage, started):
    """Run a main process that dies, with its logger process, while its lane holds messages."""
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        return
    logger = DataLogger(folder, "test", storage=storage)
    if started:
        logger.start()
        put_some(logger.input_queue, 1, 100)
        logger.flush(30)
        os.kill(logger.statistics.pid, signal.SIGSTOP)
    put_some(logger.input_queue, 2, 50)
    if started:
        os.kill(logger.statistics.pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def segments():
    return [name for name in os.listdir(platform.FOLDER) if name.startswith("axds-")]


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_what_everybody_left_when_they_died_is_completed(tmp_path, storage):
    die_with_messages_in_lanes(tmp_path, storage, started=True)
    assert segments()
    folder = tmp_path / "test_data_log"
    report = recover_log_directory(folder)
    assert report.salvaged == {2: 50}
    assert report.whole
    assert read_log(folder) == some(1, 100) + some(2, 50)
    assert (leftovers(folder), segments()) == ([], [])
    assert recover_log_directory(folder).salvaged == {}
    assert len(read_log(folder)) == 150


class Counts:
    """Counts what is listed, and whose journal header is parsed, as the system and the layout are asked for it."""

    def __init__(self, monkeypatch):
        self.listed = Counter()
        self.parsed = Counter()
        for name in ("listdir", "scandir"):
            monkeypatch.setattr(os, name, self.listing(getattr(os, name)))
        parse = layout.parse_header

        def parse_header(page):
            header = parse(page)
            self.parsed[header and header.number] += 1
            return header

        monkeypatch.setattr(layout, "parse_header", parse_header)

    def listing(self, call):
        def counted(path="."):
            status = os.stat(path)  # a folder by a descriptor, or by another spelling, is the same one
            self.listed[status.st_dev, status.st_ino] += 1
            return call(path)

        return counted

    def of(self, folder):
        status = os.stat(folder)
        return self.listed[status.st_dev, status.st_ino]


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_recovery_lists_each_folder_once_and_parses_each_header_once(tmp_path, monkeypatch, storage):
    """One queue, one lane and one journal; recovery itself makes a second journal, whose header it knows."""
    die_with_messages_in_lanes(tmp_path, storage, started=True)
    folder = tmp_path / "test_data_log"
    assert (len(segments()), len(layout.list_journals(folder))) == (2, 1)
    with monkeypatch.context() as patch:
        counts = Counts(patch)
        assert recover_log_directory(folder).salvaged == {2: 50}
        listed = {"log directory": counts.of(folder), "shared memory": counts.of(platform.FOLDER)}
    assert listed == {"log directory": 1, "shared memory": 1}
    assert counts.parsed == {0: 1}
    assert read_log(folder) == some(1, 100) + some(2, 50)
    assert segments() == []


def test_recovery_of_a_queue_without_its_words_lists_each_folder_once(tmp_path, monkeypatch):
    """The lanes alone are left, which are found by name."""
    die_with_messages_in_lanes(tmp_path, "journal", started=True)
    folder = tmp_path / "test_data_log"
    (queue,) = [name for name in segments() if name.count("-") == 1]
    (platform.FOLDER / queue).unlink()
    with monkeypatch.context() as patch:
        counts = Counts(patch)
        assert recover_log_directory(folder).salvaged == {2: 50}
        listed = counts.of(folder), counts.of(platform.FOLDER)
    assert (listed, counts.parsed) == ((1, 1), {0: 1})
    assert read_log(folder) == some(1, 100) + some(2, 50)
    assert segments() == []


def test_messages_of_a_logger_that_was_never_started_are_recovered_too(tmp_path):
    die_with_messages_in_lanes(tmp_path, "npy", started=False)
    assert recover_log_directory(tmp_path / "test_data_log").salvaged == {2: 50}
    assert read_files(tmp_path / "test_data_log")
    assert segments() == []


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_the_next_start_finishes_what_the_last_session_left(tmp_path, storage):
    die_with_messages_in_lanes(tmp_path, storage, started=True)
    with logger_in(tmp_path, storage=storage, session="continue") as logger:
        logger.start()
        put_some(logger.input_queue, 3, 10)
        logger.stop()
        assert read_log(logger.output_directory) == some(1, 100) + some(2, 50) + some(3, 10)
        assert len(segments()) == 2  # the queue of this logger and its one lane


def test_a_directory_in_use_is_not_recovered(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        with pytest.raises(QueueBusyError, match=str(logger.statistics.pid)):
            recover_log_directory(logger.output_directory, patience_s=0.1)
        logger.stop()


def test_an_old_drain_that_still_runs_is_waited_for(tmp_path):
    """The owner died, a producer lives on: whoever wants the directory waits until it is done."""
    read, write = os.pipe()
    main = os.fork()
    if main == 0:
        logger = DataLogger(tmp_path, "test", storage="journal")
        logger.start()
        producer = os.fork()
        if producer == 0:
            put_some(logger.input_queue, 1, 100)
            os.write(write, b"%d\n" % os.getpid())
            time.sleep(60)
            os._exit(0)
        signal.pause()
    producer = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    os.kill(main, signal.SIGKILL)
    os.waitpid(main, 0)
    with pytest.raises(QueueBusyError):
        recover_log_directory(tmp_path / "test_data_log", patience_s=0.2)
    os.kill(producer, signal.SIGKILL)
    assert recover_log_directory(tmp_path / "test_data_log", patience_s=30).whole
    assert read_log(tmp_path / "test_data_log") == some(1, 100)
    wait_for(lambda: not segments())


def test_a_folder_without_a_log_has_nothing_to_recover_and_a_missing_one_is_an_error(tmp_path):
    report = recover_log_directory(tmp_path)
    assert (report.salvaged, report.recovered, report.expanded, report.whole) == ({}, {}, 0, True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        recover_log_directory(tmp_path / "none")


def test_damage_is_reported_by_source(tmp_path):
    with Appender(tmp_path, HEADER) as journal:
        for seq in range(20):
            journal.append(frame.pack(HEADER.salt, bytes(40), source=seq % 2, time=seq, seq=seq, claim=1))
    data = bytearray(journal.path.read_bytes())
    data[layout.HEADER_BYTES + 72 * 4 + 50] ^= 4
    data[layout.HEADER_BYTES + 72 * 7 + 50] ^= 4
    data[layout.HEADER_BYTES + 72 * 9 + 50] ^= 4
    journal.path.write_bytes(data)
    report = recover_log_directory(tmp_path)
    assert report.recovered == {0: 9, 1: 8}
    assert report.lost == {0: 1, 1: 2}
    assert (report.missing, report.damaged_bytes) == (3, 3 * 72)
    assert not report.whole


def test_a_torn_tail_of_a_power_cut_is_cut_off_and_told(tmp_path):
    with Appender(tmp_path, HEADER._replace(storage=layout.NPY)) as journal:
        for seq in range(5):
            journal.append(frame.pack(HEADER.salt, bytes([seq]) * 40, source=1, time=seq, seq=seq, claim=1))
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[: layout.HEADER_BYTES + 72 * 3 + 30])
    report = recover_log_directory(tmp_path)
    assert (report.recovered, report.expanded, report.damaged_bytes) == ({1: 3}, 3, 30)
    assert read_files(tmp_path)
    assert sorted(read_files(tmp_path)) == [(1, seq, bytes([seq]) * 40) for seq in range(3)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"queues": [5]}', '{"queues": 7, "work": [2]}', "[" * 100_000])
def test_an_owner_record_that_says_nothing_is_no_obstacle(tmp_path, text):
    (tmp_path / OWNER_RECORD).write_text(text)
    assert recover_log_directory(tmp_path).whole


def test_an_orphaned_producer_gets_an_error_instead_of_a_wait_for_ever(tmp_path):
    read, write = os.pipe()
    main = os.fork()
    if main == 0:
        logger = DataLogger(tmp_path, "test", storage="journal", lane_bytes=1 << 14)
        logger.start()
        pid = logger.statistics.pid
        producer = os.fork()
        if producer == 0:
            error = None
            try:
                for i in range(10**9):
                    logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), np.zeros(50, np.uint8)))
            except Exception as caught:
                error = type(caught).__name__
            os.write(write, f"{error}\n".encode())
            os._exit(0)
        os.write(write, f"{pid} {producer}\n".encode())
        signal.pause()
    logger_pid, _ = map(int, os.read(read, 100).split())
    os.kill(main, signal.SIGKILL)
    os.waitpid(main, 0)
    os.kill(logger_pid, signal.SIGKILL)
    assert os.read(read, 100) == b"ChildProcessError\n"
    os.close(read)
    os.close(write)
    report = recover_log_directory(tmp_path / "test_data_log")
    assert report.salvaged[1] > 0
    times = [time_us for _, time_us, _ in read_log(tmp_path / "test_data_log")]
    assert times == list(range(len(times)))
    assert read_journals(tmp_path / "test_data_log")[1].whole


def test_files_of_large_messages_that_a_restart_of_the_machine_left_are_removed(tmp_path):
    folder = tmp_path / "test_data_log"
    folder.mkdir()
    old, new = folder / ".axds-0123456789-1-5", folder / ".axds-0123456789-1-6"
    for path in (old, new, folder / "notes.txt"):
        path.write_bytes(bytes(100))
        os.utime(path, (1, 1))
    os.utime(new)  # of this boot: its lane may be in the shared memory of another container
    recover_log_directory(folder)
    assert sorted(path.name for path in folder.iterdir()) == [new.name, "notes.txt"]
