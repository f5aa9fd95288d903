"""Named blocks: what a name means, who holds it in use, and what is left over."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from ataraxis_data_structures.errors import SegmentError
from ataraxis_data_structures.memory.segment import HEADER_ROOM, PAGE, Kind, Segment, is_stale, list_segments
from ataraxis_data_structures.memory.sweep import sweep
from ataraxis_data_structures.system import platform

SHM = platform.FOLDER


HOLD = """
import sys
from ataraxis_data_structures.memory.segment import Kind, Segment
if sys.argv[2] == "create":
    held = Segment.create(sys.argv[1], 100, kind=Kind.ARRAY)
else:
    held = Segment.attach(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """A process without any relation that maps a segment until it is killed."""

    def __init__(self, name, how="attach"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, name, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "held\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def test_payload_starts_at_byte_0_and_is_found_by_name(name):
    made = Segment.create(name, 5000, kind=Kind.LANE, description=b"{}" * 3000)
    made.payload[:5] = b"hello"
    made.header[HEADER_ROOM] = 7
    found = Segment.attach(name, id=made.id, kind=Kind.LANE)
    assert bytes(found.payload[:5]) == b"hello"
    assert (found.size_bytes, len(found.payload), found.kind) == (5000, 5000, Kind.LANE)
    assert found.description == b"{}" * 3000
    assert found.header[HEADER_ROOM] == 7
    assert (SHM / name).read_bytes()[:5] == b"hello"
    assert (SHM / name).stat().st_size == 2 * PAGE + 2 * PAGE + PAGE
    assert found.head.creator_pid == os.getpid()
    made.unlink()


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1])
def test_payload_has_the_asked_size_and_is_zero(name, size):
    made = Segment.create(name, size, kind=Kind.ARRAY)
    assert bytes(made.payload) == bytes(size)
    assert bytes(Segment.attach(name).payload) == bytes(size)


def test_a_name_appears_only_with_what_prepare_wrote(name):
    def prepare(segment):
        assert not (SHM / name).exists()
        segment.payload[:3] = b"abc"

    assert bytes(Segment.create(name, 3, kind=Kind.ARRAY, prepare=prepare).payload) == b"abc"
    assert (SHM / name).read_bytes()[:3] == b"abc"


def test_a_failing_prepare_leaves_nothing(name):
    before = set(os.listdir(SHM))

    def prepare(segment):
        raise KeyError("no")

    with pytest.raises(KeyError):
        Segment.create(name, 3, kind=Kind.ARRAY, prepare=prepare)
    assert set(os.listdir(SHM)) == before


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "/a", "a\0b", "x" * 256])
def test_impossible_names_are_refused(bad):
    with pytest.raises(ValueError):
        Segment.create(bad, 1, kind=Kind.ARRAY)
    with pytest.raises(ValueError):
        Segment.attach(bad)


def test_an_absent_name_is_file_not_found(name):
    with pytest.raises(FileNotFoundError):
        Segment.attach(name)


def test_another_kind_is_refused(name):
    held = Segment.create(name, 1, kind=Kind.QUEUE)
    with pytest.raises(SegmentError, match="QUEUE"):
        Segment.attach(name, kind=Kind.ARRAY)
    held.unlink()


def test_a_name_created_anew_is_not_the_old_one(name):
    old = Segment.create(name, 1, kind=Kind.ARRAY)
    new = Segment.create(name, 1, kind=Kind.ARRAY, replace=True)
    with pytest.raises(FileNotFoundError):
        Segment.attach(name, id=old.id)
    old.unlink()  # the name is no longer the old one's to take away
    assert Segment.attach(name).id == new.id
    new.unlink()
    assert not (SHM / name).exists()


def test_a_name_in_use_is_taken(name):
    with Holder(name, "create"), pytest.raises(FileExistsError):
        Segment.create(name, 1, kind=Kind.ARRAY)


def test_the_name_of_a_killed_process_is_free(name):
    holder = Holder(name, "create")
    assert not is_stale(name)
    holder.kill()
    assert is_stale(name)
    made = Segment.create(name, 1, kind=Kind.ARRAY)
    assert not is_stale(name)
    made.unlink()


def test_a_segment_is_in_use_while_any_process_maps_it(name):
    first = Holder(name, "create")
    with Holder(name):
        first.kill()
        assert not is_stale(name)
        assert name not in sweep()
        assert name in list_segments()
    assert name in sweep()
    assert name not in list_segments()


def test_views_keep_a_closed_segment_in_use(name):
    made = Segment.create(name, 8, kind=Kind.ARRAY)
    view = made.payload[:4]
    made.close()
    view[:4] = b"live"
    assert not is_stale(name)
    view.release()
    assert is_stale(name)
    sweep()


def test_views_outlive_unlink(name):
    made = Segment.create(name, 8, kind=Kind.ARRAY)
    view = made.payload
    made.unlink()
    made.close()
    view[:4] = b"live"
    assert bytes(view[:4]) == b"live"


