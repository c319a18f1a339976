"""Scaled time: a real event loop, with real sockets, on which every second is a fraction of one."""

import asyncio
import selectors


class _HastySelector(selectors.DefaultSelector):
    """Selector that sleeps only a share of the time that it is asked to."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._speed)


class ScaledLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock runs ``speed`` times as fast."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(_HastySelector(speed))
        self._began = super().time()

    def time(self) -> float:
        """Seconds of scaled time since the loop was made."""
        return (super().time() - getattr(self, "_began", 0.0)) * self._speed
