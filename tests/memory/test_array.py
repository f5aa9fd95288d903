"""The shared array as the contract has it: creation, indexing, life and death of its buffer."""

import gc
import os
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ataraxis_data_structures import SegmentError, SharedMemoryArray
from ataraxis_data_structures.memory.segment import Kind, Segment, list_segments
from ataraxis_data_structures.system import platform

SHM = platform.FOLDER
UNION = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 2]})
DTYPES = [
    "?", "i1", "u1", "<i2", ">i4", "<u8", "<f2", ">f8", "<c16", "<U5", "S3", "V6", "<M8[ns]", ">M8[25s]", "<m8[D]", "g",
    [("a", "<i4"), ("b", ">f8")],
    [("x", "<f4", (2, 3)), ("nested", [("t", "<M8[us]"), ("s", "S2")])],
    np.dtype([("a", "u1"), ("b", "<f8")], align=True),
    UNION,
]  # fmt: skip


@pytest.fixture
def make(name):
    """Return a maker of arrays that are destroyed at the end."""
    made = []

    def make(prototype, **options):
        made.append(SharedMemoryArray.create_array(name, np.asarray(prototype), **options))
        return made[-1]

    yield make
    for array in made:
        array.destroy()


def test_a_new_array_is_connected_and_equals_its_prototype(make, name):
    prototype = np.arange(6, dtype=np.float64).reshape(2, 3)
    sma = make(prototype)
    assert (sma.name, sma.shape, sma.datatype, sma.is_connected) == (name, (2, 3), np.dtype("f8"), True)
    assert np.array_equal(sma[:], prototype)
    assert repr(sma) == f"SharedMemoryArray(name={name!r}, shape=(2, 3), datatype=float64, connected=True)"


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_buffer_starts_with_the_bytes_in_c_order(make, name, order):
    make(np.asarray([[1, 2, 3], [4, 5, 6]], dtype="<i2", order=order))
    assert (SHM / name).read_bytes()[:12] == bytes([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0])


def test_a_foreign_reader_of_the_name_sees_and_writes_the_data(make, name, run, monkeypatch):
    monkeypatch.setattr(platform, "FOLDER", Path("/dev/shm"))  # the standard library looks nowhere else
    sma = make(np.arange(4, dtype="<u2"))
    code = (
        "import sys; from multiprocessing import resource_tracker, shared_memory\n"
        "resource_tracker.register = lambda *_: None\n"
        "block = shared_memory.SharedMemory(sys.argv[1])\n"
        "print(bytes(block.buf[:8]).hex()); block.buf[0] = 9; block.close()"
    )
    assert run(code, name) == "0000010002000300"
    assert sma[0] == 9
    sma.destroy()  # while its folder is the one that is looked into
    assert not (platform.FOLDER / name).exists()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_of_plain_bytes_works_and_is_found_by_name(make, name, dtype):
    dtype = np.dtype(dtype)
    raw = np.random.default_rng(1).integers(0, 2, 4 * dtype.itemsize, dtype=np.uint8)
    prototype = raw.view(dtype) if dtype.kind != "U" else np.array(["ab", "", "xyzzy", "é"], dtype=dtype)
    make(prototype)
    with SharedMemoryArray.attach(name) as found:
        assert (found.datatype, found.shape) == (dtype, (4,))
        assert found.datatype.isalignedstruct == dtype.isalignedstruct
        if dtype.isalignedstruct:  # numpy copies no padding
            assert (found[:] == prototype).all()
        else:
            assert found[:].tobytes() == prototype.tobytes()


def test_types_with_pointers_are_refused_with_the_reason(name):
    for dtype in [object, [("a", "i4"), ("b", object)], np.dtypes.StringDType()]:
        with pytest.raises(TypeError, match="pointers"):
            SharedMemoryArray.create_array(name, np.zeros(2, dtype=dtype))
    assert name not in list_segments()


def test_prototypes_that_cannot_be_shared_are_refused(name):
    with pytest.raises(TypeError):
        SharedMemoryArray.create_array(name, [1, 2, 3])
    with pytest.raises(ValueError):
        SharedMemoryArray.create_array(name, np.zeros(0))
    with pytest.raises(TypeError):
        SharedMemoryArray.create_array(name, np.zeros(2, dtype=[(("title", "a"), "i4")]))
    assert not (SHM / name).exists()


