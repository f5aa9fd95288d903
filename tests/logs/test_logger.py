import gc
import mmap
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import zipfile
from pathlib import Path
from queue import Full

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, LogPackage, logger_statistics
from ataraxis_data_structures.errors import QueueBusyError, QueueClosedError
from ataraxis_data_structures.system import platform
from logtools import leftovers, logger_in, package, read_files, read_journals, read_log, run, wait_for

METHODS = ["fork", "spawn", "forkserver"]
STORAGES = ["npy", "journal"]


def put_some(queue, source, count):
    for i in range(count):
        queue.put(package(bytes([i % 256]) * (i % 40), source=source, time=i))


def some(source, count):
    return [(source, i, bytes([i % 256]) * (i % 40)) for i in range(count)]


@pytest.mark.parametrize("storage", STORAGES)
def test_what_was_put_is_on_disk_after_stop(tmp_path, storage):
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        put_some(logger.input_queue, 7, 500)
        logger.stop()
        assert read_log(logger.output_directory) == some(7, 500)
        assert leftovers(logger.output_directory) == []
        journals = list(logger.output_directory.glob("journal-*"))
        assert len(journals) == (storage == "journal")


def test_the_logger_introduces_itself(tmp_path):
    with logger_in(tmp_path, "nm.x", thread_count=0, poll_interval=-3) as logger:
        assert logger.name == "nm.x"
        assert logger.output_directory == tmp_path / "nm.x_data_log"
        assert logger.output_directory.is_dir()
        assert not logger.alive
        shown = f"name=nm.x, output_directory={logger.output_directory}, thread_count=1, poll_interval=0 ms"
        assert repr(logger) == f"DataLogger({shown}, started=False)"
        logger.start()
        assert logger.alive
        assert repr(logger).endswith("started=True)")
        logger.stop()
        assert not logger.alive


