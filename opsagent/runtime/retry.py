"""Jittered exponential back-off on the loop's time and a seeded Chance.

Refuses to retry what is not ``Transient``: a refusal, a conflict or a bug is the caller's to judge.
Callers retry only what is safe to do twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from opsagent.ports import Chance, Transient

T = TypeVar("T")


class RetryLater(Transient):
    """The remote itself said when to come back (HTTP ``Retry-After``), in seconds from now."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SystemChance:
    """``ports.Chance`` for jitter; give a ``seed`` for reproducible draws, None for the machine's."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - spreads load, guards nothing

    def uniform(self, low: float, high: float) -> float:
        """Return a number between ``low`` and ``high``."""
        return self._random.uniform(low, high)


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """How waits grow: ``first_seconds`` times ``factor`` per failure, up to ``limit_seconds``.

    The defaults are client-go's order of magnitude for a reflector: 1 s doubling to a minute.
    """

    first_seconds: float = 1.0
    factor: float = 2.0
    limit_seconds: float = 60.0


DEFAULT_POLICY = BackoffPolicy()


class Backoff:
    """The wait before the next attempt; one instance per thing that is retried.

    Equal jitter: each wait lies between half and the whole of the exponential value, so it neither
    falls to zero (a hot loop) nor lets many clients come back at the same moment.
    Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """

    def __init__(self, chance: Chance, policy: BackoffPolicy = DEFAULT_POLICY) -> None:
        self._chance = chance
        self._policy = policy
        self._failures = 0

    def reset(self) -> None:
        """Forget earlier failures: the next wait is the first one again."""
        self._failures = 0

    def next_seconds(self, error: Exception | None = None) -> float:
        """Return the next wait; a ``RetryLater`` is never undercut, but also bounded by the limit."""
        # The exponent is bounded because 2.0 ** 2000 overflows after a weekend of failures.
        grown = self._policy.first_seconds * self._policy.factor ** min(self._failures, 64)
        self._failures += 1
        ceiling = min(grown, self._policy.limit_seconds)
        wait = self._chance.uniform(ceiling / 2, ceiling)
        if isinstance(error, RetryLater):
            wait = max(wait, min(error.retry_after_seconds, self._policy.limit_seconds))
        return wait


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    chance: Chance,
    policy: BackoffPolicy = DEFAULT_POLICY,
) -> T:
    """Call ``attempt`` until it succeeds, at most ``attempts`` times (1 or more), waiting in between.

    Raises:
        Transient: the last failure.
    """
    backoff = Backoff(chance, policy)
    for _ in range(attempts - 1):
        try:
            return await attempt()
        except Transient as error:
            await asyncio.sleep(backoff.next_seconds(error))
    return await attempt()
