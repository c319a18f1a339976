"""Time, chance, names and schedules."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Protocol


class Clock(Protocol):
    """Wall clock for stamps, monotonic clock for waiting."""

    def now(self) -> dt.datetime:
        """Return the present instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed point; never goes back."""
        ...


class Chance(Protocol):
    """Draws for jitter; seeded in tests."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number between ``low`` and ``high``."""
        ...


class IdSource(Protocol):
    """Unguessable names: nonces, tokens, lease identities. What replay must reproduce never uses it."""

    def token(self) -> str:
        """Return 32 or more URL-safe characters."""
        ...


class Trigger(Protocol):
    """An APScheduler trigger: a pure next-time function."""

    def get_next_fire_time(
        self, previous_fire_time: dt.datetime | None, now: dt.datetime
    ) -> dt.datetime | None:
        """Return the next instant to fire at, None if never again."""
        ...


class Schedule(Protocol):
    """Runs jobs at the times that triggers give. One job never overlaps itself; missed runs are counted."""

    def add(self, name: str, trigger: Trigger, job: Callable[[], Awaitable[None]]) -> None:
        """Register ``job``; before or after start."""
        ...

    async def run(self) -> None:
        """Run until cancelled."""
        ...

    @property
    def missed_total(self) -> int:
        """Runs that came due while the same job still ran, or were found too late."""
        ...
