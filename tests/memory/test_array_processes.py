"""An array reaches other processes by every route, and none of them loses an update."""

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest

from ataraxis_data_structures import SegmentError, SharedMemoryArray
from ataraxis_data_structures.memory.segment import is_stale
from ataraxis_data_structures.memory.sweep import sweep
from ataraxis_data_structures.system import platform

STARTS = ["spawn", "fork", "forkserver"]

pytestmark = [
    pytest.mark.usefixtures("spawning"),
    # Python warns of forks while threads live; other tests and pools here have some.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def sma(name):
    with SharedMemoryArray.create_array(name, np.zeros(4, dtype="i8")) as sma:
        yield sma


def put_one(sma, index=0):
    assert sma.is_connected
    sma.connect()
    sma[index] = 1
    sma.disconnect()


def put_later(sma):
    assert not sma.is_connected
    sma.connect()
    sma[0] = 1


@pytest.mark.parametrize("start", STARTS)
def test_it_arrives_connected_as_an_argument(sma, start):
    context = multiprocessing.get_context(start)
    children = [
        context.Process(target=put_one, args=(sma,)),
        context.Process(target=partial(put_one, sma, index=1)),
    ]
    [child.start() for child in children]
    [child.join() for child in children]
    assert [child.exitcode for child in children] == [0, 0]
    assert sma[:].tolist() == [1, 1, 0, 0]
    [child.close() for child in children]


def test_without_auto_connect_it_arrives_disconnected(name):
    with SharedMemoryArray.create_array(name, np.zeros(4), auto_connect=False) as sma:
        child = multiprocessing.get_context("spawn").Process(target=put_later, args=(sma,))
        child.start()
        child.join()
        assert (child.exitcode, sma[0]) == (0, 1)
        child.close()


def serve(inbox, outbox):
    inbox.get()[1] = 2
    array = outbox.recv()
    array[2] = 3
    outbox.send(array)


def test_it_goes_through_queues_and_pipes(sma):
    context = multiprocessing.get_context("spawn")
    inbox, (near, far) = context.Queue(), context.Pipe()
    child = context.Process(target=serve, args=(inbox, far))
    child.start()
    inbox.put(sma)
    near.send(sma)
    back = near.recv()
    child.join()
    assert back[:].tolist() == [0, 2, 3, 0]
    back.disconnect()
    inbox.close()
    inbox.join_thread()
    near.close()
    far.close()
    child.close()


def total(sma):
    return int(sma[:].sum())


@pytest.mark.parametrize("start", STARTS)
def test_it_goes_to_pools(sma, start):
    sma[:] = 5
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
        assert [task.result() for task in [pool.submit(total, sma) for _ in range(4)]] == [20] * 4


def test_it_goes_through_a_file_to_an_unrelated_process(sma, run):
    sma[0] = 8
    code = (
        "import pickle, sys\nwith open(0, 'rb') as stream: sma = pickle.load(stream)\nprint(int(sma[0]))\nsma.add(0, 1)"
    )
    got = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(sma), capture_output=True, check=True)
    assert (got.stdout, sma[0]) == (b"8\n", 9)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_carries_it(sma, protocol):
    stream = io.BytesIO()
    pickle.Pickler(stream, protocol).dump(sma)
    copy = pickle.loads(stream.getvalue())
    copy[0] = 1
    assert sma[0] == 1
    copy.disconnect()


def test_a_received_instance_never_unlinks(sma, name, run):
    run(
        "import sys, gc\nfrom ataraxis_data_structures import SharedMemoryArray\n"
        "with SharedMemoryArray.attach(sys.argv[1]): pass\n"
        "kept = SharedMemoryArray.attach(sys.argv[1]); del kept; gc.collect()\n"
        "kept = SharedMemoryArray.attach(sys.argv[1])",
        name,
    )
    assert (platform.FOLDER / name).exists()


