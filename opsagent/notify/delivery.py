"""When to try a failed delivery again, and when to stop.

Pure. Paging fails open: an attempt is cheap and a lost page is not, so the waits stay short (at most five
minutes) for a whole day. After that the news is stale and the receiver has been broken for long
enough that somebody must have noticed; giving up is said and counted by the caller, never silent.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

FIRST_WAIT = dt.timedelta(seconds=5)  # Source: Standard Webhooks, recommended retry schedule
WAIT_MAX = dt.timedelta(minutes=5)
GIVE_UP_AFTER = dt.timedelta(hours=24)
DOUBLINGS_MAX = 6  # 5 s doubled six times passes WAIT_MAX; more would only overflow


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this instant."""

    at: dt.datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop trying; ``reason`` tells a person."""

    reason: str


NextStep: TypeAlias = RetryAt | GiveUp


def after_failure(
    decided_at: dt.datetime, attempts: int, now: dt.datetime, share: float
) -> NextStep:
    """Return what to do after the ``attempts``-th attempt failed in a way that may pass.

    Args:
        decided_at: the notification's own instant; its age counts, also across restarts.
        attempts: how many were made so far, from 1.
        now: the present instant.
        share: a draw between 0 and 1. The wait is that share of its second half (equal jitter), so
            that a receiver coming back is not met by everything at once.
    """
    if now - decided_at >= GIVE_UP_AFTER:
        hours = GIVE_UP_AFTER // dt.timedelta(hours=1)
        return GiveUp(f"no receiver took it within {hours} hours and {attempts} attempts")
    doublings = min(attempts - 1, DOUBLINGS_MAX)
    ceiling = min(FIRST_WAIT * 2**doublings, WAIT_MAX)
    return RetryAt(now + ceiling * (0.5 + share / 2))
