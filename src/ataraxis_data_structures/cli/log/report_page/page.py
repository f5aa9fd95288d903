"""The report as one page that asks nothing of the network: styles and pictures are in it, scripts are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from ...render import human_bytes, human_seconds, human_time
from .charts import gap_chart, interval_chart, rate_chart, spark, timeline
from .figures import Figures

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_FOOT = "A gap is an interval longer than five times the median, or than what was asked for."
_OPEN_AT_FIRST = 8  # sources whose pictures show without a click


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `passed` is None for what is merely told."""

    name: str
    said: str
    passed: bool | None = None


@dataclass(frozen=True)
class Report:
    """All that the page says."""

    title: str
    path: str
    made_us: int
    figures: Sequence[Figures]
    disk_bytes: int
    dropped: dict[str, int] | None
    checks: Sequence[Check]
    jobs: Sequence[dict[str, Any]]

    @property
    def sound(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)


def render(report: Report) -> str:
    """Return the page."""
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    verdict = ("good", "all checks passed") if report.sound else ("bad", "a check failed")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<link rel="icon" href="data:,">',
            f"<title>{_text(report.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f'<header><h1>{_text(report.title)}</h1><span class="pill {verdict[0]}">{verdict[1]}</span>',
            f'<p class="path">{_text(report.path)}</p></header>',
            _tiles(report),
            "<h2>When each source had messages</h2>",
            f'<div class="card">{timeline(list(report.figures))}</div>',
            "<h2>Sources</h2>",
            _source_table(report),
            *(_source_card(one, opened=at < _OPEN_AT_FIRST) for at, one in enumerate(report.figures)),
            "<h2>Checks</h2>",
            _check_list(report.checks),
            *([] if not report.jobs else ["<h2>Jobs</h2>", *map(_tracker_card, report.jobs)]),
            f'<footer class="quiet">Made by axds log report at {human_time(report.made_us)}. {_FOOT}</footer>',
            "</main>\n</body>\n</html>\n",
        ]
    )


def _tiles(report: Report) -> str:
    figures = report.figures
    first = min((one.first_us for one in figures if one.first_us is not None), default=None)
    last = max((one.last_us for one in figures if one.last_us is not None), default=None)
    payload = sum(one.payload_bytes for one in figures)
    dropped = "not told" if report.dropped is None else f"{sum(report.dropped.values()):,}"
    tiles = {
        "messages": f"{sum(one.messages for one in figures):,}",
        "sources": str(len(figures)),
        "duration": human_seconds((last - first) / 1e6) if first is not None and last is not None else "-",
        "payload": human_bytes(payload),
        "on disk": human_bytes(report.disk_bytes),
        "gaps": f"{sum(len(one.gaps) for one in figures):,}",
        "dropped": dropped,
    }
    return f'<dl class="tiles">{_definitions(tiles)}</dl>'


def _source_table(report: Report) -> str:
    names = ("messages", "per second", "payload", "gaps", "longest", "drops")
    head = '<tr><th>source</th><th class="words">rate</th>' + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    rows = "".join(_source_row(one, report.dropped) for one in report.figures)
    return f'<div class="card scroll"><table id="sources">{head}{rows}</table></div>'


def _source_row(one: Figures, dropped: dict[str, int] | None) -> str:
    data = one.document()
    attributes = " ".join(
        f'data-{name.replace("_", "-")}="{escape(str(value))}"' for name, value in data.items() if value is not None
    )
    drops = "-" if dropped is None else f"{dropped.get(one.source, 0):,}"
    cells = [
        f"{one.messages:,}",
        _rate(one),
        human_bytes(one.payload_bytes),
        f"{len(one.gaps):,}",
        human_seconds(one.longest_gap_us / 1e6),
        drops,
    ]
    cells_html = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr {attributes}><td>{_text(one.source)}</td><td>{spark(one)}</td>{cells_html}</tr>"


def _source_card(one: Figures, *, opened: bool) -> str:
    facts = {
        "onset": human_time(one.onset_us),
        "first message after": _after_onset(one),
        "duration": human_seconds(one.duration_s),
        "median interval": human_seconds(one.interval_median_us / 1e6),
        "p99 interval": human_seconds(one.interval_p99_us / 1e6),
        "longest interval": human_seconds(one.longest_gap_us / 1e6),
    }
    return (
        f'<details class="card"{" open" if opened else ""}><summary><h3>Source {_text(one.source)}</h3>'
        f'<span class="quiet">{one.messages:,} messages, {_rate(one)}</span></summary>'
        f'<dl class="facts">{_definitions(facts)}</dl>'
        f'<div class="charts">{rate_chart(one)}{interval_chart(one)}{gap_chart(one)}</div></details>'
    )


def _after_onset(one: Figures) -> str:
    if one.onset_us is None or one.first_us is None:
        return "-"
    return f"{human_seconds((one.first_us - one.onset_us) / 1e6)}"


def _rate(one: Figures) -> str:
    return f"{one.rate_hz:,.1f} Hz" if one.rate_hz else "no rate"


def _check_list(checks: Sequence[Check]) -> str:
    marks = {True: ("good", "✓"), False: ("bad", "✗"), None: ("quiet", "·")}
    items = "".join(
        f'<li data-check="{_text(check.name)}" data-passed="{check.passed}">'
        f'<span class="{marks[check.passed][0]}">{marks[check.passed][1]}</span>'
        f'<span><b>{_text(check.name)}</b> <span class="quiet">{_text(check.said)}</span></span></li>'
        for check in checks
    )
    return f'<ul class="checks card">{items}</ul>'


def _tracker_card(tracker: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr data-job="{_text(job["job_id"])}"><td>{_text(job["job_name"])}</td>'
        f'<td class="words">{_text(job["specifier"])}</td>'
        f'<td class="words {_shade(job["status"])}">{_text(str(job["status"]).lower())}</td>'
        f'<td class="words">{human_time(job["started_at"])}</td>'
        f'<td class="words">{human_time(job["completed_at"])}</td>'
        f'<td class="words wrap">{_text(job.get("error_message") or "")}</td></tr>'
        for job in tracker["jobs"]
    )
    names = ("for", "status", "started", "completed", "error")
    head = "<tr><th>job</th>" + "".join(f'<th class="words">{name}</th>' for name in names) + "</tr>"
    return (
        f'<p class="quiet">{_text(tracker["name"])}: {_text(tracker["status"])}</p>'
        f'<div class="card scroll"><table class="jobs">{head}{rows}</table></div>'
    )


def _shade(status: object) -> str:
    return {"FAILED": "bad", "SUCCEEDED": "good"}.get(str(status), "")


def _definitions(facts: dict[str, str]) -> str:
    return "".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())


def _text(value: object) -> str:
    return escape(str(value).encode("utf-8", "backslashreplace").decode())
