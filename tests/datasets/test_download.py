"""Only the whole right file leaves a download, whatever the server says; secrets go to one host and into no text."""

import errno
import hashlib
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ataraxis_data_structures import DigestError, DownloadError, IntegrityError
from ataraxis_data_structures.datasets.credentials import authorization
from ataraxis_data_structures.datasets.download import download
from helpers import lying_server as server_of
from helpers.lying_server import CONTENTS, ETAG

SHA256 = hashlib.sha256(CONTENTS).hexdigest()
OTHER = CONTENTS[::-1]


@pytest.fixture
def server():
    with server_of.running() as running:
        yield running


@pytest.fixture
def other_server():
    with server_of.running() as running:
        yield running


@pytest.fixture
def load(tmp_path):
    """Download, keep the bytes under a name as a caller does, and return them."""

    def run(url, **options):
        options = {"timeout_s": 5.0, **options}
        with download(url, tmp_path / "partial.bin", **options) as found:
            run.found = found
            data = found.path.read_bytes()
            assert (found.bytes, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            (tmp_path / "plain").write_bytes(data)
        assert {path.name for path in tmp_path.iterdir()} == {"plain"}
        return data

    return run


def test_a_whole_file_is_given_with_its_facts(server, load):
    url = server.answer("/a.npz", server_of.whole())
    assert load(url + "?token=secret#part") == CONTENTS
    assert load.found.url == url
    assert load.found.etag == ETAG
    assert server.asked[0].path == "/a.npz?token=secret"


HONEST_AT_LAST = {
    "500, then 200": [server_of.status(500), server_of.whole()],
    "503 with Retry-After, then 200": [server_of.status(503, Retry_After=0), server_of.whole()],
    "429, then 200": [server_of.status(429), server_of.whole()],
    "cut, then the rest": [server_of.cut(300_000), server_of.whole()],
    "cut five times": [*(server_of.cut(n * 150_000) for n in range(1, 6)), server_of.whole()],
    "cut before the first byte": [server_of.cut(0), server_of.whole()],
    "cut, no ETag": [server_of.cut(300_000, etag=""), server_of.whole(etag="")],
    "cut, weak ETag": [server_of.cut(300_000, etag='W/"a"'), server_of.whole(etag='W/"a"')],
    "cut, Range refused": [server_of.cut(300_000), server_of.whole(ranges=False)],
    "cut, ETag changed": [server_of.cut(300_000, OTHER, '"other"'), server_of.whole()],
    "cut, 416": [server_of.cut(300_000), server_of.status(416), server_of.whole()],
    "cut, part of another length": [
        server_of.cut(300_000),
        lambda h: h.reply(206, b"x", Content_Length=1, Content_Range="bytes 300000-300000/300001", ETag=ETAG),
        server_of.whole(),
    ],
    "cut, another part than was asked for": [
        server_of.cut(300_000),
        lambda handler: handler.reply(
            206, CONTENTS, Content_Length=len(CONTENTS), Content_Range=f"bytes 0-{len(CONTENTS) - 1}/{len(CONTENTS)}",
            ETag=ETAG,
        ),
        server_of.whole(),
    ],
    "stalled, then the rest": [server_of.stall(300_000, 1.5), server_of.whole()],
    "slow": [server_of.drip(200_000, 0.1)],
    "chunked": [server_of.chunked()],
    "chunked and cut, then whole": [server_of.chunked(is_cut=True), server_of.chunked()],
    "gzip": [server_of.gzipped()],
    "gzip and cut, then whole": [server_of.gzipped(cut_at=1000), server_of.whole()],
    "redirect": [server_of.redirect("/final"), server_of.whole()],
    "more than was said, then right": [server_of.claims(1000), server_of.whole()],
}  # fmt: skip


@pytest.mark.parametrize("answers", HONEST_AT_LAST.values(), ids=HONEST_AT_LAST)
@pytest.mark.parametrize("is_known", [False, True], ids=["trusted", "hash given"])
def test_a_file_that_comes_whole_at_last_is_the_right_one(server, load, answers, is_known):
    server.answer("/final", server_of.whole())
    url = server.answer("/a", *answers)
    assert load(url, sha256=SHA256 if is_known else None, timeout_s=1.0) == CONTENTS


REFUSED = {
    "404": [server_of.status(404)],
    "403": [server_of.status(403)],
    "500 for good": [server_of.status(500)],
    "204": [server_of.status(204)],
    "206 unasked": [lambda handler: handler.reply(206, b"x", Content_Length=1, Content_Range="bytes 0-0/1")],
    "cut for good": [server_of.cut(300_000, etag="")],
    "cut at the same byte for good": [server_of.cut(300_000)],
    "less than was said": [server_of.claims(len(CONTENTS) + 1)],
    "more than was said": [server_of.claims(len(CONTENTS) - 1)],
    "chunked and cut": [server_of.chunked(is_cut=True)],
    "no length": [server_of.unsized()],
    "gzip with bytes behind it": [server_of.gzipped(behind=b"more")],
    "gzip that is none": [lambda h: h.reply(200, CONTENTS, Content_Length=len(CONTENTS), Content_Encoding="gzip")],
    "another encoding": [server_of.gzipped(encoding="br")],
    "redirect to file:": [server_of.redirect("file:///etc/hostname")],
    "redirect to ftp:": [server_of.redirect("ftp://127.0.0.1/a")],
    "redirect to data:": [server_of.redirect("data:text/plain,x")],
    "redirect to nowhere": [server_of.redirect("")],
    "redirect in a circle": [server_of.redirect("/a")],
    "redirect to a 404": [server_of.redirect("/absent")],
}


@pytest.mark.parametrize("answers", REFUSED.values(), ids=REFUSED)
def test_what_is_not_whole_or_not_there_gets_no_name(server, tmp_path, answers):
    server.answer("/absent", server_of.status(404))
    url = server.answer("/a", *answers)
    with pytest.raises(DownloadError), _download(url, tmp_path, retries=1):
        pytest.fail("a file was given")


@contextmanager
def _download(url, folder, **options):
    with download(url, folder / "partial.bin", **{"timeout_s": 1.0, **options}) as found:
        yield found


def test_a_file_without_a_length_is_taken_where_its_hash_is_given(server, load):
    assert load(server.answer("/a", server_of.unsized()), sha256=SHA256) == CONTENTS


@pytest.mark.parametrize("answer", [server_of.whole(OTHER), server_of.whole(CONTENTS[:-1]), server_of.gzipped(OTHER)])
def test_wrong_bytes_are_kept_aside_as_rejected(server, tmp_path, answer):
    url = server.answer("/a", answer)
    with (
        pytest.raises(DigestError, match=f"expected SHA-256 {SHA256}") as error,
        _download(url, tmp_path, sha256=SHA256),
    ):
        pytest.fail("a file was given")
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, IntegrityError)
    assert [path.name for path in tmp_path.iterdir()] == ["partial.bin.rejected"]
    assert len(server.asked) == 1


