"""Results that are computed once: keys, single flight, damage, switches, and what is never a result of another call."""

import dataclasses
import enum
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ataraxis_data_structures import Store, StoreError
from ataraxis_data_structures.store.memo.keys import canon, key_of
from helpers.crash import FULL, chosen, kill_at, trace

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "store.json").read_text())


def evaluated(text):
    return eval(text, {"np": np, "Path": Path})


@pytest.mark.parametrize("row", GOLDEN["canon"], ids=lambda row: row["python"])
def test_a_value_has_this_canonical_form(row):
    assert canon(evaluated(row["python"])).hex() == row["hex"]


@pytest.mark.parametrize("row", GOLDEN["memo_key"], ids=lambda row: f"{row['function']} {row['arguments']}")
def test_a_call_has_this_key(row):
    assert key_of(row["function"], row["version"], evaluated(row["arguments"])) == row["key"]


# ---- equal keys exactly for equal arguments


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: object


@dataclasses.dataclass(frozen=True)
class Place:
    x: object


def meaning(value):
    """Return what two values have in common only if they are equal and of one type, the slow and obvious way."""
    kind = type(value)
    if isinstance(value, np.ndarray | np.generic):
        return "array", str(np.lib.format.dtype_to_descr(value.dtype)), value.shape, np.asarray(value).tobytes("C")
    if kind is float:
        return "float", "nan" if math.isnan(value) else value.hex()
    if kind is complex:
        return "complex", meaning(value.real), meaning(value.imag)
    if kind in (list, tuple):
        return kind.__name__, *map(meaning, value)
    if kind in (set, frozenset):
        return "set", frozenset(map(meaning, value))
    if kind is dict:
        return "dict", frozenset((meaning(key), meaning(part)) for key, part in value.items())
    if kind in (Point, Place):
        return kind.__name__, meaning(value.x)
    if isinstance(value, PurePosixPath):
        return "path", str(value)
    return kind.__name__, value


DTYPES = ["<i4", ">i4", "<i8", "<f4", "<f8", "|S3", "<U2", "?", "<M8[s]", [("a", "<i2")], [("b", "<i2")], "|V2"]
ARRAYS = st.builds(
    lambda dtype, shape, byte: (
        np.frombuffer(bytes([byte & 1]) * (np.dtype(dtype).itemsize * math.prod(shape)), np.dtype(dtype)).reshape(shape)
        if math.prod(shape)
        else np.zeros(shape, np.dtype(dtype))
    ),
    st.sampled_from(DTYPES),
    st.sampled_from([(), (0,), (1,), (2,), (1, 2), (2, 1), (0, 2)]),
    st.integers(0, 1),
)
HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.integers() | st.sampled_from([0.0, -0.0, 1.0, math.nan, 2.0])
    | st.floats() | st.complex_numbers(max_magnitude=3) | st.text(max_size=3) | st.binary(max_size=3)
    | st.sampled_from([Color.RED, Color.BLUE, Level.LOW, Path("x"), Path("x/y"), "x", b"x", 1j, 10**40]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3) | st.builds(Point, inner)
    | st.builds(Place, inner),
    max_leaves=4,
)  # fmt: skip
VALUES = st.recursive(
    HASHABLE | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.sets(HASHABLE, max_size=3) | st.dictionaries(HASHABLE, inner, max_size=3) | st.builds(Point, inner),
    max_leaves=5,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.sampled_from(["x", "y", "grid"]), VALUES, max_size=3)
FUNCTIONS = st.tuples(st.sampled_from(["lab.f", "lab.g", "lab.f1"]), st.sampled_from(["", "1", "2", "11"]))


