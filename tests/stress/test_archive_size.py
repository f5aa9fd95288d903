"""Logs far larger than the memory that assembling them takes; in full form beyond 4 GiB and 65,535 entries."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import LogArchiveReader
from ataraxis_data_structures._core import frame, npz
from ataraxis_data_structures.logs.journal import layout

PAYLOAD_BYTES = 4096

# VmHWM belongs to the program alone; the peak that getrusage tells may be its parent's.
ASSEMBLE = """
import resource, sys, time
from pathlib import Path
from ataraxis_data_structures import assemble_log_archives
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
start = time.perf_counter()
assemble_log_archives(Path(sys.argv[1]))
seconds = time.perf_counter() - start
peak, = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak), seconds)
"""


def payload(number):
    return number.to_bytes(8, "little") * (PAYLOAD_BYTES // 8)


def messages(count):
    yield 0, bytes(log_files.onset_payload())
    for number in range(1, count + 1):
        yield number, payload(number)


def save_files(folder, count):
    here = os.open(folder, os.O_RDONLY)
    for time, data in messages(count):
        fd = os.open(npz.file_name(1, time), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
        os.write(fd, npz.message_file(1, time, data))
        os.close(fd)
    os.close(here)


def save_journals(folder, count):
    """Save journals of at most 1 GiB, as a logger does."""
    each = 2**30 // (PAYLOAD_BYTES + frame.RECORD_BYTES)
    file = None
    for seq, (time, data) in enumerate(messages(count)):
        if seq % each == 0:
            if file:
                file.close()
            header = layout.Header(0xFEED, seq // each, 7, layout.JOURNAL, log_files.ONSET, bytes(16))
            file = (folder / header.name).open("wb")
            file.write(header.pack())
        file.write(frame.pack(7, data, source=1, time=time, seq=seq, claim=1))
    file.close()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("save", "short", "short_mib"), [(save_journals, 50_000, 150), (save_files, 15_000, 80)])
def test_a_large_log_is_assembled_in_little_memory(tmp_path, rounds, save, short, short_mib):
    count = rounds(2**20, short)
    limit_mib = 256 if count == 2**20 else short_mib
    save(tmp_path, count)
    done = subprocess.run([sys.executable, "-c", ASSEMBLE, tmp_path], check=True, stdout=subprocess.PIPE, text=True)
    peak_mib, seconds = int(done.stdout.split()[0]) / 1024, float(done.stdout.split()[1])
    path = tmp_path / "1_log.npz"
    size = path.stat().st_size
    print(f"{count} messages, {size / 2**30:.2f} GiB: peak {peak_mib:.0f} MiB, {seconds:.1f} s")
    assert log_files.names(tmp_path) == [path.name]
    assert peak_mib <= limit_mib
    assert size > count * PAYLOAD_BYTES
    reader = LogArchiveReader(path)
    assert len(reader) == count
    last = np.ascontiguousarray(reader.matrix()[:, -8:]).view(np.uint64)
    assert last.ravel().tolist() == list(range(1, count + 1))
    with zipfile.ZipFile(path) as entries:
        assert entries.read(f"{log_files.name_of(1, count)}.npy") == npz.message_file(1, count, payload(count))
        assert len(entries.namelist()) == count + 1
    del reader
    log_files.save(tmp_path, 1, count + 1, np.frombuffer(payload(count + 1), np.uint8))
    done = subprocess.run([sys.executable, "-c", ASSEMBLE, tmp_path], check=True, stdout=subprocess.PIPE, text=True)
    print(f"one more message into it: peak {int(done.stdout.split()[0]) / 1024:.0f} MiB, {done.stdout.split()[1]} s")
    assert int(done.stdout.split()[0]) / 1024 <= max(limit_mib, 150)  # a window of the old archive is mapped
    assert len(LogArchiveReader(path)) == count + 1
    path.unlink()
