"""Explores every interleaving of a machine: its states breadth first, those that differ by names of producers once."""

from dataclasses import dataclass

from .queue_model import Lane, Machine, State


@dataclass
class Result:
    """What was found."""

    states: int = 0
    steps: int = 0
    ends: int = 0  # states in which nothing happens any more
    broken: str = ""
    path: tuple[str, ...] = ()  # to the broken promise, the shortest one


def explore(machine: Machine, limit: int = 5_000_000) -> Result:
    """Visit every state that can be reached, up to the first broken promise."""
    first = canonical(machine.first())
    numbers = {first: 0}
    found, parents, before, ends = [first], [(0, "")], [[]], []
    result = Result()
    for number, state in enumerate(found):  # grows meanwhile
        following = list(machine.steps(state))
        is_last = all(name.endswith("is killed") for name, _ in following)
        if is_last:
            ends.append(number)
        result.broken = machine.broken(state, is_last)
        if result.broken:
            result.path = path_to(parents, number)
            break
        for name, reached in following:
            after = canonical(reached)
            known = numbers.setdefault(after, len(found))
            if known == len(found):
                assert known < limit, "more states than expected: the machine does not end"
                found.append(after)
                parents.append((number, name))
                before.append([])
            before[known].append(number)
            result.steps += 1
    else:
        endless = without_end(before, ends)
        if endless:
            result.broken = "waited for in vain: no end can be reached any more"
            result.path = path_to(parents, endless[0])
    result.states, result.ends = len(found), len(ends)
    return result


def canonical(state: State) -> State:
    """Return the state with its producers in order: those with the same threads can't be told from each other."""
    count = len(state.lanes)
    marks = [(len(lane.threads), lane, references(state, i)) for i, lane in enumerate(state.lanes)]
    order = sorted(range(count), key=marks.__getitem__)
    if order == list(range(count)):
        return state
    place = {old: new for new, old in enumerate(order)}
    pending = (place[state.pending[0]], state.pending[1]) if state.pending else state.pending
    workers = {
        who: worker._replace(
            lane=place[worker.lane] if worker.pc != "loop" else worker.lane,
            tails=tuple(worker.tails[i] for i in order) if len(worker.tails) == count else worker.tails,
        )
        for who, worker in (("logger", state.logger), ("recovery", state.recovery))
    }
    lanes: tuple[Lane, ...] = tuple(state.lanes[i] for i in order)
    return state._replace(lanes=lanes, pending=pending, **workers)


def references(state: State, i: int) -> tuple[object, ...]:
    workers = [(worker.lane == i, worker.tails[i : i + 1]) for worker in (state.logger, state.recovery)]
    return (*workers, bool(state.pending) and state.pending[0] == i)


def path_to(parents: list[tuple[int, str]], number: int) -> tuple[str, ...]:
    path = []
    while number:
        number, name = parents[number]
        path.append(name)
    return tuple(reversed(path))


def without_end(before: list[list[int]], ends: list[int]) -> list[int]:
    """Return the states from which no end can be reached."""
    ending, stack = set(ends), list(ends)
    while stack:
        fresh = [number for number in before[stack.pop()] if number not in ending]
        ending.update(fresh)
        stack += fresh
    return [number for number in range(len(before)) if number not in ending]
