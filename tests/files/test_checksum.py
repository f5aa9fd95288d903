import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oracle_files
from ataraxis_data_structures import (
    IntegrityError,
    calculate_directory_checksum,
    calculate_directory_manifest,
    compare_directories,
    verify_directory_checksum,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "checksums.json").read_text())
EMPTY = "99aa06d3014798d86001c324468d497f"


def contents(value):
    if isinstance(value, dict):
        return bytes.fromhex(value["repeat_hex"]) * value["times"]
    return None if value is None else bytes.fromhex(value)


def unsaved(root, **options):
    return calculate_directory_checksum(root, save_checksum=False, **options)


@pytest.mark.parametrize("threads", [None, 1, 8])
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_the_published_digests_hold(tmp_path, plant, case, threads):
    plant(tmp_path, {name: contents(value) for name, value in case["files_hex"].items()})
    options = {"excluded_files": set(case["excluded_files"])} if "excluded_files" in case else {}
    assert unsaved(tmp_path, num_processes=threads, **options) == case["checksum"]


def test_the_digest_is_saved_as_hex_without_a_newline_and_does_not_count_itself(tmp_path, plant):
    plant(tmp_path, {"file.txt": b"content"})
    first = calculate_directory_checksum(tmp_path)
    assert (tmp_path / "ax_checksum.txt").read_bytes() == first.encode() == b"f8a5ae921b1e0bb89f097bcacfd82a62"
    assert calculate_directory_checksum(tmp_path) == first


def test_links_to_files_count_and_linked_folders_are_not_entered(tmp_path, plant):
    root = plant(tmp_path / "r", {"a": b"1", "sub/b": b"2"})
    (root / "link").symlink_to("sub/b")
    (root / "linked").symlink_to("sub")
    (root / "up").symlink_to("..")
    (root / "dead").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    twin = plant(tmp_path / "twin", {"a": b"1", "sub/b": b"2", "link": b"2"})
    assert unsaved(root) == unsaved(twin) == oracle_files.checksum(root)


def test_sockets_are_not_opened(tmp_path, plant, make_socket):
    plant(tmp_path, {"s": make_socket})
    assert unsaved(tmp_path) == EMPTY


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), st.integers(0, 600_000) | st.integers(0, 40), max_size=8
    ),
    threads=st.integers(1, 5),
    seed=st.integers(),
)
def test_any_folder_has_the_oracles_digest_however_many_threads(tmp_path_factory, files, threads, seed):
    root = tmp_path_factory.mktemp("any")
    rng = random.Random(seed)
    for name, size in files.items():
        path = os.path.join(os.fsencode(root), name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(rng.randbytes(size))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # the name is also a folder on another's way
    assert unsaved(root, num_processes=threads) == oracle_files.checksum(root)


def test_sizes_around_every_buffer_have_the_oracles_digest(tmp_path, plant):
    edges = (0, 1, 65535, 65536, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1)
    plant(tmp_path, {f"{size}.bin": random.Random(size).randbytes(size) for size in edges})
    plant(tmp_path, {f"many/{i}": bytes([i % 256]) * (i * 7) for i in range(1000)})
    assert unsaved(tmp_path, num_processes=2) == unsaved(tmp_path) == oracle_files.checksum(tmp_path)


def test_255_byte_names_and_deep_trees_count(tmp_path, plant):
    root = plant(tmp_path, {"n" * 255: b"1", "/".join(["d"] * 900) + "/leaf": b"2"})
    assert unsaved(root) == oracle_files.checksum(root)


def test_fewer_than_one_worker_is_a_value_error(tmp_path):
    with pytest.raises(ValueError):
        calculate_directory_checksum(tmp_path, num_processes=0)


def test_a_missing_folder_and_a_file_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        calculate_directory_checksum(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        calculate_directory_checksum(tmp_path / "file")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [10, 600_000])
@pytest.mark.parametrize("closed", ["sub", "sub/b"])
def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path, plant, unprivileged, size, closed, threads):
    plant(tmp_path, {"a": b"1", "sub/b": b"2" * size, **{f"c{i}": b"x" for i in range(600)}})
    (tmp_path / closed).chmod(0)
    with unprivileged(tmp_path), pytest.raises(PermissionError) as caught:
        calculate_directory_checksum(tmp_path, num_processes=threads)
    (tmp_path / closed).chmod(0o755)
    assert caught.value.filename == closed
    assert not (tmp_path / "ax_checksum.txt").exists()


def test_verification_says_whether_a_folder_is_what_it_was(tmp_path, plant):
    plant(tmp_path, {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        verify_directory_checksum(tmp_path)
    checksum = calculate_directory_checksum(tmp_path)
    assert verify_directory_checksum(tmp_path) == checksum
    plant(tmp_path, {"a": b"2"})
    with pytest.raises(IntegrityError, match=checksum):
        verify_directory_checksum(tmp_path)


def test_a_manifest_survives_json_and_names_what_differs(tmp_path, plant):
    odd = os.fsdecode(b"\xff")
    plant(tmp_path, {"a": b"1", "b/c": b"2", "gone": b"3", odd: b"4"})
    manifest = json.loads(json.dumps(calculate_directory_manifest(tmp_path)))
    assert list(manifest) == sorted(["a", "b/c", "gone", odd])
    assert verify_directory_checksum(tmp_path, manifest=manifest) == unsaved(tmp_path)
    plant(tmp_path, {"b/c": b"3", "new": b"5"})
    (tmp_path / "gone").unlink()
    with pytest.raises(IntegrityError) as caught:
        verify_directory_checksum(tmp_path, manifest=manifest)
    assert caught.value.paths == ("b/c", "gone", "new")
    for name in caught.value.paths:
        assert repr(name) in str(caught.value)


def test_comparison_names_every_file_that_two_folders_do_not_share(tmp_path, plant):
    one = plant(tmp_path / "1", {"same": b"s", "x/changed": b"1", "first": b"", "e": None})
    two = plant(tmp_path / "2", {"same": b"s", "x/changed": b"2", "x/second": b""})
    difference = compare_directories(one, two, 2)
    assert difference
    assert (difference.only_first, difference.only_second, difference.changed) == (
        ("first",),
        ("x/second",),
        ("x/changed",),
    )
    assert not compare_directories(one, one)


def test_progress_is_shown_in_bytes(tmp_path, plant, capsys):
    plant(tmp_path, {"a": b"x" * 3000, "b": b"y" * (1 << 20)})
    calculate_directory_checksum(tmp_path, progress=True)
    assert "1.00M/1.00M" in capsys.readouterr().err


def test_a_script_without_a_main_guard_starts_no_process(tmp_path, plant):
    plant(tmp_path / "d", {f"{i}": b"x" * 100_000 for i in range(40)})
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from ataraxis_data_structures import calculate_directory_checksum\n"
        "print('once', calculate_directory_checksum(Path('d'), num_processes=2))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", unsaved(tmp_path / "d")]
