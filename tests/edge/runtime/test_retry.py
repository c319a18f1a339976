"""Back-off grows with jitter to a limit, honours Retry-After, and gives up on what is not transient."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from opsagent.ports import Terminal, Transient
from opsagent.runtime.retry import (
    DEFAULT_POLICY,
    Backoff,
    BackoffPolicy,
    RetryLater,
    SystemChance,
    retry,
)
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance


@given(seed=st.integers(), failures=st.integers(min_value=0, max_value=3000))
def test_a_wait_lies_between_half_and_the_whole_of_the_exponential(seed: int, failures: int):
    backoff = Backoff(SystemChance(seed))
    wait = 0.0
    for _ in range(failures + 1):
        wait = backoff.next_seconds()
    whole = min(2.0 ** min(failures, 64), DEFAULT_POLICY.limit_seconds)
    assert whole / 2 <= wait <= whole


def test_the_same_seed_draws_the_same_waits():
    draws = [[Backoff(SystemChance(7)).next_seconds() for _ in range(5)] for _ in range(2)]
    assert draws[0] == draws[1]


def test_reset_forgets_earlier_failures():
    backoff = Backoff(MiddleChance())
    waits = [backoff.next_seconds(), backoff.next_seconds(), backoff.next_seconds()]
    backoff.reset()
    assert [*waits, backoff.next_seconds()] == [0.75, 1.5, 3.0, 0.75]


def test_retry_after_is_not_undercut_and_not_obeyed_for_ever():
    backoff = Backoff(MiddleChance(), BackoffPolicy(limit_seconds=30))
    assert backoff.next_seconds(RetryLater("busy", 10.0)) == 10.0
    assert backoff.next_seconds(RetryLater("busy", 1e9)) == 30.0
    assert backoff.next_seconds(RetryLater("busy", 0.0)) == 3.0


def attempts_that(*outcomes: Exception | str):
    """Return a callable that gives ``outcomes`` one by one, and the loop times it was called at."""
    left = list(outcomes)
    times: list[float] = []

    async def attempt() -> str:
        times.append(asyncio.get_running_loop().time())
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt, times


def test_retry_waits_between_attempts_and_returns_the_first_success():
    attempt, times = attempts_that(Transient("1"), Transient("2"), "done")
    assert virtual_time.run(retry(attempt, attempts=5, chance=MiddleChance())) == "done"
    assert times == [0.0, 0.75, 2.25]


def test_retry_raises_the_last_failure_after_the_last_attempt():
    attempt, times = attempts_that(Transient("1"), Transient("2"))
    with pytest.raises(Transient, match="2"):
        virtual_time.run(retry(attempt, attempts=2, chance=MiddleChance()))
    assert len(times) == 2


def test_retry_does_not_repeat_what_is_refused():
    attempt, times = attempts_that(Terminal("no"))
    with pytest.raises(Terminal, match="no"):
        virtual_time.run(retry(attempt, attempts=5, chance=MiddleChance()))
    assert len(times) == 1
