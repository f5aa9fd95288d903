"""The protocol of the log queue as a state machine whose every interleaving can be explored.

    producers   create and register a lane, store a tail, read the state, seal if it is CLOSED      producer.pyx, lane.h
    logger      takes the directory lock, finishes what its predecessor appended, drains, retires, ends    logs/logger
    successor   the same program, started by the owner after a logger died                   logs/logger/supervisor.py
    owner       stops, closes, has the rest written, removes the queue; or dies                 logs/logger/logger.py
    recovery    closes, drains and removes the queue of a dead owner                                   logs/recovery

A step is one access to what processes share, and each process may be killed between two of its steps, as often as
`Plan` allows. A position is the number of a record in its lane. Whole appends to the journal are one step: what a torn
one leaves is enumerated with real files in tests/crash. Lanes never fill up and sleeps always end here: waiting for
room is no part of this protocol.

`GUARDS` names what each step of the protocol prevents; a machine made without one must break a promise.
"""

from collections.abc import Iterator
from typing import NamedTuple

NEW, RUNNING, RESTARTING, CLOSING, CLOSED = "new", "running", "restarting", "closing", "closed"

GUARDS = {
    "state after tail": "a put reads the state after it stored its tail",
    "seal": "a put that meets the end is accepted if, and only if, its record lies before the sealed bound",
    "seal behind returned puts": "a put seals its lane behind puts that returned, not behind those of other threads",
    "bound before copy": "the consumer moves the bound before it copies records",
    "release what is written": "a successor releases what its predecessor appended",
    "release before the next journal": "a successor reads the last journal before it begins another",
    "closed before the last look": "the logger of a dead owner stores CLOSED before it looks for the last time",
    "one at a time": "logger and recovery exclude each other for all of their work",
    "lane of the living": "a lane is retired only if its producer is dead",
    "second look": "a lane is looked at again once its producer is known to be dead",
    "whole messages": "a message is one record, however large it is",
    "append before removal": "the file of a large message is removed after its record is in the journal",
    "append before release": "the head moves after the records are in the journal",
    "compare and swap": "a logger that starts does not store its state over the stop of its owner",
    "restarting by compare and swap": "a supervisor does not store RESTARTING over the end of the queue",
    "record until it is found": "the control block says that no record leads to it before the record is erased",
    "the rest is written": "an owner that ends has written what came after its last stop",
}


class Plan(NamedTuple):
    """What takes part."""

    producers: tuple[int, ...] = (1, 1)  # threads of each
    messages: int = 1  # of each thread
    large: bool = False  # a message lies in a file, and its record names the file
    producer_deaths: int = 1
    logger_deaths: int = 1
    owner_deaths: int = 1
    recovery_deaths: int = 1


class Thread(NamedTuple):
    pc: str = "begin"
    left: int = 1
    start: int = 0  # of its record
    end: int = 0


class Lane(NamedTuple):
    """A producer with its lane."""

    threads: tuple[Thread, ...]
    alive: bool = True
    named: bool = False  # its segment has its name
    slot: bool = False  # the control block lists it
    tail: int = 0
    head: int = 0
    bound: int = 0
    sealed: bool = False
    confirmed: int = 0
    owed: str = ""  # of each position: "?" put, "R" returned, "X" raised
    journal: tuple[int, ...] = ()
    files: int = 0  # bits of the positions whose file exists


class Worker(NamedTuple):
    """A logger process, or a recovery."""

    pc: str = "off"
    lane: int = 0
    limit: int = 0
    tails: tuple[int, ...] = ()  # read when a stop was seen
    orphaned: bool = False


class State(NamedTuple):
    lanes: tuple[Lane, ...]
    owner: str = "run"
    logger: Worker = Worker("start")
    recovery: Worker = Worker()
    state: str = NEW
    lock: str = ""  # who holds the log directory
    named: bool = True  # the control block has its name
    recorded: bool = False  # the owner record names the queue
    noted: bool = False  # and the control block says so
    ended: bool = False  # the logger said that it is done
    pending: tuple[int, int] = ()  # type: ignore[assignment]  # (lane, end) of the last append to the last journal
    deaths: tuple[int, int, int, int] = (1, 1, 1, 1)  # that are left: producers, logger, owner, recovery


