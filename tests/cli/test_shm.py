"""`axds shm`: what is in shared memory, whose it is, and what may go."""

import os
import subprocess
import sys

import pytest

from ataraxis_data_structures.memory.segment import Kind, Segment
from ataraxis_data_structures.system import platform


@pytest.fixture
def held():
    """A segment that this process maps."""
    name = f"axds-test-{os.getpid()}"
    block = Segment.create(name, 8192, kind=Kind.ARRAY, description=b'{"shape": [1024], "dtype": "<f8"}')
    yield block
    block.unlink()
    block.close()


def leave_behind(name, kind="ARRAY"):
    """Create a segment in a process that ends without removing it."""
    code = (
        "import sys; from ataraxis_data_structures.memory.segment import Kind, Segment\n"
        "Segment.create(sys.argv[1], 64, kind=Kind[sys.argv[2]])"
    )
    subprocess.run([sys.executable, "-c", code, name, kind], check=True)


def test_a_segment_in_use_is_listed_with_its_creator(axds, held):
    rows = {row["name"]: row for row in axds("shm", "ls", "--json").json}
    got = rows[held.name]
    assert (got["kind"], got["bytes"], got["creator"]) == ("array", 8192, os.getpid())
    assert got["in_use"]
    assert got["creator_alive"]
    assert held.name in axds("shm", "ls").out


def test_a_segment_is_shown_with_the_processes_that_map_it(axds, held):
    got = axds("shm", "show", held.name, "--json").json
    assert os.getpid() in got["mapped_by"]
    assert got["description"]["shape"] == [1024]
    assert got["id"] == f"{held.id:016x}"
    assert "shape=[1024]" in axds("shm", "show", held.name).out


def test_what_its_creator_left_is_removed_as_stale_and_what_is_held_stays(axds, held):
    left = f"{held.name}-left"
    leave_behind(left)
    assert not {row["name"]: row for row in axds("shm", "ls", "--json").json}[left]["in_use"]
    assert axds("shm", "rm", "--stale", "--json").json["removed"] == [left]
    assert "nothing is stale" in axds("shm", "rm", "--stale").out
    assert [row["name"] for row in axds("shm", "ls", "--json").json] == [held.name]


def test_a_segment_in_use_goes_by_force_only(axds, held, refused):
    assert "in use" in refused("shm", "rm", held.name)
    assert axds("shm", "rm", "--force", held.name).out == f"removed {held.name}\n"
    assert axds("shm", "ls", "--json").json == []
    held.payload[0] = 7  # whoever maps it keeps it


def test_a_lane_that_nobody_uses_is_left_to_recovery(axds, refused):
    name = f"axds-{os.getpid():010x}-1"
    leave_behind(name, "LANE")
    assert "axds log recover" in refused("shm", "rm", name)
    assert axds("shm", "rm", name, "--force").status == 0


def test_a_foreign_file_in_shared_memory_is_never_removed(refused):
    path = platform.FOLDER / f"foreign-{os.getpid()}"
    with open(path, "wb") as file:
        file.write(b"mine" * 2048)
    try:
        assert "not a segment of this library" in refused("shm", "rm", "--force", os.path.basename(path))
        assert "foreign bytes" in refused("shm", "show", os.path.basename(path))
        assert os.path.exists(path)
    finally:
        os.unlink(path)


@pytest.mark.parametrize("command", ["show", "rm"])
def test_a_name_that_is_not_there_is_said_so(command, refused):
    assert "nowhere" in refused("shm", command, "nowhere")
    assert "without a slash" in refused("shm", command, "../etc/passwd")


def test_a_segment_that_may_not_be_opened_is_refused(refused, held):
    os.chmod(platform.FOLDER / held.name, 0)
    said = refused("shm", "show", held.name, powerless=True)
    assert "Permission denied" in said
    assert "ask its owner" in said