def test_parts_of_different_files_under_one_etag_are_loaded_again_as_a_whole(server, load):
    url = server.answer("/a", server_of.cut(300_000, OTHER), server_of.whole(), server_of.whole())
    assert load(url, sha256=SHA256) == CONTENTS
    assert server.ranges() == [None, "bytes=300000-", None]


def test_only_the_rest_is_asked_for(server, load):
    url = server.answer("/a", server_of.cut(300_000), server_of.cut(700_000), server_of.whole())
    assert load(url) == CONTENTS
    assert server.ranges() == [None, "bytes=300000-", "bytes=700000-"]
    assert [asked.headers.get("If-Range") for asked in server.asked] == [None, ETAG, ETAG]


@pytest.mark.parametrize(("given", "fails"), [("x", True), (SHA256[:-1], True), ("sha256:" + SHA256.upper(), False)])
def test_a_hash_is_64_digits(server, load, given, fails):
    url = server.answer("/a", server_of.whole())
    if not fails:
        assert load(url, sha256=given) == CONTENTS
        return
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        load(url, sha256=given)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://h/a", "/etc/hostname", "data:,x", "http://", "HTTPX://h/a"]
)
def test_only_http_and_https_are_asked(url, load):
    with pytest.raises(ValueError, match="expected an http or https URL"):
        load(url)


