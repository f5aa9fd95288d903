"""The published library and ours make the same archives of the same logs, and read them alike.

The short form holds ours against archives that the published library made (tests/golden/peer_logs.json, which
`python tests/stress/test_archive_peer.py` makes anew); the full form runs it, on 10,000 logs.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script

import log_files
from ataraxis_data_structures import LogArchiveReader, assemble_log_archives
from bench import peers

GOLDEN = Path(__file__).parents[1] / "golden" / "peer_logs.json"
FULL = os.environ.get("AXDS_STRESS") == "full"
LOGS_AT_ONCE = 250  # sources of one directory: the peer starts processes for each assembly

# Assembles one directory, and reads every archive of another one.
PEER = """
import hashlib, json
from pathlib import Path
from ataraxis_data_structures import LogArchiveReader, assemble_log_archives

def read(path):
    reader = LogArchiveReader(path)
    times, payloads = reader.read_all_messages()
    one_by_one = [[int(m.timestamp_us), m.payload.tobytes().hex()] for m in reader.iter_messages()]
    assert one_by_one == [[int(t), p.tobytes().hex()] for t, p in zip(times, payloads)], path
    return [int(reader.onset_timestamp_us), reader.message_count, one_by_one]

if __name__ == "__main__":
    assemble_log_archives(Path(args[0]), remove_sources=True, memory_mapping=False)
    print(json.dumps({path.name: read(path) for path in Path(args[1]).glob("*.npz")}))
"""

MICROSECONDS = st.one_of(st.integers(1, 2**20), st.integers(1, 2**63 - 1))
LOG = st.tuples(
    st.integers(0, 2**62),
    st.lists(st.tuples(MICROSECONDS, st.binary(max_size=80)), max_size=12, unique_by=lambda message: message[0]),
)


def made_logs(count):
    """Return (onset, messages) of so many logs."""
    logs = []

    @hypothesis.settings(max_examples=count, database=None, deadline=None, phases=[hypothesis.Phase.generate])
    @hypothesis.given(LOG)
    def collect(log):
        logs.append(log)

    collect()
    return logs[:count]


def save(folder, logs):
    for source, (onset, messages) in enumerate(logs):
        log_files.save_session(folder, source, messages, onset)


def read(path):
    reader = LogArchiveReader(path)
    messages = [[int(m.timestamp_us), m.payload.tobytes().hex()] for m in reader.iter_messages()]
    return [int(reader.onset_timestamp_us), reader.message_count, messages]


def held(log):
    """Return what a reader must find in the archive of a log."""
    onset, messages = log
    return [onset, len(messages), [[onset + time, payload.hex()] for time, payload in sorted(messages)]]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.npz")}


def check_ours(folder, logs, want):
    """Assemble the logs and hold archives and messages against the digests of the peer's archives."""
    save(folder, logs)
    assemble_log_archives(folder)
    assert digests(folder) == want
    for source, log in enumerate(logs):
        assert read(folder / f"{source}_log.npz") == held(log)


def run_peer(work, logs):
    """Let the peer assemble logs and read our archives of them; return its archives' digests."""
    ours, theirs = work / "ours", work / "theirs"
    work.mkdir(exist_ok=True)
    save(ours, logs)
    save(theirs, logs)
    assemble_log_archives(ours)
    found = peers.run(PEER, str(theirs), str(ours))
    for source, log in enumerate(logs):
        name = f"{source}_log.npz"
        assert found[name] == held(log)
        assert read(theirs / name) == held(log)
    return digests(theirs)


def golden():
    """Return the logs and digests of the golden file."""
    known = json.loads(GOLDEN.read_text())
    return [(onset, [(at, bytes.fromhex(text)) for at, text in messages]) for onset, messages in known["logs"]], known[
        "sha256"
    ]


def of_the_peer(work, count):
    """Yield logs and the digests of the archives that the peer made of them, some at a time."""
    logs = made_logs(count)
    assert len(logs) == count
    for start in range(0, count, LOGS_AT_ONCE):
        some = logs[start : start + LOGS_AT_ONCE]
        yield some, run_peer(work / str(start), some)


@pytest.mark.timeout(1800)
def test_the_published_library_makes_the_same_archives_and_reads_ours(tmp_path):
    count = messages = 0
    for logs, want in of_the_peer(tmp_path, 10_000) if FULL else [golden()]:
        check_ours(tmp_path / f"again{count}", logs, want)
        count += len(logs)
        messages += sum(len(log[1]) for log in logs)
    print(f"{count} logs of {messages} messages")
    assert count >= 60


def main():
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        logs = made_logs(60)
        want = run_peer(Path(name), logs)
    texts = [[onset, [[time, payload.hex()] for time, payload in messages]] for onset, messages in logs]
    GOLDEN.write_text(json.dumps({"logs": texts, "sha256": want}, indent=0) + "\n")


if __name__ == "__main__":
    main()
