"""What others remove under a logger, limits and failures of disks: nothing is lost in silence."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from ataraxis_data_structures import assemble_log_archives, recover_log_directory
from ataraxis_data_structures._core import bulk
from ataraxis_data_structures.logs.assembly import publish
from ataraxis_data_structures.logs.journal import layout, words
from ataraxis_data_structures.logs.journal.holdings import Holdings
from ataraxis_data_structures.logs.journal.npy_files import Expansion
from ataraxis_data_structures.logs.journal.reader import Journal, open_journals
from ataraxis_data_structures.logs.journal.writer import Appender
from ataraxis_data_structures.logs.logger.sync import start_thread
from ataraxis_data_structures.logs.recovery import lanes as recovery_lanes
from ataraxis_data_structures.logs.recovery.files import expand_journals
from ataraxis_data_structures.system import platform, process
from logtools import leftovers, logger_in, package, read_files, read_log, run, wait_for

COUNT = 100


def put(queue, first=0, count=COUNT):
    for time in range(first, first + count):
        queue.put(package(b"message", time=time))


def times(folder):
    return [time for _, time, _ in read_log(folder)]


def test_a_journal_that_was_removed_is_told_by_flush_stop_and_put_and_the_log_goes_on(tmp_path):
    with logger_in(tmp_path, storage="journal") as logger:
        logger.start()
        put(logger.input_queue)
        logger.flush()
        next(logger.output_directory.glob("*.axj")).unlink()
        with pytest.raises(FileNotFoundError, match=f"journals were removed .* with {COUNT} of source 1"):
            logger.flush()
        with pytest.warns(RuntimeWarning, match=f"{COUNT} of source 1"):
            put(logger.input_queue, COUNT, 1)
        put(logger.input_queue, COUNT + 1, COUNT - 1)
        with pytest.raises(OSError, match=f"{COUNT} of source 1"):
            logger.stop()
        assert times(logger.output_directory) == list(range(COUNT, 2 * COUNT))


def test_a_journal_before_the_last_that_was_removed_is_told_with_its_count(tmp_path):
    with logger_in(tmp_path, storage="journal") as logger:
        logger._session._settings["rotate_bytes"] = 20_000
        logger.start()
        for time in range(3):
            logger.input_queue.put(package(bytes(30_000), time=time))
            logger.flush()
        first = min(logger.output_directory.glob("*.axj"))
        first.unlink()
        with pytest.raises(OSError, match="with 1 of source 1"):
            logger.stop()
        assert times(logger.output_directory) == [1, 2]


def test_files_are_made_of_a_journal_that_was_removed(tmp_path):
    with logger_in(tmp_path, storage="npy") as logger:
        logger.start()
        put(logger.input_queue)
        logger.flush()
        next(logger.output_directory.glob("*.axj")).unlink()
        put(logger.input_queue, COUNT)
        logger.flush()
        logger.stop()
        assert sorted(time for _, time, _ in read_files(logger.output_directory)) == list(range(2 * COUNT))


@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_log_directory_that_was_removed_ends_the_logger_with_counts_and_a_later_start_goes_on(tmp_path, storage):
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        put(logger.input_queue)
        logger.flush()
        shutil.rmtree(logger.output_directory)
        with pytest.raises(ChildProcessError, match=f"was removed with what was logged to it: {COUNT} of source 1"):
            logger.flush()
        with pytest.raises(ChildProcessError):
            put(logger.input_queue)
        with pytest.raises(ChildProcessError, match=f"{COUNT} of source 1"):
            logger.stop()
        logger.start()
        put(logger.input_queue, COUNT)
        logger.stop()
        assert times(logger.output_directory) == list(range(COUNT, 2 * COUNT))


def names_of(queue):
    return [path for path in platform.FOLDER.iterdir() if path.name.startswith(queue.name)]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["alive", "killed"])
def test_messages_whose_names_were_removed_from_shared_memory_are_logged(tmp_path, is_known, is_killed):
    with logger_in(tmp_path) as logger:
        logger.start()
        pid = logger.statistics.pid
        if not is_known:
            os.kill(pid, signal.SIGSTOP)
        put(logger.input_queue)
        if is_known:
            logger.flush()
        for path in names_of(logger.input_queue):
            path.unlink()
        put(logger.input_queue, COUNT)
        os.kill(pid, signal.SIGKILL if is_killed else signal.SIGCONT)
        logger.flush(20)
        wait_for(lambda: logger.input_queue._warning)
        with pytest.warns(RuntimeWarning, match="names of the log were removed"):
            put(logger.input_queue, 2 * COUNT, 1)
        logger.stop()
        assert sorted(time for _, time, _ in read_files(logger.output_directory)) == list(range(2 * COUNT + 1))


def test_a_lane_that_vanished_with_its_producer_is_told_by_stop(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        pid = logger.statistics.pid
        put(logger.input_queue)
        logger.flush()
        os.kill(pid, signal.SIGSTOP)
        known = set(names_of(logger.input_queue))
        child = os.fork()
        if not child:
            put(logger.input_queue, COUNT)
            os._exit(0)
        os.waitpid(child, 0)
        for path in set(names_of(logger.input_queue)) - known:
            path.unlink()
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(OSError, match="1 lanes were removed from shared memory"):
            logger.stop()
        assert len(read_files(logger.output_directory)) == COUNT


LIMITED = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from ataraxis_data_structures import DataLogger, LogPackage
    folder, storage, limit, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    logger = DataLogger(folder, "test", storage=storage)
    logger.start()
    refused = 0
    for time in range(40):
        try:
            logger.input_queue.put(LogPackage(1, time, np.full(size, time, np.uint8)))
        except OSError as error:
            refused += 1
    logger.stop()
    print(refused)
"""


