"""One name is one line on a terminal, whatever it holds, and nothing of it is obeyed."""

import ast
import os
from pathlib import Path

import pytest

import ataraxis_data_structures.cli
from ataraxis_data_structures import ProcessingTracker

COMMANDS = Path(ataraxis_data_structures.cli.__file__).parent
NAMES = {
    "a\nb": r"a\nb",
    "c\x1b]0;owned\x07": r"c\x1b]0;owned\x07",
    "d\re\tf": r"d\re\tf",
    "g\x9b2J": r"g\x9b2J",
    "\u202etxt.exe": r"\u202etxt.exe",
    "line\u2028two\x85three": r"line\u2028two\x85three",
    "zero\u200bwidth": r"zero\u200bwidth",
    os.fsdecode(b"latin \xe9"): r"latin \udce9",
    "na\u00efve \u65e5\u672c": "na\u00efve \u65e5\u672c",
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "named"
    made.mkdir()
    for name in NAMES:
        (made / name).write_text(name.encode("unicode_escape").decode())
    return made


def test_a_manifest_has_one_line_for_each_name(axds, folder):
    lines = axds("checksum", folder, "--manifest").out.splitlines()
    assert sorted(line[34:] for line in lines[:-1]) == sorted(NAMES.values())


def test_a_comparison_has_one_line_for_each_name(axds, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    got = axds("compare", folder, tmp_path / "empty")
    assert got.status == 1
    assert sorted(got.out.splitlines()) == sorted(f"only in the first: {shown}" for shown in NAMES.values())


@pytest.mark.parametrize("name", [*NAMES][:6:2])
def test_a_folder_of_any_name_is_one_line_in_every_command_that_names_it(axds, tmp_path, name):
    shown, folder = NAMES[name], tmp_path / name
    folder.mkdir()
    (folder / "file").write_text("x")
    got = [
        axds("transfer", folder, tmp_path / f"{name}.copy"),
        axds("log", "ls", folder),
        axds("log", "show", folder),
        axds("delete", folder, "--yes"),
        axds("delete", folder, "--yes"),
        axds("checksum", folder),
        axds("jobs", "status", folder),
        axds(name),
    ]
    for ran in got:
        text = ran.out + ran.err
        assert shown in text or " ".join(name.split()) in text, ran  # a message of several lines is told as one
        assert text.count("\n") == 1, ran
        assert text.replace("\n", "").isprintable(), ran


def test_a_job_of_any_name_is_one_line_of_the_table(axds, tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    for job_id in tracker.initialize_jobs([(name, name) for name in NAMES]):
        tracker.fail_job(job_id, "boom\x1b[31m\nline 2")
    lines = axds("jobs", "status", tracker.file_path).out.splitlines()
    assert len(lines) == 2 + len(NAMES)
    for line, shown in zip(lines[2:], NAMES.values(), strict=True):
        assert line.count(shown) == 2
        assert r"boom\x1b[31m line 2" in line


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_that_cannot_show_a_name_gets_an_escape(axds, folder, encoding):
    got = axds("checksum", folder, "--manifest", env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
    assert got.status == 0
    assert ("\u65e5" if encoding == "utf-8" else r"\u65e5\u672c") in got.out


def test_wrong_usage_repeats_no_escape_sequence(axds):
    got = axds("checksum", ".", "--no\x1b[2J\nsuch")
    assert got.status == 2
    assert r"--no\x1b[2J\nsuch" in got.err


# What prints without a name in it: help texts, JSON (which escapes by itself), and the source of a checkup that speaks
# to the process that started it.
OWN_TEXT = {("__init__.py", "print"), ("render.py", "print"), ("checkup/source.py", "print")}
# Control sequences, and a question that stays on its line.
SCREENS = {("screen.py", "write"), ("delete.py", "write")}


def test_commands_print_through_the_one_place_that_escapes():
    found = set()
    for path in COMMANDS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "print" or called.endswith(("stdout.write", "stderr.write")):
                found.add((path.relative_to(COMMANDS).as_posix(), called.rpartition(".")[2]))
    assert found == OWN_TEXT | SCREENS | {("terminal.py", "print"), ("terminal.py", "write")}
