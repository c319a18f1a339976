"""A bounded channel between tasks: full means wait, or drop the oldest, as its owner named. Every drop is counted.

Refuses to be unbounded: a consumer that falls behind must be felt by the producer or seen in a counter.
"""

import asyncio
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class WhenFull(StrEnum):
    """What :meth:`Channel.put` does when the channel is full."""

    WAIT = "wait"  # back-pressure: nothing is ever dropped
    DROP_OLDEST = "drop_oldest"  # for streams of which only the newest matters


class Channel(Generic[T]):
    """First in, first out, at most ``capacity`` items (1 or more); for any number of tasks of one loop.

    A cancelled ``put`` or ``get`` moves nothing: an item is either in the channel or with a consumer.
    """

    def __init__(self, capacity: int, when_full: WhenFull = WhenFull.WAIT) -> None:
        assert capacity > 0, "a channel without room can never move"
        self._when_full = when_full
        self._queue: asyncio.Queue[T] = asyncio.Queue(capacity)
        self.put_total = 0
        self.dropped_total = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._queue.qsize()

    async def put(self, item: T) -> None:
        """Append ``item``; when full, wait or drop the oldest, as ``when_full`` says."""
        if self._queue.full() and self._when_full is WhenFull.DROP_OLDEST:
            self._queue.get_nowait()
            self.dropped_total += 1
        if self._queue.full():
            await self._queue.put(item)
        else:
            self._queue.put_nowait(item)
        self.put_total += 1

    async def get(self) -> T:
        """Take the oldest item; waits while there is none."""
        return await self._queue.get()

    def drain(self, limit: int) -> list[T]:
        """Take up to ``limit`` items that are there now, oldest first, without waiting."""
        return [self._queue.get_nowait() for _ in range(min(limit, self._queue.qsize()))]
