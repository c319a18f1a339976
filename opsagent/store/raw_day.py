"""The day that is being written: its file, and the entries that have not made a whole block yet.

Theory of operation. Entries are numbered when they are taken in and stay in memory until they fill a block. What
has to be durable before goes to the file as a small block; the whole one replaces it later, so that a file is made of
large blocks however often somebody asks for durability. Rows from ``_first`` on are read from memory, the others
from the file.

A pointer that was given out must never come to mean another entry. After a kill nobody knows which numbers were
given out and lost, but fewer than ``BLOCK_ROWS`` were, because whoever fills a block waits until it is written: so
many are left out. A -wal file beside the file tells that its writer was killed.

Entries in memory, and those of blocks at hand, are read on the loop; for the others, on a thread, writing makes way (see
``raw_way``).

A call that is cancelled while the file is written may be made again: the same is written once more.
It is written and read by one task at a time, but for ``entry``, which may be called at any time.
"""

import datetime as dt
import sqlite3
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from opsagent.model.log import LogEntry, LogOrigin, StoredEntry
from opsagent.ports import Terminal
from opsagent.store.database import Database
from opsagent.store.raw_block import Encode, clean, drafted, encoded
from opsagent.store.raw_file import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    MIGRATIONS,
    BlockReader,
    Numbers,
    Taken,
    Totals,
    instant_of,
    pointer,
    totals,
    write,
)
from opsagent.store.raw_way import RightOfWay

T = TypeVar("T")

NAMES_MAX = 20_000  # whose numbers are remembered; 3 MB


class OpenDay:
    """See the module's docstring. Make it with :meth:`open`."""

    def __init__(self, day: dt.date, database: Database, held: Totals, first: int) -> None:
        self.day = day
        self.rows = held.rows
        self._newest_before = instant_of(held.latest)  # of what was written
        self._database = database
        self._reader = BlockReader()
        self.way = RightOfWay()
        self._first = first
        self._durable = first - 1
        self._held = Taken.empty()
        self._origins: dict[LogOrigin, int] = {}  # -> its place
        self._numbers = Numbers.none()
        self._characters = 0

    @classmethod
    async def open(cls, path: Path, day: dt.date) -> "OpenDay":
        """Open the day's file and go on behind its last row.

        Raises:
            Terminal: it is open elsewhere, corrupt or not writable.
        """
        was_killed = _is_left_open(path)
        database = await Database.open(path, MIGRATIONS, synchronous="FULL")
        try:
            held = await database.read(totals)
        except BaseException:
            await database.aclose()
            raise
        return cls(day, database, held, held.last + 1 + (BLOCK_ROWS if was_killed else 0))

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a block."""
        return len(self._held.texts) >= BLOCK_ROWS or self._characters >= BLOCK_CHARACTERS

    @property
    def newest(self) -> dt.datetime | None:
        """The latest instant of what was taken in; None before any."""
        return _latest(self._newest_before, *self._held.ats)

    def follow(self, newest: dt.datetime | None) -> None:
        """Let ``newest`` be what it was before any of today."""
        self._newest_before = self._newest_before or newest

    def take(self, origin: LogOrigin, entries: Sequence[LogEntry]) -> int:
        """Take entries in; return the row number of the first."""
        held = self._held
        row = self._first + len(held.texts)
        if entries:
            ats, streams, severities, template_ids, templates, texts, is_new, _ = zip(
                *entries, strict=True
            )
            held.ats.extend(ats)
            held.streams.extend(streams)
            held.severities.extend(severities)
            held.template_ids.extend(template_ids)
            held.templates.extend(templates)
            held.texts.extend(texts)
            held.is_new.extend(is_new)
            place = self._origins.setdefault(origin, len(self._origins))
            held.places.extend(array("I", [place]) * len(texts))
            self._characters += sum(map(len, texts))
            self.rows += len(texts)
        return row

    async def seal(self) -> None:
        """Write all that is in memory as whole blocks and let go of it. Raises: Terminal."""
        await self._write(self._first, encoded)
        self._let_go()

    async def sync(self) -> None:
        """Make durable what was taken in. Raises: Terminal."""
        await self._write(self._durable + 1, drafted)

    async def _write(self, first: int, encode: Encode) -> None:
        """Write what is in memory from row ``first`` on."""
        taken = self._held.part(first - self._first)  # a copy, for the thread alone
        if taken.texts:
            # What a failed write has numbered is void: the next one shall not know it.
            numbers, self._numbers = self._numbers, Numbers.none()
            origins = [*self._origins][len(numbers.origins) :]
            latest = await self._database.write(
                lambda db: write(
                    db, first, taken, origins, numbers, lambda rows: encode(rows, self.way.give)
                )
            )
            if len(numbers.templates) < NAMES_MAX:
                self._numbers = numbers
            self._newest_before = _latest(self._newest_before, instant_of(latest))
            self._durable = first + len(taken.texts) - 1

    async def entry(self, row: int) -> StoredEntry | None:
        """Return one entry, None if there is no such row. Raises: Terminal."""
        if row >= self._first:
            return self._from_memory(row) if row < self._first + len(self._held.texts) else None
        if found := self._reader.recent(self.day, row):
            return found
        with self.way.taken():
            return await self._read(lambda db: self._reader.entry(db, self.day, row))

    async def search(self, query: str, limit: int) -> list[StoredEntry]:
        """Return first entries that match an FTS5 query and are written, newest first. Raises: Terminal."""
        return await self._read(lambda db: self._reader.search(db, self.day, query, limit))

    async def templates(self) -> int:
        """Return how many first entries are written. Raises: Terminal."""
        return (await self._read(totals)).templates

    async def aclose(self) -> None:
        """Seal, checkpoint and close, also if sealing fails. Raises: Terminal."""
        try:
            await self.seal()
        finally:
            self._let_go()
            await self._database.aclose()

    def _let_go(self) -> None:
        self._first = self._durable + 1
        self._held = Taken.empty()
        self._characters = 0
        if len(self._origins) >= NAMES_MAX:
            self._origins, self._numbers = {}, Numbers.none()

    def _from_memory(self, row: int) -> StoredEntry:
        """Return an entry as the file will give it back."""
        held, place = self._held, row - self._first
        return StoredEntry(
            pointer=pointer(self.day, row),
            origin=[*self._origins][held.places[place]],
            at=held.ats[place].astimezone(dt.UTC),
            stream=clean(held.streams[place]),
            severity=held.severities[place],
            template_id=clean(held.template_ids[place]),
            text=clean(held.texts[place]),
        )

    async def _read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._database.read(fn)
        except ValueError as error:
            raise Terminal(
                f"{self._database.path}: what is stored cannot be read ({error}): "
                "restore a copy of it, or move it and its -wal and -shm away to begin anew"
            ) from error


def _latest(*instants: dt.datetime | None) -> dt.datetime | None:
    return max(filter(None, instants), default=None)


def _is_left_open(path: Path) -> bool:
    return Path(f"{path}-wal").exists()
