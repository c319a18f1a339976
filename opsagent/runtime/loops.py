"""Event loops whose time runs faster than the world's, for the demo.

Theory. Everything waits through the loop (``asyncio.sleep``, ``asyncio.timeout``), so a loop whose
clock runs ``speed`` times faster, and whose selector therefore sleeps that much shorter, plays an
hour in a minute with real sockets and threads still at work. A :class:`FollowingClock` gives the
instants that fit. What reads the machine's own clock (APScheduler's scheduler) must not run here.
"""

import asyncio
import datetime as dt
import selectors
import time


class _ShortSelector(selectors.DefaultSelector):
    """Selector that sleeps ``speed`` times shorter than it is told."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return ready descriptors, waiting ``timeout / speed`` real seconds at most."""
        return super().select(None if timeout is None else timeout / self._speed)


class ScaledLoop(asyncio.SelectorEventLoop):
    """Event loop whose time runs ``speed`` times faster than the machine's (1: as fast; above 0)."""

    def __init__(self, speed: float) -> None:
        assert speed > 0, "time does not stand still or run backwards"
        self._speed = speed
        self._started = time.monotonic()
        super().__init__(_ShortSelector(speed))

    def time(self) -> float:
        """Return scaled seconds since the loop was made."""
        return (time.monotonic() - self._started) * self._speed


class FollowingClock:
    """``ports.Clock`` that shows ``start`` when it is made and then follows ``loop``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: dt.datetime) -> None:
        self._loop = loop
        self._start = start
        self._origin = loop.time()

    def now(self) -> dt.datetime:
        """Return the start plus the loop time since then, aware UTC."""
        return self._start + dt.timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return loop seconds since the clock was made."""
        return self._loop.time() - self._origin
