import os
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack

import numpy as np
import pytest

from ataraxis_data_structures._core import frame
from ataraxis_data_structures.logs.journal import layout
from ataraxis_data_structures.logs.journal.npy_files import Expansion
from ataraxis_data_structures.logs.journal.writer import Appender

BOOT = bytes(range(16))
HEADER = layout.Header(0xFACE, 0, 0x5EED5EED, layout.NPY, 0, BOOT)


def record(seq, payload=b"", *, source=1, time=0, claim=1, flags=frame.MESSAGE):
    return frame.pack(HEADER.salt, payload, source=source, time=time, seq=seq, claim=claim, flags=flags)


def journal(folder, records, number=0, **options):
    with Appender(folder, HEADER._replace(number=number), **options) as appender:
        for data in records:
            appender.append(data)
    return appender.path


def expand(*paths, boot_id=BOOT):
    made = 0
    with ExitStack() as stack:
        expansions = [stack.enter_context(Expansion(path, boot_id)) for path in paths]
        for expansion in expansions:
            made += expansion.advance(expansion.end())
        for expansion in expansions:
            expansion.remove()
    return made


def files(folder):
    return {path.name: np.load(path)[9:].tobytes() for path in sorted(folder.iterdir()) if path.suffix == ".npy"}


def test_each_message_becomes_its_file_and_the_journal_goes(tmp_path):
    path = journal(
        tmp_path,
        [
            record(0, b"abc", source=7, time=1234567890),
            record(1, bytes(8), source=3, flags=frame.GAP),
            record(2, b"", source=255, time=2**64 - 1),
        ],
        checkpoint_bytes=50,
    )
    assert expand(path) == 2
    assert files(tmp_path) == {"007_00000000001234567890.npy": b"abc", "255_18446744073709551615.npy": b""}
    assert np.load(tmp_path / "007_00000000001234567890.npy")[:9].tobytes() == b"\x07" + (1234567890).to_bytes(
        8, "little"
    )
    assert not path.exists()


def test_equal_source_and_time_get_names_of_their_own_also_across_sessions(tmp_path):
    (tmp_path / "001_00000000000000000005_1.npy").write_bytes(b"of an earlier session")
    path = journal(tmp_path, [record(seq, bytes([seq]), time=5) for seq in range(3)])
    expand(path)
    assert (tmp_path / "001_00000000000000000005_1.npy").read_bytes() == b"of an earlier session"
    (tmp_path / "001_00000000000000000005_1.npy").unlink()
    stem = "001_00000000000000000005"
    assert files(tmp_path) == {f"{stem}.npy": b"\0", f"{stem}_2.npy": b"\1", f"{stem}_3.npy": b"\2"}


def test_an_expansion_that_stopped_goes_on_where_it_was(tmp_path):
    path = journal(tmp_path, [record(seq, bytes([seq]), time=seq // 2) for seq in range(20)])
    left = iter([False] * 6 + [True])
    with Expansion(path, BOOT) as expansion:
        assert expansion.advance(expansion.end(), lambda: next(left)) == 7
    assert expand(path) == 14  # the one in hand is made again, under its own name
    assert sorted(files(tmp_path).values()) == [bytes([seq]) for seq in range(20)]


def test_a_file_that_could_not_be_written_is_made_later(tmp_path, monkeypatch):
    path = journal(tmp_path, [record(0, b"abcd"), record(1, b"e", time=1)])
    write = os.write

    def full(fd, data):
        monkeypatch.setattr(os, "write", write)
        raise OSError(28, "no space")

    with Expansion(path, BOOT) as expansion:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="no space"):
            expansion.advance(expansion.end())
        assert files(tmp_path) == {}
        assert expansion.advance(expansion.end()) == 2
    assert files(tmp_path) == {"001_00000000000000000000.npy": b"abcd", "001_00000000000000000001.npy": b"e"}


def test_a_damaged_journal_is_kept_aside(tmp_path):
    path = journal(tmp_path, [record(seq, bytes([seq]) * 9, time=seq) for seq in range(3)])
    data = bytearray(path.read_bytes())
    data[layout.HEADER_BYTES + 48 + 40] ^= 1
    path.write_bytes(data)
    assert expand(path) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "001_00000000000000000000.npy",
        "001_00000000000000000002.npy",
        f"{path.name}.damaged",
    ]


def test_after_a_power_cut_every_message_is_held_against_the_files(tmp_path):
    records = [record(seq, bytes([seq // 2]) * 5, time=seq // 4) for seq in range(12)]
    path = journal(tmp_path, records)
    with Expansion(path, BOOT) as expansion:
        expansion.advance(expansion.end())
    want = files(tmp_path)
    assert len(want) == 12
    (tmp_path / "001_00000000000000000000_3.npy").write_bytes(b"")  # lost its data
    (tmp_path / "001_00000000000000000001.npy").unlink()  # lost its name
    (tmp_path / "001_00000000000000000002_1.npy").write_bytes(bytes(142))  # zeros
    expand(path, boot_id=b"another boot ...")
    got = files(tmp_path)
    assert sorted(got.values()) == sorted(want.values())
    assert got.keys() == want.keys()


def test_after_a_power_cut_files_of_one_time_are_told_apart(tmp_path):
    """Another session's file amid ours, one of ours torn and three gone: each message has one file in the end."""
    stem = "001_00000000000000000007"
    records = [record(seq, bytes([seq]) * 9, time=7) for seq in range(60)]
    path = journal(tmp_path, records)
    with Expansion(path, BOOT) as expansion:
        expansion.advance(expansion.end())
    want = sorted(files(tmp_path).values())
    stranger = (tmp_path / f"{stem}_59.npy").read_bytes().replace(b"\x3b" * 9, b"stranger!")
    (tmp_path / f"{stem}_3.npy").write_bytes(stranger)
    (tmp_path / f"{stem}_20.npy").write_bytes(b"")
    (tmp_path / f"{stem}_30.npy").unlink()
    (tmp_path / f"{stem}.npy").unlink()
    expand(path, boot_id=b"another boot ...")
    assert sorted(files(tmp_path).values()) == sorted([*want, b"stranger!"])


KILLED = """
    import sys
    from pathlib import Path
    from ataraxis_data_structures.logs.journal.npy_files import Expansion
    print("up", flush=True)
    with Expansion(Path(sys.argv[1]), bytes(range(16))) as expansion:
        expansion.advance(expansion.end())
        expansion.remove()
"""


def test_killed_at_any_moment_each_message_has_exactly_one_file(tmp_path, rounds):
    kills, sizes = rounds(200, 20), [0, 10, 5000]
    wanted = [(seq % 5, bytes([seq % 251]) * sizes[seq % 3]) for seq in range(300 * kills)]
    path = journal(tmp_path, [record(seq, data, time=time) for seq, (time, data) in enumerate(wanted)])
    rng = np.random.default_rng(7)
    for _ in range(kills):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(rng.uniform(0, 0.02))
            child.send_signal(signal.SIGKILL)
    expand(path)
    got = sorted((int(name[4:24]), data) for name, data in files(tmp_path).items())
    assert got == sorted(wanted)
    print(f"expansion: {kills} kills, {len(got)} files, 0 lost, 0 twice, 0 torn")
