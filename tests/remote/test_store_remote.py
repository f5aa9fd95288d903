"""Stores pushed to folders and to an S3-compatible server, pulled elsewhere, and read there in parts."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import ConflictError, DamagedError, StoreError
from ataraxis_data_structures.datasets import open_remote
from ataraxis_data_structures.store.store import Store


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    """Return where to push to, and the options that it takes."""
    if request.param == "folder":
        return str(tmp_path / "there"), None
    _files, bucket = request.getfixturevalue("bucket")
    return f"s3://{bucket}/a/store", request.getfixturevalue("options")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "here")
    made.add("raw/frames", np.arange(600_000.0).reshape(1000, 600))
    made.add("small", {"a": [1, 2], "b": None}, note="said")
    made.add("small", {"a": [3]})
    made.add("arrays", {"x": np.arange(5), "y": np.ones((4, 3), np.float32)})
    for part in range(3):
        made.extend("grown", np.full((10, 2), part))
    made.add("twin", np.arange(600_000.0).reshape(1000, 600))
    made.add("gone", [1])
    made.delete("gone")
    made.snapshot("first")
    return made


def whole(store):
    """Return the ledger and all plain files and payloads of a store."""
    skipped = ("lock", "mirror", "tmp/", "memo/", "pushes/")
    found = {}
    for path in sorted(store.path.rglob("*")):
        name = path.relative_to(store.path).as_posix()
        if path.is_file() and not name.removeprefix(".axds/").startswith(skipped):
            found[name] = path.read_bytes()
    return found


def pulled(place, folder):
    url, options = place
    other = Store(folder)
    other.pull(url, options=options)
    return other


def test_what_was_pushed_is_pulled_whole(store, place, tmp_path):
    url, options = place
    shared = store.push(url, options=options)
    assert shared.lines == store.version
    other = pulled(place, tmp_path / "other")
    assert whole(other) == whole(store)
    assert other.uuid == store.uuid
    assert other.verify() == []
    assert other.get("raw/frames")[999, 599] == 599_999
    assert other.get("small@2") == {"a": [1, 2], "b": None}
    assert other.get("grown").tolist() == store.get("grown").tolist()


def test_a_second_push_and_pull_copy_what_is_new(store, place, tmp_path):
    url, options = place
    store.push(url, options=options)
    other = pulled(place, tmp_path / "other")
    shared = store.push(url, options=options)
    assert (shared.lines, shared.payloads, shared.bytes) == (0, 0, 0)
    store.add("late", np.arange(4))
    store.extend("grown", np.full((1, 2), 9))
    shared = store.push(url, options=options)
    assert (shared.lines, shared.payloads) == (2, 2)
    assert other.pull(url, options=options).lines == 2
    assert whole(other) == whole(store)
    assert other.verify() == []


def test_stores_take_turns(store, place, tmp_path):
    url, options = place
    store.push(url, options=options)
    other = pulled(place, tmp_path / "other")
    other.add("from_other", [1])
    other.push(url, options=options)
    store.pull(url, options=options)
    assert store.get("from_other") == [1]
    store.add("back", [2])
    store.push(url, options=options)
    other.pull(url, options=options)
    assert whole(other) == whole(store)


def test_the_second_of_two_pushers_is_told(store, place, tmp_path):
    url, options = place
    store.push(url, options=options)
    other = pulled(place, tmp_path / "other")
    store.add("mine", [1])
    other.add("theirs", [2])
    store.push(url, options=options)
    with pytest.raises(ConflictError, match="another way"):
        other.push(url, options=options)
    with pytest.raises(ConflictError, match="another way"):
        other.pull(url, options=options)
    assert other.get("theirs") == [2]
    behind = pulled(place, tmp_path / "behind")
    store.add("more", [1])
    store.push(url, options=options)
    with pytest.raises(ConflictError, match="pull them first"):
        behind.push(url, options=options)


def test_of_pushers_at_the_same_moment_one_succeeds(store, place, tmp_path):
    url, options = place
    store.push(url, options=options)
    others = [pulled(place, tmp_path / str(i)) for i in range(4)]
    for i, other in enumerate(others):
        other.add(f"from_{i}", [i])
    outcomes = []
    gate = threading.Barrier(len(others))

    def run(other):
        gate.wait()
        try:
            other.push(url, options=options)
            outcomes.append(other)
        except ConflictError:
            outcomes.append(None)

    threads = [threading.Thread(target=run, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if outcome is not None]
    assert whole(pulled(place, tmp_path / "last")) == whole(winner)


def test_another_store_is_never_mixed_in(store, place, tmp_path):
    url, options = place
    stranger = Store(tmp_path / "stranger")
    stranger.add("a", [1])
    with pytest.raises(StoreError, match="expected a store"):
        stranger.pull(url, options=options)
    store.push(url, options=options)
    for deed in (stranger.push, stranger.pull):
        with pytest.raises(StoreError, match="another one"):
            deed(url, options=options)
    assert stranger.get("a") == [1]
    assert stranger.list() == ["a"]


def test_a_foreign_plain_file_stays_as_it_is(store, place, tmp_path):
    url, options = place
    store.push(url, options=options)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/small.json").write_text("mine")
    other = pulled(place, tmp_path / "other")
    assert (tmp_path / "other/small.json").read_text() == "mine"
    assert other.get("small") == {"a": [3]}


def test_a_damaged_payload_is_told_and_not_taken(store, tmp_path):
    store.push(tmp_path / "there")
    for path in (tmp_path / "there/.axds/payloads/raw").iterdir():
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(b"x")
    other = Store(tmp_path / "other")
    with pytest.raises(DamagedError, match="raw/frames"):
        other.pull(tmp_path / "there")
    assert other.list() == []


@pytest.mark.parametrize("fault", ["flip", "missing", "escape"])
def test_a_damaged_or_hostile_history_is_told_and_not_taken(store, tmp_path, fault):
    store.push(tmp_path / "there")
    store.add("late", [1])
    store.push(tmp_path / "there")
    first, second = sorted((tmp_path / "there/.axds/pushes").iterdir())
    if fault == "missing":
        first.unlink()
    elif fault == "flip":
        first.write_bytes(first.read_bytes().replace(b"raw/frames", b"raw/frameS", 1))
    else:
        from ataraxis_data_structures.store.ledger.lines import line_of, record_of

        record = record_of(second.read_bytes())
        record["ops"][0] |= {"file": "../../../outside", "name": "late"}
        record["ops"][0].pop("data", None)
        second.write_bytes(line_of(record))
    other = Store(tmp_path / "other")
    with pytest.raises(DamagedError):
        other.pull(tmp_path / "there")
    assert other.list() == []
    assert not (tmp_path / "outside").exists()


PUSH = """
import sys
from ataraxis_data_structures.store.store import Store
getattr(Store(sys.argv[1]), sys.argv[2])(sys.argv[3], options=eval(sys.argv[4]))
"""


@pytest.mark.parametrize("deed", ["push", "pull"])
def test_a_killed_push_or_pull_goes_on(place, tmp_path, deed):
    url, options = place
    store = Store(tmp_path / "here")
    for i in range(40):
        store.add(f"part/{i:02d}", np.full(100_000, i))
    if deed == "pull":
        store.push(url, options=options)
    source = store.path if deed == "push" else Store(tmp_path / "other").path
    for delay in (0.5, 0.8, 1.1, 1.4):
        child = subprocess.Popen([sys.executable, "-c", PUSH, source, deed, url, repr(options)])
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert Store(source).verify() == []
    if deed == "push":
        store.push(url, options=options)
    other = pulled(place, tmp_path / "other")
    assert whole(other) == whole(store)
    assert other.verify() == []


PROXY = Path(__file__).parents[1] / "helpers/counting_proxy.py"


@contextmanager
def counted(endpoint, file):
    """Give the URL of a proxy before a server, and a function that tells how much the server sent."""
    host, port = endpoint.removeprefix("http://").split(":")
    with subprocess.Popen([sys.executable, PROXY, host, port, file], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            yield f"http://127.0.0.1:{proxy.stdout.readline().strip()}", lambda: int(file.read_text() or 0)
        finally:
            proxy.kill()


def test_a_row_of_a_large_array_costs_its_row(bucket, options, server, tmp_path):
    _, name = bucket
    store = Store(tmp_path / "here", sync="process")
    large = np.arange(8 << 20, dtype=np.float64).reshape(8192, 1024)  # 64 MiB
    store.add("large", large)
    store.add("several", {"large": large, "small": np.arange(3)})
    store.push(f"s3://{name}/store", options=options)
    with counted(server, tmp_path / "count") as (endpoint, sent):
        through = {**options, "client_kwargs": {**options["client_kwargs"], "endpoint_url": endpoint}}
        array = open_remote(f"s3://{name}/store", "large", options=through)
        assert (array.shape, array.dtype) == ((8192, 1024), np.float64)
        assert np.array_equal(array[4000], large[4000])
        assert np.array_equal(array[7000:7003, 5], large[7000:7003, 5])
        member = open_remote(f"s3://{name}/store", "several", options=through)["large"]
        assert np.array_equal(member[-1], large[-1])
        assert 8000 < sent() < 1_000_000
        print(f"{sent():,} bytes for five rows")


def test_items_are_opened_where_they_are(store, place):
    url, options = place
    store.push(url, options=options)
    frames = open_remote(url, "raw/frames", options=options)
    want = store.get("raw/frames")
    for key in (0, -1, slice(2, 5), slice(5, 2), slice(None, None, -300), (slice(3, 9, 2), 1), [1, 5], Ellipsis, None):
        assert np.array_equal(frames[key], want[key]), key
    with pytest.raises(IndexError):
        frames[1000]
    assert np.array_equal(np.asarray(frames), want)
    assert open_remote(url, "grown", options=options)[:].tolist() == store.get("grown").tolist()
    version = store.versions("grown")[0]
    assert open_remote(url, f"grown@{version}", options=options).shape == (10, 2)
    arrays = open_remote(url, "arrays", options=options)
    assert sorted(arrays) == ["x", "y"]
    assert arrays["y"][1].tolist() == [1, 1, 1]
    with open_remote(url, "small", options=options) as file:
        assert file.read().startswith(b"{")
    with pytest.raises(KeyError):
        open_remote(url, "nothing", options=options)


def test_files_are_opened_without_a_store(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "f.npy", np.asfortranarray(values))
    np.savez_compressed(tmp_path / "c.npz", a=values)
    assert open_remote(tmp_path / "a.npy")[1].tolist() == values[1].tolist()
    assert open_remote(tmp_path / "f.npy")[1].tolist() == values[1].tolist()
    assert open_remote(f"file://{tmp_path}/c.npz")["a"][1].tolist() == values[1].tolist()
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedError, match="objects"):
        open_remote(tmp_path / "o.npy")


def test_options_are_kept_nowhere(store, bucket, options):
    _, name = bucket
    store.push(f"s3://{name}/store", options=options | {"key": "s3cretkey"})
    assert not [path for path in store.path.rglob("*") if path.is_file() and b"s3cretkey" in path.read_bytes()]


def test_a_pushed_folder_is_a_store(store, tmp_path):
    store.push(tmp_path / "there")
    there = Store(tmp_path / "there", create=False)
    there.repair()
    assert there.get("raw/frames")[3, 3] == 1803
    assert there.verify() == []
    shutil.rmtree(tmp_path / "there")
    assert Path(store.path).is_dir()
    assert os.listdir(tmp_path) == ["here"]


def test_a_reference_to_an_object_records_size_and_etag_and_tells_a_change(tmp_path, bucket, options):
    files, name = bucket
    files.pipe_file(f"{name}/raw.bin", b"recorded")
    uri = f"s3://{name}/raw.bin"
    store = Store(tmp_path / "s", sync="process")
    store.reference("r", uri, look=True, options=options)
    store.reference("hashed", uri, sha256=True, options=options)
    assert (store.info("r").size_bytes, store.info("r").sha256) == (8, None)
    assert store.info("r").etag == files.info(f"{name}/raw.bin")["ETag"]
    assert store.info("hashed").sha256 == hashlib.sha256(b"recorded").hexdigest()
    assert store.drift("r", options=options) == store.drift("hashed", options=options) == []
    files.pipe_file(f"{name}/raw.bin", b"Recorded")
    assert [line.split()[1] for line in store.drift("r", options=options)] == ["etag"]
    assert [line.split()[1] for line in store.drift("hashed", options=options)] == ["etag", "sha256"]
    assert [line.split()[1] for line in store.drift("hashed", options=options, deep=False)] == ["etag"]
    files.rm(f"{name}/raw.bin")
    assert "got none" in store.drift("r", options=options)[0]
    assert options["secret"] not in (store.path / ".axds/ledger").read_text().split('"')
