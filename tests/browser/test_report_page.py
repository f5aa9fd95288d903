"""The report in a browser: nothing fails, nothing leaves, pictures are drawn, and its figures are the reader's."""

import json

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from ataraxis_data_structures import LogArchiveReader, ProcessingTracker, assemble_log_archives
from conftest_cli import axds, record  # noqa: F401 the fixture is asked for by name

PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    root = tmp_path_factory.mktemp("session")
    directory, _ = record(root, sources=(1, 2, 51), messages=300, storage="npy")
    assemble_log_archives(directory)
    tracker = ProcessingTracker(root / "tracker.yaml")
    done, failed = tracker.initialize_jobs([("video", "s1"), ("align", "")])
    tracker.start_job(done)
    tracker.complete_job(done)
    tracker.start_job(failed)
    tracker.fail_job(failed, "expected 3 cameras, got 2")
    return directory


@pytest.fixture
def page(session, axds, tmp_path):  # noqa: F811 a fixture
    path = tmp_path / "report.html"
    got = axds("log", "report", session, "-o", path)
    assert got.status == 0, got
    return path


def look(browser, page, size, scheme):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}


def colour(browser, element, name):
    """Return the brightness of a colour of an element, 0 to 255."""
    text = element.value_of_css_property(name)
    return np.mean([float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_is_whole_by_itself_and_fits_the_screen(browser, page, size, scheme):
    look(browser, page, size, scheme)
    assert browser.get_log("browser") == []
    assert {url for url in requested(browser) if not url.startswith("data:")} == {page.as_uri()}
    assert browser.execute_script("return document.documentElement.scrollWidth") == size[0]
    charts = browser.find_elements(By.CSS_SELECTOR, "svg.chart")
    assert len(charts) == 9
    for chart in charts:
        assert chart.size["width"] > 200
        assert chart.size["height"] > 80
        assert chart.find_elements(By.CSS_SELECTOR, ".line, .bar, .gap")
    body = browser.find_element(By.TAG_NAME, "body")
    paper, ink = colour(browser, body, "background-color"), colour(browser, body, "color")
    assert (paper < 60 and ink > 200) if scheme == "dark" else (paper > 230 and ink < 60)
    text = charts[0].find_element(By.TAG_NAME, "text")
    assert text.rect["height"] > 8  # of letters that can be read


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_painted_in_colours_of_their_scheme(browser, page, scheme):
    look(browser, page, DESKTOP, scheme)
    bar = browser.find_element(By.CSS_SELECTOR, "svg .bar")
    card = browser.find_element(By.CSS_SELECTOR, ".card")
    assert abs(colour(browser, bar, "fill") - colour(browser, card, "background-color")) > 60


def test_the_figures_on_the_page_are_the_readers(browser, page, session):
    look(browser, page, DESKTOP, "light")
    rows = browser.find_elements(By.CSS_SELECTOR, "#sources tr[data-source]")
    assert [row.get_attribute("data-source") for row in rows] == ["1", "2", "51"]
    for row in rows:
        source = row.get_attribute("data-source")
        reader = LogArchiveReader(session / f"{source}_log.npz")
        times, payloads = reader.read_all_messages()
        intervals = np.diff(times)
        want = {
            "messages": reader.message_count,
            "payload-bytes": sum(len(payload) for payload in payloads),
            "onset-us": reader.onset_timestamp_us,
            "first-us": times[0],
            "last-us": times[-1],
            "longest-gap-us": intervals.max(),
            "interval-median-us": np.median(intervals),
            "gaps": 1,
        }
        got = {name: float(row.get_attribute(f"data-{name}")) for name in want}
        assert got == {name: float(value) for name, value in want.items()}
        rate = (len(times) - 1) / (int(times[-1]) - int(times[0])) * 1e6
        assert float(row.get_attribute("data-rate-hz")) == pytest.approx(rate)
        assert f"{reader.message_count:,}" in row.text
        assert f"{rate:,.1f} Hz" in row.text


def test_checks_and_jobs_are_on_the_page(browser, page):
    look(browser, page, PHONE, "dark")
    passed = {item.get_attribute("data-check") for item in browser.find_elements(By.CSS_SELECTOR, "[data-passed=True]")}
    assert passed == {"state", "1_log.npz", "2_log.npz", "51_log.npz"}
    jobs = browser.find_elements(By.CSS_SELECTOR, "[data-job]")
    texts = [job.get_attribute("textContent") for job in jobs]
    assert len(jobs) == 2
    assert any("video" in text and "succeeded" in text for text in texts)
    assert any("expected 3 cameras, got 2" in text for text in texts)


def test_a_source_opens_and_closes_without_a_script(browser, page):
    look(browser, page, PHONE, "light")
    card = browser.find_element(By.CSS_SELECTOR, "details.card")
    tall = card.size["height"]
    card.find_element(By.TAG_NAME, "summary").click()
    assert card.size["height"] < tall / 2
    assert browser.find_elements(By.TAG_NAME, "script") == []
