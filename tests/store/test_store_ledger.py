"""The ledger as readers parse it: many lines at once, and exactly what each line says."""

import json
import threading
from zlib import crc32

import numpy as np
import pytest

from ataraxis_data_structures import DamagedError, Store
from ataraxis_data_structures.store.ledger.lines import line_of, record_of, scan


def record(seq, ops=()):
    return {"by": "1@a", "ops": [*ops], "seq": seq, "t": seq}


def line(body):
    return b"%08x %b\n" % (crc32(body), body)


LINES = [line_of(record(seq, [{"name": "größe\u2028", "op": "put", "note": "[{"}])) for seq in range(1, 10)]
BROKEN = {
    "no JSON": [line(b"{")],
    "two values in a line": [line(b'{"ops":[],"seq":4},{"ops":[],"seq":5}')],
    "a value in two lines": [line(b'{"ops":[{}'), line(b'{}],"seq":4}')],
    "one value in two lines and two in the next": [
        line(b'{"ops":[{}'), line(b'{}],"seq":4}'), line(b'{"ops":[],"seq":5},0,{"ops":[],"seq":6}')
    ],
    "text over a line end": [line(b'{"ops":[],"seq":4,"x":"}'), line(b'{"}')],
    "no object": [line(b"4")],
    "a number that is no integer": [line(b'{"ops":[],"seq":4.0}')],
    "operations that are no list": [line(b'{"ops":{},"seq":4}')],
    "bytes that are no UTF-8": [line(b'{"ops":[],"seq":4,"x":"\xff"}')],
    "a wrong number": [LINES[4]],
    "an upper-case check": [LINES[3][:8].upper() + LINES[3][8:]],
    "an empty line": [b"\n"],
    "deep nesting": [line(b'{"ops":' + b"[" * 100_000 + b"]" * 100_000 + b',"seq":4}')],
}  # fmt: skip


@pytest.mark.parametrize("why", BROKEN)
def test_lines_are_read_up_to_the_first_bad_one_in_whatever_pieces(why):
    """Whether a reader parses all lines at once or follows the ledger line by line, it finds the same."""
    data = b"".join([*LINES[:3], *BROKEN[why], *LINES[3:]])
    records, end, bad = scan(data)
    assert records == [record_of(text) for text in LINES[:3]]
    assert (end, bad.seq, bad.start, bad.stop, bad.is_tail) == (len(b"".join(LINES[:3])), 4, end, len(data), False)
    one_by_one, start = [], 0
    for seq, text in enumerate(data.splitlines(keepends=True)):
        found, start, stop = scan(text, seq=seq, start=start)
        one_by_one += found
        if stop:
            break
    assert (one_by_one, start) == (records, end)


@pytest.mark.parametrize("count", [0, 1, 2, 2047, 2048, 2049, 5000])
def test_any_number_of_lines_is_read_and_a_torn_tail_is_none(count):
    lines = [line_of(record(seq)) for seq in range(1, count + 1)]
    data = b"".join(lines)
    assert scan(data) == ([json.loads(text[9:]) for text in lines], len(data), None)
    records, end, bad = scan(data + b"0badc0de {", seq=0, start=7)
    assert (len(records), end, bad.is_tail) == (count, 7 + len(data), True)


def test_verify_reports_no_fault_where_writers_and_gc_change_what_it_looks_at(tmp_path, rounds):
    store = Store(tmp_path, sync="process")
    store.add("value", 0)
    store.add("large", np.zeros(300_000))
    stop, failures = threading.Event(), []

    def write():
        try:
            for n in range(1, rounds(400, 40)):
                store.add("value", n)
                store.add("large", np.full(300_000, n))
                store.gc(grace_s=0, history="snapshots")
        except BaseException as error:
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    looks = 0
    while not stop.is_set():
        assert Store(tmp_path, read_only=True).verify() == []
        looks += 1
    thread.join()
    assert failures == []
    assert looks > 3


def test_verify_finds_a_changed_byte_in_each_of_many_large_payloads(tmp_path):
    store = Store(tmp_path, sync="process")
    for n in range(8):
        store.add(f"large{n}", np.full(200_000, n))
        path = tmp_path / ".axds" / "payloads" / f"large{n}@{n + 1}.npy"
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(200_000 * n)
            file.write(b"\xff")
    assert [(fault.what, fault.name) for fault in store.verify()] == [("payload", f"large{n}") for n in range(8)]
    for n in range(8):
        with pytest.raises(DamagedError, match=f"large{n}@{n + 1}"):
            store.get(f"large{n}")


def test_a_payload_that_something_was_appended_to_is_damaged(tmp_path):
    store = Store(tmp_path, sync="process")
    store.add("text", "x" * 2000)
    path = tmp_path / ".axds" / "payloads" / store.info("text").file
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    assert [fault.what for fault in store.verify()] == ["payload"]
    with pytest.raises(DamagedError):
        store.get("text")
