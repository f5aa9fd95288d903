"""Arrays that the processes of a rig share, behind a lock that no death can keep."""

import json
import os
import sys
import warnings
import weakref
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .._core import lock
from ..errors import SegmentError, TornArrayError, TornArrayWarning
from ..system import platform, process
from .segment import HEADER_ROOM, Kind, Segment, unlink
from .sweep import sweep_once


class SharedMemoryArray(lock.LockedArray):
    """A numpy array that any process can attach by its name; each access by index holds a lock.

    Made by `create_array`, found by `attach`, and sent to other processes as it is: by any start method, queue, pipe or
    pool. Reads by index give a scalar or a copy. `sma[i] += 1` is a read and a write, and loses what others write in
    between: use `add`, or `with sma.array() as array`.

    The creator's instance ends the buffer when it is collected, on `destroy` and at the end of a `with` block. If a
    process dies in the middle of a write, the next access of every instance issues a TornArrayWarning, or, with
    `strict`, raises TornArrayError until somebody calls `mend`.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        datatype: np.dtype[Any],
        buffer: Segment | None,
        *,
        strict: bool = False,
    ) -> None:
        self._name = name
        self._shape = shape
        self._datatype = datatype
        self._id = buffer.id if buffer is not None else 0
        self._auto_connect = True
        self._held: Segment | None = None  # the creator's, so that the data stays while nobody is connected
        self._destroyer: weakref.finalize[..., Any] | None = None
        self.strict = strict
        if buffer is not None:
            self._serve(buffer)

    @classmethod
    def create_array(
        cls,
        name: str,
        prototype: npt.NDArray[Any],
        *,
        exists_ok: bool = False,
        auto_connect: bool = True,
        strict: bool = False,
    ) -> Self:
        """Make a shared array with the shape, type and data of the prototype.

        FileExistsError if a live process maps a buffer of this name, unless `exists_ok` is given: then the name means
        the new one from now on. TypeError for what is no array, or holds pointers; ValueError for one of no bytes.
        Without `auto_connect`, copies that arrive in other processes wait for their `connect`.
        """
        if not isinstance(prototype, np.ndarray):
            raise TypeError(f"expected a numpy array as prototype, got {type(prototype).__name__}")
        if not prototype.nbytes:
            raise ValueError(f"expected a prototype of at least one byte, got the shape {prototype.shape}")
        described = _describe(prototype)
        sweep_once()

        def prepare(segment: Segment) -> None:
            np.copyto(_view(segment, prototype.shape, prototype.dtype), prototype)
            _lock_of(segment).initialize()

        sweep_once()
        segment = Segment.create(
            name, prototype.nbytes, kind=Kind.ARRAY, description=described, replace=exists_ok, prepare=prepare
        )
        made = cls(name, prototype.shape, prototype.dtype, segment, strict=strict)
        made._held = segment
        made._auto_connect = auto_connect
        made.enable_buffer_destruction()
        return made

    @classmethod
    def attach(cls, name: str, *, strict: bool = False) -> Self:
        """Connect to the array of this name, whoever made it; shape and type come from the buffer.

        FileNotFoundError if there is none, SegmentError if the name is that of something else.
        """
        segment = Segment.attach(name, kind=Kind.ARRAY)
        shape, datatype = _read_description(segment)
        return cls(name, shape, datatype, segment, strict=strict)

    @property
    def name(self) -> str:
        """The name of the buffer."""
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._shape

    @property
    def datatype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._datatype

    def connect(self) -> None:
        """Reach the data again after `disconnect`, or for the first time; FileNotFoundError if the buffer is gone."""
        if self.is_connected:
            return
        segment = Segment.attach(self._name, id=self._id, kind=Kind.ARRAY)
        if _read_description(segment) != (self._shape, self._datatype):
            raise SegmentError(f"expected {self._name!r} to hold {self._shape} {self._datatype}, got another array")
        self._serve(segment)

    def disconnect(self) -> None:
        """Let go of the data; the buffer and what it holds stay."""
        self._unbind()
        if self._held is not None and self._held.head.creator_pid != os.getpid():
            self._held = None  # a forked copy of the creator's

    def destroy(self) -> None:
        """End the buffer: its name is free, others that are connected keep their data until they let go of it."""
        self.disconnect()
        self._held = None
        if self._destroyer is not None:
            self._destroyer.detach()
        _unlink(self._name, self._id, os.getpid())

    def enable_buffer_destruction(self) -> None:
        """End the buffer when this instance is collected or the process ends; a creator's instance does so anyway."""
        if self._destroyer is not None:
            self._destroyer.detach()
        self._destroyer = weakref.finalize(self, _unlink, self._name, self._id, os.getpid())

    def _serve(self, segment: Segment) -> None:
        if segment.head.pid_namespace != process.pid_namespace():
            raise SegmentError(
                f"expected {self._name!r} from this pid namespace, got another: its lock can't be trusted"
            )
        words = _lock_of(segment)
        if words.mutex_bytes != lock.MUTEX_BYTES:
            raise SegmentError(
                f"expected a lock of {lock.MUTEX_BYTES} bytes in {self._name!r}, got {words.mutex_bytes}"
            )
        self._bind(_view(segment, self._shape, self._datatype), words)

    def _report_tear(self) -> None:
        text = f"a process died while it wrote to the shared array {self._name!r}: its data may be torn"
        if self.strict:
            raise TornArrayError(text)
        warnings.warn(text, TornArrayWarning, stacklevel=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None and self._held.head.creator_pid == os.getpid():
            self.destroy()
        else:
            self.disconnect()

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self._auto_connect, self.strict)
        return _arrive, (type(self), self._name, self._id, self._shape, self._datatype, *settings)

    def __repr__(self) -> str:
        return (
            f"SharedMemoryArray(name={self._name!r}, shape={self._shape}, datatype={self._datatype}, "
            f"connected={self.is_connected})"
        )


