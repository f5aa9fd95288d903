import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.logs.journal import layout
from ataraxis_data_structures.logs.journal.messages import MessageScan
from ataraxis_data_structures.logs.journal.reader import Journal, open_journals
from ataraxis_data_structures.logs.journal.writer import Appender

GOLDEN = Path(__file__).parents[1] / "golden" / "journal-00000000deadbeef-0000.axj"
HEADER = layout.Header(0xDEADBEEF, 0, 0x5EED5EED, layout.JOURNAL, 1_700_000_000_000_000, bytes(range(16)))


def record(seq, payload=b"", *, source=1, time=0, claim=1, flags=frame.MESSAGE, salt=HEADER.salt):
    return frame.pack(salt, payload, source=source, time=time, seq=seq, claim=claim, flags=flags)


def small():
    """Records of a small journal: two claims, three sources, a gap, an empty payload."""
    return [
        record(0, b"onset!!!", source=1, time=0),
        record(0, b"", source=2, time=2**64 - 1, claim=2),
        record(1, b"abc", source=1, time=5),
        record(2, b"0123456", source=3, time=7),
        record(1, b"xyz", source=2, time=6, claim=2),
        record(2, struct.pack("<Q", 12), source=2, time=8, claim=2, flags=frame.GAP),
        record(3, bytes(100), source=255, time=9),
    ]


def write(folder, records, *, header=HEADER, close=True, **options):
    appender = Appender(folder, header, **options)
    for data in records:
        appender.append(data)
    if close:
        appender.close()
    else:
        appender.abandon()
    return appender.path


def read(paths):
    """Return ([(source, time, payload)], account) of journals, each opened anew."""
    scan = MessageScan([Journal(path) for path in paths])
    got = [
        (int(message["source"]), int(message["time"]), bytes(scan.payload(message)))
        for batch in scan.batches(max_rows=2)
        for message in batch
    ]
    return got, scan.account


def want_of(data, start=layout.HEADER_BYTES):
    """The oracle: walk the whole records of a harmed journal by hand."""
    found, at = {}, start
    while at + 32 <= len(data):
        check, length, time, seq, claim, source, flags, mark = struct.unpack_from("<IIQQIBBH", data, at)
        stop = at + 32 + length
        whole = mark == 0xA5D5 and at + (32 + length + 7) // 8 * 8 <= len(data)
        if whole and oracles.crc32c(data[at + 4 : stop], HEADER.salt) == check:
            found[claim, seq] = (source, time, flags, data[at + 32 : stop])
            at += (32 + length + 7) // 8 * 8
        else:
            at += 8
    return found


def whole_messages(found):
    """The messages of the oracle's records, as a multiset in a canonical order."""
    return sorted(
        (source, time, payload)
        for (claim, _), (source, time, flags, payload) in found.items()
        if claim and flags == frame.MESSAGE
    )


def test_the_golden_journal_is_read_and_written_byte_for_byte(tmp_path):
    path = write(tmp_path, small())
    assert path.read_bytes() == GOLDEN.read_bytes()
    got, account = read([GOLDEN])
    assert got == [
        (1, 0, b"onset!!!"),
        (2, 2**64 - 1, b""),
        (1, 5, b"abc"),
        (3, 7, b"0123456"),
        (2, 6, b"xyz"),
        (255, 9, bytes(100)),
    ]
    assert account.recovered == {1: 2, 2: 2, 3: 1, 255: 1}
    assert account.dropped == {2: 12}
    assert account.whole


def test_the_header_says_what_it_was_given_even_with_a_bad_first_sector(tmp_path):
    path = write(tmp_path, [])
    with Journal(path) as journal:
        assert (journal.header, journal.complete, journal.damaged) == (HEADER, True, [])
    harmed = bytearray(path.read_bytes())
    harmed[:512] = bytes(512)
    path.write_bytes(harmed)
    with Journal(path) as journal:
        assert journal.header == HEADER


def test_a_journal_that_was_not_closed_is_incomplete_and_whole(tmp_path):
    path = write(tmp_path, small(), close=False)
    with Journal(path) as journal:
        assert not journal.complete
        assert journal.damaged == []
    assert read([path])[1].recovered == {1: 2, 2: 2, 3: 1, 255: 1}


def test_checkpoints_count_what_lies_before_them(tmp_path):
    path = write(tmp_path, small(), checkpoint_bytes=100)
    with Journal(path) as journal:
        marks = [r for rows in journal.rows() for r in rows if r["flags"] & (frame.CHECKPOINT | frame.FOOTER)]
        assert len(marks) >= 3
        chain = [journal.totals(mark).previous for mark in marks]
        assert chain == [0] + [int(mark["offset"]) for mark in marks[:-1]]
        assert journal.footer.sources == {1: (2, 11, 0), 2: (2, 3, 12), 3: (1, 7, 0), 255: (1, 100, 0)}
        assert journal.footer.claims == {1: 4, 2: 3}
    assert read([path])[1].whole


