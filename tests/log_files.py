"""Log directories and archives made by hand, as the published library's users have them."""

import zipfile

import numpy as np

ONSET = 1_700_000_000_000_000


def onset_payload(onset=ONSET):
    return list(onset.to_bytes(8, "little"))


def stored(source, time, payload):
    """Return the array that a message is stored as."""
    stamp = bytes([source]) + int(time).to_bytes(8, "little")
    return np.frombuffer(stamp + bytes(payload), dtype=np.uint8)


def name_of(source, time, repeat=0):
    return f"{source:03d}_{time:020d}" + (f"_{repeat}" if repeat else "")


def save(folder, source, time, payload, repeat=0):
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name_of(source, time, repeat)}.npy", stored(source, time, payload))


def save_session(folder, source, messages, onset=ONSET):
    """Save an onset message and (time, payload) messages."""
    save(folder, source, 0, onset_payload(onset))
    for time, payload in messages:
        save(folder, source, time, payload)


def archive(path, entries, *, compressed=False):
    """Save {key: array or (source, time, payload)} as numpy does."""
    arrays = {key: value if isinstance(value, np.ndarray) else stored(*value) for key, value in entries.items()}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def session_archive(path, messages, onset=ONSET, source=1):
    """Save an archive with an onset message and (time, payload) messages."""
    entries = {name_of(source, 0): (source, 0, onset_payload(onset))}
    entries.update({name_of(source, time): (source, time, payload) for time, payload in messages})
    return archive(path, entries)


def contents(path):
    """Return {key: (time, payload)} of an archive, as numpy reads it."""
    with np.load(path) as entries:
        return {key: (int.from_bytes(entries[key][1:9].tobytes(), "little"), entries[key][9:].tolist())
                for key in entries.files}  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def large_archive(path, count, size_bytes):
    """Save an onset and `count` messages of so many bytes; beside it a small archive of source 2."""
    random = np.random.default_rng(1).bytes(size_bytes)
    session_archive(path.with_name("2_log.npz"), [(at, [at % 256]) for at in range(1, 20)])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for at in range(count + 1):
            payload = onset_payload(ONSET) if not at else random
            data = np.frombuffer(bytes([1]) + (at * 100).to_bytes(8, "little") + bytes(payload), np.uint8)
            with archive.open(f"{name_of(1, at * 100)}.npy", "w", force_zip64=False) as file:
                np.lib.format.write_array(file, data)
    return path
