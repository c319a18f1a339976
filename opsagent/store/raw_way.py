"""Who reads goes first: long work of one thread lets the short work of others pass.

Theory of operation. The interpreter works for one thread at a time. A thread that wants it while another computes
waits for up to the switch interval, 5 ms, and a read by pointer wants it several times: when its thread begins, behind
each call of SQLite and of the decompressor, and when the loop goes on. So long work asks between its steps, each a
fraction of a millisecond, whether somebody reads, and waits until he has done. If nobody does, asking costs nothing.

So do those on the loop who would keep it busy. Each waits for a bounded time, so that endless reading makes it slow and does not stop it.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

WAIT_SECONDS_MAX = 0.005  # at each step


class RightOfWay:
    """Of those who read, who all belong to one event loop, over whoever calls :meth:`give` or :meth:`let_pass`."""

    def __init__(self, wait_seconds_max: float = WAIT_SECONDS_MAX) -> None:
        self._wait_seconds_max = wait_seconds_max
        self._readers = 0
        self._is_clear = threading.Event()
        self._have_passed = asyncio.Event()

    @property
    def is_taken(self) -> bool:
        """Whether somebody reads."""
        return self._readers > 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have it while somebody reads."""
        self._readers += 1
        self._is_clear.clear()
        self._have_passed.clear()
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._is_clear.set()
                self._have_passed.set()

    def give(self) -> None:
        """Wait while somebody reads, not for ever. To be called by a thread that can do without the interpreter for a while."""
        if self._readers:
            self._is_clear.wait(self._wait_seconds_max)

    async def let_pass(self) -> None:
        """Do the same on the loop."""
        if self._readers:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_seconds_max):
                    await self._have_passed.wait()