@pytest.mark.parametrize("storage", ["npy", "journal"])
@pytest.mark.parametrize(("size", "refused"), [(8, 0), (40_000, 0), (150_000, 0), (300_000, 40)])
def test_under_a_limit_of_file_sizes_each_message_is_logged_or_its_put_raised(tmp_path, storage, size, refused):
    assert run(LIMITED, tmp_path, storage, 300_000, size).strip() == str(refused)
    got = read_log(tmp_path / "test_data_log")
    assert [(time, len(payload)) for _, time, payload in got] == [(time, size) for time in range(40 - refused)]


@pytest.fixture
def without_shared_maps(monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(words.mmap, "mmap", refuse)


def journal_of(folder, count=COUNT, storage=layout.NPY):
    """Write a journal of a queue that is gone, closed, and return its path."""
    with Appender(folder, layout.Header(7, 0, 1, storage, 1, process.boot_id())) as journal:
        for seq in range(count):
            journal.append(layout.frame.pack(1, b"message", source=1, time=seq, seq=seq, claim=1))
    return journal.path


def test_a_journal_is_written_where_there_are_no_shared_maps(tmp_path, without_shared_maps):
    path = journal_of(tmp_path)
    with Journal(path) as journal:
        assert sum(len(rows) for rows in journal.rows()) == COUNT + 1
        assert not journal.damaged
    assert layout.parse_header(path.read_bytes()[:4096]).queue_id == 7


def test_a_program_that_puts_after_stop_leaves_no_resource_open(tmp_path):
    program = """
        import sys
        from pathlib import Path
        import numpy as np
        from ataraxis_data_structures import DataLogger, LogPackage
        logger = DataLogger(Path(sys.argv[1]), "test")
        logger.start()
        logger.stop()
        logger.input_queue.put(LogPackage(1, 1, np.zeros(1, np.uint8)))
    """
    command = [sys.executable, "-W", "default", "-c", textwrap.dedent(program), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "ResourceWarning" not in done.stderr
    assert len(read_files(tmp_path / "test_data_log")) == 1


def failing_once(call, failing_at=1):
    """Return the call, of which one fails as a broken disk does: the next ones succeed, as they do on Linux."""
    calls = []

    def called(*arguments):
        calls.append(arguments)
        if len(calls) == failing_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return call(*arguments)

    return called


def test_files_whose_sync_failed_are_made_anew_before_their_journal_goes(tmp_path, monkeypatch):
    journal = journal_of(tmp_path)
    monkeypatch.setattr(bulk, "syncfs", failing_once(bulk.syncfs))
    with pytest.raises(OSError, match="Input/output"):
        expand_journals(Holdings(tmp_path))
    assert journal.exists()
    before = {path.name: path.stat().st_ino for path in tmp_path.glob("*.npy")}
    assert len(before) == COUNT
    expand_journals(Holdings(tmp_path))
    after = {path.name: path.stat().st_ino for path in tmp_path.glob("*.npy")}
    assert before.keys() == after.keys()
    assert not set(before.items()) & set(after.items())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npy"] * COUNT


def test_after_a_failed_sync_no_journal_of_the_same_round_goes_unless_its_files_were_made_anew(tmp_path):
    journal_of(tmp_path)
    with Expansion(tmp_path / "journal-0000000000000007-0000.axj", process.boot_id()) as expansion:
        expansion.advance(expansion.end())
        expansion.distrust()
    with Expansion(tmp_path / "journal-0000000000000007-0000.axj", process.boot_id()) as expansion:
        assert expansion.position == layout.HEADER_BYTES


@pytest.mark.parametrize("what", ["sync_data", "sync_folder"])
def test_a_journal_whose_sync_failed_in_recovery_is_written_anew_by_the_next(tmp_path, monkeypatch, what):
    child = os.fork()
    if not child:
        with logger_in(tmp_path, storage="journal") as logger:
            logger.start()
            pid = logger.statistics.pid
            os.kill(pid, signal.SIGSTOP)
            put(logger.input_queue)
            os.kill(pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    folder = tmp_path / "test_data_log"
    monkeypatch.setattr(recovery_lanes, what, failing_once(getattr(recovery_lanes, what)))
    with pytest.raises(OSError, match="Input/output"):
        recover_log_directory(folder)
    before = {path.stat().st_ino for path in folder.glob("*.axj")}
    held = [os.open(path, os.O_RDONLY) for path in folder.glob("*.axj")]  # or the inodes would be free again
    report = recover_log_directory(folder)
    assert (report.recovered, report.whole) == ({1: COUNT}, True)
    assert not before & {path.stat().st_ino for path in folder.glob("*.axj")}
    assert times(folder) == list(range(COUNT))
    assert recover_log_directory(folder).whole
    assert not leftovers(folder)
    for descriptor in held:
        os.close(descriptor)


@pytest.mark.parametrize("failing_at", [1, 2])
def test_an_assembly_whose_folder_could_not_be_synced_renames_its_archives_again(tmp_path, monkeypatch, failing_at):
    journal_of(tmp_path, storage=layout.JOURNAL)
    folders = []

    def sync(descriptor, real=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            folders.append(descriptor)
            if len(folders) == failing_at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(publish.os, "fsync", sync)
    with pytest.raises(OSError, match="Input/output"):
        assemble_log_archives(tmp_path, 1)
    assert list(tmp_path.glob("*.axj"))
    renamed = []

    def rename(source, target, real=os.rename, **folders):
        renamed.append(target)
        real(source, target, **folders)

    monkeypatch.setattr(publish.os, "rename", rename)
    assemble_log_archives(tmp_path, 1)
    assert renamed[-1] == "1_log.npz"
    (archive,) = tmp_path.iterdir()
    assert archive.name == "1_log.npz"
    with np.load(archive) as read:
        assert len(read.files) == COUNT


def test_a_half_written_append_is_marked_before_anything_else_is_begun(tmp_path, monkeypatch):
    journal = Appender(tmp_path, layout.Header(7, 0, 1, layout.JOURNAL, 1, process.boot_id()))
    record = layout.frame.pack(1, b"message", source=1, time=1, seq=0, claim=1)
    journal.append(record)

    def cut(descriptor, data, position, real=os.pwrite):
        if position > layout.HEADER_BYTES and len(data) == len(record):
            return real(descriptor, data[:16], position)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", cut)
    with pytest.raises(OSError, match="Input/output"):
        journal.append(record)
    monkeypatch.undo()
    journal.mark_off()
    (read,) = open_journals(tmp_path)  # while the writer still has it, as after a kill
    assert sum(len(rows) for rows in read.rows()) == 1
    assert not read.damaged
    read.close()
    journal.abandon()


def test_a_thread_of_the_logger_that_ends_by_any_exception_is_told():
    told = []

    def end():
        raise MemoryError("none")

    start_thread("test", end, told.append).join(10)
    assert [type(error) for error in told] == [MemoryError]
