"""Members of archives that another program compressed, by each method that the standard library writes."""

import bz2
import lzma
import zlib
from typing import Any, Protocol

from ..._core import npz

_LZMA_HEAD_BYTES = 9  # version, size of the properties, properties


class _Unpacker(Protocol):
    def decompress(self, data: Any, max_length: int, /) -> bytes: ...


def unpack(method: int, data: Any, size: int) -> bytes:
    """Return the `size` bytes that a member holds.

    Raises:
        ValueError: It holds others, or is damaged.
    """
    try:
        found = _unpacker(method, data, size)
        unpacked = found[0].decompress(found[1], size + 1)
        while 0 < len(unpacked) < size and (more := found[0].decompress(_rest(found[0]), size + 1 - len(unpacked))):
            unpacked += more
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as fault:
        raise ValueError(str(fault)) from None
    if len(unpacked) != size:
        raise ValueError(f"expected {size} bytes when unpacked, got others")
    return unpacked


def _rest(unpacker: Any) -> bytes:
    return getattr(unpacker, "unconsumed_tail", b"")


def _unpacker(method: int, data: Any, size: int) -> tuple[_Unpacker, Any]:
    """Return what unpacks a member, and the bytes that it is to be given."""
    if method == npz.DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS), data
    if method == npz.BZIP2:
        return bz2.BZ2Decompressor(), bytes(data)
    head = bytes(data[:_LZMA_HEAD_BYTES])
    if len(head) < _LZMA_HEAD_BYTES or head[2:4] != b"\5\0" or head[4] >= 9 * 5 * 5:
        raise ValueError("expected LZMA properties of 5 bytes, got others")
    code = head[4]
    chain = {
        "id": lzma.FILTER_LZMA1,
        "lc": code % 9,
        "lp": code // 9 % 5,
        "pb": code // 45,
        # No more than what is unpacked is ever looked back at: a damaged size must not take memory.
        "dict_size": min(int.from_bytes(head[5:9], "little"), max(size, 4096)),
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chain]), bytes(data[_LZMA_HEAD_BYTES:])
