"""Kill a program before each of its file calls and in the middle of each write, or let a call fail, one after another.

How to use it:

    from helpers.crash import chosen, count_steps, fail_at, kill_at, trace

    def program():                                  # runs in a fork of the test, which has imported everything already
        transfer_directory(source, target)

    total = count_steps(program)                    # how many steps there are
    for n in chosen(total):                         # all with AXDS_STRESS=full, else 300 from a random offset (printed)
        prepare(); kill_at(program, n); check()     # what must be there, and what must not
    for n in chosen(total):
        prepare(); fail_at(program, n, errno.EIO); check()

A *step* is one call that changes files (`CHANGES`: open with O_CREAT, write, rename, fsync, fchmod, flock, ...), and
each write to a file of two bytes or more is followed by a second step, its middle. `kill_at` sends SIGKILL before the
call, or once half of the bytes are written. `fail_at` has the call fail with an errno, or, at a middle, write half.
`trace` returns the steps (`str(step)` says which call it was) for a message of a failed test.

All calls are seen, of each thread, from Python, from C and from processes that the program starts (they inherit the
filter): a seccomp filter hands them to this process (user notification), which answers `go on`, an errno, or kills. It
needs Linux 5.6 or newer and neither root nor a compiler. With threads or processes, the order of steps may differ
between two runs; `kill_at` and `fail_at` return a `Run`, whose `hit` is the step that was met (None if there was none).

Bytes stored to a shared mapping are no calls. `calls=CHANGES | READS` has reading calls counted too, for `fail_at`.
A `Run` ends when the program and all processes that it started have ended.
"""

import ctypes
import errno
import fcntl
import os
import platform
import random
import select
import signal
import socket
import stat
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

FULL = os.environ.get("AXDS_STRESS") == "full"
_libc = ctypes.CDLL(None, use_errno=True)

# name: (x86-64, aarch64 and other newer ones); None where only the *at form exists
_NUMBERS = {
    "write": (1, 64), "writev": (20, 66), "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287),
    "open": (2, None), "creat": (85, None), "openat": (257, 56), "openat2": (437, 437),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None), "mkdirat": (258, 34),
    "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47),
    "fsync": (74, 82), "fdatasync": (75, 83), "sync": (162, 81), "syncfs": (306, 267), "msync": (26, 227),
    "sync_file_range": (277, 84), "copy_file_range": (326, 285), "sendfile": (40, 71), "splice": (275, 76),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "fchownat": (260, 54), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "flock": (73, 32),
    "read": (0, 63), "pread64": (17, 67), "readv": (19, 65), "preadv": (295, 69), "fstat": (5, 80), "stat": (4, None),
    "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "getdents64": (217, 61), "lseek": (8, 62),
    "close": (3, 57), "ioctl": (16, 29), "fcntl": (72, 25), "mmap": (9, 222), "readlinkat": (267, 78),
    "fgetxattr": (193, 10), "flistxattr": (196, 13),
}  # fmt: skip
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), 1)
_NR = {name: numbers[_COLUMN] for name, numbers in _NUMBERS.items() if numbers[_COLUMN] is not None}
_NAMES = {number: name for name, number in _NR.items()}
_SECCOMP = (317, 277)[_COLUMN]
_PIDFD_GETFD = 438

