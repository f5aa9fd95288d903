"""`axds log watch` over HTTP: its figures are the logger's, its pictures the latest, and nobody else may look."""

import base64
import gc
import http.client
import json
import signal
import socket
import subprocess
from dataclasses import asdict
from urllib.parse import urlsplit

import numpy as np
import pytest

from ataraxis_data_structures import DataLogger, logger_statistics
from conftest_cli import PROGRAM
from logtools import logger_in, wait_for

FRAME = np.arange(600 * 800, dtype=np.uint32).reshape(600, 800).astype(np.uint8)


class Watch:
    """The command, while it runs."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [*PROGRAM, "log", "watch", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.address = urlsplit(self.process.stdout.readline().split(" ")[-1].strip())
        self.token = self.address.query.removeprefix("token=")

    def get(self, path, token=None, method="GET", host=None):
        connection = http.client.HTTPConnection(self.address.netloc, timeout=30)
        query = "" if token == "" else f"?token={token or self.token}"
        connection.request(method, path + query, headers={"Host": host or self.address.netloc})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def data(self):
        answer, body = self.get("/data.json")
        assert answer.status == 200, body
        return json.loads(body)

    def preview(self, code):
        return next(source["preview"] for source in self.data()["sources"] if source["code"] == code)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=60)
        assert err == "axds: interrupted\n"


@pytest.fixture(params=["npy", "journal"])
def rig(request, tmp_path):
    """Return what starts a logger and a watch on it, both of which end after the test."""
    endings, watches, kept = [], [], []

    def make():
        logger = DataLogger(tmp_path, "rig", storage=request.param)
        endings.append(logger._finalizer)
        logger.start()
        kept.append(logger)  # or it would end with the test, and the watch by itself
        watches.append(Watch(tmp_path))
        return logger, watches[-1]

    yield make
    for watch in watches:
        watch.end()
    kept.clear()
    gc.collect()
    for end in endings:
        end()


def settled(name):
    found = json.loads(json.dumps(asdict(logger_statistics(name))))
    return {key: found[key] for key in ("state", "pid", "restarts", "sources")}


def test_the_figures_are_those_of_logger_statistics_and_previews_the_latest_messages(rig):
    logger, watch = rig()
    camera = logger.source(1, name="camera", dtype="u1", shape=(600, 800), unit="counts", rate_hz=60)
    lever = logger.source(2, name="lever", dtype="<f4", unit="N")
    pair = logger.source(3, name="pair", dtype=[("a", "<i2"), ("b", "<u1", 2), ("c", "S3")])
    for number in range(400):
        lever.put(np.float32(number if number != 399 else np.nan), 1000 * (number + 1))
        if number % 100 == 0:
            camera.put(FRAME + np.uint8(number % 256))
        pair.put(np.array((-number, (1, 2), b"x"), pair.dtype))
    logger.flush()
    data = watch.data()
    assert {key: data["statistics"][key] for key in ("state", "pid", "restarts", "sources")} == settled("rig")
    assert data["statistics"]["sources"]["2"]["synced"] == 401
    assert data["directory"] == str(logger.output_directory)
    assert 0 < data["disk"]["free_bytes"] <= data["disk"]["total_bytes"]
    told = {source["name"]: source for source in data["sources"]}
    assert (told["camera"]["unit"], told["camera"]["rate_hz"], told["camera"]["shape"]) == ("counts", 60, [600, 800])
    shown = told["camera"]["preview"]
    got = np.frombuffer(base64.b64decode(shown["pixels"]), np.uint8).reshape(shown["height"], shown["width"])
    np.testing.assert_array_equal(got, (FRAME + np.uint8(300 % 256))[::2, ::2])
    trace = told["lever"]["preview"]
    assert trace["times_s"] == [(number + 1) / 1000 for number in range(100, 400)]
    assert trace["channels"] == [{"name": "lever", "values": [*map(float, range(100, 399)), None]}]
    channels = {one["name"]: one["values"] for one in told["pair"]["preview"]["channels"]}
    assert channels == {"a": [-number for number in range(100, 400)], "b_0": [1] * 300, "b_1": [2] * 300}


def test_what_is_put_later_is_shown_later_also_behind_much_that_is_passed_over(rig):
    logger, watch = rig()
    source = logger.source(1, name="s", dtype="<i4")
    block = logger.source(2, name="block", dtype="u1", shape=(1 << 20,))
    for number in range(3):
        source.put(number)
        logger.flush()
        assert watch.preview(1)["channels"][0]["values"][-1] == number
        for _ in range(20):  # more than one look takes in
            block.put(np.full(1 << 20, number, np.uint8))
    source.put(7)
    logger.flush()
    assert watch.preview(1)["channels"][0]["values"][-1] == 7
    assert watch.data()["statistics"]["sources"] == settled("rig")["sources"]


def test_nobody_looks_without_the_token_or_under_another_name(rig):
    _, watch = rig()
    for path in ("/", "/data.json", "/nothing"):
        for token in ("", "wrong", watch.token[:-1], watch.token + "x"):
            assert watch.get(path, token)[0].status == 403
        for host in ("evil.example", f"evil.example:{watch.address.port}", "127.0.0.1", "[::1]"):
            assert watch.get(path, host=host)[0].status == 403
    assert watch.get("/nothing")[0].status == 404
    assert watch.get("/../../etc/passwd")[0].status == 404
    assert watch.get("/data.json", method="POST")[0].status == 501
    assert watch.get("/data.json", host=f"localhost:{watch.address.port}")[0].status == 200


def test_the_page_asks_nothing_of_others_and_is_kept_by_nobody(rig):
    _, watch = rig()
    answer, page = watch.get("/")
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert b"http:" not in page
    assert b"https:" not in page
    assert watch.token.encode() not in page


def test_it_listens_on_loopback_alone(rig):
    _, watch = rig()
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in others - {"127.0.0.1", "127.0.1.1"}:
        with socket.socket() as guest:
            assert guest.connect_ex((address, watch.address.port)) != 0


def test_it_ends_with_the_logger_and_leaves_nothing(tmp_path):
    with logger_in(tmp_path, "rig") as logger:
        logger.start()
        logger.source(1, name="s", dtype="<i4").put(1)
        running = Watch(logger.output_directory)
        assert running.data()["ended"] is False
        logger.stop()
        names = sorted(path.name for path in logger.output_directory.iterdir())
        assert running.data()["statistics"]["state"] == "new"
        assert sorted(path.name for path in logger.output_directory.iterdir()) == names
    out, err = running.process.communicate(timeout=60)
    assert (running.process.returncode, out, err) == (0, "the logger has ended\n", "")


def test_what_does_not_run_and_what_is_not_named_is_told(refused, tmp_path):
    assert "axds log ls --running" in refused("log", "watch", tmp_path)
    assert "check the path" in refused("log", "watch", tmp_path / "nowhere")
    with logger_in(tmp_path, "a") as first, logger_in(tmp_path, "b") as second:
        first.start()
        second.start()
        assert "name its directory" in refused("log", "watch", tmp_path)
        running = Watch(second.output_directory)
        wait_for(lambda: running.data()["directory"] == str(second.output_directory))
        running.end()


def test_a_logger_in_json(tmp_path):
    with DataLogger(tmp_path, "rig") as logger:
        process = subprocess.Popen([*PROGRAM, "log", "watch", tmp_path, "--json"], stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(4)]
        document = json.loads("".join(lines))
        assert document["directory"] == str(logger.output_directory)
        process.kill()
        process.communicate()
