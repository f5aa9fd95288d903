"""The protocol of the log queue, explored: it keeps its promises, and without any one of its guards it does not."""

import os

import pytest

from model.explore import explore
from model.queue_model import GUARDS, Machine, Plan

FULL = os.environ.get("AXDS_STRESS") == "full"
NOBODY_DIES = {"producer_deaths": 0, "logger_deaths": 0, "owner_deaths": 0, "recovery_deaths": 0}
ONE_DIES = NOBODY_DIES | {"owner_deaths": 1}
SHORT = {
    "one producer, everybody may die": Plan((1,)),
    "large messages, everybody may die": Plan((1,), large=True),
    "two threads, the owner may die": Plan((2,), **ONE_DIES),
}
LONG = {
    "two messages, everybody may die": Plan((1,), messages=2),
    "two threads, everybody may die": Plan((2,)),
    "two producers, nobody dies": Plan((1, 1), **NOBODY_DIES),
    "two producers, the owner and one more die": Plan((1, 1), **ONE_DIES | {"producer_deaths": 1}),
    "two producers, the owner and the logger die": Plan((1, 1), **ONE_DIES | {"logger_deaths": 1}),
    "three producers, nobody dies": Plan((1, 1, 1), **NOBODY_DIES),
}
PLANS = SHORT | LONG if FULL else SHORT
OF_GUARDS = {
    "seal behind returned puts": Plan((2,), **ONE_DIES),
    "append before removal": Plan((1,), large=True),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_no_interleaving_loses_doubles_or_waits_in_vain(plan):
    result = explore(Machine(plan))
    assert not result.broken, "\n".join(result.path)
    assert result.ends > 10
    print(f"{result.states} states, {result.steps} steps, {result.ends} ends")


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_some_interleaving_breaks_a_promise(guard):
    result = explore(Machine(OF_GUARDS.get(guard, Plan((1,))), frozenset([guard])))
    assert result.broken
    assert result.path
    print(f"without {guard!r}: {result.broken}, after {len(result.path)} steps")
