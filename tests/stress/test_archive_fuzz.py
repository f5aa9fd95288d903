"""Mutated archives and journals: the right messages, or an ArchiveError; never a crash, a hang, or much memory."""

import itertools
import random
import resource
import struct
import time
import tracemalloc

import log_files
from ataraxis_data_structures import ArchiveError, LogArchiveReader
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.logs.journal import layout
from ataraxis_data_structures.logs.journal.messages import MessageScan
from ataraxis_data_structures.logs.journal.reader import open_journals

MESSAGES = [(at, list(range(at % 11))) for at in range(1, 12)]
MEMORY_LIMIT_KIB = 100 * 1024
TELLING = [0, 1, 0x7F, 0x80, 0xFF]


def mutated(data, chance):
    """Change, cut, copy, move or repeat some bytes; numbers of headers get telling values more often."""
    room = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        if not room:
            break
        at, size = chance.randrange(len(room)), chance.choice([1, 2, 4, 8, 30])
        deed = chance.randrange(7)
        if deed == 0:
            room[at] ^= 1 << chance.randrange(8)
        elif deed == 1:
            room[at : at + size] = bytes([chance.choice(TELLING)]) * min(size, len(room) - at)
        elif deed == 2:
            room[at : at + size] = chance.randbytes(min(size, len(room) - at))
        elif deed == 3:
            del room[at : at + size]
        elif deed == 4:
            source = chance.randrange(len(room))
            room[at : at + size] = room[source : source + size]
        elif deed == 5:
            room[at:at] = room[at : at + size]
        else:
            del room[at:]
    return bytes(room)


def read(path, onset):
    return [(int(m.timestamp_us), m.payload.tolist()) for m in LogArchiveReader(path, onset).iter_messages()]


def grown_since(before):
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_a_mutated_archive_gives_the_right_messages_or_an_archive_error(tmp_path, rounds):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    plain = log_files.session_archive(tmp_path / "1_log.npz", MESSAGES)
    entries = {
        log_files.name_of(1, at): (1, at, payload) for at, payload in [(0, log_files.onset_payload()), *MESSAGES]
    }
    packed = log_files.archive(tmp_path / "2_log.npz", entries, compressed=True)
    originals = [(path.read_bytes(), read(path, None)) for path in (plain, packed)]
    bad = tmp_path / "bad_log.npz"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    errors, unnamed, longest = 0, 0, 0.0
    for number in range(count := rounds(160_000, 1500)):
        data, want = originals[number % 2]
        bad.write_bytes(mutated(data, chance))
        start = time.perf_counter()
        try:
            got = read(bad, None)
        except ArchiveError as error:
            errors += str(error).startswith(str(bad))
            unnamed += not str(error).startswith(str(bad))
        else:
            assert got == want, f"seed {seed}, round {number}"
        LogArchiveReader(bad)
        longest = max(longest, time.perf_counter() - start)
    assert errors > count // 2
    assert not unnamed
    assert longest < 5
    assert grown_since(before) < MEMORY_LIMIT_KIB
    memory_mib = grown_since(before) / 1024
    print(f"{count} archives, {errors} errors, longest {longest:.3f} s, {memory_mib:.0f} MiB more, seed {seed}")


def with_wide_end(data):
    """Return an archive whose directory is found through the records that stand behind large ones."""
    end = data.rindex(b"PK\5\6")
    count, _, size, offset = struct.unpack_from("<HHII", data, end + 8)
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    narrow = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + wide + locator + narrow


def test_no_number_in_a_small_archive_costs_much_memory(tmp_path, rounds):
    entries = {log_files.name_of(1, at): (1, at, payload) for at, payload in MESSAGES[:2]}
    plain = log_files.archive(tmp_path / "1_log.npz", entries)
    packed = log_files.archive(tmp_path / "2_log.npz", entries, compressed=True)
    bad = tmp_path / "bad_log.npz"
    count = highest = errors = 0
    step = rounds(1, 7)
    tracemalloc.start()
    for data in (plain.read_bytes(), packed.read_bytes(), with_wide_end(plain.read_bytes())):
        bad.write_bytes(data)
        want = read(bad, 0)
        assert len(want) == 2
        for width, byte in itertools.product((2, 4, 8), TELLING):
            for at in range(0, len(data) - width, step):
                bad.write_bytes(data[:at] + bytes([byte] * width) + data[at + width :])
                tracemalloc.reset_peak()
                try:
                    got = read(bad, 0)
                except ArchiveError:
                    errors += 1
                else:
                    assert got == want, (width, byte, at)
                highest = max(highest, tracemalloc.get_traced_memory()[1])
                count += 1
    tracemalloc.stop()
    print(f"{count} archives, {errors} errors, at most {highest / 2**20:.1f} MiB")
    assert highest < 8 * 2**20


def test_a_mutated_journal_gives_messages_that_were_put(tmp_path, rounds):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    header = layout.Header(0xFEED, 0, 7, layout.JOURNAL, log_files.ONSET, bytes(16))
    records = [frame.pack(7, bytes(payload), source=1, time=at, seq=at - 1, claim=1) for at, payload in MESSAGES]
    data = header.pack() + b"".join(records)
    put = {(at, bytes(payload)) for at, payload in MESSAGES}
    path = tmp_path / header.name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count := rounds(40_000, 500)):
        # most of a small journal is its empty header page: aim behind it as often as into it
        path.write_bytes(mutated(data, chance) if number % 4 == 0 else data[:4096] + mutated(data[4096:], chance))
        journals = open_journals(tmp_path)
        scan = MessageScan(journals)
        got = [(int(row["time"]), bytes(scan.payload(row))) for batch in scan.batches() for row in batch]
        for journal in journals:
            journal.close()
        assert set(got) <= put, f"seed {seed}, round {number}"
        assert len(got) == len(set(got)), f"seed {seed}, round {number}"
    assert grown_since(before) < MEMORY_LIMIT_KIB
    print(f"{count} journals, {grown_since(before) / 1024:.0f} MiB more, seed {seed}")