@pytest.mark.parametrize("checkpoint_bytes", [2**20, 120])
def test_cut_at_every_byte_gives_exactly_the_whole_records(tmp_path, checkpoint_bytes):
    data = write(tmp_path, small(), checkpoint_bytes=checkpoint_bytes).read_bytes()
    cut = tmp_path / HEADER.name
    for size in [*range(0, layout.HEADER_BYTES, 64), *range(layout.HEADER_BYTES, len(data) + 1)]:
        cut.write_bytes(data[:size])
        got, _ = read([cut])
        assert sorted(got) == whole_messages(want_of(data[:size])), size
        with Journal(cut) as journal:
            assert journal.complete == (size == len(data))


def test_each_flipped_bit_costs_at_most_its_record_and_is_reported(tmp_path, rounds):
    data = write(tmp_path, small()).read_bytes()
    harmed_path = tmp_path / HEADER.name
    everything = whole_messages(want_of(data))
    header_bytes = [*range(64), *range(1024, 1072), *range(2048, 2112)]
    for at in [*header_bytes, *range(layout.HEADER_BYTES, len(data))]:
        for bit in {(at * 5 + turn) % 8 for turn in range(rounds(8, 2))}:
            harmed = bytearray(data)
            harmed[at] ^= 1 << bit
            harmed_path.write_bytes(harmed)
            got, account = read([harmed_path])
            want = whole_messages(want_of(bytes(harmed)))
            assert sorted(got) == want, (at, bit)
            assert account.whole == (want == everything and not account.damaged_bytes)
            if want != everything:
                assert sum(account.lost.values()), (at, bit)
                assert account.damaged_bytes


def test_bytes_of_an_older_session_behind_a_journal_are_not_taken_for_records(tmp_path):
    path = write(tmp_path, small(), close=False)
    stale = b"".join(record(seq, b"stale", salt=77) for seq in range(9, 20))
    want, _ = read([path])
    path.write_bytes(path.read_bytes() + stale)
    got, account = read([path])
    assert got == want
    assert account.damaged_bytes == len(stale)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lost_sectors_cost_only_the_records_that_lie_in_them(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("sectors")
    records = [record(seq, bytes([seq]) * (seq * 37 % 700), source=seq % 3) for seq in range(40)]
    whole = write(folder, records, checkpoint_bytes=4096).read_bytes()
    harmed = bytearray(whole)
    sectors = st.sets(st.integers(layout.HEADER_BYTES // 512, (len(whole) - 1) // 512), min_size=1, max_size=12)
    for sector in data.draw(sectors):
        harmed[sector * 512 : (sector + 1) * 512] = bytes(len(harmed[sector * 512 : (sector + 1) * 512]))
    path = folder / HEADER.name
    path.write_bytes(harmed)
    got, account = read([path])
    want = whole_messages(want_of(bytes(harmed)))
    assert sorted(got) == want
    footer = Journal(path).complete
    if footer:
        assert sum(account.lost.values()) == len(records) - len(want)
        assert {s: n + account.lost.get(s, 0) for s, n in account.recovered.items()} == {0: 14, 1: 13, 2: 13}


def test_records_that_are_there_twice_count_once(tmp_path):
    first = write(tmp_path, [record(0), record(1), record(2)], close=False)
    second = write(tmp_path, [record(1), record(2), record(3), record(0, claim=2)], header=HEADER._replace(number=1))
    got, account = read([first, second])
    assert (len(got), account.repeated, account.missing, account.recovered) == (5, 2, 0, {1: 5})


def test_missing_numbers_are_counted_and_a_late_record_fills_its_hole(tmp_path):
    path = write(tmp_path, [record(0), record(7), record(3), record(3), record(8)], close=False)
    got, account = read([path])
    assert (len(got), account.missing, account.repeated) == (4, 5, 1)


def test_a_journal_that_goes_on_from_another_misses_nothing_of_it(tmp_path):
    path = write(
        tmp_path, [record(100), record(101), record(0, claim=9)], header=HEADER._replace(number=4), claims={1: 100}
    )
    assert read([path])[1].whole
    after_death = write(tmp_path, [record(102)], header=HEADER._replace(number=5), close=False)
    assert read([after_death])[1].whole
    cut = write(tmp_path, [record(105)], header=HEADER._replace(number=6), claims={1: 105}, close=False)
    assert read([path, after_death, cut])[1].missing == 2


def test_a_record_of_an_unknown_kind_is_damage(tmp_path):
    path = write(tmp_path, [record(0, b"ab"), record(1, b"cd", flags=2), record(2, b"ef")])
    got, account = read([path])
    assert [payload for _, _, payload in got] == [b"ab", b"ef"]
    assert account.damaged_bytes == 40
    assert not account.whole


def test_journals_are_opened_in_the_order_of_their_writing_and_strangers_are_left_alone(tmp_path):
    for number, created in ((1, 5), (0, 900), (2, 1)):  # the clock jumped
        write(tmp_path, [], header=HEADER._replace(number=number, created_us=created))
    write(tmp_path, [], header=HEADER._replace(queue_id=7, created_us=0))
    (tmp_path / "journal-notes.axj").touch()
    (tmp_path / "001_00000000000000000000.npy").touch()
    opened = [(j.header.queue_id, j.header.number) for j in open_journals(tmp_path)]
    assert opened == [(7, 0), (HEADER.queue_id, 0), (HEADER.queue_id, 1), (HEADER.queue_id, 2)]


@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"PK\x03\x04" + b"x" * 9000], ids=["empty", "zeros", "foreign"])
def test_a_file_that_is_no_journal_has_no_records_and_says_so(tmp_path, data):
    path = tmp_path / HEADER.name
    path.write_bytes(data)
    (journal,) = open_journals(tmp_path)
    assert (list(journal.rows()), journal.complete, journal.readable) == ([], False, False)
    assert journal.damaged == ([(0, len(data))] if data else [])


def test_an_existing_journal_is_never_written_over(tmp_path):
    path = write(tmp_path, small())
    before = zlib.crc32(path.read_bytes())
    with pytest.raises(FileExistsError):
        Appender(tmp_path, HEADER)
    assert zlib.crc32(path.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_directory_leaves_nothing_behind(tmp_path):
    with pytest.raises(OSError):
        Appender(tmp_path / "missing", HEADER)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.binary(max_size=64)), max_size=60))