def test_a_zero_dimensional_array_works(make, name):
    sma = make(np.float64(2.5))
    assert sma.shape == ()
    sma[()] = 3
    assert sma[()] == 3.0
    assert isinstance(sma[()], np.float64)
    assert sma.add((), 1) == 4.0
    with SharedMemoryArray.attach(name) as found:
        assert found[...] == 4.0


def test_reads_give_scalars_or_copies(make):
    sma = make(np.arange(6, dtype="i4").reshape(2, 3))
    assert isinstance(sma[0, 1], np.int32)
    row = sma[0]
    everything = sma[...]
    sma[0, 0] = 77
    assert (row[0], everything[0, 0]) == (0, 0)
    row[:] = 5
    assert sma[0, 1] == 1


def test_a_structured_element_is_a_copy(make):
    sma = make(np.zeros(2, dtype=[("a", "i4"), ("b", "f8", (2,))]))
    element, field = sma[0], sma["b"]
    sma[0] = (1, (2, 3))
    assert element["a"] == 0
    assert field[0, 0] == 0
    sma["a"] = 8
    assert list(sma["a"]) == [8, 8]
    assert sma[0]["b"].tolist() == [2, 3]


def test_writes_cast_as_numpy_casts(make):
    sma = make(np.zeros(3, dtype=np.int32))
    sma[0] = 2.9
    assert sma[0] == 2
    with pytest.raises(ValueError):
        sma[:] = [1, 2]
    with pytest.raises(IndexError):
        sma[3] = 1
    with pytest.raises(IndexError):
        sma[3]
    with pytest.raises(NotImplementedError):
        del sma[0]


def test_a_number_out_of_range_is_an_overflow(make):
    sma = make(np.zeros(3, dtype=np.uint8))
    with pytest.raises(OverflowError):
        sma[0] = 300
    sma[0] = 255  # and the lock was given back
    assert sma[0] == 255


INDEXES = st.one_of(
    st.integers(-5, 5),
    npst.basic_indices((4, 5), allow_newaxis=True, allow_ellipsis=True),
    npst.integer_array_indices((4, 5)),
    npst.arrays(bool, (4, 5)),
    npst.arrays(bool, 4),
)


@settings(max_examples=300, deadline=None)
@given(index=INDEXES)
def test_every_index_means_what_it_means_to_numpy(index):
    plain = np.arange(20.0).reshape(4, 5)
    with SharedMemoryArray.create_array(f"axds-test-index-{os.getpid()}", plain) as sma:
        for act in (lambda a: a[index], lambda a: a.__setitem__(index, 7.5)):
            outcomes = []
            for array in (plain, sma):
                try:
                    outcomes.append(act(array))
                except IndexError:
                    outcomes.append("IndexError")
            want, got = outcomes
            assert type(got) is type(want)
            assert np.array_equal(got, want)
        assert np.array_equal(sma[:], plain)


def test_array_yields_the_live_array(make, name):
    sma = make(np.zeros(3))
    with sma.array() as array:
        array[:] += 2
        array[1] = 5
    assert sma[:].tolist() == [2, 5, 2]
    with sma.array(with_lock=False) as array:
        sma[0] = 9  # not locked: no re-entry
        assert array[0] == 9
    with pytest.raises(TypeError):
        sma.array(True)


def test_read_only_access_can_not_write(make):
    sma = make(np.zeros(3))
    before = sma.version
    with sma.array(read_only=True) as array, pytest.raises(ValueError):
        array[0] = 1
    assert sma.version == before
    with sma.array() as array:
        array[0] = 1


def test_the_lock_is_not_reentrant(make):
    sma = make(np.zeros(3))
    for hold in (sma.array, sma.lock):
        with hold():
            for act in (lambda: sma[0], lambda: sma.__setitem__(0, 1), lambda: sma.add(0, 1), sma.read, sma.mend):
                with pytest.raises(RuntimeError):
                    act()
            with pytest.raises(RuntimeError), sma.array():
                pass
            with pytest.raises(RuntimeError), sma.lock(timeout=0.1):
                pass
    assert sma[0] == 0