def test_nobody_listening_is_an_error_that_names_the_place(load):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/a: the connection failed"):
        load("http://127.0.0.1:9/a?token=secret", retries=1)


def test_names_with_blanks_and_other_letters_are_asked_for_quoted(server, load):
    server.answer("/a%20%C3%BC", server_of.whole())
    assert load(server.url + "/a ü") == CONTENTS


PROGRAM = """
import sys
from pathlib import Path
from ataraxis_data_structures.datasets.download import download
with download(sys.argv[1], Path(sys.argv[2]), timeout_s=30) as found:
    Path(sys.argv[3]).write_bytes(found.path.read_bytes())
"""


def start(url, folder, name="plain"):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, url, folder / "partial.bin", folder / name])


def test_a_killed_download_goes_on_where_it_was(server, tmp_path):
    url = server.answer("/a", server_of.drip(50_000, 0.05), server_of.whole())
    child = start(url, tmp_path)
    while not (tmp_path / "partial.bin").exists() or (tmp_path / "partial.bin").stat().st_size < 200_000:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "plain").exists()
    left = (tmp_path / "partial.bin").stat().st_size
    assert start(url, tmp_path).wait() == 0
    assert (tmp_path / "plain").read_bytes() == CONTENTS
    assert server.ranges() == [None, f"bytes={left}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize("fault", ["no state", "damaged state", "another boot", "too long"])
def test_a_partial_file_that_cannot_be_trusted_is_loaded_again(server, tmp_path, fault):
    url = server.answer("/a", server_of.cut(300_000), server_of.status(404), server_of.whole())
    with pytest.raises(DownloadError), _download(url, tmp_path):
        pass
    state = tmp_path / "partial.bin.json"
    if fault == "no state":
        state.unlink()
    elif fault == "damaged state":
        state.write_text("{")
    elif fault == "another boot":
        state.write_text(state.read_text().replace('"boot": "', '"boot": "0'))
    else:
        (tmp_path / "partial.bin").write_bytes(OTHER + OTHER)
    with _download(url, tmp_path) as found:
        assert found.path.read_bytes() == CONTENTS


def test_two_processes_that_load_the_same_wait_for_each_other(server, tmp_path):
    url = server.answer("/a", server_of.drip(100_000, 0.02))
    children = [start(url, tmp_path, name) for name in ("first", "second")]
    assert [child.wait() for child in children] == [0, 0]
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes() == CONTENTS
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


class TestSecrets:
    HEADERS = ({"Authorization": "Bearer s3cret"}, {"X-Api-Key": "s3cret"}, {"Cookie": "s3cret"})

    @pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
    def test_they_go_to_the_host_of_the_url_alone(self, server, other_server, load, headers):
        other_server.answer("/final", server_of.redirect(server.url + "/back"))
        server.answer("/back", server_of.whole())
        server.answer("/there", server_of.redirect(other_server.url + "/final"))
        url = server.answer("/a", server_of.redirect("/there"))
        assert load(url, headers=headers) == CONTENTS
        assert ["s3cret" in str(asked.headers) for asked in server.asked] == [True, True, False]
        assert ["s3cret" in str(asked.headers) for asked in other_server.asked] == [False]

    def test_a_user_in_the_url_is_basic_authentication_for_its_host(self, server, other_server, load):
        other_server.answer("/final", server_of.whole())
        server.answer("/a", server_of.redirect(other_server.url + "/final"))
        load(server.url.replace("//", "//me:s3%20cret@") + "/a")
        assert server.asked[0].headers["Authorization"] == "Basic bWU6czMgY3JldA=="
        assert server.asked[0].headers["Host"] == server.url.removeprefix("http://")
        assert "Authorization" not in other_server.asked[0].headers

    @pytest.mark.parametrize("answer", [server_of.status(404), server_of.cut(1), server_of.whole(OTHER)])
    def test_they_are_in_no_error_and_no_file(self, server, tmp_path, answer):
        server.answer("/a", answer)
        url = server.url.replace("//", "//me:s3cret@") + "/a?token=s3cret#s3cret"
        with (
            pytest.raises((DownloadError, DigestError)) as error,
            _download(url, tmp_path, retries=0, headers={"X-Key": "s3cret"}, sha256=SHA256),
        ):
            pass
        assert "s3cret" not in f"{error.value!r} {error.value} {error.value.__cause__}"
        assert all(b"s3cret" not in path.read_bytes() for path in tmp_path.iterdir())

    @pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3crét"])
    def test_one_that_cannot_be_sent_is_refused_without_being_printed(self, server, load, value):
        with pytest.raises(ValueError, match="printable ASCII") as error:
            load(server.answer("/a", server_of.whole()), headers={"Authorization": value})
        assert "s3cr" not in str(error.value)
        assert server.asked == []

    def test_a_redirect_location_is_printed_without_its_query(self, server, load):
        server.answer("/b", server_of.redirect("ftp://h/x?token=s3cret"))
        url = server.answer("/a", server_of.redirect("/b?token=s3cret"))
        with pytest.raises(DownloadError, match="leads to another scheme: ftp") as error:
            load(url)
        assert "s3cret" not in str(error.value)


class TestCredentials:
    @pytest.fixture(autouse=True)
    def nowhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("DATASET_API_KEY", "DATASET_USERNAME"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("DATASET_API_KEY=abc", "abc"),
            ("# c\n\nexport DATASET_API_KEY = 'a b#c'\n", "a b#c"),
            ('DATASET_API_KEY="a\'b" # said', "a'b"),
            ("DATASET_API_KEY=a=b # said", "a=b"),
            ("#DATASET_API_KEY=no\nDATASET_API_KEY=$HOME", "$HOME"),
        ],
    )
    def test_a_key_is_read_from_a_file_of_variables(self, text, key):
        Path(".env").write_text(text)
        assert authorization("DATASET_API_KEY") == {"Authorization": f"Bearer {key}"}

    def test_the_environment_comes_first(self, monkeypatch):
        Path(".env").write_text("DATASET_API_KEY=file")
        monkeypatch.setenv("DATASET_API_KEY", "environment")
        assert authorization("DATASET_API_KEY") == {"Authorization": "Bearer environment"}

    def test_a_key_with_a_user_is_basic_authentication(self, monkeypatch):
        Path(".env").write_text("DATASET_API_KEY=key\nDATASET_USERNAME=me\n")
        assert authorization("DATASET_API_KEY") == {"Authorization": "Basic bWU6a2V5"}

    @pytest.mark.parametrize("text", [None, "", "DATASET_API_KEY=", "OTHER=1"])
    def test_a_missing_key_is_named(self, text):
        if text is not None:
            Path(".env").write_text(text)
        with pytest.raises(LookupError, match=r"expected DATASET_API_KEY in the environment or in \.env"):
            authorization("DATASET_API_KEY")


def test_a_full_disk_is_its_own_error(server, tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from ataraxis_data_structures.datasets.download import download;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1));\n"
        "try:\n    with download(sys.argv[1], Path(sys.argv[2])): pass\n"
        "except OSError as error: print(type(error).__name__, error.errno)"
    )
    url = server.answer("/a", server_of.whole())
    command = [sys.executable, "-c", code, url, tmp_path / "partial.bin"]
    got = subprocess.run(command, capture_output=True, text=True, check=True)
    assert got.stdout == f"OSError {errno.EFBIG}\n"
    assert len(server.asked) == 1