READS = frozenset({
    "read", "pread64", "readv", "preadv", "fstat", "stat", "lstat", "newfstatat", "statx", "getdents64", "lseek",
    "close", "ioctl", "fcntl", "mmap", "readlinkat", "fgetxattr", "flistxattr",
})  # fmt: skip
CHANGES = frozenset(_NUMBERS) - READS
_OPENS = {"open": 1, "openat": 2}  # name: which argument holds the flags
_PATHS = {  # name: which argument is the path
    **dict.fromkeys(("open", "creat", "rename", "link", "unlink", "rmdir", "mkdir", "mknod", "truncate", "chmod"), 0),
    **dict.fromkeys(("chown", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "stat", "lstat", "symlink"), 0),
    **dict.fromkeys(("openat", "openat2", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat", "mknodat"), 1),
    **dict.fromkeys(("fchmodat", "fchownat", "utimensat", "newfstatat", "statx", "readlinkat"), 1),
    "symlinkat": 2,
}
_WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "copy_file_range"}
_HALF_BYTES = 64 << 20  # nobody's half of a write is larger

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1


@dataclass(frozen=True)
class Step:
    """One call, or the middle of a write."""

    call: str
    pid: int
    target: str  # the path that the call is given, or that of the descriptor
    is_middle: bool = False

    def __str__(self) -> str:
        return f"{'in the middle of' if self.is_middle else 'before'} {self.call}({self.target})"


@dataclass
class Run:
    """What a program did until it ended."""

    steps: list[Step] = field(default_factory=list)
    hit: Step | None = None  # the step that was killed or failed
    status: int | None = None  # exit status: 0, 1 for an exception, or a negative signal
    error: str = ""  # the traceback of the exception that ended it


def trace(program: Callable[[], object], *, calls: frozenset[str] = CHANGES, timeout_s: float = 60) -> list[Step]:
    """Return the steps of a program, which must not fail."""
    run = _supervised(program, calls, timeout_s, lambda run, step: None)
    if run.status:
        raise AssertionError(f"the program failed by itself: status {run.status}\n{run.error}")
    return run.steps


def count_steps(program: Callable[[], object], *, calls: frozenset[str] = CHANGES, timeout_s: float = 60) -> int:
    """Return how many steps a program has, which must not fail."""
    return len(trace(program, calls=calls, timeout_s=timeout_s))


def kill_at(
    program: Callable[[], object],
    n: int,
    *,
    calls: frozenset[str] = CHANGES,
    everybody: bool = False,
    timeout_s: float = 60,
) -> Run:
    """Run a program that is killed at step n, counted from 0: the process that calls, or everybody at once."""
    return _supervised(program, calls, timeout_s, _at(n, "kill everybody" if everybody else "kill"))


def fail_at(
    program: Callable[[], object], n: int, code: int, *, calls: frozenset[str] = CHANGES, timeout_s: float = 60
) -> Run:
    """Run a program whose step n, counted from 0, fails with an errno; the middle of a write is a short write."""
    return _supervised(program, calls, timeout_s, _at(n, code))


def chosen(total: int, *, short: int = 300) -> list[int]:
    """Return which steps to try: all under AXDS_STRESS=full, else at most `short`, evenly from a random offset."""
    if FULL or total <= short:
        print(f"{total} steps, all tried")
        return list(range(total))
    seed = int(os.environ.get("AXDS_SEED") or random.SystemRandom().randrange(1 << 32))
    offset = random.Random(seed).randrange(total)
    print(f"{total} steps, {short} tried from {offset} on (AXDS_SEED={seed})")
    return sorted({(offset + i * total // short) % total for i in range(short)})


def _at(n: int, deed: object) -> Callable[[Run, Step], object]:
    return lambda run, step: deed if len(run.steps) - 1 == n else None


def _supervised(
    program: Callable[[], object], calls: frozenset[str], timeout_s: float, judge: Callable[[Run, Step], object]
) -> Run:
    """Fork, run the program under a filter, and answer its calls until everybody has ended."""
    run = Run()
    with ExitStack() as stack:
        near, far = socket.socketpair()
        stack.callback(near.close)
        pid = os.fork()
        if not pid:
            near.close()
            _child(program, calls, far)
        far.close()
        group = _Group(pid)
        stack.callback(group.end)
        message, (listener, *_), _, _ = socket.recv_fds(near, 1, 1)
        stack.callback(os.close, listener)
        assert message == b"+", "the filter was refused: seccomp with user notification is needed (Linux 5.6)"
        _serve(listener, calls, run, judge, group, time.monotonic() + timeout_s)
        run.status = os.waitstatus_to_exitcode(group.wait())
        near.setblocking(False)
        try:
            while piece := near.recv(1 << 16):
                run.error += piece.decode(errors="replace")
        except BlockingIOError:
            pass
    return run


class _Group:
    """The program and what it started, all of which end with the test."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def wait(self) -> int:
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        return self._status

    def kill(self) -> None:
        """Kill the program and its descendants that share its process group."""
        if self._status is None:
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                self.kill()
            self.wait()


def _child(program: Callable[[], object], calls: frozenset[str], parent: socket.socket) -> None:
    """Install the filter, hand it over, run the program, and end."""
    status = 1
    try:
        os.setpgid(0, 0)
        listener = _install(calls)
        socket.send_fds(parent, [b"+"], [listener])
        os.close(listener)
        program()
        status = 0
    except BaseException:
        parent.send(traceback.format_exc().encode()[-(1 << 16) :])
    finally:
        os._exit(status)


def _install(calls: frozenset[str]) -> int:
    """Have the kernel ask about these calls of this process and its descendants; return who is asked."""
    numbers = sorted(_NR[name] for name in calls if name in _NR)
    rows = [(0x20, 0, 0, 0)]  # load the number of the call
    rows += [(0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    rows += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FC00000)]  # allow; ask
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(code)))
    if _libc.prctl(38, 1, 0, 0, 0):  # no new privileges: what lets an ordinary user do this
        raise OSError(ctypes.get_errno(), "prctl")
    for flags in (8 | 32, 8):  # a listener; and calls that wait for it are interrupted by death only (Linux 5.19)
        listener = _libc.syscall(_SECCOMP, 1, flags, program)
        if listener >= 0:
            return listener
    raise OSError(ctypes.get_errno(), "seccomp with user notification")


def _serve(
    listener: int,
    calls: frozenset[str],
    run: Run,
    judge: Callable[[Run, Step], object],
    group: _Group,
    deadline: float,
) -> None:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        events = poll.poll(max(0, deadline - time.monotonic()) * 1000)
        if not events:
            raise TimeoutError(f"the program has not ended, its last step was {run.steps[-1] if run.steps else None}")
        if events[0][1] & select.POLLHUP and not events[0][1] & select.POLLIN:
            return
        notice = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # the caller died meanwhile
                continue
            raise
        call = _Call(notice)
        answer = _answer(call, run, judge, group)
        try:
            fcntl.ioctl(listener, _SEND, struct.pack("QqiI", call.number, *answer))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _answer(call: "_Call", run: Run, judge: Callable[[Run, Step], object], group: _Group) -> tuple[int, int, int]:
    """Return value, error and flags of the answer to a call, after what was to be done."""
    for step in call.steps():
        run.steps.append(step)
        deed = judge(run, step)
        if deed is None:
            continue
        run.hit = step
        done = call.half() if step.is_middle else 0
        if isinstance(deed, int):
            return (done, 0, 0) if step.is_middle else (0, -deed, 0)
        if deed == "kill everybody":
            group.kill()
            for pid in {step.pid for step in run.steps}:  # also those in sessions of their own
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            os.kill(call.process, signal.SIGKILL)
        return (0, -errno.EINTR, 0)
    return (0, 0, _CONTINUE)


class _Call:
    """A call that waits for its answer."""

    def __init__(self, notice: bytearray) -> None:
        self.number, self._task, _, nr, _, _, *self.arguments = struct.unpack("QIIiIQ6Q", notice)
        self.name = _NAMES[nr]

    @property
    def process(self) -> int:
        """Return the process of the thread that calls."""
        with open(f"/proc/{self._task}/status", "rb") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(b"Tgid:"))

    def steps(self) -> Iterator[Step]:
        if self.name in _OPENS and not self.arguments[_OPENS[self.name]] & (os.O_CREAT | os.O_TRUNC):
            return
        target = self._target()
        if self.name in _WRITES:
            if not self._is_file(self._written()):
                return
            yield Step(self.name, self._task, target)
            if self._size() > 1:
                yield Step(self.name, self._task, target, is_middle=True)
            return
        yield Step(self.name, self._task, target)

    def half(self) -> int:
        """Write the first half in the caller's place; return how much that is."""
        size = min(self._size() // 2, _HALF_BYTES)
        with self._borrowed(self._written()) as fd:
            if self.name == "copy_file_range":
                with self._borrowed(self.arguments[0]) as source:
                    offsets = [self._number(at) if at else None for at in (self.arguments[1], self.arguments[3])]
                    return os.copy_file_range(source, fd, size, *offsets)
            data = self._data(size)
            if self.name in ("write", "writev"):
                return os.write(fd, data)
            return os.pwrite(fd, data, self.arguments[3])

    def _written(self) -> int:
        return self.arguments[2 if self.name == "copy_file_range" else 0] & 0xFFFFFFFF

    def _size(self) -> int:
        if self.name == "copy_file_range":
            return self.arguments[4]
        if "v" in self.name:
            return sum(length for _, length in self._pieces())
        return self.arguments[2]

    def _data(self, size: int) -> bytes:
        pieces = self._pieces() if "v" in self.name else [(self.arguments[1], self.arguments[2])]
        found = bytearray()
        for address, length in pieces:
            found += self._memory(address, min(length, size - len(found)))
        return bytes(found)

    def _pieces(self) -> list[tuple[int, int]]:
        table = self._memory(self.arguments[1], 16 * self.arguments[2])
        return [struct.unpack_from("QQ", table, at) for at in range(0, len(table), 16)]

    def _number(self, address: int) -> int:
        return int.from_bytes(self._memory(address, 8), "little")

    def _memory(self, address: int, size: int) -> bytes:
        fd = os.open(f"/proc/{self._task}/mem", os.O_RDONLY)
        try:
            return os.pread(fd, size, address) if size else b""
        finally:
            os.close(fd)

    def _target(self) -> str:
        try:
            if self.name in _PATHS and (address := self.arguments[_PATHS[self.name]]):
                return os.fsdecode(self._text(address))
            return os.readlink(f"/proc/{self._task}/fd/{self.arguments[0] & 0xFFFFFFFF}")
        except OSError:  # no descriptor
            return ""

    def _text(self, address: int) -> bytes:
        found = b""
        while b"\0" not in found and len(found) < 4096:  # page by page: the next one may not be there
            found += self._memory(address + len(found), 4096 - (address + len(found)) % 4096)
        return found.partition(b"\0")[0]

    def _is_file(self, fd: int) -> bool:
        try:
            return stat.S_ISREG(os.stat(f"/proc/{self._task}/fd/{fd}").st_mode)
        except OSError:
            return False

    @contextmanager
    def _borrowed(self, fd: int) -> Iterator[int]:
        """Give the caller's descriptor itself, with its offset."""
        process = os.pidfd_open(self.process)
        try:
            ours = _libc.syscall(_PIDFD_GETFD, process, fd & 0xFFFFFFFF, 0)
            if ours < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            try:
                yield ours
            finally:
                os.close(ours)
        finally:
            os.close(process)
