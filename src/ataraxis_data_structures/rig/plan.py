"""What a rig file says: the log, its sources, and where the messages of each come from."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from ..errors import ConfigError
from ..logs.descriptions import describe
from .document import Section, read_document

T = TypeVar("T")

KINDS = ("serial", "udp", "lsl", "producer")
_STORAGES = ("journal", "npy")
_SYNCS = ("none", "interval", "batch")
_OVERFLOWS = ("block", "drop_newest")
_SESSIONS = ("new", "refuse", "continue")
_ON_ERROR = ("stop", "continue")
_NAME = re.compile(r"[\w.-]+")
_NO_SHAPE: tuple[int, ...] = ()
_TAKEN = ("code", "name", "dtype", "shape", "rate_hz", "unit")
_TARGET = re.compile(r"[\w.]+:[\w.]+")


@dataclass(frozen=True)
class SourcePlan:
    """One source: what its messages are, and where they come from."""

    name: str
    code: int
    kind: str
    """One of KINDS."""
    target: Any
    """A port, an address, the properties of a stream, or module:function."""
    where: str
    """File, line and key, for errors."""
    dtype: Any = None
    """None where the device says so."""
    shape: tuple[int, ...] | None = None
    rate_hz: float | None = None
    unit: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Of its kind of device."""


@dataclass(frozen=True)
class RigPlan:
    """A recording as its file has it."""

    file: Path
    log: str
    sources: tuple[SourcePlan, ...]
    logger: dict[str, Any]
    """What DataLogger is given besides directory and name."""
    on_error: str
    duration_s: float | None


def read_rig(file: Path) -> RigPlan:
    """Return the recording that a YAML file describes.

    Raises:
        OSError: The file can't be read.
        ConfigError: What it says can't be recorded; the message names file, line and key.
    """
    found = read_document(Path(file))
    plan = RigPlan(
        file=Path(file),
        log=found.take("log", _log_name),
        logger={
            "storage": found.take("storage", _one_of(_STORAGES), "journal"),
            "sync": found.take("sync", _one_of(_SYNCS), "none"),
            "sync_interval_ms": found.take("sync_interval_ms", _whole(1), 200),
            "lane_bytes": found.take("lane_bytes", _power_of_two, 1 << 23),
            "overflow": found.take("overflow", _one_of(_OVERFLOWS), "block"),
            "session": found.take("session", _one_of(_SESSIONS), "new"),
            "metadata": _json_like(found, "metadata"),
        },
        on_error=found.take("on_error", _one_of(_ON_ERROR), "stop"),
        duration_s=found.take("duration_s", positive, None),
        sources=tuple(_sources(found, found.section("sources"))),
    )
    found.refuse_unknown()
    return plan


def _sources(whole: Section, sources: Section) -> Iterator[SourcePlan]:
    if not sources.values:
        whole.fail("sources", "expected at least one source with a name, as in `sources: {encoder: {udp: 5005}}`")
    taken: dict[int, str] = {}
    for name in sources.values:
        one = sources.section(name)
        free = next((code for code in range(1, 256) if code not in taken), 0)
        code = one.take("code", _whole(0, 255), free)
        if code in taken:
            one.fail("code", f"source {taken[code]!r} has the code {code} already")
        taken[code] = name
        yield _source(one, name, code)


def _source(one: Section, name: str, code: int) -> SourcePlan:
    kinds = [kind for kind in KINDS if kind in one.values]
    if len(kinds) != 1:
        one.fail("", f"expected one of the keys {', '.join(KINDS)}, got {' and '.join(kinds) or 'none'}")
    kind = kinds[0]
    target = _stream(one) if kind == "lsl" else one.take(kind, {"serial": _text, "udp": _address}.get(kind, _function))
    plan = SourcePlan(
        name, code, kind, target,
        where=f"{one.file}, line {one.lines.get(kind, one.line)}, {one.path}.{kind}",
        dtype=_dtype(one, default=None if kind == "lsl" else "u1"),
        shape=_shape_of(one, kind),
        rate_hz=one.take("rate_hz", positive, None),
        unit=one.take("unit", _text, ""),
        metadata=_json_like(one, "metadata"),
        options=_OPTIONS[kind](one),
    )  # fmt: skip
    one.refuse_unknown()
    return plan


def _serial_options(one: Section) -> dict[str, Any]:
    options: dict[str, Any] = {
        "baud": one.take("baud", _whole(1), 115200),
        "lines": one.take("lines", _truth, default=False),
        "header": one.take("header", _header, b""),
    }
    if options["lines"] and options["header"]:
        one.fail("header", "expected either lines of text or records behind a header, got both")
    return options