def test_a_lock_that_is_held_times_out(make):
    sma = make(np.zeros(3))
    held, done = threading.Event(), threading.Event()

    def hold():
        with sma.lock():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    for context in (sma.lock(timeout=0.05), sma.array(timeout=0.05), sma.lock(timeout=0)):
        with pytest.raises(TimeoutError), context:
            pass
    done.set()
    thread.join()
    with sma.lock(timeout=0):
        pass


def test_a_context_is_left_by_the_thread_that_entered_it(make):
    sma = make(np.zeros(3))
    context = sma.array()
    context.__enter__()
    errors = []

    def leave():
        with pytest.raises(RuntimeError) as caught:
            context.__exit__(None, None, None)
        errors.append(caught.value)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert len(errors) == 1
    context.__exit__(None, None, None)
    assert sma[0] == 0


def test_an_abandoned_context_gives_the_lock_back(make):
    sma = make(np.zeros(3))
    context = sma.array()
    context.__enter__()
    del context
    assert sma[0] == 0


def test_a_thread_that_ends_with_the_lock_is_a_dead_owner(make):
    if platform.PORTABLE:
        return  # the portable door knows the death of processes only; documented
    sma = make(np.zeros(3))
    kept = []

    def take():
        kept.append(sma.array(read_only=True))
        kept[0].__enter__()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert sma[0] == 0
    assert (sma.owner_deaths, sma.tears) == (1, 0)


@pytest.mark.parametrize("bad", [-1, float("nan")])
def test_an_impossible_timeout_is_refused(make, bad):
    sma = make(np.zeros(3))
    with pytest.raises(ValueError):
        sma.lock(timeout=bad)
    with pytest.raises(ValueError):
        sma.wait_for_change(0, timeout=bad)