def test_what_was_appended_is_read_in_order(tmp_path_factory, wanted):
    folder = tmp_path_factory.mktemp("order")
    records = [record(seq, data, source=source, time=time) for seq, (source, time, data) in enumerate(wanted)]
    got, account = read([write(folder, [b"".join(records[:20]), b"".join(records[20:])], checkpoint_bytes=500)])
    assert got == wanted
    assert account.whole
    sources = [source for source, _, _ in wanted]
    assert account.recovered == {s: n for s, n in enumerate(np.bincount(sources, minlength=1)) if n}


def hostile_totals():
    """Payloads of footers that no writer writes, under a right check sum."""
    head, source, claim = struct.Struct("<QII"), struct.Struct("<4Q"), struct.Struct("<2Q")
    offset = bytes(8)
    yield b""
    yield head.pack(0, 2**32 - 1, 2**32 - 1)
    yield head.pack(0, 1, 0) + offset
    yield head.pack(0, 1, 0) + source.pack(2**64 - 1, 1, 1, 1) + offset
    yield head.pack(0, 1, 0) + source.pack(1, 2**64 - 1, 1, 1) + offset
    yield head.pack(0, 0, 1) + claim.pack(1, 2**64 - 1)[:9] + offset


@pytest.mark.parametrize("payload", list(hostile_totals()), ids=range(6))
def test_a_checkpoint_or_footer_that_no_writer_wrote_is_damage_and_costs_no_other_record(tmp_path, payload):
    for flag in (frame.CHECKPOINT, frame.FOOTER):
        header = layout.Header(7, flag, 1, layout.JOURNAL, 1, bytes(16))
        record = frame.pack(1, b"message", source=1, time=1, seq=0, claim=1)
        path = tmp_path / header.name
        path.write_bytes(header.pack() + record + frame.pack(1, payload, flags=flag) + record)
        with Journal(path) as journal:
            scan = MessageScan([journal])
            assert sum(len(batch) for batch in scan.batches()) == 1
            assert scan.account.damaged_bytes
        path.unlink()


def test_forty_thousand_holes_are_filled_by_late_records_in_any_order(tmp_path):
    count = 40_000  # a search through all holes for each record would take minutes
    seqs = [*range(0, 2 * count, 2), *range(2 * count - 1, 0, -2)]
    header = layout.Header(7, 0, 1, layout.JOURNAL, 1, bytes(16))
    records = b"".join(frame.pack(1, b"", source=1, time=seq, seq=seq, claim=1) for seq in seqs)
    (tmp_path / header.name).write_bytes(header.pack() + records)
    with Journal(tmp_path / header.name) as journal:
        scan = MessageScan([journal])
        assert sum(len(batch) for batch in scan.batches()) == 2 * count
        assert (scan.account.missing, scan.account.repeated) == (0, 0)