def test_a_forked_child_holds_the_segment_in_use(name):
    made = Segment.create(name, 8, kind=Kind.ARRAY)
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(go)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    made.close()
    del made
    assert not is_stale(name)
    os.close(go)
    os.waitpid(child, 0)
    assert is_stale(name)


def test_a_stopped_process_holds_the_segment_in_use(name):
    with Holder(name, "create") as holder:
        holder.process.send_signal(signal.SIGSTOP)
        assert not is_stale(name)
        assert name not in sweep()


@pytest.mark.parametrize(
    "creation", ["memory.array import SharedMemoryArray as A; A.create_array({!r}, numpy.zeros(1)).destroy()",
                 "memory.queue import LogQueue; LogQueue.create().discard() # {}"], ids=["array", "queue"]
)  # fmt: skip
def test_the_first_array_or_queue_of_a_process_sweeps(name, run, creation):
    Holder(name, "create").kill()
    run("import numpy; from ataraxis_data_structures." + creation.format(name + "-other"))
    assert not (SHM / name).exists()


def test_the_sweep_leaves_foreign_files_and_lanes_it_can_not_read(name):
    (SHM / name).write_bytes(b"x" * PAGE)
    queue = name + "-lane"
    Segment.create(queue, 8, kind=Kind.LANE)
    assert is_stale(queue)
    assert {name, queue}.isdisjoint(sweep())
    assert not is_stale(name)
    (SHM / queue).unlink()


def test_a_foreign_file_takes_a_name_unless_replaced(name):
    (SHM / name).write_bytes(b"not ours")
    with pytest.raises(SegmentError):
        Segment.attach(name)
    with pytest.raises(FileExistsError):
        Segment.create(name, 1, kind=Kind.ARRAY)
    Segment.create(name, 1, kind=Kind.ARRAY, replace=True).unlink()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_plain_file_is_refused_at_once(name, make):
    make(SHM / name)
    with pytest.raises(SegmentError):
        Segment.attach(name)
    with pytest.raises(FileExistsError):
        Segment.create(name, 1, kind=Kind.ARRAY)
    (SHM / name).rmdir() if (SHM / name).is_dir() else (SHM / name).unlink()


def test_every_damaged_byte_of_the_header_is_noticed(name):
    made = Segment.create(name, 10, kind=Kind.ARRAY, description=b"some description")
    path = SHM / name
    begin = path.stat().st_size - PAGE
    with path.open("r+b") as file:
        for offset in [*range(begin, begin + 88), *range(PAGE, PAGE + 16)]:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 0x41]))
            file.flush()
            with pytest.raises(SegmentError):
                Segment.attach(name)
            file.seek(offset)
            file.write(byte)
            file.flush()
    assert Segment.attach(name).id == made.id
    made.unlink()


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, 2 * PAGE, 3 * PAGE + 1])
def test_a_cut_segment_is_refused(name, size):
    Segment.create(name, 10 * PAGE, kind=Kind.ARRAY)
    os.truncate(SHM / name, size)
    with pytest.raises(SegmentError):
        Segment.attach(name)


def test_one_of_many_creators_wins(name):
    made, taken = [], []
    start = threading.Barrier(8)

    def create():
        start.wait()
        try:
            made.append(Segment.create(name, 8, kind=Kind.ARRAY))
        except FileExistsError:
            taken.append(1)

    threads = [threading.Thread(target=create) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(made), len(taken)) == (1, 7)
    assert Segment.attach(name).id == made[0].id
    made[0].unlink()


def test_creators_that_replace_each_other_leave_one_whole_segment(name):
    def create():
        for _ in range(50):
            Segment.create(name, 8, kind=Kind.ARRAY, replace=True)

    threads = [threading.Thread(target=create) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    Segment.attach(name).unlink()
    assert not [file for file in os.listdir(SHM) if file.startswith(".axds-")]


FULL = """
import errno, os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", os.environ["AXDS_SHM_FOLDER"]], check=True)
from ataraxis_data_structures.memory.segment import Kind, Segment, list_segments
try:
    Segment.create("big", 1 << 20, kind=Kind.ARRAY)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    raise AssertionError("a megabyte fits in 64 KiB")
assert list_segments() == []
small = Segment.create("small", 4096, kind=Kind.ARRAY)
small.payload[:] = b"x" * 4096
print("right")
"""


def test_a_full_memory_is_an_error_at_creation():
    enter = ["unshare", "--map-root-user", "--mount", "--propagation", "private"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a mount namespace")
    got = subprocess.run([*enter, sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert got.stdout == "right\n", got.stderr


OTHER_DOOR = """
import sys
from ataraxis_data_structures.memory.segment import *
try:
    Segment.attach(sys.argv[1])
except SegmentError as error:
    print(error)
"""


def test_a_segment_of_the_other_door_is_refused(name, run):
    held = Segment.create(name, 8, kind=Kind.ARRAY)
    assert "backend" in run(OTHER_DOOR, name, AXDS_PORTABLE="0" if platform.PORTABLE else "1")
    held.unlink()


def test_more_than_there_can_be_is_an_error(name):
    with pytest.raises(OSError) as caught:
        Segment.create(name, 1 << 60, kind=Kind.ARRAY)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG, errno.ENOMEM)