def test_a_disconnected_array_refuses_access(make):
    sma = make(np.zeros(3))
    sma.disconnect()
    sma.disconnect()
    assert not sma.is_connected
    acts = [
        lambda: sma[0], lambda: sma.__setitem__(0, 1), sma.array, sma.lock, sma.read, lambda: sma.add(0, 1),
        lambda: sma.version, lambda: sma.tears, lambda: sma.torn, sma.mend, lambda: sma.wait_for_change(0),
        lambda: sma.exchange(0, 1), lambda: sma.compare_exchange(0, 1, 1), lambda: sma.owner_deaths,
        lambda: sma.array(with_lock=False),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(ConnectionError):
            act()
    sma.connect()
    sma.connect()
    assert sma[0] == 0


def test_the_creator_keeps_the_data_while_nobody_is_connected(make, name, run):
    sma = make(np.full(3, 4.0))
    sma.disconnect()
    run(f"from ataraxis_data_structures.memory.sweep import sweep; assert {name!r} not in sweep()")
    sma.connect()
    assert sma[0] == 4


def test_destroy_is_idempotent_and_tolerates_a_vanished_buffer(make, name):
    sma = make(np.zeros(3))
    (SHM / name).unlink()
    sma.destroy()
    sma.destroy()
    with pytest.raises(FileNotFoundError):
        sma.connect()


def test_a_connected_process_goes_on_after_destroy(make, name):
    sma = make(np.zeros(3))
    other = SharedMemoryArray.attach(name)
    sma.destroy()
    other[0] = 4
    assert other[0] == 4
    assert not (SHM / name).exists()
    other.disconnect()
    with pytest.raises(FileNotFoundError):
        other.connect()


def test_views_outlive_destroy(make):
    sma = make(np.arange(100000.0))
    with sma.array() as array:
        pass
    sma.destroy()
    array[5] = 55
    assert array.sum() == np.arange(100000.0).sum() + 50


def test_destroy_inside_a_block_lets_the_block_end(make):
    sma = make(np.zeros(3))
    with sma.array() as array:
        sma.destroy()
        array[0] = 1
    assert array[0] == 1


def test_a_taken_name_is_refused_unless_replaced(make, name):
    old = make(np.zeros(3))
    with pytest.raises(FileExistsError):
        make(np.ones(3))
    new = make(np.ones(4), exists_ok=True)
    assert (old[0], new[0]) == (0, 1)
    old.destroy()
    old.disconnect()
    with SharedMemoryArray.attach(name) as found:
        assert found.shape == (4,)


def test_garbage_collection_of_the_creator_destroys(make, name):
    sma = SharedMemoryArray.create_array(name, np.zeros(3))
    other = SharedMemoryArray.attach(name)
    del sma
    gc.collect()
    assert not (SHM / name).exists()
    other.disconnect()


def test_garbage_collection_of_an_old_creator_spares_the_new_buffer(make, name):
    old = SharedMemoryArray.create_array(name, np.zeros(3))
    new = make(np.ones(3), exists_ok=True)
    del old
    gc.collect()
    assert (SHM / name).exists()
    assert new[0] == 1


def test_collection_of_an_attached_instance_destroys_only_if_enabled(make, name):
    make(np.zeros(3))
    other = SharedMemoryArray.attach(name)
    del other
    gc.collect()
    assert (SHM / name).exists()
    other = SharedMemoryArray.attach(name)
    other.enable_buffer_destruction()
    del other
    gc.collect()
    assert not (SHM / name).exists()


def test_a_with_block_ends_the_buffer_of_its_creator_only(name):
    with SharedMemoryArray.create_array(name, np.zeros(3)) as sma:
        with SharedMemoryArray.attach(name) as other:
            other[1] = 1
        assert not other.is_connected
        assert sma[1] == 1
    assert not (SHM / name).exists()


def test_a_creator_that_exits_leaves_no_name(name, run):
    run(
        "import sys, numpy, ataraxis_data_structures as a\n"
        "kept = a.SharedMemoryArray.create_array(sys.argv[1], numpy.zeros(3))\n"
        "sys.modules['kept'] = kept; del kept",
        name,
    )
    assert not (SHM / name).exists()


def test_attach_refuses_what_is_no_array(name):
    with pytest.raises(FileNotFoundError):
        SharedMemoryArray.attach(name)
    held = Segment.create(name, 8, kind=Kind.LANE)
    with pytest.raises(SegmentError):
        SharedMemoryArray.attach(name)
    held.unlink()


DESCRIPTIONS = [
    b"", b"{", b"[]", b'"<f8"', b'{"dtype": "<f8", "shape": [2]}', b'{"dtype": "O", "shape": [1]}',
    b'{"dtype": "<f8", "shape": [-1]}', b'{"dtype": "<f8", "shape": ["1"]}', b'{"dtype": "nonsense", "shape": [1]}',
    b'{"dtype": {"names": ["a"], "formats": ["<f8"], "offsets": [-4], "itemsize": 8, "aligned": false}, "shape": [1]}',
    b'{"dtype": {"names": ["a"], "formats": ["<f8"], "offsets": [64], "itemsize": 8, "aligned": false}, "shape": [1]}',
    b'{"dtype": ["<f8"], "shape": [1]}', b'{"dtype": "<f8", "shape": [1.0]}', b'{"dtype": "<f8", "shape": 1}',
    b'{"dtype": "<i1", "shape": [4, -1, 2, -1]}',
]  # fmt: skip


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_description_that_lies_is_refused(name, description):
    held = Segment.create(name, 8, kind=Kind.ARRAY, description=description)
    with pytest.raises(SegmentError):
        SharedMemoryArray.attach(name)
    held.unlink()


def test_add_returns_the_sum_and_refuses_more_than_one_element(make):
    sma = make(np.zeros((2, 3), dtype="i4"))
    assert sma.add((1, 2), 5) == 5
    assert sma.add((1, -1), -7) == -2
    assert type(sma.add((0, 0), 1)) is type(sma.add((0, 0), np.int32(0))) is int
    for index in (0, slice(None), ..., [0, 1], (0, slice(1))):
        with pytest.raises(IndexError):
            sma.add(index, 1)
        with pytest.raises(IndexError):
            sma.exchange(index, 1)
        with pytest.raises(IndexError):
            sma.compare_exchange(index, 0, 1)
    assert sma[:].sum() == -1


WHOLE = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", "f8", "f4"]


@settings(max_examples=300, deadline=None)
@given(
    dtype=st.sampled_from(WHOLE),
    start=st.integers(0, 120),
    value=st.one_of(st.integers(-(2**65), 2**65), st.integers(-300, 300), st.floats(-1e6, 1e6)),
    at=st.integers(-4, 4),
)
def test_add_equals_in_place_addition(dtype, start, value, at):
    plain = np.full(3, start, dtype=dtype)
    with SharedMemoryArray.create_array(f"axds-test-add-{os.getpid()}", plain) as sma, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            element = plain[at, ...]
            np.add(element, value, out=element, casting="same_kind")
            want = plain[at]
        except (OverflowError, TypeError, IndexError) as error:
            with pytest.raises(type(error)):
                sma.add(at, value)
        else:
            got = sma.add(at, value)
            assert (type(got), want.dtype.type(got).tobytes()) == (type(want.item()), want.tobytes())
        assert sma[:].tobytes() == plain.tobytes()


def test_exchange_returns_what_was_there(make):
    sma = make(np.array([1.5, 2.5]))
    assert sma.exchange(0, 7) == 1.5
    assert sma[0] == 7


def test_compare_exchange_writes_only_what_it_expects(make):
    sma = make(np.array([1, 2], dtype="u8"))
    version = sma.version
    assert not sma.compare_exchange(0, 5, 9)
    assert sma.version == version
    assert sma.compare_exchange(0, 1, 9)
    assert sma[:].tolist() == [9, 2]
    assert sma.version == version + 1


def test_exchanges_of_structured_elements_return_copies(make):
    sma = make(np.zeros(2, dtype=[("a", "i4"), ("b", "i4")]))
    before = sma.exchange(0, (1, 2))
    assert before.tolist() == (0, 0)
    assert sma.compare_exchange(0, np.array((1, 2), dtype=sma.datatype), (3, 4))
    assert sma[0].tolist() == (3, 4)
    assert before.tolist() == (0, 0)


def test_read_copies_into_a_given_array(make):
    sma = make(np.arange(6.0).reshape(2, 3))
    out = np.empty((2, 3))
    assert sma.read(out=out) is out
    assert np.array_equal(out, sma.read())
    for wrong in (np.empty(6), np.empty((2, 3), dtype="f4")):
        with pytest.raises(ValueError):
            sma.read(out=wrong)
    with pytest.raises(TypeError):
        sma.read(out=[0])


def test_every_write_advances_the_version(make):
    sma = make(np.zeros(3))
    writes = [
        lambda: sma.__setitem__(0, 1), lambda: sma.add(0, 1), lambda: sma.exchange(0, 1), lambda: sma.mend(np.ones(3)),
        lambda: sma.array().__enter__(), lambda: sma.compare_exchange(0, 1, 2),
    ]  # fmt: skip
    for number, write in enumerate(writes, start=sma.version + 1):
        write()
        assert sma.version == number
    version = sma.version
    sma[0], sma.read()
    assert sma.version == version
    assert sma.wait_for_change(version - 1) == version
    with pytest.raises(TimeoutError):
        sma.wait_for_change(version, timeout=0.01)


def test_a_pickled_copy_shares_the_data_and_owns_nothing(make, name):
    sma = make(np.zeros((2, 2), dtype=UNION), strict=True)
    copy = pickle.loads(pickle.dumps(sma))
    assert (copy.name, copy.shape, copy.datatype, copy.strict) == (name, (2, 2), UNION, True)
    copy[0, 0] = (1, 0)
    assert sma[0, 0]["a"] == 1
    del copy
    gc.collect()
    assert (SHM / name).exists()


def test_a_copy_without_auto_connect_waits_for_connect(make):
    sma = make(np.zeros(2), auto_connect=False)
    assert sma.is_connected
    copy = pickle.loads(pickle.dumps(sma))
    assert not copy.is_connected
    copy.connect()
    copy[0] = 3
    assert sma[0] == 3
    copy.disconnect()


def test_a_copy_that_arrives_late_is_refused(make, name):
    sma = make(np.zeros(2))
    late = pickle.dumps(sma)
    sma.destroy()
    with pytest.raises(FileNotFoundError):
        pickle.loads(late)
    make(np.zeros(2))
    with pytest.raises(FileNotFoundError):
        pickle.loads(late)


def test_one_of_two_creators_wins(name):
    outcomes = []
    start = threading.Barrier(2)

    def create():
        start.wait()
        try:
            outcomes.append(SharedMemoryArray.create_array(name, np.zeros(2)))
        except FileExistsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=create) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["FileExistsError", "SharedMemoryArray"]
