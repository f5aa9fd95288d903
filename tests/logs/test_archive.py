"""Assembly: what a log directory becomes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import log_files
from ataraxis_data_structures import ArchiveError, LogArchiveReader, assemble_log_archives
from ataraxis_data_structures._core import frame, npz
from ataraxis_data_structures.logs.journal import layout

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "log_archives.json").read_text())


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "rig_data_log"
    made.mkdir()
    return made


def test_the_published_example_becomes_the_published_archives(folder):
    for entry in GOLDEN["inputs"]:
        *nested, source, time, payload = entry
        log_files.save(folder / "nested" if nested else folder, source, time, payload)
    assert assemble_log_archives(folder) is None
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == GOLDEN["files_after"]
    for name, want in GOLDEN["archives"].items():
        with np.load(folder / name) as entries:
            assert [f"{key}.npy" for key in entries.files] == want["members"]
            infos = entries.zip.infolist()
        assert sorted({info.compress_type for info in infos}) == want["compress_types"]
        assert [info.file_size for info in infos] == want["member_sizes"]


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([0, 1, 7, 255]), st.integers(0, 40) | st.integers(0, 2**64 - 1)),
        st.binary(max_size=40),
        max_size=25,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_an_archive_has_the_bytes_that_numpy_saves(tmp_path_factory, messages):
    folder = tmp_path_factory.mktemp("log")
    for (source, time), payload in messages.items():
        log_files.save(folder, source, time, payload)
    assemble_log_archives(folder)
    sources = {source for source, _ in messages}
    assert log_files.names(folder) == sorted(f"{source}_log.npz" for source in sources)
    for source in sources:
        times = sorted(time for other, time in messages if other == source)
        want = log_files.archive(
            folder / "want.npz",
            {log_files.name_of(source, time): (source, time, messages[source, time]) for time in times},
        )
        assert (folder / f"{source}_log.npz").read_bytes() == want.read_bytes()


def test_equal_source_and_time_keep_every_message(folder):
    for repeat in range(12):
        log_files.save(folder, 1, 5, [repeat], repeat)
    log_files.save(folder, 1, 4, [99])
    assemble_log_archives(folder)
    want = {log_files.name_of(1, 4): (4, [99])}
    want.update({log_files.name_of(1, 5, repeat): (5, [repeat]) for repeat in range(12)})
    assert list(log_files.contents(folder / "1_log.npz").items()) == list(want.items())


def test_an_existing_archive_is_merged_with(folder):
    log_files.save_session(folder, 1, [(10, [1]), (30, [3])])
    assemble_log_archives(folder)
    for time, payload in [(5, [0]), (10, [1]), (20, [2]), (30, [9])]:
        log_files.save(folder, 1, time, payload)
    log_files.save(folder, 2, 7, [7])
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz", "2_log.npz"]
    assert list(log_files.contents(folder / "1_log.npz").items()) == [
        (log_files.name_of(1, 0), (0, log_files.onset_payload())),
        (log_files.name_of(1, 5), (5, [0])),
        (log_files.name_of(1, 10), (10, [1])),
        (log_files.name_of(1, 10, 1), (10, [1])),  # the same bytes in a later file are a later message
        (log_files.name_of(1, 20), (20, [2])),
        (log_files.name_of(1, 30), (30, [3])),
        (log_files.name_of(1, 30, 1), (30, [9])),
    ]


def test_kept_sources_are_not_archived_twice(folder):
    log_files.save_session(folder, 1, [(10, [1]), (30, [3])])
    before = log_files.names(folder)
    assemble_log_archives(folder, remove_sources=False, verify_integrity=True)
    assert log_files.names(folder) == sorted([*before, "1_log.npz"])
    first = log_files.contents(folder / "1_log.npz")
    assemble_log_archives(folder, remove_sources=False)
    assert log_files.contents(folder / "1_log.npz") == first
    log_files.save(folder, 1, 20, [2])
    assemble_log_archives(folder, remove_sources=False)
    log_files.save(folder, 1, 10, [1], repeat=1)
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz"]
    want = {**first, log_files.name_of(1, 20): (20, [2]), log_files.name_of(1, 10, 1): (10, [1])}
    assert log_files.contents(folder / "1_log.npz") == want
    log_files.save(folder, 1, 30, [3])  # after the removal the same bytes are a new message
    assemble_log_archives(folder)
    assert log_files.contents(folder / "1_log.npz") == {**want, log_files.name_of(1, 30, 1): (30, [3])}


@pytest.mark.parametrize("other", [None, log_files.ONSET + 1])
def test_messages_never_count_from_the_onset_of_another_session(folder, other):
    if other is None:
        log_files.save(folder, 1, 10, [1])
    else:
        log_files.save_session(folder, 1, [(10, [1])], other)
    assemble_log_archives(folder)
    before = (folder / "1_log.npz").read_bytes()
    log_files.save_session(folder, 1, [(20, [2])])
    log_files.save(folder, 3, 1, [1])
    with pytest.warns(UserWarning, match="several sessions"):
        assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz"]
    assert (folder / "1_log.npz").read_bytes() == before
    further = folder.with_name(f"{folder.name.removesuffix('_data_log')}_2_data_log")
    assert log_files.names(further) == ["1_log.npz", "3_log.npz"]
    assert [message.payload.tolist() for message in LogArchiveReader(further / "1_log.npz").iter_messages()] == [[2]]


def test_two_onsets_among_the_files_are_refused(folder):
    log_files.save(folder, 1, 0, log_files.onset_payload())
    log_files.save(folder, 1, 0, log_files.onset_payload(5), repeat=1)
    with pytest.raises(ArchiveError, match="onsets of several sessions"):
        assemble_log_archives(folder)
    assert len(log_files.names(folder)) == 2


def test_a_session_goes_on_in_its_archive(folder):
    log_files.save_session(folder, 1, [(10, [1])])
    assemble_log_archives(folder)
    log_files.save(folder, 1, 20, [2])
    assemble_log_archives(folder)
    messages = list(LogArchiveReader(folder / "1_log.npz").iter_messages())
    assert [int(m.timestamp_us) - log_files.ONSET for m in messages] == [10, 20]


def test_nothing_to_assemble_is_no_error(folder, tmp_path):
    assert assemble_log_archives(folder) is None
    assert assemble_log_archives(tmp_path / "missing") is None
    (tmp_path / "file").touch()
    assert assemble_log_archives(tmp_path / "file") is None
    (folder / "notes.txt").write_text("not ours")
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["notes.txt"]
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("name", ["notes.npy", "001.npy", ".npy", "x_5.npy", "-1_5.npy", "1_99999999999999999999.npy"])
def test_a_foreign_npy_file_is_refused_and_nothing_changed(folder, name):
    log_files.save(folder, 1, 5, [1])
    np.save(folder / name, np.zeros(3))
    present = log_files.names(folder)
    with pytest.raises(ArchiveError):
        assemble_log_archives(folder)
    assert log_files.names(folder) == present


@pytest.mark.parametrize(
    "content", [b"", b"not numpy", npz.message_file(1, 5, b"abc")[:-1], npz.array_header(3) + b"abc", np.zeros(3)]
)
@pytest.mark.parametrize("name", ["001_00000000000000000005.npy", "1_5.npy"])
def test_a_file_that_is_no_message_is_refused_and_nothing_changed(folder, content, name):
    log_files.save(folder, 1, 4, [1])
    log_files.save(folder, 2, 5, [1])
    path = folder / name
    np.save(path, content) if isinstance(content, np.ndarray) else path.write_bytes(content)
    present = log_files.names(folder)
    with pytest.raises(ArchiveError, match=name):
        assemble_log_archives(folder)
    assert log_files.names(folder) == present


def test_a_folder_named_as_a_message_is_refused(folder):
    (folder / "001_00000000000000000005.npy").mkdir()
    with pytest.raises((ArchiveError, OSError)):
        assemble_log_archives(folder)
    assert log_files.names(folder) == ["001_00000000000000000005.npy"]


def test_names_spelled_otherwise_are_archived_under_them(folder):
    for name, source, time in [
        ("1_5", 1, 5),
        ("001_5_1", 1, 5),
        ("300_7", 44, 7),
        ("001_00000000000000000006_x", 1, 6),
    ]:
        np.save(folder / f"{name}.npy", log_files.stored(source, time, [time]))
    log_files.save(folder, 1, 5, [55])
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz", "300_log.npz"]
    want = {
        "1_5": (5, [5]),
        "001_5_1": (5, [5]),
        log_files.name_of(1, 5): (5, [55]),
        "001_00000000000000000006_x": (6, [6]),
    }
    assert log_files.contents(folder / "1_log.npz") == want
    np.save(folder / "1_5.npy", log_files.stored(1, 5, [6]))
    assemble_log_archives(folder, verify_integrity=True)
    assert log_files.contents(folder / "1_log.npz") == {**want, "001_00000000000000000005_1": (5, [6])}


def test_a_damaged_archive_is_not_merged_with(folder):
    log_files.save_session(folder, 1, [(10, [1] * 100)])
    assemble_log_archives(folder)
    path = folder / "1_log.npz"
    data = bytearray(path.read_bytes())
    data[data.index(b"\1" * 50)] ^= 1
    path.write_bytes(data)
    log_files.save(folder, 1, 20, [2])
    with pytest.raises(ArchiveError, match="damaged"):
        assemble_log_archives(folder)
    assert path.read_bytes() == data
    assert log_files.names(folder) == [f"{log_files.name_of(1, 20)}.npy", "1_log.npz"]


def test_a_compressed_archive_is_merged_with(folder):
    entries = {log_files.name_of(1, 0): (1, 0, log_files.onset_payload()), "free": (1, 7, [7] * 100)}
    log_files.archive(folder / "1_log.npz", entries, compressed=True)
    log_files.save(folder, 1, 5, [5])
    assemble_log_archives(folder, verify_integrity=True)
    got = log_files.contents(folder / "1_log.npz")
    assert list(got) == [log_files.name_of(1, 0), log_files.name_of(1, 5), "free"]
    assert got["free"] == (7, [7] * 100)


@pytest.mark.parametrize("memory_mapping", [True, False])
def test_messages_larger_than_a_block_are_archived(folder, memory_mapping):
    large = bytes(range(256)) * 20_000
    log_files.save_session(folder, 1, [(10, large), (20, b"x"), (30, large[::-1])])
    assemble_log_archives(folder, memory_mapping=memory_mapping, verify_integrity=True)
    log_files.save(folder, 1, 15, large)
    assemble_log_archives(folder, memory_mapping=memory_mapping)
    times, payloads = LogArchiveReader(folder / "1_log.npz").read_all_messages()
    assert (times - np.uint64(log_files.ONSET)).tolist() == [10, 15, 20, 30]
    assert [payload.tobytes() for payload in payloads] == [large, large, b"x", large[::-1]]


@pytest.mark.parametrize("workers", [-1, 1, 2, None])
def test_any_number_of_workers_makes_the_same_archives(folder, workers):
    for source in range(6):
        log_files.save_session(folder, source, [(time, [source, time]) for time in range(1, 20)])
    assemble_log_archives(folder, workers)
    for source in range(6):
        reader = LogArchiveReader(folder / f"{source}_log.npz")
        assert [m.payload.tolist() for m in reader.iter_messages()] == [[source, time] for time in range(1, 20)]


def test_options_are_keywords(folder):
    with pytest.raises(TypeError):
        assemble_log_archives(folder, None, False)


def test_progress_is_shown_on_request_only(folder, capfd):
    log_files.save(folder, 1, 5, [1])
    assemble_log_archives(folder, remove_sources=False)
    assert capfd.readouterr() == ("", "")
    log_files.save(folder, 2, 5, [1])
    assemble_log_archives(folder, verbose=True)
    assert "2/2" in capfd.readouterr().err


def test_more_than_65535_messages_fit_an_archive_that_numpy_opens(folder):
    header = layout.Header(0xFEED, 0, 7, layout.JOURNAL, log_files.ONSET, bytes(16))
    records = [frame.pack(7, b"z", source=9, time=time, seq=time, claim=1) for time in range(66_000)]
    (folder / header.name).write_bytes(header.pack() + b"".join(records))
    assemble_log_archives(folder)
    with np.load(folder / "9_log.npz") as entries:
        assert len(entries.files) == 66_000
        assert entries["009_00000000000000065999"][9:].tobytes() == b"z"
    assert LogArchiveReader(folder / "9_log.npz", onset_us=0).message_count == 65_999


def test_assembly_needs_no_main_guard_and_starts_no_process(folder, tmp_path):
    log_files.save(folder, 1, 5, [1])
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\nfrom ataraxis_data_structures import assemble_log_archives\n"
        "os.fork = os.posix_spawn = None\nassemble_log_archives(Path(sys.argv[1]), 2)\n"
    )
    subprocess.run([sys.executable, script, folder], check=True)
    assert log_files.names(folder) == ["1_log.npz"]
