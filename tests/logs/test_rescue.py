"""Archives that were cut: recovery makes files of the whole messages, and says that the rest is lost."""

import os

import numpy as np
import pytest

from ataraxis_data_structures import assemble_log_archives, recover_log_directory
from ataraxis_data_structures.cli import main
from log_files import contents, save, session_archive
from logtools import read_files

MESSAGES = [(time, [time] * 40) for time in range(1, 20)]


def wanted(count):
    return [(1, time, bytes(payload)) for time, payload in MESSAGES[:count]]


def rescued(folder):
    return sorted(message for message in read_files(folder) if message[1])


@pytest.mark.parametrize("by", ["numpy", "library"])
def test_an_archive_that_is_cut_anywhere_gives_its_whole_messages_back(tmp_path, by):
    folder = tmp_path / "test_data_log"
    folder.mkdir()
    path = session_archive(folder / "1_log.npz", MESSAGES)
    if by == "library":
        save(folder, 1, 19, MESSAGES[-1][1])
        path.unlink()
        session_archive(folder / "1_log.npz", MESSAGES[:-1])
        assemble_log_archives(folder, 1)
    whole, found = path.read_bytes(), set()
    stop = whole.index(b"PK\1\2")
    for size in sorted({0, 1, 3, 29, 31, *range(40, stop, 97), stop, stop + 10, len(whole) - 1}):
        path.write_bytes(whole[:size])
        report = recover_log_directory(folder)
        assert not report.whole
        assert report.cut_archives == ("1_log.npz",)
        got = rescued(folder)
        assert got == wanted(len(got))
        assert sum(report.rescued.values()) == len(read_files(folder))
        assert (folder / "1_log.npz.damaged").read_bytes() == whole[:size]
        found.add(len(got))
        for made in folder.iterdir():
            made.unlink()
    assert found == set(range(len(MESSAGES) + 1))


def test_what_was_rescued_and_what_comes_after_is_assembled_and_a_second_recovery_doubles_nothing(tmp_path):
    folder = tmp_path / "test_data_log"
    folder.mkdir()
    path = session_archive(folder / "1_log.npz", MESSAGES)
    cut = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(cut)
    recover_log_directory(folder)
    before = rescued(folder)
    path.write_bytes(cut)  # as if the first had been killed before it set the archive aside
    assert not recover_log_directory(folder).rescued
    assert rescued(folder) == before
    assert recover_log_directory(folder).whole
    save(folder, 1, 500, [1])
    assemble_log_archives(folder, 1)
    times = [time for time, _ in contents(path).values()]
    assert times == [0, *(time for _, time, _ in before), 500]


def test_a_member_with_a_wrong_byte_is_not_rescued(tmp_path):
    path = session_archive(tmp_path / "1_log.npz", MESSAGES)
    data = bytearray(path.read_bytes())
    place = data.index(np.array([7] * 40, np.uint8).tobytes())
    data[place] ^= 1
    path.write_bytes(data[: data.index(b"PK\1\2")])
    recover_log_directory(tmp_path)
    assert [time for _, time, _ in rescued(tmp_path)] == [time for time, _ in MESSAGES if time != 7]


def test_the_command_tells_a_cut_archive_from_nothing_lost(tmp_path, capsys):
    path = session_archive(tmp_path / "1_log.npz", MESSAGES)
    assert main(["log", "recover", os.fspath(tmp_path)]) == 0
    assert "nothing is known to be lost" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:3000])
    assert main(["log", "recover", os.fspath(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "archives that were cut" in printed
    assert "something is lost" in printed