def _lsl_options(one: Section) -> dict[str, Any]:
    return {"wait_s": one.take("wait_s", positive, 10.0)}


def _producer_options(one: Section) -> dict[str, Any]:
    return one.section("options").plain()


_OPTIONS: dict[str, Callable[[Section], dict[str, Any]]] = {
    "serial": _serial_options,
    "udp": lambda _: {},
    "lsl": _lsl_options,
    "producer": _producer_options,
}


def _stream(one: Section) -> dict[str, str]:
    if not isinstance(one.values["lsl"], Section):
        return {"name": one.take("lsl", _text)}
    wanted = one.section("lsl")
    asked = {key: wanted.take(key, _text, "") for key in ("name", "type", "source_id", "hostname")}
    found: dict[str, str] = {key: value for key, value in asked.items() if value}
    wanted.refuse_unknown()
    if not found:
        wanted.fail("", "expected the name, type, source_id or hostname of a stream, got none")
    return found


def _shape_of(one: Section, kind: str) -> tuple[int, ...] | None:
    return one.take("shape", _shape, None if kind == "lsl" else _NO_SHAPE)


def _dtype(one: Section, default: str | None) -> Any:
    if isinstance(one.values.get("dtype"), Section):
        fields = [(name, str(kind)) for name, kind in one.section("dtype").plain().items()]
        one.values["dtype"] = fields  # a mapping of fields to types
    return one.take("dtype", _data_type, default)


def _data_type(value: Any) -> Any:
    """Return a data type as numpy takes it, once it has taken it."""
    wanted = [tuple(one) for one in value] if isinstance(value, list) else value
    try:
        kind = np.dtype(wanted)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected a data type of numpy, as in <f4, got {value!r}: {error}") from None
    describe(0, name="", dtype=kind, shape=(), rate_hz=None, unit="", onset_us=0, metadata={})
    return wanted


def _json_like(one: Section, key: str) -> dict[str, Any]:
    import json  # noqa: PLC0415 here only

    values = one.section(key).plain()
    for name in values.keys() & set(_TAKEN) if one.path else ():
        one.section(key).fail(name, "a source has a key of this name already; choose another for the metadata")
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        one.fail(key, "expected texts, numbers, truths and lists of them (put times in quotes), got another value")
    return values


def _fail(wanted: str, value: object) -> NoReturn:
    raise ValueError(f"expected {wanted}, got {value!r}")


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else _fail("text", value)


def _log_name(value: Any) -> str:
    name = _text(value)
    return name if _NAME.fullmatch(name) else _fail("a name of letters, digits, dots, dashes and underscores", name)


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else _fail("true or false", value)


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    return lambda value: value if value in choices else _fail(f"one of {', '.join(choices)}", value)


def _whole(least: int, most: int = 2**31) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        limit = f"from {least} on" if most == 2**31 else f"from {least} to {most}"
        return int(value) if is_number and least <= value <= most else _fail(f"a whole number {limit}", value)

    return convert


def _power_of_two(value: Any) -> int:
    is_one = isinstance(value, int) and value >= 4096 and not value & (value - 1)
    return int(value) if is_one else _fail("a power of two from 4096 on", value)


def positive(value: Any) -> float:
    """Return a number above 0; ValueError for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < float("inf") else _fail("a number above 0", value)


def _shape(value: Any) -> tuple[int, ...]:
    lengths = value if isinstance(value, list) else [value]
    if not all(isinstance(length, int) and not isinstance(length, bool) and length > 0 for length in lengths):
        _fail("lengths from 1 on, as in [1080, 1920]", value)
    return tuple(lengths)


def _address(value: Any) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536 or isinstance(value, bool):
        _fail("a port or HOST:PORT, as in 0.0.0.0:5005", value)
    return host.strip("[]") or "127.0.0.1", int(port)


def _function(value: Any) -> str:
    return value if isinstance(value, str) and _TARGET.fullmatch(value) else _fail("module:function", value)


def _header(value: Any) -> bytes:
    try:
        found = bytes.fromhex(str(value))
    except ValueError:
        found = b""
    return found or _fail("bytes in hexadecimal between quotes, as in 'aa 55'", value)


__all__ = ["KINDS", "ConfigError", "RigPlan", "SourcePlan", "positive", "read_rig"]
