"""What every command has in common: help, usage, and errors that a person can act on."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from ataraxis_data_structures import cli
from conftest_cli import PROGRAM

COMMANDS = sorted(cli._COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lives_in_a_file_of_its_name_and_its_help_shows_an_example(name, axds):
    place = name.replace(" import-", " imports ").replace(" ", ".").replace("-", "_")
    module = import_module(f"ataraxis_data_structures.cli.{place}")
    got = axds(*name.split(), "--help")
    assert (got.status, got.err) == (0, "")
    assert f"    axds {name}" in got.out
    assert "--json" in got.out
    assert module.__doc__.splitlines()[0] in got.out


def test_every_file_of_a_group_that_can_run_is_a_command():
    folder = Path(cli.__file__).parent
    found = {
        " ".join(path.relative_to(folder).with_suffix("").parts).replace("_", "-").replace("imports ", "import-")
        for path in folder.rglob("*.py")
        if "\ndef run(arguments" in path.read_text()
    }
    assert found == set(COMMANDS)


def test_the_overview_names_every_command(axds):
    got = axds("--help")
    assert got.status == 0
    assert all(f"axds {name}" in got.out for name in COMMANDS)


@pytest.mark.parametrize("group", sorted({name.split()[0] for name in COMMANDS if " " in name}))
def test_the_overview_of_a_group_names_its_commands_alone(group, axds):
    got = axds(group, "--help")
    listed = [line.split()[1] for line in got.out.splitlines() if line.startswith("  axds ")]
    assert listed
    assert set(listed) == {group}


@pytest.mark.parametrize("words", [[], ["shm"], ["nothing"], ["shm", "list"], ["shm", "rm"], ["shm", "ls", "--wrong"]])
def test_wrong_usage_is_status_2_and_a_word_on_stderr(words, axds):
    got = axds(*words)
    assert (got.status, got.out) == (2, "")
    assert got.err


def test_a_slip_in_a_name_is_answered_with_the_command_that_was_meant(refused):
    assert "did you mean `axds shm show`" in refused("shm", "shwo", status=2)


def test_the_version_is_printed(axds):
    assert axds("--version").out.count(".") == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--help"], ["shm", "ls", "--help"], ["shm", "ls", "--json"]])
def test_a_reader_that_leaves_ends_the_command_silently(words, unbuffered):
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([*PROGRAM, *words], stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=env)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [["--help"], ["shm", "ls", "--json"]])
def test_output_that_finds_no_room_is_one_line(words, refused):
    with Path("/dev/full").open("w") as full:
        assert "No space left" in refused(*words, stdout=full)


def test_closed_standard_streams_change_the_status_of_nothing():
    code = f"exec {sys.executable} -m ataraxis_data_structures.cli shm ls >&- 2>&-"
    assert subprocess.run(["sh", "-c", code], check=False).returncode == 0


def run_planted(body, *words, env=None):
    """Run a command whose `run` is replaced."""
    code = (
        "import sys, time, os, errno; from ataraxis_data_structures import cli\n"
        "from ataraxis_data_structures.cli.shm import ls\n"
        f"def run(arguments):\n    {body}\n"
        "ls.run = run\nsys.exit(cli.main(['shm', 'ls']))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("open('/nowhere/at/all')", 1, "/nowhere/at/all: No such file or directory; check the path"),
        ("raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/data')", 1, "/data: No space left on device; free"),
        ("raise ValueError('expected one,\\n got two')", 1, "axds: expected one, got two\n"),
        ("raise KeyError('expected a key')", 1, "axds: expected a key\n"),
        ("raise MemoryError", 1, "not enough memory"),
        ("raise AssertionError('odd')", 70, "unexpected AssertionError: odd; AXDS_DEBUG=1 shows where"),
        ("import warnings; warnings.warn('mind\\n the gap'); return 0", 0, "axds: warning: mind the gap\n"),
    ],
)
def test_whatever_is_raised_becomes_one_line(body, status, said):
    process = run_planted(body)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert said in err
    assert err.count("\n") == 1


def test_a_developer_can_ask_for_the_traceback():
    process = run_planted("raise ValueError('odd')", env={**os.environ, "AXDS_DEBUG": "1"})
    assert "Traceback" in process.communicate(timeout=60)[1]


def test_ctrl_c_is_status_130_and_one_word():
    process = run_planted("print('up', flush=True); time.sleep(60)")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "axds: interrupted\n")


CTRL_C = "os.kill(os.getpid(), signal.SIGINT)"
WRITER = f"type('W', (), {{'write': lambda _, text: {CTRL_C} or sys.__stderr__.write(text), 'flush': lambda _: 0}})"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (f"type('Held', (), {{'__del__': lambda self: {CTRL_C}}})(); time.sleep(60)", 130, "axds: interrupted\n"),
        (f"sys.stderr = {WRITER}(); raise ValueError('odd')", 1, "axds: odd\n"),
        (f"import atexit; atexit.register(lambda: {CTRL_C}); return 0", 0, ""),
    ],
    ids=["in a destructor", "in the report of an error", "at the exit"],
)
def test_ctrl_c_is_neither_lost_nor_a_traceback(body, status, said):
    process = run_planted(f"import signal; {body}")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, said)


def test_an_import_of_the_package_brings_nothing_beyond_numpy_but_itself():
    code = (
        "import sys, numpy; had = set(sys.modules)\n"
        "import ataraxis_data_structures; print(*sorted(set(sys.modules) - had))"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.split() == ["ataraxis_data_structures"]


def test_nothing_optional_is_imported_with_every_public_name():
    code = (
        "import sys, ataraxis_data_structures as a; [getattr(a, n) for n in a.__all__]\n"
        "optional = {'matplotlib', 'pyarrow', 'h5py', 'mcap', 'dask', 'mpi4py', 'fsspec'}\n"
        "print(sorted(optional & set(sys.modules)))"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "[]"