def test_keys_are_equal_exactly_for_equal_functions_versions_and_arguments():
    """Each generated call is compared with all of those before it, through a table by key and one by meaning."""
    by_key, by_meaning, calls = {}, {}, 0

    @settings(max_examples=5000 if FULL else 200, deadline=None, suppress_health_check=list(HealthCheck),
              database=None)  # fmt: skip
    @given(FUNCTIONS, ARGUMENTS)
    def check(function, arguments):
        nonlocal calls
        calls += 1
        key, means = key_of(*function, arguments), (function, meaning(arguments))
        assert by_key.setdefault(key, means) == means
        assert by_meaning.setdefault(means, key) == key

    check()
    assert calls >= (5000 if FULL else 200)
    assert len(by_key) == len(by_meaning) > calls / 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (0.0, -0.0), ("1", b"1"), ([1], (1,)), ([], None), ({}, set()), ("a", Path("a")),
        ([1, [2]], [[1], 2]), (["ab"], ["a", "b"]), (Point(1), Place(1)), (Color.RED, Color.BLUE), (Level.LOW, 1),
        (np.zeros(2), np.zeros(2, "f4")), (np.zeros(2, "<i4"), np.zeros(2, ">i4")),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        (np.zeros(1, "i8"), np.zeros(1, "u8")), (np.float64(1), 1.0), (np.zeros(2), [0.0, 0.0]),
        (np.zeros(1, [("a", "i4")]), np.zeros(1, [("b", "i4")])),
    ],
    ids=str,
)  # fmt: skip
def test_values_of_other_types_or_contents_have_other_forms(one, other):
    assert canon(one) != canon(other)


def test_order_within_sets_and_dictionaries_and_memory_makes_no_difference():
    assert canon({"a": 1, "b": 2}) == canon({"b": 2, "a": 1})
    assert canon({3, 1, 2}) == canon(frozenset([2, 1, 3]))
    array = np.arange(6.0).reshape(2, 3)
    assert canon(array) == canon(np.asfortranarray(array)) == canon(np.repeat(array, 2, axis=0)[::2])


class Named(tuple):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [object(), Named([1]), np.array([None]), [1, {"a": {object()}}], print, Point],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_without_a_form_is_an_error_that_names_it_and_the_way_out(value):
    with pytest.raises(TypeError, match=r"argument 'device'.*ignore=\('device',\)"):
        key_of("lab.f", "1", {"x": 1, "device": value})


def test_an_argument_that_holds_itself_is_an_error():
    value = []
    value.append(value)
    with pytest.raises(TypeError, match="holds itself"):
        key_of("lab.f", "1", {"x": value})


# ---- the decorator


def counted(store, **options):
    calls = []

    @store.memo(**options)
    def simulate(x, *rest, grid=(8, 8), **more):
        calls.append(x)
        return {"x": x, "rest": list(rest), "grid": list(grid), "more": more}

    return simulate, calls


def test_a_call_is_computed_once_and_by_whatever_names_its_arguments_come(tmp_path):
    simulate, calls = counted(Store(tmp_path))
    first = simulate(1.0)
    assert simulate(1.0) == simulate(x=1.0) == simulate(1.0, grid=(8, 8)) == first
    assert calls == [1.0]
    simulate(1)
    simulate(1.0, 2)
    simulate(1.0, y=2)
    assert len(calls) == 4
    assert counted(Store(tmp_path))[0](1.0) == first


