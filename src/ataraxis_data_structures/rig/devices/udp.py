"""Datagrams: each is one message."""

import socket
import sys
import time
from contextlib import suppress
from functools import partial

import numpy as np

from ...logs.logger.source import LogSource
from ..plan import SourcePlan
from .device import Device, Losses

_BUFFER_BYTES = 8 << 20
_MOST_BYTES = 65535
_WAIT_S = 0.05
_SO_RXQ_OVFL = 40  # Linux: the kernel tells with each datagram how many it dropped so far
_COUNT_BYTES = 4


def open_udp(plan: SourcePlan) -> Device:
    """Listen at an address; OSError if that can't be done."""
    host, port = plan.target
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        opened.settimeout(_WAIT_S)
        opened.bind(address)
    except BaseException:
        opened.close()
        raise
    return Device(partial(_produce, opened), opened.close, partial(_flush, opened))


def _flush(opened: socket.socket) -> None:
    opened.settimeout(0)
    deadline_s = time.monotonic() + _WAIT_S
    with suppress(BlockingIOError):
        while time.monotonic() < deadline_s:
            opened.recv(_MOST_BYTES)
    opened.settimeout(_WAIT_S)


def _produce(opened: socket.socket, source: LogSource, losses: Losses) -> None:
    size = source.description.size_bytes
    room = bytearray(_MOST_BYTES)
    values = np.frombuffer(room, source.dtype, size // source.dtype.itemsize).reshape(source.shape)
    for _ in source.running():
        try:
            got, extra, _, sender = opened.recvmsg_into([room], socket.CMSG_SPACE(_COUNT_BYTES))
        except TimeoutError:
            continue
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                losses.dropped = int.from_bytes(data[:_COUNT_BYTES], sys.byteorder)
        if got == size:
            source.put(values)
        else:
            losses.skip(1, f"expected datagrams of {size} bytes, got {got} from {sender[0]}")
