"""The live page in a browser: no script error, no request elsewhere, and its figures are the logger's."""

import gc
import json
import subprocess
import threading
import time

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from test_report_page import DESKTOP, PHONE, browser, colour, requested  # noqa: F401 a fixture

from ataraxis_data_structures import DataLogger, logger_statistics
from conftest_cli import PROGRAM


@pytest.fixture
def rig(tmp_path):
    """Return what starts a logger with three sources, whose messages are written, and a watch; gives it and the URL."""
    endings = []

    def make():
        logger = DataLogger(tmp_path, "rig", storage="journal")
        endings.append(logger._finalizer)
        logger.start()
        camera = logger.source(1, name="camera", dtype="u1", shape=(480, 640), rate_hz=60)
        lever = logger.source(2, name="lever <b>", dtype="<f4", shape=3, unit="N")
        logger.source(9, name="silent", dtype="<i4")
        rows, columns = np.mgrid[:480, :640]
        for number in range(200):
            lever.put(np.sin(number / 20 + np.arange(3, dtype=np.float32)))
            if number % 50 == 0:
                camera.put(((rows + columns + number) // 5).astype(np.uint8))
        logger.flush()
        words = [*PROGRAM, "log", "watch", tmp_path, "--json"]
        watch = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        endings.insert(0, lambda: (watch.kill(), watch.communicate()))
        return logger, json.loads("".join(watch.stdout.readline() for _ in range(4)))["url"]

    yield make
    gc.collect()
    for end in endings:
        end()


def look(browser, url, size, scheme):  # noqa: F811
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(url)
    deadline = time.monotonic() + 20
    while "…" in browser.find_element(By.TAG_NAME, "main").text or not browser.find_elements(By.CLASS_NAME, "card"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def painted(browser, canvas):  # noqa: F811
    """Return how many colours a canvas shows."""
    script = (
        "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, s = new Set();"
        "for (let i = 0; i < d.length; i += 4) s.add((d[i] << 16) + (d[i + 1] << 8) + d[i + 2]); return s.size"
    )
    return browser.execute_script(script, canvas)


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")], ids=["phone", "desktop"])
def test_the_page_shows_the_loggers_figures_and_asks_nobody_else(browser, rig, size, scheme):  # noqa: F811
    _logger, url = rig()
    look(browser, url, size, scheme)
    assert browser.get_log("browser") == []
    origin = url.partition("/?")[0]
    assert all(asked.startswith((origin + "/", "data:")) for asked in requested(browser))
    assert browser.execute_script("return document.documentElement.scrollWidth") == size[0]
    cards = {card.get_attribute("data-code"): card for card in browser.find_elements(By.CLASS_NAME, "card")}
    assert [*cards] == ["1", "2", "9"]
    for code, want in logger_statistics("rig").sources.items():
        card = cards[str(code)]
        got = {name: int(card.get_attribute(f"data-{name}")) for name in ("accepted", "written", "synced", "dropped")}
        assert got == {name: getattr(want, name) for name in got}
        assert f"{want.accepted:,}" in card.text
    assert cards["2"].find_element(By.TAG_NAME, "h2").text == "lever <b>"
    pictures = [card.find_element(By.TAG_NAME, "canvas") for card in cards.values()]
    assert painted(browser, pictures[0]) > 100
    assert painted(browser, pictures[1]) > 3
    assert not pictures[2].is_displayed()
    assert all(picture.size["height"] > 80 for picture in pictures[:2])
    body = browser.find_element(By.TAG_NAME, "body")
    assert (colour(browser, body, "background-color") < 60) == (scheme == "dark")


def test_the_page_follows_the_rates(browser, rig):  # noqa: F811
    logger, url = rig()
    look(browser, url, DESKTOP, "light")
    lever = logger.source(2, name="lever <b>", dtype="<f4", shape=3, unit="N")
    ended = threading.Event()

    def put():
        while not ended.wait(0.01):
            lever.put(np.zeros(3, np.float32))

    thread = threading.Thread(target=put)
    thread.start()
    rate = "return Number(document.querySelector('[data-code=\"2\"] dd').textContent)"
    deadline = time.monotonic() + 20
    while not 30 < browser.execute_script(rate) < 130:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    ended.set()
    thread.join()
    assert browser.get_log("browser") == []


def test_without_its_token_the_page_is_refused(browser, rig):  # noqa: F811
    _logger, url = rig()
    browser.get(url.partition("?")[0])
    assert "token" in browser.find_element(By.TAG_NAME, "body").text
    assert not browser.find_elements(By.TAG_NAME, "script")
