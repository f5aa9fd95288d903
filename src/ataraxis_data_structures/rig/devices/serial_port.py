"""A serial port: records of a fixed size, records behind a header, or lines of numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...logs.logger.source import LogSource
from ..plan import SourcePlan
from .device import Device, Losses

_WAIT_S = 0.05
_MOST_BYTES = 1 << 16


def open_serial(plan: SourcePlan) -> Device:
    """Open a port; OSError if there is none, ImportError without pyserial."""
    try:
        import serial  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415 an extra
    except ImportError:
        raise ImportError(
            "this needs pyserial, which is not installed: pip install 'ataraxis-data-structures[serial]'"
        ) from None
    port = serial.serial_for_url(plan.target, baudrate=plan.options["baud"], timeout=_WAIT_S)
    return Device(partial(_produce, port, plan.options), port.close, port.reset_input_buffer)


def _produce(port: Any, options: dict[str, Any], source: LogSource, losses: Losses) -> None:
    if options["lines"]:
        cut: Callable[[bytearray], list[NDArray[Any]]] = partial(cut_lines, source, losses)
    else:
        cut = partial(cut_records, source, losses, options["header"])
    pending = bytearray()
    for _ in source.running():
        pending += port.read(min(max(port.in_waiting, 1), _MOST_BYTES))
        for values in cut(pending):
            source.put(values)


def cut_records(source: LogSource, losses: Losses, header: bytes, pending: bytearray) -> list[NDArray[Any]]:
    """Take the whole records off the front of what came, and return their values."""
    size = source.description.size_bytes
    found: list[NDArray[Any]] = []
    while True:
        if header and (at := pending.find(header)):
            skipped = at if at > 0 else max(len(pending) - len(header) + 1, 0)
            if skipped:
                losses.skip(skipped, f"expected the header {header.hex(' ')}, got other bytes")
                del pending[:skipped]
            if at < 0:
                return found
        if len(pending) < len(header) + size:
            return found
        record = bytes(pending[len(header) : len(header) + size])
        del pending[: len(header) + size]
        found.append(np.frombuffer(record, source.dtype).reshape(source.shape))


def cut_lines(source: LogSource, losses: Losses, pending: bytearray) -> list[NDArray[Any]]:
    """Take the whole lines off the front of what came, and return the numbers of each."""
    lines = bytes(pending).split(b"\n")
    pending[:] = lines.pop()
    found = []
    for line in filter(None, map(bytes.strip, lines)):
        try:
            found.append(_numbers(source, line))
        except (ValueError, OverflowError) as error:
            losses.skip(1, f"line {line[:40].decode(errors='replace')!r}: {error}")
    return found


def _numbers(source: LogSource, line: bytes) -> NDArray[Any]:
    words = line.replace(b",", b" ").replace(b";", b" ").split()
    values = np.empty(source.shape, source.dtype)
    names = values.dtype.names
    cells = [values[name] for name in names] if names else values.reshape(-1)
    if len(words) != len(cells) or (names and values.ndim):
        raise ValueError(f"expected {len(cells)} numbers, got {len(words)}")
    kinds = [values.dtype[name] for name in names] if names else [values.dtype] * len(words)
    numbers = [_number(word, kind) for word, kind in zip(words, kinds, strict=True)]
    if names:
        values[...] = tuple(numbers)
    else:
        values.reshape(-1)[:] = numbers
    return values


def _number(word: bytes, kind: np.dtype[Any]) -> Any:
    if kind.kind not in "iu":
        return kind.type(word.decode())
    number, limits = int(word), np.iinfo(kind)
    if not limits.min <= number <= limits.max:
        raise OverflowError(f"expected numbers that {kind} can hold, got {number}")
    return number
