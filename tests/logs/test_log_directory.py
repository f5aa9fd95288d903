"""A log directory finds its own messages wherever it was moved to, and never takes another's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from ataraxis_data_structures import (
    CopiedLogError,
    DataLogger,
    QueueBusyError,
    assemble_log_archives,
    recover_log_directory,
)
from ataraxis_data_structures.logs.log_directory import LogDirectory
from ataraxis_data_structures.logs.owner_record import OWNER_RECORD
from ataraxis_data_structures.memory.segment import Segment, list_segments
from ataraxis_data_structures.system import platform
from logtools import logger_in, package, read_log, run

CRASHED = [(1, time, b"lost?") for time in range(100)]


def crash(folder, name="rig", storage="npy", stage="started"):
    """Let a program and its logger process be killed while 100 messages are in shared memory alone."""
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        return folder / f"{name}_data_log"
    try:
        logger = DataLogger(folder, name, storage=storage)
        if stage != "made":
            logger.start()
            logger_pid = logger.statistics.pid
        if stage == "stopped":
            logger.stop()
        elif stage == "started":
            os.kill(logger_pid, signal.SIGSTOP)
        for source, time, payload in CRASHED:
            logger.input_queue.put(package(payload, source, time))
        if stage == "started":
            os.kill(logger_pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


def recovered(folder):
    report = recover_log_directory(folder)
    assert report.whole
    assert sum(report.salvaged.values()) == len(CRASHED)
    assert read_log(folder) == CRASHED
    assert not (folder / OWNER_RECORD).exists()


@pytest.mark.parametrize("stage", ["made", "started", "stopped"])
@pytest.mark.parametrize("storage", ["npy", "journal"])
def test_a_renamed_directory_finds_its_messages_whenever_the_session_died(tmp_path, storage, stage):
    moved = crash(tmp_path, storage=storage, stage=stage).rename(tmp_path / "moved")
    recovered(moved)


def test_a_directory_in_a_renamed_folder_that_another_took_the_place_of_finds_its_messages(tmp_path):
    crash(tmp_path / "day1")
    (tmp_path / "day1").rename(tmp_path / "old")
    other = crash(tmp_path / "day1")
    recovered(tmp_path / "old" / other.name)
    recovered(other)


def test_a_directory_that_was_restored_from_a_copy_finds_its_messages(tmp_path):
    original = crash(tmp_path)
    shutil.copytree(original, tmp_path / "copy")
    shutil.rmtree(original)
    (tmp_path / "copy").rename(original)
    recovered(original)


def test_a_copy_elsewhere_finds_the_messages_once_the_original_is_gone(tmp_path):
    original = crash(tmp_path / "rig")
    copy = tmp_path / "backup" / "rig_data_log"
    shutil.copytree(original, copy)
    shutil.rmtree(tmp_path / "rig")
    recovered(copy)


@pytest.mark.parametrize("moved", [False, True])
def test_a_copy_of_a_directory_that_is_still_there_takes_none_of_its_messages(tmp_path, moved):
    original = crash(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    if moved:  # and the copy takes its place
        original = original.rename(tmp_path / "original")
        copy = copy.rename(tmp_path / "rig_data_log")
    for deed in (recover_log_directory, assemble_log_archives):
        with pytest.raises(CopiedLogError, match=f"{original}.*{copy}"):
            deed(copy)
    (tmp_path / "fresh").mkdir()
    shutil.copytree(copy, tmp_path / "fresh" / "new_data_log")
    with logger_in(tmp_path / "fresh", "new") as logger:  # a recording in a copy is another log
        logger.start()
        logger.input_queue.put(package(b"new", 2, 5))
        logger.stop()
        assert read_log(logger.output_directory) == [(2, 5, b"new")]
    recovered(original)


def test_a_session_in_a_new_directory_of_the_same_path_takes_nothing_of_the_one_before(tmp_path):
    folder = crash(tmp_path)
    shutil.rmtree(folder)
    before = list_segments()
    for _ in range(3):  # file systems that give the same inode again do it now
        with logger_in(tmp_path, "rig") as logger:
            logger.start()
            logger.input_queue.put(package(b"new", 2, 5))
            logger.stop()
            assert read_log(folder) == [(2, 5, b"new")]
        shutil.rmtree(folder)
    assert list_segments() == before
    for name in before:
        if json.loads(Segment.attach(name).description).get("directory") == str(folder):
            (platform.FOLDER / name).unlink()


def test_a_bind_mount_of_a_directory_finds_its_messages(tmp_path):
    folder, mounted = crash(tmp_path / "rig"), tmp_path / "mounted"
    mounted.mkdir()
    code = """
        import sys
        from pathlib import Path
        from ataraxis_data_structures import recover_log_directory
        print(recover_log_directory(Path(sys.argv[1])).salvaged)
    """
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$1" "$2"', "sh", folder, mounted]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        link = tmp_path / "link"  # without the right to mount, a link is another path as well
        link.symlink_to(folder)
        assert run(code, link).strip() == "{1: 100}"
    else:
        code = code.replace("print(", f"import subprocess\n        subprocess.run(['mount', '--bind', '{folder}', "
                            f"'{mounted}'], check=True)\n        print(")  # fmt: skip
        wrapped = f"""
            import subprocess, sys, textwrap
            command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", textwrap.dedent({code!r})]
            print(subprocess.run([*command, sys.argv[1]], check=True, capture_output=True, text=True).stdout)
        """
        assert run(wrapped, mounted).strip() == "{1: 100}"
    assert read_log(folder) == CRASHED


def test_a_queue_that_is_gone_from_shared_memory_is_told_once_and_stops_nothing(tmp_path):
    folder = crash(tmp_path)
    queue = json.loads((folder / OWNER_RECORD).read_text())["queues"][0]["queue"]
    for name in list_segments():
        if name.startswith(queue):
            (platform.FOLDER / name).unlink()
    with logger_in(tmp_path, "rig", storage="journal") as logger:  # the next session keeps what was said of the last
        logger.start()
        logger.input_queue.put(package(b"new", 2, 5))
        logger.stop()
    report = recover_log_directory(folder)
    assert report.missing_queues == (queue,)
    assert not report.whole
    assert recover_log_directory(folder).whole
    assert read_log(folder) == [(2, 5, b"new")]


def test_an_empty_queue_that_its_owner_record_names_is_not_swept_away_before_it_is_found(tmp_path):
    def session():
        logger = DataLogger(tmp_path, "rig")
        logger.start()
        os.kill(logger.statistics.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if not pid:
        session()
    os.waitpid(pid, 0)
    (tmp_path / "rig_data_log").rename(tmp_path / "moved")
    run("""
        import sys
        from ataraxis_data_structures.memory.sweep import sweep
        sweep()
    """)
    assert recover_log_directory(tmp_path / "moved").whole


def test_who_works_in_a_directory_is_named(tmp_path):
    named = pytest.raises(QueueBusyError, match=f"an assembly or recovery by process {os.getpid()}")
    with LogDirectory(tmp_path, "assembly"), named:
        recover_log_directory(tmp_path, patience_s=0.1)
    assert os.listdir(tmp_path) == []


def test_another_container_with_the_same_shared_memory_finds_the_messages_and_works_on(tmp_path):
    """As when a container is restarted: a new pid namespace, whose pids say nothing of the processes of before."""
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid():
        container[1:1] = ["--user", "--map-root-user"]
    if subprocess.run([*container, "true"], check=False, capture_output=True).returncode:
        pytest.skip("pid namespaces are not permitted")
    code = """
        import os, signal, sys
        from pathlib import Path
        from ataraxis_data_structures import DataLogger, LogPackage, recover_log_directory
        import numpy as np
        folder, deed = Path(sys.argv[1]), sys.argv[2]
        if deed == "recover":
            print(recover_log_directory(folder / "rig_data_log").salvaged)
            sys.exit()
        logger = DataLogger(folder, "rig", storage="journal")
        logger.start()
        if deed == "crash":
            os.kill(logger.statistics.pid, signal.SIGSTOP)
        for time in range(100):
            logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(time), np.frombuffer(b"lost?", np.uint8)))
        if deed == "crash":
            os.kill(logger.statistics.pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        logger.stop()
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))

    def inside(deed):
        command = [*container, "sh", "-c", '"$@"; exit $?', "sh", sys.executable, program, tmp_path, deed]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)

    assert inside("crash").returncode
    assert inside("recover").stdout == "{1: 100}\n"
    assert read_log(tmp_path / "rig_data_log") == CRASHED
    assert inside("crash").returncode
    assert inside("record").returncode == 0
    assert len(read_log(tmp_path / "rig_data_log")) == 300