Step = tuple[str, State]


class Machine:
    """The protocol, without the guards that are named."""

    def __init__(self, plan: Plan, without: frozenset[str] = frozenset()) -> None:
        assert without <= GUARDS.keys()
        self.plan, self.without = plan, without
        self.width = 2 if "whole messages" in without else 1  # records of a message

    def first(self) -> State:
        lanes = tuple(Lane(tuple(Thread(left=self.plan.messages) for _ in range(n))) for n in self.plan.producers)
        deaths = (self.plan.producer_deaths, self.plan.logger_deaths, self.plan.owner_deaths, self.plan.recovery_deaths)
        return State(lanes, deaths=deaths)

    def steps(self, s: State) -> Iterator[Step]:
        """Yield what can happen next, by name."""
        for i, lane in enumerate(s.lanes):
            if lane.alive:
                yield from self._producer(s, i, lane)
        yield from self._owner(s)
        if s.logger.pc != "off":
            yield from self._worker(s, "logger", s.logger)
        yield from self._recovery(s)

    # ---- producers ----

    def _producer(self, s: State, i: int, lane: Lane) -> Iterator[Step]:
        if s.deaths[0]:
            yield f"producer {i} is killed", kill(s, 0)._replace(lanes=put(s.lanes, i, lane._replace(alive=False)))
        if all(thread.pc == "done" for thread in lane.threads):
            yield f"producer {i} exits", with_lane(s, i, alive=False)
            return
        for t, thread in enumerate(lane.threads):
            if thread.pc == "done":
                continue
            name, after = self._put(s, i, lane, t, thread)
            yield f"producer {i}.{t} {name}", after

    def _put(self, s: State, i: int, lane: Lane, t: int, thread: Thread) -> Step:
        def go(pc: str, **changes: object) -> State:
            changes.setdefault("threads", put(lane.threads, t, thread._replace(pc=pc)))
            return with_lane(s, i, **changes)

        if thread.pc == "begin":
            if s.state == CLOSED:
                return "is refused", go("done")
            if lane.slot:
                return "reads the state", go("tail")
            return "reads the state", go("register" if lane.named else "create")
        if thread.pc == "create":
            return "creates its lane", go("register", named=True)
        if thread.pc == "register":
            return "registers its lane", go("stage" if self.plan.large else "tail", slot=True)
        if thread.pc == "stage" or (thread.pc == "tail" and self.plan.large and not lane.files >> lane.tail & 1):
            return "writes the file of a message", go("tail", files=lane.files | 1 << lane.tail)
        if thread.pc == "tail":
            return self._store_tail(go, lane, t, thread)
        if thread.pc == "rest":  # of a message that is more than one record
            moved = put(lane.threads, t, thread._replace(pc="look", end=lane.tail + 1))
            return "stores its tail", go("look", threads=moved, tail=lane.tail + 1, owed=lane.owed + "?")
        if thread.pc == "look":
            if s.state == CLOSED and "state after tail" not in self.without:
                return "reads CLOSED", go("seal")
            return "returns", self._answer(s, i, lane, t, thread, "R")
        assert thread.pc == "seal"
        return self._seal(s, i, lane, t, thread)

    def _store_tail(self, go, lane: Lane, t: int, thread: Thread) -> Step:
        moved = thread._replace(pc="look" if self.width == 1 else "rest", start=lane.tail, end=lane.tail + 1)
        return "stores its tail", go(
            moved.pc, threads=put(lane.threads, t, moved), tail=lane.tail + 1, owed=lane.owed + "?"
        )

    def _seal(self, s: State, i: int, lane: Lane, t: int, thread: Thread) -> Step:
        if "seal" in self.without:
            return "raises", self._answer(s, i, lane, t, thread, "X")
        if not lane.sealed:
            behind = lane.confirmed
            if "seal behind returned puts" in self.without:
                behind = max(behind, thread.start)
            lane = lane._replace(bound=max(lane.bound, behind), sealed=True)
        answer = "R" if thread.end <= lane.bound else "X"
        if answer == "X" and not lane.bound:  # a lane that came after the end: nobody else knows of it
            lane = lane._replace(named=False, files=0)
        return "seals its lane", self._answer(s, i, lane, t, thread, answer)

    def _answer(self, s: State, i: int, lane: Lane, t: int, thread: Thread, answer: str) -> State:
        owed = lane.owed[: thread.start] + answer * (thread.end - thread.start) + lane.owed[thread.end :]
        confirmed = max(lane.confirmed, thread.end) if answer == "R" and not lane.sealed else lane.confirmed
        left = thread.left - 1
        after = Thread("begin" if left and answer == "R" else "done", left)
        changed = lane._replace(threads=put(lane.threads, t, after), owed=owed, confirmed=confirmed)
        return s._replace(lanes=put(s.lanes, i, changed))

    # ---- owner ----

    def _owner(self, s: State) -> Iterator[Step]:
        pc = s.owner
        if pc in ("dead", "done"):
            return
        if s.deaths[2]:
            yield "owner is killed", kill(s, 2)._replace(owner="dead")
        if s.logger.pc == "dead":  # the supervisor is a thread of the owner
            yield from self._supervise(s)
        if pc == "run" and s.state in (NEW, RUNNING, RESTARTING):
            yield "owner stops", s._replace(owner="join", state=CLOSING)
        elif pc == "join" and s.ended and s.logger.pc == "off":
            yield "owner's stop returns", s._replace(owner="close", state=NEW if s.state == CLOSING else s.state)
        elif pc == "close":
            yield "owner closes the queue", s._replace(owner="look", state=CLOSED)
        elif pc == "look":
            empty = not any(lane.slot and lane.head < end_of(lane) for lane in s.lanes)
            if empty or "the rest is written" in self.without:
                yield "owner finds the lanes empty", s._replace(owner="discard")
            else:
                yield "owner has the rest written", s._replace(owner="rest", ended=False, logger=Worker("start"))
        elif pc == "rest" and s.ended and s.logger.pc == "off":
            yield "owner finds the rest written", s._replace(owner="discard")
        elif pc == "discard":
            yield "owner removes the queue", remove_all(s)._replace(owner="done")

    def _supervise(self, s: State) -> Iterator[Step]:
        if s.ended:
            yield "supervisor ends", s._replace(logger=Worker())
            return
        state = RESTARTING if s.state == RUNNING or "restarting by compare and swap" in self.without else s.state
        yield "supervisor starts a successor", s._replace(state=state, logger=Worker("start"))

    # ---- logger and recovery ----

    def _recovery(self, s: State) -> Iterator[Step]:
        if s.recovery.pc != "off":
            yield from self._worker(s, "recovery", s.recovery)
            return
        if s.owner not in ("dead", "done"):
            return
        alone = s.logger.pc in ("off", "dead") and not s.lock
        if not alone and "one at a time" not in self.without:
            return
        is_found = s.named and (s.recorded or not s.noted)
        has_orphans = not s.named and any(lane.named for lane in s.lanes)
        if is_found and s.owner == "dead":
            yield "recovery closes the queue", s._replace(recovery=Worker("release"), lock="recovery", state=CLOSED)
        elif has_orphans:  # lanes that came after the end, of producers that died then
            yield "recovery finds lanes alone", s._replace(recovery=Worker("release"), lock="recovery")
        elif s.recorded and not s.named:
            yield "recovery erases the record", s._replace(recorded=False)
        elif any(lane.files and not lane.named for lane in s.lanes):  # of a producer that died on the way
            swept = tuple(lane if lane.named else lane._replace(files=0) for lane in s.lanes)
            yield "a sweep removes files whose lane is gone", s._replace(lanes=swept)

    def _worker(self, s: State, who: str, w: Worker) -> Iterator[Step]:
        if w.pc == "dead":
            return
        index = 1 if who == "logger" else 3
        if s.deaths[index]:
            left = Worker("dead" if who == "logger" else "off")
            lock = "" if s.lock == who else s.lock
            yield f"{who} is killed", kill(s, index)._replace(lock=lock, **{who: left})
        for name, after in self._work(s, who, w):
            yield f"{who} {name}", after

    def _work(self, s: State, who: str, w: Worker) -> Iterator[Step]:
        def go(pc: str, state: State = s, **changes: object) -> State:
            if pc == "loop":  # what a step remembered is forgotten
                changes |= {"lane": 0, "limit": 0}
            return state._replace(**{who: w._replace(pc=pc, **changes)})

        if w.pc == "start":
            if not s.lock:
                yield "locks the directory", go("release", s._replace(lock=who))
        elif w.pc == "release":
            yield from self._begin(s, who, go)
        elif w.pc == "record":
            yield "writes the owner record", go("note", s._replace(recorded=True))
        elif w.pc == "note":
            yield "notes that it is recorded", go("ready", s._replace(noted=True))
        elif w.pc == "ready":
            takes = s.state in (NEW, RESTARTING) or "compare and swap" in self.without
            yield "runs", go("loop", s._replace(state=RUNNING) if takes else s)
        elif w.pc == "loop":
            yield from self._choose(s, who, w, go)
        elif w.pc in ("seal", "bound", "append", "removal", "head"):
            yield from self._drain(s, w, go)
        elif w.pc.startswith("retire"):
            yield from self._retire(s, w, go)
        else:
            yield from self._end(s, w, go)

    def _begin(self, s: State, who: str, go) -> Iterator[Step]:
        """Release what the last process appended, and begin another journal."""
        after = s
        if s.pending and "release what is written" not in self.without:
            i, end = s.pending
            lane = s.lanes[i]
            gone = lane.files & ((1 << end) - 1)
            if lane.named:
                after = with_lane(s, i, head=max(lane.head, end), files=lane.files & ~gone)
        if "release before the next journal" in self.without and s.pending:
            yield "begins a journal", go("release", s._replace(pending=()))
            return
        following = "record" if who == "logger" else "loop"
        yield "releases what was appended", go(following, after._replace(pending=()))

    def _choose(self, s: State, who: str, w: Worker, go) -> Iterator[Step]:
        """Drain a lane, retire one, or see that it is time to end."""
        seals = s.state == CLOSED and s.named
        for i, lane in enumerate(s.lanes):
            if not is_listed(s, lane):
                continue
            if seals and not lane.sealed:
                yield f"reads tail {i} to seal", go("seal", lane=i, limit=lane.tail)
            elif end_of(lane) > lane.head:
                yield f"reads tail {i}", go("bound", lane=i, limit=lane.tail)
            elif who == "logger" and (not lane.alive or "lane of the living" in self.without):
                yield f"finds lane {i} empty", go("retire", lane=i)
            elif who == "logger" and "second look" in self.without:
                yield f"finds lane {i} empty", go("retire when dead", lane=i)
        if who == "recovery":
            if self._is_idle(s):
                yield "finds the lanes empty", go("erase note")
            return
        yield from self._look_for_the_end(s, w, go)

    def _look_for_the_end(self, s: State, w: Worker, go) -> Iterator[Step]:
        ends = s.state in (CLOSING, CLOSED)
        if ends and not w.tails:
            yield "sees the stop", go("loop", tails=tuple(lane.tail if lane.slot else 0 for lane in s.lanes))
        elif ends and self._is_written(s, w.tails) and (s.state == CLOSING or self._is_idle(s)):
            yield "has written what was put before the stop", go("erase note")
        is_abandoned = s.owner == "dead" and not any(lane.slot and lane.alive for lane in s.lanes)
        if is_abandoned and not w.orphaned:
            if "closed before the last look" not in self.without:
                yield "closes the abandoned queue", go("loop", s._replace(state=CLOSED), orphaned=True)
            elif self._is_idle(s):
                yield "finds the abandoned queue empty", go("close late", orphaned=True)
        elif w.orphaned and self._is_idle(s):
            yield "finds the abandoned queue empty", go("erase note")

    def _is_written(self, s: State, tails: tuple[int, ...]) -> bool:
        return all(
            not lane.slot or lane.head >= tail or lane.head >= end_of(lane)
            for lane, tail in zip(s.lanes, tails, strict=True)
        )

    def _is_idle(self, s: State) -> bool:
        listed = [lane for lane in s.lanes if is_listed(s, lane)]
        seals = s.state == CLOSED and s.named
        return all(lane.head >= end_of(lane) and (lane.sealed or not seals) for lane in listed)

    def _drain(self, s: State, w: Worker, go) -> Iterator[Step]:
        i, lane = w.lane, s.lanes[w.lane]
        removes_first = "append before removal" in self.without
        releases_first = "append before release" in self.without
        if w.pc == "seal":
            bound = lane.bound if lane.sealed else max(lane.bound, w.limit)
            yield f"seals lane {i}", go("loop", with_lane(s, i, bound=bound, sealed=True))
        elif w.pc == "bound":
            yield from self._move_bound(s, w, lane, go)
        elif w.pc == "append":
            records = tuple(range(lane.head, w.limit))
            if self.plan.large:  # from its file
                records = tuple(position for position in records if lane.files >> position & 1)
            written = with_lane(s, i, journal=lane.journal + records)._replace(pending=(i, w.limit))
            following = "head" if removes_first or not self.plan.large else "removal"
            yield f"appends records of lane {i}", go("loop" if releases_first else following, written)
        elif w.pc == "removal":
            gone = with_lane(s, i, files=lane.files & ~(1 << lane.head))
            yield f"removes a file of lane {i}", go("append" if removes_first else "head", gone)
        else:
            yield f"stores head {i}", go("loop", with_lane(s, i, head=w.limit))

    def _move_bound(self, s: State, w: Worker, lane: Lane, go) -> Iterator[Step]:
        limit = w.limit
        moved = s
        if lane.sealed and s.state == CLOSED:
            limit = min(lane.bound, limit)
        elif "bound before copy" not in self.without:
            moved = with_lane(s, w.lane, bound=limit, sealed=False)
        if self.plan.large:  # each is a span of its own
            limit = min(limit, lane.head + 1)
        if limit <= lane.head:
            yield "finds the lane sealed", go("loop")
        elif "append before release" in self.without:
            records = tuple(range(lane.head, limit))
            released = with_lane(moved, w.lane, head=limit)
            yield "stores the head too early", go("late append", released, limit=limit, lane=w.lane, tails=records)
        elif "append before removal" in self.without and self.plan.large:
            yield "moves the bound", go("removal too early", moved, limit=limit)
        else:
            yield "moves the bound", go("append", moved, limit=limit)

    def _retire(self, s: State, w: Worker, go) -> Iterator[Step]:
        i, lane = w.lane, s.lanes[w.lane]
        if w.pc == "retire when dead":
            if not lane.alive:
                yield f"removes lane {i}", go("loop", without_lane(s, i))
            else:
                yield f"finds producer {i} alive", go("loop")
        elif lane.head < end_of(lane) and "second look" not in self.without:
            yield f"finds records in lane {i}", go("loop")
        else:
            yield f"removes lane {i}", go("loop", without_lane(s, i))

    def _end(self, s: State, w: Worker, go) -> Iterator[Step]:
        if w.pc == "late append":
            lane = s.lanes[w.lane]
            written = with_lane(s, w.lane, journal=lane.journal + w.tails)
            yield "appends what it released", go("loop", written, tails=())
        elif w.pc == "removal too early":
            lane = s.lanes[w.lane]
            yield (
                "removes a file too early",
                go("append too late", with_lane(s, w.lane, files=lane.files - (1 << lane.head))),
            )
        elif w.pc == "append too late":
            lane = s.lanes[w.lane]
            yield "appends a record", go("head", with_lane(s, w.lane, journal=(*lane.journal, lane.head)))
        elif w.pc == "close late":
            yield "closes the abandoned queue", go("erase note", s._replace(state=CLOSED))
        elif w.pc == "erase note":
            if "record until it is found" in self.without:
                yield "erases the record", go("note too late", s._replace(recorded=False))
            else:
                yield "notes that no record names the queue", go("erase record", s._replace(noted=False))
        elif w.pc == "note too late":
            yield "notes that no record names the queue", go("say", s._replace(noted=False))
        elif w.pc == "erase record":
            yield "erases the record", go("say", s._replace(recorded=False))
        elif w.pc == "say":
            is_over = s.state == CLOSED
            yield "says that it is done", go("remove lanes" if is_over else "exit", s._replace(ended=True))
        elif w.pc == "remove lanes":
            yield "removes the lanes", go("remove queue", s._replace(lanes=tuple(unnamed(lane) for lane in s.lanes)))
        elif w.pc == "remove queue":
            yield "removes the queue", go("exit", s._replace(named=False))
        else:
            assert w.pc == "exit"
            after = go("off", s._replace(lock=""), lane=0, limit=0, tails=(), orphaned=False)
            yield "exits", after

    # ---- promises ----

    def broken(self, s: State, is_last: bool) -> str:
        """Return which promise a state breaks, "" for none; `is_last`: nothing happens any more."""
        for i, lane in enumerate(s.lanes):
            if len(set(lane.journal)) < len(lane.journal):
                return f"doubled: {lane.journal} of producer {i}"
            raised = [position for position in lane.journal if lane.owed[position] == "X"]
            if raised:
                return f"doubled by a retry: {raised} of producer {i} raised and is in the log"
        return self._broken_at_the_end(s) if is_last else ""

    def _broken_at_the_end(self, s: State) -> str:
        if any(lane.alive for lane in s.lanes) or s.owner not in ("dead", "done"):
            return "waited for in vain: a process never ends"
        for i, lane in enumerate(s.lanes):
            lost = [n for n, answer in enumerate(lane.owed) if answer == "R" and n not in lane.journal]
            if lost:
                return f"lost: {lost} of producer {i}"
            torn = [n for n in lane.journal if n - n % self.width + self.width - 1 not in lane.journal]
            if torn:
                return f"torn: {torn} of producer {i}"
        if s.named or s.recorded or any(lane.named or lane.files for lane in s.lanes):
            return "left behind: a lane, a file, the queue or its record"
        return ""


def is_listed(s: State, lane: Lane) -> bool:
    """Tell whether a consumer finds a lane: by the control block, or by its name alone where that is gone."""
    return lane.named and (lane.slot or not s.named)


def end_of(lane: Lane) -> int:
    """Return up to where there is something to take."""
    return min(lane.bound, lane.tail) if lane.sealed else lane.tail


def put(items: tuple, index: int, item: object) -> tuple:
    return (*items[:index], item, *items[index + 1 :])


def with_lane(s: State, i: int, **changes: object) -> State:
    return s._replace(lanes=put(s.lanes, i, s.lanes[i]._replace(**changes)))


def unnamed(lane: Lane) -> Lane:
    return lane._replace(named=False, files=0) if lane.named else lane


def without_lane(s: State, i: int) -> State:
    return with_lane(s, i, named=False, slot=False, files=0)


def remove_all(s: State) -> State:
    return s._replace(lanes=tuple(unnamed(lane) for lane in s.lanes), named=False, state=CLOSED)


def kill(s: State, which: int) -> State:
    return s._replace(deaths=put(s.deaths, which, s.deaths[which] - 1))
