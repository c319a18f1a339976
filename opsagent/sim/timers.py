"""What is due when: a heap of keys. A quiet cluster has few of them, so quiet days cost nothing.

A key has at most one due time. Replaced entries stay in the heap and are skipped when they surface.
"""

import datetime as dt
import heapq
from typing import TypeAlias

TimerKey: TypeAlias = tuple[str, str, str]  # what to do, namespace, name


class Timers:
    """Due times by key; equal times fire in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[dt.datetime, int, TimerKey]] = []
        self._due: dict[TimerKey, tuple[dt.datetime, int]] = {}
        self._count = 0

    def set(self, key: TimerKey, due: dt.datetime) -> None:
        """Make ``key`` due at ``due`` and at no other time."""
        self._count += 1
        self._due[key] = (due, self._count)
        heapq.heappush(self._heap, (due, self._count, key))

    def sooner(self, key: TimerKey, due: dt.datetime) -> None:
        """Make ``key`` due at ``due`` unless it is due earlier."""
        known = self._due.get(key)
        if known is None or due < known[0]:
            self.set(key, due)

    def next_due(self) -> dt.datetime | None:
        """Return when the next key is due, None if no key is set."""
        while self._heap:
            due, count, key = self._heap[0]
            if self._due.get(key) == (due, count):
                return due
            heapq.heappop(self._heap)
        return None

    def pop(self, now: dt.datetime) -> tuple[dt.datetime, TimerKey] | None:
        """Take the earliest key that is due at ``now`` or before, with its due time."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        return due, key
