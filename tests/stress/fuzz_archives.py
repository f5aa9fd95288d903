"""A target for coverage-guided fuzzing of what reads archives and journals.

pip install atheris; python tests/stress/fuzz_archives.py [CORPUS] -max_total_time=300 -timeout=5 -rss_limit_mb=2000

Atheris itself keeps some 250 bytes of each input; what the readers take is bounded by test_archive_fuzz.py.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["ataraxis_data_structures"]):
    from ataraxis_data_structures import ArchiveError, LogArchiveReader
    from ataraxis_data_structures._core import frame
    from ataraxis_data_structures.logs.journal import layout
    from ataraxis_data_structures.logs.journal.messages import MessageScan
    from ataraxis_data_structures.logs.journal.reader import open_journals

import log_files

HEADER = layout.Header(0xFEED, 0, 7, layout.JOURNAL, log_files.ONSET, bytes(16))
MESSAGES = [(at, list(range(at))) for at in range(1, 5)]


def read_archive(path):
    try:
        reader = LogArchiveReader(path, 0)
        reader.verify()
        one_by_one = [(int(m.timestamp_us), m.payload.tobytes()) for m in reader.iter_messages()]
        times, payloads = reader.read_all_messages()
        assert one_by_one == [(int(at), payload.tobytes()) for at, payload in zip(times, payloads, strict=True)]
        assert reader.payload_sizes.tolist() == [len(payload) for payload in payloads]
    except ArchiveError as error:
        if not str(error).startswith(str(path)):
            raise


def read_journal(folder):
    journals = open_journals(folder)
    scan = MessageScan(journals)
    for batch in scan.batches():
        for row in batch:
            assert len(scan.payload(row)) == row["length"]
    for journal in journals:
        journal.close()


def target(folder):
    archive = folder / "1_log.npz"
    logs = folder / "log"
    logs.mkdir()

    def one_input(data):
        if data[:1] == b"P":
            archive.write_bytes(data)
            read_archive(archive)
        else:
            (logs / HEADER.name).write_bytes(data)
            read_journal(logs)

    return one_input


def seed(folder):
    """Save small archives and a journal to begin with."""
    entries = {log_files.name_of(1, at): (1, at, payload) for at, payload in MESSAGES}
    log_files.archive(folder / "plain.npz", entries)
    log_files.archive(folder / "packed.npz", entries, compressed=True)
    log_files.archive(folder / "foreign.npz", {"free": (1, 7, [7])})
    records = [frame.pack(7, bytes(data), source=1, time=at, seq=at - 1, claim=1) for at, data in MESSAGES]
    (folder / "journal").write_bytes(HEADER.pack() + b"".join(records))


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("AXDS_SHM_FOLDER", "/dev/shm")) as name:
        work, corpus = Path(name), Path(name) / "corpus"
        corpus.mkdir()
        seed(corpus)
        atheris.Setup([*sys.argv, str(corpus)], target(work))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