def test_a_forked_copy_of_the_creators_instance_never_unlinks(sma, name):
    child = os.fork()
    if not child:
        sma.disconnect()
        sma.__exit__()
        os._exit(0)
    os.waitpid(child, 0)
    assert (platform.FOLDER / name).exists()
    sma[0] = 1


def test_destroy_by_another_process_ends_the_buffer(sma, name, run):
    run("import sys, ataraxis_data_structures as a; a.SharedMemoryArray.attach(sys.argv[1]).destroy()", name)
    assert not (platform.FOLDER / name).exists()
    sma[0] = 1  # who is connected goes on
    sma.disconnect()
    with pytest.raises(FileNotFoundError):
        sma.connect()


KEEP = """
import os, sys, time, numpy
from ataraxis_data_structures import SharedMemoryArray
if sys.argv[2] == "create":
    sma = SharedMemoryArray.create_array(sys.argv[1], numpy.zeros(4))
else:
    sma = SharedMemoryArray.attach(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


def keep(name, how):
    process = subprocess.Popen(
        [sys.executable, "-c", KEEP, name, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    process.kill()
    process.communicate()


def test_a_killed_creators_array_lives_while_anybody_maps_it(name):
    creator, user = keep(name, "create"), keep(name, "attach")
    end(creator)
    assert name not in sweep()
    with pytest.raises(FileExistsError):
        SharedMemoryArray.create_array(name, np.zeros(4))
    end(user)
    assert is_stale(name)
    with SharedMemoryArray.create_array(name, np.ones(4)) as sma:
        assert sma[0] == 1


def test_another_pid_namespace_is_refused(sma, name):
    code = "import sys; from ataraxis_data_structures import SharedMemoryArray; SharedMemoryArray.attach(sys.argv[1])"
    enter = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a pid namespace")
    got = subprocess.run([*enter, sys.executable, "-c", code, name], capture_output=True, text=True, check=False)
    assert SegmentError.__name__ in got.stderr
    assert "pid namespace" in got.stderr


def add_many(sma, count):
    for _ in range(count):
        sma.add(0, 1)
    with sma.array() as array:
        array[1] += 1
    while True:
        before = sma[2]
        if sma.compare_exchange(2, before, before + 1):
            return


def test_no_update_is_lost(sma, rounds):
    count = rounds(1_000_000, 20_000)
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=add_many, args=(sma, count)) for _ in range(4)]
    [child.start() for child in children]
    [child.join() for child in children]
    assert [child.exitcode for child in children] == [0] * 4
    assert sma[:3].tolist() == [4 * count, 4, 4]
    [child.close() for child in children]


def copy_rows(sma, seconds, torn):
    out = np.empty(4, dtype="i8")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(set(sma.read(out=out))) > 1 or len(set(sma[:])) > 1:
            torn.put("torn")


def test_reads_never_see_half_a_write(sma):
    context = multiprocessing.get_context("spawn")
    torn = context.SimpleQueue()
    children = [context.Process(target=copy_rows, args=(sma, 1.0, torn)) for _ in range(2)]
    [child.start() for child in children]
    value = 0
    while any(child.is_alive() for child in children):
        value += 1
        sma[:] = value
    assert [child.exitcode for child in children] == [0, 0]
    assert torn.empty()
    torn.close()
    [child.close() for child in children]


FULL = """
import errno, os, subprocess, numpy
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", os.environ["AXDS_SHM_FOLDER"]], check=True)
from ataraxis_data_structures import SharedMemoryArray
try:
    SharedMemoryArray.create_array("big", numpy.zeros(1 << 20))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    raise AssertionError("8 MB fit in 64 KiB")
with SharedMemoryArray.create_array("small", numpy.zeros(5000)) as small:
    small[:] = 1
    print(small[:].sum())
"""


def test_a_full_memory_is_an_error_at_creation_and_never_a_crash():
    enter = ["unshare", "--map-root-user", "--mount", "--propagation", "private"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a mount namespace")
    got = subprocess.run([*enter, sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert got.stdout == "5000.0\n", got.stderr
