"""When a failed message is tried again: soon, then less often, never for ever."""

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opsagent.notify.delivery import GIVE_UP_AFTER, WAIT_MAX, after_failure

T0 = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def wait_seconds(attempts: int, share: float) -> float:
    again = after_failure(attempts, T0, T0, share)
    assert again is not None
    return (again - T0).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "ceiling_seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (10_000, 300)],
)
def test_waits_double_up_to_five_minutes(attempts: int, ceiling_seconds: float) -> None:
    assert wait_seconds(attempts, 1.0) == ceiling_seconds
    assert wait_seconds(attempts, 0.0) == ceiling_seconds / 2


def test_a_day_old_message_is_given_up() -> None:
    almost = T0 + GIVE_UP_AFTER - dt.timedelta(microseconds=1)
    assert after_failure(300, T0, almost, 0.5) is not None
    assert after_failure(300, T0, T0 + GIVE_UP_AFTER, 0.5) is None


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_every_wait_is_real_and_bounded(attempts: int, share: float) -> None:
    assert 2.5 <= wait_seconds(attempts, share) <= WAIT_MAX.total_seconds()
