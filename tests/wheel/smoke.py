"""An installed wheel on any platform: an array is shared, messages become an archive and are read back."""

import tempfile
from pathlib import Path

import numpy as np

from ataraxis_data_structures import LogArchiveReader, LogPackage, SharedMemoryArray, assemble_log_archives

ONSET_US, COUNT = 1_763_690_000_000_000, 100


def main():
    with SharedMemoryArray.create_array("axds-smoke", np.zeros(4, np.int64), exists_ok=True) as counters:
        for _ in range(COUNT):
            counters.add(0, 1)
        assert counters[0] == COUNT
    with tempfile.TemporaryDirectory() as folder:
        onset = np.frombuffer(ONSET_US.to_bytes(8, "little"), np.uint8)
        packages = [LogPackage(np.uint8(1), np.uint64(0), onset)]
        packages += [LogPackage(np.uint8(1), np.uint64(t), np.full(16, t, np.uint8)) for t in range(1, COUNT + 1)]
        for package in packages:
            name, data = package.data
            np.save(Path(folder) / name, data)
        assemble_log_archives(Path(folder), remove_sources=True, verify_integrity=True)
        times_us, payloads = LogArchiveReader(Path(folder) / "1_log.npz").read_all_messages()
        assert (np.asarray(times_us) == ONSET_US + np.arange(1, COUNT + 1)).all()
        assert all((payload == t).all() for t, payload in enumerate(payloads, start=1))


if __name__ == "__main__":
    main()
