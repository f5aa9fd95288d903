"""Data sets by name are made or downloaded once, kept with what is known of them, and told from others."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DigestError, DownloadError, StoreError
from ataraxis_data_structures.datasets import (
    download_dataset,
    export_dvc,
    fetch_dataset,
    layout,
    register_dataset,
    registry,
)
from ataraxis_data_structures.store.store import Store
from helpers import lying_server as server_of
from helpers.lying_server import CONTENTS, ETAG

SHA256 = hashlib.sha256(CONTENTS).hexdigest()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", {})
    for name in ("AXDS_DATA", "DATASET_API_KEY", "DATASET_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server():
    with server_of.running() as running:
        yield running


def staged():
    return sorted(path.name for path in Path("data/.axds/tmp").iterdir())


class TestDownload:
    def test_a_file_is_loaded_once_and_is_an_item_with_its_facts(self, server, caplog):
        url = server.answer("/set.zip", server_of.whole())
        path = download_dataset(url + "?token=s3cret", "custom")
        assert path == Path("data/external/custom.zip").absolute()
        assert path.read_bytes() == CONTENTS
        assert download_dataset(url, "custom") == path
        assert len(server.asked) == 1
        info = Store("data").info("external/custom")
        assert info.meta == {"url": url, "sha256": SHA256, "etag": ETAG}
        assert caplog.messages == [f"external/custom is trusted at its first download: sha256 {SHA256}"]
        assert staged() == []

    def test_a_given_hash_is_held_against_what_is_here_already(self, server, caplog):
        url = server.answer("/set.zip", server_of.whole())
        path = download_dataset(url, "custom", SHA256)
        assert caplog.messages == []
        assert download_dataset(url, "custom", SHA256.upper()) == path
        with pytest.raises(ValueError, match="is here already"):
            download_dataset(url, "custom", "0" * 64)
        assert path.read_bytes() == CONTENTS

    def test_another_url_for_a_name_needs_the_hash(self, server):
        url = server.answer("/set.zip", server_of.whole())
        path = download_dataset(url, "custom")
        with pytest.raises(ValueError, match="got one from"):
            download_dataset(url + "x", "custom")
        assert download_dataset(url + "x", "custom", SHA256) == path

    def test_a_file_that_was_changed_here_is_told(self, server):
        url = server.answer("/set.zip", server_of.whole())
        download_dataset(url, "custom")
        payload = next(Path("data/.axds/payloads/external").iterdir())
        payload.chmod(0o644)
        with payload.open("r+b") as file:
            file.write(b"x")
        with pytest.raises(RuntimeError, match="external/custom"):
            download_dataset(url, "custom")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (server_of.status(404), DownloadError),
            (server_of.cut(9, etag=""), DownloadError),
            (server_of.whole(b"other"), DigestError),
            (server_of.redirect("file:///etc/hostname"), DownloadError),
        ],
        ids=["404", "cut", "wrong", "file:"],
    )
    def test_a_failed_download_is_no_item_and_no_plain_file(self, server, answer, error):
        url = server.answer("/set.zip", answer)
        with pytest.raises(error):
            download_dataset(url, "custom", SHA256, retries=0)
        assert Store("data").list() == []
        assert not Path("data/external").exists()
        assert all(name.endswith((".json", ".zip", ".rejected", ".lock")) for name in staged())
        server.answer("/set.zip", server_of.whole())
        assert download_dataset(url, "custom", SHA256).read_bytes() == CONTENTS

    def test_wrong_bytes_are_kept_in_the_store_as_rejected(self, server):
        url = server.answer("/set.zip", server_of.whole(b"other"))
        with pytest.raises(DigestError):
            download_dataset(url, "custom", SHA256)
        (rejected,) = Path("data/.axds/tmp").glob("*.rejected")
        assert rejected.read_bytes() == b"other"

    @pytest.mark.parametrize(
        ("path", "view"),
        [
            ("/a.tar.gz", "x.tar.gz"),
            ("/a.v1.2.npz", "x.npz"),
            ("/a", "x"),
            ("/a.b%20c", "x"),
            ("/download.php", "x.php"),
        ],
    )
    def test_a_plain_file_ends_as_its_url_does(self, server, path, view):
        assert download_dataset(server.answer(path, server_of.whole(b"abc")), "x").name == view
        assert download_dataset(server.answer("/b.npz", server_of.whole(b"abc")), "y.npz").name == "y.npz"

    @pytest.mark.parametrize("name", ["../x", "a b", "", ".x"])
    def test_a_name_that_is_none_is_refused_before_anything_is_asked(self, server, name):
        with pytest.raises(StoreError):
            download_dataset(server.answer("/a", server_of.whole()), name)
        assert server.asked == []

    def test_the_folder_of_the_data_is_chosen(self, server, monkeypatch, tmp_path):
        url = server.answer("/a.bin", server_of.whole())
        assert download_dataset(url, "a", root=tmp_path / "one") == tmp_path / "one/external/a.bin"
        monkeypatch.setenv("AXDS_DATA", str(tmp_path / "two"))
        assert download_dataset(url, "a") == tmp_path / "two/external/a.bin"

    def test_a_key_is_sent_and_recorded_nowhere(self, server, caplog):
        Path(".env").write_text("DATASET_API_KEY=s3cret\nDATASET_USERNAME=me\n")
        url = server.answer("/a.bin", server_of.whole())
        download_dataset(url, "a", auth="DATASET_API_KEY", headers={"X-Other": "s3cret"})
        assert server.asked[0].headers["Authorization"] == "Basic bWU6czNjcmV0"
        assert server.asked[0].headers["X-Other"] == "s3cret"
        written = [path for path in Path("data").rglob("*") if path.is_file()]
        assert written
        assert all(b"s3cret" not in path.read_bytes() for path in written)
        assert "s3cret" not in caplog.text
        with pytest.raises(LookupError, match="OTHER_KEY"):
            download_dataset(url, "b", auth="OTHER_KEY")


CHILD = """
import sys
from ataraxis_data_structures.datasets import download_dataset
print(download_dataset(sys.argv[1], "custom"))
"""


def test_processes_that_want_the_same_file_load_it_once(server):
    url = server.answer("/set.zip", server_of.drip(100_000, 0.02))
    children = [subprocess.Popen([sys.executable, "-c", CHILD, url], stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(server.asked) == 1
    assert Store("data").versions("external/custom") == [1]


def test_a_killed_download_goes_on_and_has_no_name_meanwhile(server):
    url = server.answer("/set.zip", server_of.drip(50_000, 0.05), server_of.whole())
    child = subprocess.Popen([sys.executable, "-c", CHILD, url])
    while sum(path.stat().st_size for path in Path("data/.axds/tmp").glob("fetch-*.zip")) < 200_000:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not Path("data/external").exists()
    assert download_dataset(url, "custom").read_bytes() == CONTENTS
    assert server.ranges()[1] is not None


class TestFetch:
    def test_a_function_runs_once(self):
        made = []

        @register_dataset
        def fetch_numbers():
            """Give some numbers.

            From nowhere.
            """
            made.append(1)
            return {"a": np.arange(3), "b": np.zeros((2, 2))}

        assert callable(fetch_numbers)
        for _ in range(2):
            assert fetch_dataset("numbers")["a"].tolist() == [0, 1, 2]
        assert made == [1]
        info = Store("data").info("external/numbers")
        assert (info.kind, info.note) == ("arrays", "Give some numbers.")

    @pytest.mark.parametrize("value", [None, ["a", "b"], ("a", 1), {"k": 1.5}, b"bytes"], ids=repr)
    def test_a_value_comes_back_as_it_was(self, value):
        register_dataset("any", license="CC0", source="a book", version="1")(lambda: value)
        for _ in range(2):
            assert fetch_dataset("any") == value
        assert Store("data").info("external/any").meta == {"version": "1", "license": "CC0", "source": "a book"}

    def test_another_version_is_made_again_and_the_old_one_stays(self):
        register_dataset("any", version="1")(lambda: "first")
        fetch_dataset("any")
        register_dataset("any", version="2")(lambda: "second")
        assert fetch_dataset("any") == "second"
        assert Store("data").get("external/any@1") == "first"

    def test_other_options_are_other_items(self):
        register_dataset("any")(lambda split="all", seed=0: [split, seed])
        assert fetch_dataset("any") == ["all", 0]
        assert fetch_dataset("any", split="test") == ["test", 0]
        assert fetch_dataset("any", split="test", seed=1) == ["test", 1]
        assert fetch_dataset("any", seed=1, split="test") == ["test", 1]
        assert len(Store("data").list()) == 3

    def test_an_unknown_name_is_answered_with_near_ones(self, tmp_path, monkeypatch):
        (tmp_path / "datasets").mkdir()  # as most projects have; Python would import it
        monkeypatch.syspath_prepend(tmp_path)
        register_dataset("wikitext")(lambda: 1)
        with pytest.raises(KeyError, match=r"wikitext.*HuggingFace"):
            fetch_dataset("wikitxt")

    def test_a_url_is_loaded_first_and_given_to_the_function(self, server):
        url = server.answer("/set.bin", server_of.whole())

        @register_dataset("sized", url=url, sha256=SHA256)
        def fetch_sized(path, step=1):
            return path.stat().st_size * step

        assert fetch_dataset("sized") == len(CONTENTS)
        store = Store("data")
        assert store.lineage("external/sized")
        assert [name.partition("@")[0] for name in store.info("external/sized").inputs] == ["external/sized-source"]
        assert fetch_dataset("sized", step=2) == 2 * len(CONTENTS)

    @pytest.mark.parametrize("is_decorated", [True, False])
    def test_a_url_alone_is_the_data_set(self, server, is_decorated):
        register = register_dataset("file", url=server.answer("/set.bin", server_of.whole()), sha256=SHA256)
        if is_decorated:
            register(lambda: None)
        for _ in range(2):
            assert fetch_dataset("file").read_bytes() == CONTENTS
        assert len(server.asked) == 1

    def test_a_wrong_hash_of_a_registered_url_keeps_nothing(self, server):
        register_dataset("file", url=server.answer("/set.bin", server_of.whole()), sha256="0" * 64)
        with pytest.raises(DigestError):
            fetch_dataset("file")
        assert Store("data").list() == []

    def test_a_file_that_a_function_made_is_kept_and_checked(self, tmp_path):
        (tmp_path / "made.csv").write_bytes(CONTENTS)
        register_dataset("good", sha256=SHA256)(lambda: tmp_path / "made.csv")
        register_dataset("bad", sha256="0" * 64)(lambda: tmp_path / "made.csv")
        assert fetch_dataset("good") == tmp_path / "data/external/good.csv"
        with pytest.raises(DigestError):
            fetch_dataset("bad")

    def test_a_function_that_fails_keeps_nothing_and_may_be_tried_again(self):
        outcomes = [ValueError("no"), 7]

        @register_dataset
        def fetch_flaky():
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        with pytest.raises(ValueError, match="no"):
            fetch_dataset("flaky")
        assert fetch_dataset("flaky") == 7

    def test_huggingface_is_asked_by_its_own_library_for_other_names(self, monkeypatch):
        library = types.ModuleType("datasets")
        library.load_dataset = lambda name, **options: [name, options]
        monkeypatch.setitem(sys.modules, "datasets", library)
        assert fetch_dataset("wikitext-103", split="train") == ["wikitext-103", {"split": "train"}]
        (name,) = Store("data").list(kind="reference")
        assert Store("data").info(name).uri == "hf://datasets/wikitext-103"


def test_the_layout_has_four_folders_and_raw_is_written_once(tmp_path):
    store = layout()
    assert {path.name for path in Path("data").iterdir()} == {".axds", "raw", "interim", "processed", "external"}
    store.add("raw/a", [1])
    with pytest.raises(StoreError):
        store.add("raw/a", [2])
    store.add("interim/a", [1])
    store.add("interim/a", [2])
    assert layout().get("raw/a") == [1]


def test_a_pointer_for_dvc_names_hash_and_size(tmp_path):
    import yaml

    (tmp_path / "large.zip").write_bytes(CONTENTS)
    layout().add("raw/large", tmp_path / "large.zip")
    pointer = export_dvc("raw/large")
    assert pointer == tmp_path / "data/raw/large.zip.dvc"
    (out,) = yaml.safe_load(pointer.read_text())["outs"]
    md5 = hashlib.md5(CONTENTS).hexdigest()
    assert out == {"md5": md5, "size": len(CONTENTS), "hash": "md5", "path": "large.zip"}


def test_a_pointer_for_what_is_not_there_is_an_error():
    layout().reference("raw/there", "s3://bucket/x")
    with pytest.raises(FileNotFoundError, match="plain file"):
        export_dvc("raw/there")
    with pytest.raises(KeyError):
        export_dvc("raw/nothing")
    assert os.listdir("data/raw") == []


class TestCommands:
    def test_a_file_is_fetched_and_found_again_by_its_name(self, axds, server):
        url = server.answer("/set.bin", server_of.whole())
        got = axds("data", "fetch", url, "mine")
        path = Path("data/external/mine.bin").absolute()
        assert (got.status, got.out) == (0, f"{path}: {len(CONTENTS):,} bytes, sha256 {SHA256}\n")
        assert "trusted at its first download" in got.err
        found = axds("data", "fetch", "mine", "--json").json
        assert found == {
            "name": "external/mine", "path": str(path), "bytes": len(CONTENTS), "version": 1, "url": url,
            "sha256": SHA256, "etag": ETAG,
        }  # fmt: skip
        assert len(server.asked) == 1

    def test_a_file_that_is_gone_is_fetched_again_by_its_recorded_url_and_hash(self, axds, server):
        url = server.answer("/set.bin", server_of.whole())
        download_dataset(url, "mine")
        Path("data/external/mine.bin").unlink()
        for payload in Path("data/.axds/payloads/external").iterdir():
            payload.unlink()
        assert axds("data", "fetch", "mine").status == 0
        assert Store("data").get("external/mine").read_bytes() == CONTENTS
        assert len(server.asked) == 2

    def test_a_wrong_hash_is_one_line_and_status_1(self, refused, server):
        url = server.answer("/set.bin", server_of.whole())
        assert "expected SHA-256 " + "0" * 64 in refused("data", "fetch", url, "mine", "--sha256", "0" * 64)
        assert "expected a SHA-256 of 64" in refused("data", "fetch", url, "mine", "--sha256", "1")
        assert "got mine" in refused("data", "fetch", "mine")

    def test_the_list_tells_where_data_are_from(self, axds, server):
        url = server.answer("/set.bin", server_of.whole())
        download_dataset(url + "?token=s3cret", "mine")
        layout().add("raw/a", [1])
        rows = axds("data", "list", "--json").json
        assert [(row["name"], row["kind"], row["source"]) for row in rows] == [
            ("external/mine", "file", url),
            ("raw/a", "json", ""),
        ]
        assert "external/mine" in axds("data", "list").out