RESULTS = [
    1.5, None, True, "text", {"a": [1, (2, 3)], 5: {1, 2}}, math.inf, np.float32(2.5), np.arange(3), np.zeros((0, 3)),
    {"a": np.arange(3.0), "b": np.zeros((2, 2), "f4")}, np.arange(300_000.0), np.zeros((512, 600), order="F"),
    np.array([("x", 1)], dtype=[("name", "U3"), ("n", "i4")]), b"\n\n", "a" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("result", RESULTS, ids=lambda value: str(value)[:20])
def test_a_result_comes_back_equal_of_its_type_and_may_be_changed(result, tmp_path):
    store, calls = Store(tmp_path), []

    @store.memo
    def compute():
        calls.append(1)
        return result

    compute()
    for _ in range(2):
        again = compute()
        assert type(again) is type(result)
        np.testing.assert_equal(again, result)
        if isinstance(again, np.ndarray) and again.size:
            assert again.dtype == result.dtype
            again[...] = np.zeros((), again.dtype)
    assert calls == [1]
    assert store.verify() == []
    assert store.list() == []


def test_another_function_another_code_or_another_version_has_its_own_results(tmp_path):
    store = Store(tmp_path)

    def variant(code, **options):
        space = {"__name__": "lab"}
        exec(code, space)
        return store.memo(space["f"], **options)

    assert variant("def f(x): return x + 1")(1) == 2
    assert variant("def f(x): return x + 2")(1) == 3
    assert variant("def f(x): return (lambda: x * 5)()")(1) == 5
    assert variant("def f(x): return (lambda: x * 6)()")(1) == 6
    assert variant("def f(x): return 0", version=1)(1) == 0
    assert variant("def f(x): return 9", version=1)(1) == 0
    assert variant("def f(x): return 9", version=2)(1) == 9

    def scaled_by(factor):
        return store.memo(lambda x: x * factor)

    assert [scaled_by(2)(5), scaled_by(3)(5), scaled_by(2)(5)] == [10, 15, 10]


def test_ignored_arguments_make_no_difference(tmp_path):
    store, calls = Store(tmp_path), []

    @store.memo(ignore="device")
    def compute(x, device):
        calls.append(device)
        return x

    assert compute(1, object()) == compute(1, device=threading.Lock()) == 1
    assert len(calls) == 1
    with pytest.raises(ValueError, match="expected ignore of"):
        store.memo(lambda x: x, ignore=("y",))


@pytest.mark.parametrize("variable", ["AXDS_DISABLE_MEMOIZE", "PTYCHO_DISABLE_MEMOIZE"])
@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_the_switch_turns_reading_and_writing_off(variable, value, tmp_path, monkeypatch):
    simulate, calls = counted(Store(tmp_path))
    monkeypatch.setenv(variable, value)
    simulate(1)
    simulate(1)
    assert len(calls) == 2
    assert not (tmp_path / ".axds" / "memo").exists()
    monkeypatch.setenv(variable, "0")
    simulate(1)
    simulate(1)
    assert len(calls) == 3


@pytest.mark.parametrize("variable", ["AXDS_MEMOIZE_KEY_MODE", "PTYCHO_MEMOIZE_KEY_MODE"])
def test_in_the_dataset_mode_the_listed_arguments_alone_make_the_key(variable, tmp_path, monkeypatch):
    store, calls = Store(tmp_path), []

    def compute(n, seed, epochs):
        calls.append(epochs)
        return [n, seed]

    listed, bare = store.memo(compute, dataset=("n", "seed")), store.memo(compute, version="bare")
    listed(1, 2, epochs=3)
    listed(1, 2, epochs=4)
    assert calls == [3, 4]
    monkeypatch.setenv(variable, "dataset")
    listed(1, 2, epochs=5)
    listed(1, 2, epochs=6)
    assert calls == [3, 4, 5]
    bare(1, 2, epochs=7)
    bare(1, 2, epochs=8)
    assert calls == [3, 4, 5, 7, 8]


def entries(store):
    return [path for path in (store.path / ".axds" / "memo").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_an_entry_is_a_padded_line_and_the_payload(tmp_path):
    store = Store(tmp_path)
    store.memo(lambda: np.arange(200.0))()
    (path,) = entries(store)
    head, payload = path.read_bytes().split(b"\n", 1)
    assert (len(head) + 1) % 64 == 0
    assert path.parent.name == path.name[:2]
    record = json.loads(head[9:])
    assert record.keys() == {"about", "bytes", "function", "hash", "kind"}
    assert record["bytes"] == len(payload)


@pytest.mark.parametrize("result", [{"x": 1}, np.arange(40.0), np.arange(200_000.0)], ids=["json", "small", "mapped"])
def test_a_damaged_entry_is_computed_again(result, tmp_path):
    store, calls = Store(tmp_path), []

    @store.memo
    def compute():
        calls.append(1)
        return result

    compute()
    (path,) = entries(store)
    good = path.read_bytes()
    places = {0, 9, 20, len(good) // 2, len(good) - 1, *range(0, len(good), max(1, len(good) // (200 if FULL else 20)))}
    pieces = [good[:n] + bytes([good[n] ^ 4]) + good[n + 1 :] for n in sorted(places)]
    pieces += [good[:n] for n in sorted(places)] + [good + b"x", b""]
    for count, piece in enumerate(pieces, 2):
        path.chmod(0o644)
        path.write_bytes(piece)
        np.testing.assert_equal(compute(), result)
        assert len(calls) == count
        assert path.read_bytes() == good


def test_a_result_that_needs_a_pickle_is_returned_with_a_warning_and_not_kept(tmp_path):
    store, calls = Store(tmp_path), []

    @store.memo
    def compute():
        calls.append(1)
        return Point(1)

    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="is not kept"):
            assert compute() == Point(1)
    assert len(calls) == 2
    assert entries(store) == []


def test_an_exception_is_the_callers_and_nothing_is_kept(tmp_path):
    store, calls = Store(tmp_path), []

    @store.memo
    def compute(x):
        calls.append(x)
        raise OSError("no device")

    for _ in range(2):
        with pytest.raises(OSError, match="no device"):
            compute(1)
    assert calls == [1, 1]
    assert entries(store) == []


def test_a_read_only_store_gives_results_and_keeps_none(tmp_path):
    counted(Store(tmp_path))[0](1)
    simulate, calls = counted(Store(tmp_path, read_only=True))
    simulate(1)
    assert calls == []
    simulate(2)
    assert calls == [2]
    assert len(entries(Store(tmp_path))) == 1
    with pytest.raises(StoreError):
        Store(tmp_path, read_only=True).add("a", 1)


def test_functions_whose_results_can_not_be_kept_are_refused(tmp_path):
    store = Store(tmp_path)

    async def later():
        pass

    def parts():
        yield 1

    for function in (later, parts):
        with pytest.raises(TypeError, match="returns its result"):
            store.memo(function)
    with pytest.raises(TypeError, match="version="):
        store.memo(math.sin)
    assert store.memo(math.sin, version=1)(0.0) == 0.0


# ---- processes

PROGRAM = """
import os, sys, time
from pathlib import Path
from ataraxis_data_structures import Store
store, log = Store(sys.argv[1]), sys.argv[2]

@store.memo(version=1)
def slow(x):
    if len(sys.argv) > 3 and not os.fork():
        time.sleep(60)  # a child that outlives its parent's death
        os._exit(0)
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\\n")
    if len(sys.argv) > 3:
        time.sleep(60)
    time.sleep(0.2)
    return x * 2

print(slow(21), flush=True)
"""


NEXT = """
import sys, time
from ataraxis_data_structures import Store
store = Store(sys.argv[1])

@store.memo(version=1)
def slow(x):
    return x * 2

start = time.perf_counter()
print(slow(21), time.perf_counter() - start)
"""


def started(folder, *arguments):
    command = [sys.executable, "-c", PROGRAM, str(folder), str(folder / "log"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_of_eight_processes_that_ask_at_once_one_computes(tmp_path):
    Store(tmp_path)
    racers = [started(tmp_path) for _ in range(8)]
    assert [racer.communicate(timeout=60)[0] for racer in racers] == ["42\n"] * 8
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert list((tmp_path / ".axds" / "memo").rglob("*.lock")) == []


def test_of_eight_threads_that_ask_at_once_one_computes(tmp_path):
    store, calls, found = Store(tmp_path), [], []

    @store.memo
    def slow(x):
        calls.append(x)
        time.sleep(0.1)
        return x

    threads = [threading.Thread(target=lambda: found.append(slow(3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [3] * 8
    assert calls == [3]


@pytest.mark.fault
def test_when_the_one_that_computes_is_killed_the_next_does_at_once(tmp_path, rounds):
    """Also while a child that it forked lives on."""
    Store(tmp_path)
    log = tmp_path / "log"
    for round_ in range(rounds(20, 2)):
        log.unlink(missing_ok=True)
        victim = started(tmp_path, "hang")
        try:
            while not log.exists() or not log.read_text().endswith("\n"):
                assert victim.poll() is None
                time.sleep(0.01)
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            command = [sys.executable, "-c", NEXT, str(tmp_path)]
            out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            result, took_s = out.stdout.split()
            assert result == "42"
            assert float(took_s) < (1 if FULL else 20)  # the short form runs beside other tests
        finally:
            os.killpg(victim.pid, signal.SIGKILL)
            victim.stdout.close()
        for path in entries(Store(tmp_path)):
            path.unlink()
        print(f"{round_ + 1} kills of who computes; the next caller took {float(took_s) * 1e3:.1f} ms")


@pytest.mark.fault
@pytest.mark.parametrize("size", [3, 20_000])
def test_killed_at_any_step_the_result_is_there_or_is_computed_again(size, tmp_path):
    def program():
        Store(tmp_path / "s").memo(compute)(size)

    def compute(n):
        return np.arange(n)

    Store(tmp_path / "s")
    for n in chosen(len(trace(program)), short=300 if FULL else 20):
        for path in entries(Store(tmp_path / "s")):
            path.unlink()
        run = kill_at(program, n)
        assert run.hit is None or run.status == -signal.SIGKILL, run.error
        store = Store(tmp_path / "s")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(store.memo(compute)(size), np.arange(size), str(run.hit))
        assert len(entries(store)) == 1, str(run.hit)
        assert store.verify() == []
        store.gc(grace_s=0)
        assert list((store.path / ".axds" / "tmp").iterdir()) == []
