"""What surrounds a logger may lack a console, a system call or a locale, or hold what others made: it logs on."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ataraxis_data_structures import recover_log_directory
from ataraxis_data_structures.memory.segment import Kind, Segment
from ataraxis_data_structures.memory.sweep import sweep
from logtools import logger_in, package, read_files, read_log, wait_for


class BrokenPipe:
    encoding = "utf-8"

    def write(self, *_):
        raise BrokenPipeError

    flush = isatty = fileno = write


@pytest.fixture
def closed_file(tmp_path):
    file = (tmp_path / "closed").open("w")
    file.close()
    return file


@pytest.mark.parametrize("kind", ["none", "closed", "pipe"])
def test_stop_returns_when_its_progress_bar_has_no_standard_error(tmp_path, monkeypatch, closed_file, kind):
    with logger_in(tmp_path) as logger:
        logger.start()
        pid = logger.statistics.pid
        os.kill(pid, signal.SIGSTOP)  # stop() shows a bar once it takes longer than half a second
        for number in range(500):
            logger.input_queue.put(package(b"x", time=number))
        resume = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))
        resume.start()
        monkeypatch.setattr(sys, "stderr", {"none": None, "closed": closed_file, "pipe": BrokenPipe()}[kind])
        logger.stop()
        monkeypatch.undo()
        resume.join()
        assert len(read_files(logger.output_directory)) == 500


@pytest.mark.parametrize("error", [PermissionError, OSError, AttributeError])
def test_a_logger_starts_and_stops_where_pidfd_open_is_refused(tmp_path, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with logger_in(tmp_path) as logger:
        logger.start()
        logger.input_queue.put(package(b"x"))
        logger.stop()
        assert len(read_files(logger.output_directory)) == 1


def test_a_logger_process_reads_names_as_the_program_does_that_was_given_utf8_mode(tmp_path):
    program = """
import sys
from pathlib import Path
from ataraxis_data_structures import DataLogger, LogPackage
import numpy as np
logger = DataLogger(Path(sys.argv[1]) / "gr\\u00f6\\u00dfe", "m\\u00fcnchen")
logger.start()
logger.input_queue.put(LogPackage(1, 1, np.zeros(1, np.uint8)))
logger.stop()
print(len(list(logger.output_directory.glob("*.npy"))))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program, tmp_path],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr


@pytest.mark.parametrize("first_after_s", [0.0, 0.5], ids=["before", "after"])
def test_a_producer_whose_main_thread_ended_is_alive_and_its_messages_are_logged(tmp_path, first_after_s):
    with logger_in(tmp_path, storage="journal") as logger:
        logger.start()
        queue, accepted = logger.input_queue, tmp_path / "accepted"

        def put():
            time.sleep(first_after_s)  # the main thread has ended then
            for number in range(20):
                queue.put(package(bytes([number]), time=number))
                accepted.write_text(str(number + 1))
                time.sleep(0.1)
            os._exit(0)

        pid = os.fork()
        if not pid:
            threading.Thread(target=put).start()
            time.sleep(0.05)
            ctypes.CDLL(None).pthread_exit(None)
        os.waitpid(pid, 0)
        logger.stop()
        assert accepted.read_text() == "20"
        assert len(read_log(logger.output_directory)) == 20


@pytest.mark.parametrize("kind", [Kind.QUEUE, Kind.LANE])
def test_a_segment_whose_description_is_no_json_stops_no_logger_and_no_recovery(tmp_path, kind):
    foreign = Segment.create(f"axds-foreign{os.getpid()}", 65536, kind=kind, description=b"")
    try:
        with logger_in(tmp_path) as logger:
            logger.start()
            logger.input_queue.put(package(b"x"))
            logger.stop()
            (logger.output_directory / "journal-0000000000000001-0000.axj").touch()
            assert recover_log_directory(logger.output_directory).whole
            assert len(read_files(logger.output_directory)) == 1
    finally:
        foreign.unlink()


RECORDS = """
import os, sys
from pathlib import Path
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage
{before}
logger = DataLogger(Path(sys.argv[1]), "test")
logger.start()
for number in range(20):
    logger.input_queue.put(LogPackage(1, number, np.zeros(1, np.uint8)))
{instead_of_stop}
"""
CLOSED = ["".join(f"os.close({fd}); " for fd in fds) for fds in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])]


def record(folder, *flags, before="", instead_of_stop="logger.stop()"):
    """Run a program that records 20 messages; give what it wrote to standard error."""
    code = RECORDS.format(before=before, instead_of_stop=instead_of_stop)
    done = subprocess.run(
        [sys.executable, *flags, "-c", code, folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def check_recorded(folder):
    got = read_files(folder / "test_data_log")
    assert sorted(time for _, time, _ in got) == list(range(20))


@pytest.mark.parametrize("before", CLOSED)
def test_a_program_whose_standard_streams_are_closed_records(tmp_path, before):
    record(tmp_path, before=before)
    check_recorded(tmp_path)


@pytest.mark.parametrize(
    "flags", [["-I"], ["-E"], ["-OO"], ["-X", "dev"], ["-W", "error"], ["-bb"], ["-X", "frozen_modules=off"]], ids=str
)
def test_a_program_with_flags_of_the_interpreter_records(tmp_path, flags):
    assert record(tmp_path, *flags) == ""
    check_recorded(tmp_path)


def test_a_program_in_a_working_directory_that_was_removed_records(tmp_path):
    record(tmp_path, before="import tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)")
    check_recorded(tmp_path)


@pytest.mark.parametrize("stop", ["", "logger.stop(); "], ids=["running", "stopped"])
def test_what_a_program_put_before_it_became_another_by_execv_is_recorded(tmp_path, stop):
    record(tmp_path, instead_of_stop=f"{stop}os.execv(sys.executable, [sys.executable, '-c', ''])")
    wait_for(lambda: len(list((tmp_path / "test_data_log").glob("*.npy"))) == 20)
    wait_for(lambda: not (tmp_path / "test_data_log" / ".axds-logger.json").exists())
    check_recorded(tmp_path)
    sweep()  # the program that is gone had no time to remove its empty queue


@pytest.mark.parametrize("executable", ["None", "''"])
def test_a_host_that_does_not_say_where_its_interpreter_is_records(tmp_path, executable):
    record(tmp_path, before=f"sys.executable = {executable}")
    check_recorded(tmp_path)


def test_a_frozen_application_hears_at_start_that_it_has_no_interpreter_for_the_logger(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with logger_in(tmp_path) as logger, pytest.raises(RuntimeError, match="got a frozen application"):
        logger.start()