def _arrive(
    kind: type[SharedMemoryArray],
    name: str,
    number: int,
    shape: tuple[int, ...],
    datatype: np.dtype[Any],
    auto_connect: bool,  # noqa: FBT001 called by pickle alone
    strict: bool,  # noqa: FBT001
) -> SharedMemoryArray:
    """Rebuild what was pickled; FileNotFoundError if its buffer is gone, also if the name was given to another."""
    arrived = kind(name, shape, datatype, None, strict=strict)
    arrived._id = number  # noqa: SLF001 this is its second constructor
    arrived._auto_connect = auto_connect  # noqa: SLF001
    if auto_connect:
        arrived.connect()
    return arrived


def _unlink(name: str, number: int, pid: int) -> None:
    """Take the name from a buffer, unless it means another by now or this process is a fork of the one that asked."""
    if os.getpid() == pid:
        unlink(name, number)


def _view(segment: Segment, shape: tuple[int, ...], datatype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.ndarray(shape, datatype, buffer=segment.payload)


def _lock_of(segment: Segment) -> lock.Lock:
    return lock.Lock(segment.header[HEADER_ROOM:], process.is_alive if platform.PORTABLE else None)


def _describe(prototype: npt.NDArray[Any]) -> bytes:
    """Return shape and type of an array, for `_read_description`; TypeError if other processes can't have the type."""
    datatype = prototype.dtype
    if datatype.hasobject:
        raise TypeError(
            f"expected elements of plain bytes, got {datatype}: its pointers mean nothing in other processes"
        )
    described = json.dumps({"dtype": _plain(datatype), "shape": prototype.shape})
    if _rebuild(json.loads(described)["dtype"]) != datatype:
        raise TypeError(f"expected a type that numpy itself defines, without titles, got {datatype}")
    return described.encode()


def _plain(datatype: np.dtype[Any]) -> Any:
    """Return what JSON can hold of a type; dtype.descr knows nothing of overlapping fields."""
    if datatype.subdtype is not None:
        return {"base": _plain(datatype.subdtype[0]), "shape": datatype.subdtype[1]}
    if datatype.fields is None:
        return datatype.str
    fields = [datatype.fields[name] for name in datatype.names or ()]
    return {
        "names": datatype.names,
        "formats": [_plain(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": datatype.itemsize,
        "aligned": datatype.isalignedstruct,
    }


def _rebuild(described: Any) -> np.dtype[Any]:
    """Return the type that `_plain` described."""
    if isinstance(described, str):
        return np.dtype(described)
    if "base" in described:
        return np.dtype((_rebuild(described["base"]), tuple(described["shape"])))
    aligned = described.pop("aligned")
    formats = [_rebuild(inner) for inner in described["formats"]]
    rebuilt: np.dtype[Any] = np.dtype(described | {"formats": formats}, align=aligned)
    return rebuilt


def _read_description(segment: Segment) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array in a segment; together they fill its payload."""
    try:
        described = json.loads(segment.description)
        shape, datatype = tuple(described["shape"]), _rebuild(described["dtype"])
    except (ValueError, TypeError, KeyError) as error:
        raise SegmentError(
            f"expected {segment.name!r} to describe an array, got {segment.description[:80]!r}"
        ) from error
    if datatype.hasobject or datatype.itemsize * int(np.prod(shape, dtype=object)) != segment.size_bytes:
        raise SegmentError(f"expected {segment.size_bytes} bytes in {segment.name!r}, got {shape} of {datatype}")
    return shape, datatype


def _know_self() -> None:
    lock.set_identity(process.own_identity())


if platform.PORTABLE:
    _know_self()
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_know_self)