def test_start_and_stop_may_be_repeated_and_puts_between_are_kept(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.stop()
        put_some(logger.input_queue, 1, 5)
        for source in (2, 3):
            logger.start()
            logger.start()
            put_some(logger.input_queue, source, 5)
            logger.stop()
            logger.stop()
            put_some(logger.input_queue, source + 10, 5)
        assert read_log(logger.output_directory) == some(1, 5) + some(2, 5) + some(3, 5) + some(12, 5)
        logger.start()
        logger.stop()
        assert len(read_files(logger.output_directory)) == 25


@pytest.mark.parametrize("storage", STORAGES)
def test_equal_keys_odd_times_empty_payloads_and_all_sources_are_kept(tmp_path, storage):
    want = [(source, 2**64 - 1 - source, b"") for source in range(256)]
    want += [(9, 0, b"a"), (9, 0, b"a"), (9, 0, b"b"), (9, 2**64 - 1, b"c"), (9, 5, b"d"), (9, 4, b"e")]
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        for source, stamp, payload in want:
            logger.input_queue.put(package(payload, source, stamp))
        logger.stop()
        assert read_log(logger.output_directory) == sorted(want)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_clock_that_stands_still_costs_no_more_than_one_that_runs(tmp_path, storage):
    """30,000 messages under one timestamp: files that are looked for anew each time would take half an hour."""
    want = [(1, 77, i.to_bytes(4, "little")) for i in range(30_000)]
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        for source, stamp, payload in want:
            logger.input_queue.put(package(payload, source, stamp))
        logger.stop()
        assert read_log(logger.output_directory) == sorted(want)


@pytest.mark.parametrize("storage", STORAGES)
def test_payloads_larger_than_a_lane_arrive_whole(tmp_path, storage):
    rng = np.random.default_rng(3)
    payloads = [rng.bytes(size) for size in (5, 20_000, 300_000, 7, 65_536)]
    with logger_in(tmp_path, storage=storage, lane_bytes=1 << 16) as logger:
        logger.start()
        for i, payload in enumerate(payloads):
            logger.input_queue.put(package(payload, 1, i))
        logger.stop()
        assert read_log(logger.output_directory) == [(1, i, payload) for i, payload in enumerate(payloads)]


@pytest.mark.parametrize("method", METHODS)
def test_processes_of_every_start_method_put(tmp_path, method):
    context = multiprocessing.get_context(method)
    with logger_in(tmp_path) as logger:
        logger.start()
        children = [context.Process(target=put_some, args=(logger.input_queue, source, 50)) for source in (1, 2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
            child.close()
        logger.stop()
        assert read_log(logger.output_directory) == some(1, 50) + some(2, 50)


def test_anything_but_a_package_is_refused_at_the_put_and_the_logger_lives(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        for wrong in (None, b"bytes", (1, 2, 3)):
            with pytest.raises(TypeError):
                logger.input_queue.put(wrong)
        put_some(logger.input_queue, 1, 3)
        logger.stop()
        assert len(read_files(logger.output_directory)) == 3


def test_before_start_a_full_lane_is_an_error_that_names_its_size(tmp_path):
    with logger_in(tmp_path, lane_bytes=4096) as logger:
        with pytest.raises(Full, match="4096"):
            put_some(logger.input_queue, 1, 1000)
        logger.start()
        logger.stop()
        assert len(read_files(logger.output_directory)) > 10


def test_a_second_logger_of_the_name_is_refused_while_the_first_works(tmp_path):
    with logger_in(tmp_path) as first, logger_in(tmp_path) as second:
        first.start()
        with pytest.raises(QueueBusyError, match=r"got process \d+"):
            second.start()
        assert not second.alive
        put_some(first.input_queue, 1, 3)
        first.stop()
        second.start()
        put_some(second.input_queue, 1, 3)
        second.stop()
        assert len(read_files(first.output_directory)) == 6


def test_a_directory_that_cannot_be_written_is_an_error_at_start(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.output_directory.rmdir()
        with pytest.raises(OSError, match="No such file"):
            logger.start()
        assert not logger.alive
        logger.output_directory.mkdir()
        logger.start()
        put_some(logger.input_queue, 1, 3)
        logger.stop()
        assert len(read_files(logger.output_directory)) == 3


@pytest.mark.parametrize("wrong", [{"storage": "zip"}, {"sync": "often"}, {"sync_interval_ms": 0}, {"overflow": "x"}])
def test_wrong_options_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected"):
        DataLogger(tmp_path, "x", **wrong)


def test_a_collected_logger_is_stopped(tmp_path):
    logger = DataLogger(tmp_path, "gone")
    logger.start()
    put_some(logger.input_queue, 1, 20)
    folder, pid = logger.output_directory, logger.statistics.pid
    del logger
    gc.collect()
    assert read_log(folder) == some(1, 20)
    assert not Path(f"/proc/{pid}").exists()


def put_until_refused(queue, accepted):
    try:
        for i in range(10**9):
            queue.put(package(b"x", 1, i))
            accepted[0] = i + 1
            time.sleep(0.0001)
    except QueueClosedError:
        pass


def test_a_collected_logger_is_stopped_although_others_put(tmp_path):
    logger = DataLogger(tmp_path, "gone", storage="journal")
    logger.start()
    context = multiprocessing.get_context("fork")
    page = mmap.mmap(-1, 8)
    accepted = memoryview(page).cast("Q")
    child = context.Process(target=put_until_refused, args=(logger.input_queue, accepted))
    child.start()
    while not logger.statistics.sources:
        time.sleep(0.001)
    folder = logger.output_directory
    del logger
    gc.collect()
    child.join()
    assert child.exitcode == 0
    child.close()
    got, account = read_journals(folder)
    assert account.whole
    assert len(got) - accepted[0] in (0, 1)  # the last put may have been taken and refused at once


ENDS_BEFORE_ITS_CHILD = """
    import os, sys, time
    from pathlib import Path
    import numpy as np
    from ataraxis_data_structures import DataLogger, LogPackage
    logger = DataLogger(Path(sys.argv[1]), "script")
    logger.start()
    read, write = os.pipe()
    if os.fork() == 0:
        for i in range(200):
            logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), np.zeros(3, np.uint8)))
            if i == 20:
                os.write(write, b"up")
            time.sleep(0.002)
        os._exit(0)
    os.read(read, 2)
"""


def test_a_program_that_ends_leaves_the_logger_to_the_children_that_put(tmp_path):
    run(ENDS_BEFORE_ITS_CHILD, tmp_path)
    wait_for_files(tmp_path / "script_data_log", 200)


def test_a_logger_that_was_never_started_warns_of_what_it_drops(tmp_path):
    logger = DataLogger(tmp_path, "never")
    put_some(logger.input_queue, 1, 4)
    with pytest.warns(RuntimeWarning, match="4 messages"):
        logger._finalizer()


def test_a_put_into_a_logger_that_is_gone_is_an_error(tmp_path):
    logger = DataLogger(tmp_path, "gone")
    queue = logger.input_queue
    logger._finalizer()
    with pytest.raises(QueueClosedError):
        queue.put(package())


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("sync", ["none", "interval", "batch"])
def test_flush_returns_when_what_was_put_is_synced(tmp_path, storage, sync):
    with logger_in(tmp_path, storage=storage, sync=sync) as logger:
        logger.start()
        for turn in range(3):
            put_some(logger.input_queue, turn, 200)
            logger.flush(timeout=20)
            assert logger.statistics.sources[turn].synced == 200
        logger.stop()


def test_flush_without_a_logger_is_an_error(tmp_path):
    with logger_in(tmp_path) as logger, pytest.raises(RuntimeError, match="started"):
        logger.flush()


def test_interval_sync_needs_no_flush(tmp_path):
    with logger_in(tmp_path, storage="journal", sync="interval", sync_interval_ms=20) as logger:
        logger.start()
        put_some(logger.input_queue, 1, 100)
        wait_for(lambda: logger.statistics.sources[1].synced == 100)
        logger.stop()


def test_statistics_count_by_source_and_producer_also_from_another_program(tmp_path):
    with logger_in(tmp_path, "counted", storage="journal") as logger:
        logger.start()
        put_some(logger.input_queue, 1, 100)
        put_some(logger.input_queue, 2, 10)
        logger.flush(20)
        mine = logger.statistics
        assert mine == logger_statistics("counted")
        assert mine.sources[1].accepted == mine.sources[1].written == 100
        assert mine.sources[2].bytes == sum(len(payload) for _, _, payload in some(2, 10))
        (producer,) = mine.producers
        assert (producer.pid, producer.accepted, producer.dropped) == (os.getpid(), 110, 0)
        assert producer.high_water_bytes > 0
        assert (mine.state, mine.restarts, mine.lag_s) == ("running", 0, 0.0)
        code = "from ataraxis_data_structures import logger_statistics; print(logger_statistics('counted'))"
        assert run(code).strip() == str(mine)
        logger.stop()
        assert logger.statistics.pid == 0
    with pytest.raises(FileNotFoundError):
        logger_statistics("counted")


def test_dropped_messages_are_counted_and_the_rest_is_there(tmp_path):
    with logger_in(tmp_path, storage="journal", lane_bytes=1 << 14, overflow="drop_newest") as logger:
        with pytest.warns(RuntimeWarning, match="dropped"):
            put_some(logger.input_queue, 1, 1000)
        logger.start()
        logger.flush(20)
        put_some(logger.input_queue, 2, 1)  # the drops are told with the next put
        logger.stop()
        got, account = read_journals(logger.output_directory)
        kept = sum(source == 1 for source, _, _ in got)
        assert 0 < kept < 1000
        assert account.dropped == {1: 1000 - kept}
        assert logger.statistics.sources[1].dropped == 1000 - kept


def test_a_dead_logger_process_is_replaced_and_nothing_is_lost(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        for turn in range(3):
            os.kill(logger.statistics.pid, signal.SIGKILL)
            put_some(logger.input_queue, turn, 200)
            wait_for(lambda turn=turn: logger.statistics.restarts > turn and logger.statistics.pid)
        assert logger.alive
        logger.stop()
        assert read_log(logger.output_directory) == some(0, 200) + some(1, 200) + some(2, 200)


def test_sigterm_lets_the_logger_process_drain_and_another_take_over(tmp_path):
    with logger_in(tmp_path, storage="journal") as logger:
        logger.start()
        put_some(logger.input_queue, 1, 500)
        os.kill(logger.statistics.pid, signal.SIGTERM)
        put_some(logger.input_queue, 2, 500)
        logger.flush(30)
        wait_for(lambda: logger.statistics.restarts == 1)
        logger.stop()
        assert read_log(logger.output_directory) == some(1, 500) + some(2, 500)


def test_a_stopped_logger_process_blocks_producers_and_nobody_is_declared_dead(tmp_path):
    with logger_in(tmp_path, storage="journal", lane_bytes=1 << 14) as logger:
        logger.start()
        pid = logger.statistics.pid
        os.kill(pid, signal.SIGSTOP)
        accepted = put_until_full(logger.input_queue)
        assert logger.alive
        os.kill(pid, signal.SIGCONT)
        logger.input_queue.put(package(bytes(100), 1, 5000), timeout=20)
        logger.stop()
        assert logger.statistics.restarts == 0
        assert len(read_log(logger.output_directory)) == accepted + 1


def put_until_full(queue):
    for i in range(1000):
        try:
            queue.put(package(bytes(100), 1, i), timeout=0.3)
        except Full:
            return i
    return pytest.fail("the lane never filled")


def test_stop_waits_for_a_burst_of_files_and_shows_it(tmp_path, capfd):
    with logger_in(tmp_path) as logger:
        put_some(logger.input_queue, 1, 1)
        logger.start()
        os.kill(logger.statistics.pid, signal.SIGSTOP)
        put_some(logger.input_queue, 1, 500)
        resume = threading.Timer(1.0, os.kill, (logger.statistics.pid, signal.SIGCONT))
        resume.start()
        logger.stop()
        resume.join()
        assert len(read_files(logger.output_directory)) == 501
    assert "writing the log" in capfd.readouterr().err


def test_from_a_thread_and_with_a_signal_handler_in_the_way_it_works(tmp_path):
    def session():
        with logger_in(tmp_path) as logger:
            logger.start()
            put_some(logger.input_queue, 1, 100)
            logger.stop()

    thread = threading.Thread(target=session)
    thread.start()
    thread.join()
    assert read_log(tmp_path / "test_data_log") == some(1, 100)


SCRIPT = """
    import sys
    from pathlib import Path
    import numpy as np
    from ataraxis_data_structures import DataLogger, LogPackage
    logger = DataLogger(Path(sys.argv[1]), "script")
    logger.start()
    for i in range(100):
        logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), np.zeros(3, np.uint8)))
    if "stop" in sys.argv:
        logger.stop()
"""


@pytest.mark.parametrize("last", ["stop", "just end"])
def test_a_program_without_a_main_guard_logs_everything_even_if_it_does_not_stop(tmp_path, last):
    run(SCRIPT, tmp_path, last)
    assert len(read_files(tmp_path / "script_data_log")) == 100
    assert leftovers(tmp_path / "script_data_log") == []


def test_a_folder_with_a_queue_module_of_its_own_does_not_matter(tmp_path):
    for name in ("queue", "json", "struct", "logging", "select"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')\n")
    script = tmp_path / "rig.py"
    header = "import queue_free_start\n"
    (tmp_path / "queue_free_start.py").write_text("import sys; sys.path.append(sys.path.pop(0))\n")
    script.write_text(header + textwrap.dedent(SCRIPT))
    subprocess.run([sys.executable, script, tmp_path, "stop"], check=True, cwd=tmp_path, capture_output=True)
    assert len(read_files(tmp_path / "script_data_log")) == 100


def test_a_parent_whose_output_is_captured_ends_its_pipe_although_the_logger_goes_on(tmp_path):
    code = (
        textwrap.dedent(SCRIPT) + "import os, signal\nprint('said', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, timeout=60, check=False)
    assert done.stdout == b"said\n"
    wait_for_files(tmp_path / "script_data_log", 100)


def wait_for_files(folder, count):
    """Wait for a logger whose owner died to end on its own."""
    wait_for(lambda: not (leftovers(folder) or list(folder.glob("journal-*")) or any(platform.FOLDER.glob("axds-*"))))
    assert len(read_files(folder)) == count


INTERRUPTED = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from ataraxis_data_structures import DataLogger, LogPackage
    logger = DataLogger(Path(sys.argv[1]), "script")
    logger.start()
    i = 0
    try:
        while True:
            logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), np.zeros(3, np.uint8)))
            i += 1
            if i == 50:
                print("up", flush=True)
            time.sleep(0.001)
    except KeyboardInterrupt:
        logger.stop()
        print(i, flush=True)
"""


def test_ctrl_c_in_a_terminal_reaches_the_program_and_not_the_logger(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True) as program:
        assert program.stdout.readline() == "up\n"
        os.killpg(program.pid, signal.SIGINT)  # as the terminal does: to the whole foreground group
        count = int(program.stdout.readline())
    files = len(read_files(tmp_path / "script_data_log"))
    assert files - count in (0, 1)  # the interrupt may come between the put and the count


def test_twenty_thousand_messages_are_logged_and_archived_with_256_descriptors(tmp_path):
    count = 20_000
    code = """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    """
    code += SCRIPT.replace("range(100)", f"range({count})")
    code += """
    assert len(list(logger.output_directory.glob("*.npy"))) == COUNT
    from ataraxis_data_structures import assemble_log_archives
    assemble_log_archives(logger.output_directory)
    """.replace("COUNT", str(count))
    run(code, tmp_path, "stop")
    with zipfile.ZipFile(tmp_path / "script_data_log" / "1_log.npz") as archive:
        assert len(archive.namelist()) == count


def test_the_logger_process_keeps_nothing_of_its_owner(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        pid = logger.statistics.pid
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.readlink(f"/proc/{pid}/fd/0") == os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        put_some(logger.input_queue, 1, 10)
        logger.stop()
        assert logger.statistics.restarts == 0


def test_a_frozen_application_is_told_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with logger_in(tmp_path) as logger, pytest.raises(RuntimeError, match="frozen"):
        logger.start()


def test_only_the_process_that_made_a_logger_starts_and_stops_it(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        pid = os.fork()
        if pid == 0:
            try:
                logger.stop()
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert logger.alive
        logger.stop()


def test_no_warning_comes_from_a_clean_session(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with logger_in(tmp_path) as logger:
            logger.start()
            logger.input_queue.put(LogPackage(1, 2, np.zeros(2, np.uint8)))
            logger.stop()
    assert re.fullmatch(r"001_\d{20}\.npy", next(logger_files(tmp_path)))


def logger_files(folder):
    return (path.name for path in (folder / "test_data_log").iterdir())


def test_the_program_of_a_logger_process_starts_without_numpy():
    """What it imports is most of what start() waits for."""
    assert (
        run("import sys; import ataraxis_data_structures.logs.logger.service; print('numpy' in sys.modules)")
        == "False\n"
    )


def test_the_files_of_what_was_put_before_a_flush_are_there_when_it_returns(tmp_path):
    with logger_in(tmp_path) as logger:
        logger.start()
        for step in range(20):
            for number in range(50):
                logger.input_queue.put(package(b"x", time=50 * step + number))
            logger.flush()
            assert len(read_files(logger.output_directory)) == 50 * (step + 1)
        logger.stop()


@pytest.mark.parametrize("storage", STORAGES)
def test_a_logger_process_does_its_work_without_numpy(tmp_path, storage):
    """Asked of the compiled modules that it has mapped: its memory is a few megabytes."""
    with logger_in(tmp_path, storage=storage) as logger:
        logger.start()
        for time in range(3):
            logger.input_queue.put(package(b"short", time=time))
        logger.input_queue.put(package(bytes(9_000_000), source=2))  # has a file of its own
        logger.flush(30)
        mapped = Path(f"/proc/{logger.statistics.pid}/maps").read_text()
        logger.stop()
    modules = {Path(line.split()[-1]).name.partition(".")[0] for line in mapped.splitlines() if ".so" in line}
    assert {"frame", "lane"} <= modules
    assert "_multiarray_umath" not in modules
    assert len(read_log(tmp_path / "test_data_log")) == 4
