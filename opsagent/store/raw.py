"""The raw store: what logs said, one file a day, read again by pointer or by words.

Theory of operation. A day is that of arrival, in UTC. The day that is being written (``raw_day``) gathers entries
into compressed blocks; the days before (``raw_past``) are plain files that retention deletes whole. What is in a file,
and its SQL, is ``raw_file``; what is in a block ``raw_block``.

Appending, syncing and retaining take turns: who comes while a file is written waits, and that is what keeps memory
bounded. Reading by a pointer never waits for its turn. When an entry of the next day arrives, its file is begun and the last one
finished. A clock that is set back does not bring a day back: until it has caught up, entries go on in the newer file.

It refuses a second writer, and a damaged file of today; a damaged file of another day is set aside (see ``raw_past``).
"""

import asyncio
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from opsagent.model.log import LogEntry, LogOrigin, StoredEntry
from opsagent.store.raw_day import OpenDay
from opsagent.store.raw_file import day_in, phrases, pointer
from opsagent.store.raw_past import PastDays, file_of

FOUND_MAX = 1000  # entries of one search, however many are asked for

_POINTER = re.compile(r"log:(\d{4}-\d\d-\d\d)\.(\d{1,15})", re.ASCII)


class RawStore:
    """``ports.LogStore`` over a folder. Make it with :meth:`open`."""

    def __init__(self, folder: Path, today: OpenDay, past: PastDays) -> None:
        self._folder = folder
        self._today = today
        self._yesterday: OpenDay | None = None  # until it is finished
        self._past = past
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, folder: Path, now: dt.datetime) -> "RawStore":
        """Open today's file, keep every other writer out, and look at the days that are there.

        Raises:
            Terminal: today's file is open elsewhere, corrupt or not writable.
        """
        day = _day(now)
        today = await OpenDay.open(file_of(folder, day), day)
        try:
            past = await PastDays.open(folder, day)
            today.follow(await past.newest())
        except BaseException:
            await today.aclose()
            raise
        return cls(folder, today, past)

    async def append(self, origin: LogOrigin, entries: Sequence[LogEntry], now: dt.datetime) -> str:
        """Take entries in; return the pointer of the first, or of the next one to come if there are none.

        Raises:
            Terminal: the disk is full or the file corrupt. Then these entries may have been taken in or not.
        """
        day, today = _day(now), self._today
        if today.way.is_taken:
            await today.way.let_pass()
            today = self._today
        if self._turn.locked() or day > today.day or today.is_full or self._yesterday is not None:
            async with self._turn:
                await self._make_room(day)
        today = self._today  # nobody else has had a turn since
        row = today.take(origin, entries)
        if today.is_full:
            async with self._turn:
                if today.is_full:
                    await today.seal()
        return pointer(today.day, row)

    @property
    def newest(self) -> dt.datetime | None:
        """The latest instant of what was taken in, or durable when the store was opened; None before any."""
        return self._today.newest

    async def sync(self) -> None:
        """Make durable what was taken in so far, also against a power cut.

        Before something durable points here it has to be called; else every half a minute is enough. With
        something to write it costs half a millisecond of CPU and a sync of the disk.
        """
        async with self._turn:
            await self._today.sync()

    async def entry(self, pointer: str) -> StoredEntry | None:
        """Return the entry that a pointer names; None if it is none, or its day is gone."""
        named = _POINTER.fullmatch(pointer)
        day = None if named is None else day_in(named[1])
        if named is None or day is None:
            return None
        row = int(named[2])
        if day == self._today.day:
            return await self._today.entry(row)
        return await self._past.entry(day, row)

    async def search(self, words: str, limit: int = 100) -> tuple[StoredEntry, ...]:
        """Return the first entries of the templates that hold all ``words``, newest first, at most ``FOUND_MAX``.

        Letters are compared without case and accents. A word with marks inside, ``shop/cart``, is looked for as its
        parts side by side. An entry is found if it was the first of its template in its log, or on its day.
        """
        query, limit = phrases(words), min(limit, FOUND_MAX)
        if not query or limit <= 0:
            return ()
        await self.sync()  # the index is in the file
        today = self._today
        # Today's first: a query that SQLite refuses must not look like a damaged day.
        found = await today.search(query, limit)
        return (*found, *await self._past.search(today.day, query, limit - len(found)))

    async def retain(self, oldest: dt.date, bytes_max: int) -> int:
        """Delete days before ``oldest``, then the oldest ones until all files have at most ``bytes_max``; return how many.

        Today's file stays, however large it is. Days that lie ahead, because a clock was wrong, go last.
        """
        async with self._turn:
            return await self._past.drop(self._today.day, oldest, bytes_max)

    async def counts(self) -> Mapping[str, int]:
        """Return ``days``, ``rows``, ``bytes`` on disk, ``templates`` that can be searched for, and ``set_aside`` files.

        Templates are counted once a day, and once a log that said them first; those not yet written are not counted.
        """
        today = self._today
        templates = await today.templates()
        counts = await self._past.counts(today.day)
        counts["days"] += 1
        counts["rows"] += today.rows
        counts["templates"] += templates
        return counts

    async def aclose(self) -> None:
        """Sync, close and release the lock. Closing twice is nothing."""
        async with self._turn:
            try:
                await self._finish_yesterday()
            finally:
                await self._today.aclose()
                self._past.close()

    async def _make_room(self, day: dt.date) -> None:
        """Go over to the file of ``day`` if it is a later one, and write what a write that failed has left."""
        if day > self._today.day:
            await self._finish_yesterday()
            await self._today.seal()
            following = await OpenDay.open(file_of(self._folder, day), day)
            following.follow(self._today.newest)
            self._yesterday, self._today = self._today, following
        await self._finish_yesterday()
        if self._today.is_full:
            await self._today.seal()

    async def _finish_yesterday(self) -> None:
        if self._yesterday is not None:
            await self._yesterday.aclose()
            await self._past.admit(self._yesterday.day)
            self._yesterday = None


def _day(now: dt.datetime) -> dt.date:
    return now.astimezone(dt.UTC).date()
