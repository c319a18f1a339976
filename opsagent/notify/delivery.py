"""When to try a failed delivery again, and when to stop.

Pure. Paging fails open: an attempt is cheap and a lost page is not, so the waits stay short (at most five
minutes) for a whole day. After that the news is stale and the receiver has been broken for long
enough that somebody must have noticed; the caller says and counts what it gives up.
"""

import datetime as dt

FIRST_WAIT = dt.timedelta(seconds=5)  # Source: Standard Webhooks, recommended retry schedule
WAIT_MAX = dt.timedelta(minutes=5)
GIVE_UP_AFTER = dt.timedelta(hours=24)
DOUBLINGS_MAX = 6  # 5 s doubled six times passes WAIT_MAX; more would only overflow


def after_failure(
    attempts: int, created_at: dt.datetime, now: dt.datetime, share: float
) -> dt.datetime | None:
    """Return when to try again after an attempt failed in a way that may pass; None: give up.

    Args:
        attempts: how many were made so far, from 1; after a restart it counts from 1 again.
        created_at: the notification's own instant; its age decides, also across restarts.
        now: the present instant.
        share: a draw between 0 and 1. The wait is half of its ceiling and that share of the other half
            (equal jitter), so that a receiver coming back is not met by everything at once.
    """
    if now - created_at >= GIVE_UP_AFTER:
        return None
    ceiling = min(FIRST_WAIT * (1 << min(attempts - 1, DOUBLINGS_MAX)), WAIT_MAX)
    return now + ceiling * (0.5 + share / 2)
