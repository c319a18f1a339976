"""The SQL of one day's file of raw logs: its tables, what is written to them, what is read back.

Theory of operation. Entries stand in blocks (see ``raw_block``), each under the row number of its first entry.
Who writes replaces everything from some row on, so writing the same again, or the same and more, changes nothing
of what was there. Names that repeat, those of origins and templates, are numbered in tables of their own.

The full-text index holds the templates of those entries alone that were the first of theirs, in their log or on
that day. It keeps no copy of them; its row number is the entry's.

A day may get other tables of blocks later: nothing here takes the ones of logs for all.
"""

import datetime as dt
import sqlite3
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np

from opsagent.model.log import LogOrigin, LogSeverity, StoredEntry
from opsagent.store.codec import Codec
from opsagent.store.raw_block import (
    Block,
    Columns,
    Draft,
    Encoded,
    Ranked,
    Row,
    clean,
    opened,
    ranked,
)
from opsagent.store.schema import Migrations, Schema

# What a block shall be. Larger ones make smaller files and slower reads. Measured on lines of 140 characters that
# repeat and on unique ones of 190: 1,024 of them take 0.15 and 0.24 of what came in, 2,048 0.125 and 0.226, 4,096
# 0.10 and 0.213; a read takes twice the time each time.
BLOCK_ROWS = 2048
BLOCK_CHARACTERS = 384 * 1024

RECENT_BLOCKS = 8
RECENT_NAMES = 2048  # pairs of an origin and a template; half a MB
RECENT_BYTES = 4 * 1024 * 1024
WORDS_MAX = 32
WORDS_CHARACTERS_MAX = 1000

MIGRATIONS = Migrations("raw")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_ORIGIN = Codec(LogOrigin)


@MIGRATIONS()
def m001_logs(db: Schema) -> None:
    """Create the tables of log entries."""
    for names in ("origins", "templates"):
        db.execute(
            f"CREATE TABLE {names} (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"
        )
    db.execute(
        """CREATE TABLE log_blocks (
            first INTEGER PRIMARY KEY, count INTEGER NOT NULL,
            earliest INTEGER NOT NULL, latest INTEGER NOT NULL, body BLOB NOT NULL
        ) STRICT"""
    )
    db.execute("CREATE VIRTUAL TABLE first_entries USING fts5 (template, content = '')")


class Totals(NamedTuple):
    """What a file holds; ``templates`` are entries in the full-text index, ``last`` is the last row, 0 if there is none.

    ``latest`` is the latest instant in the last block, in Unix microseconds, 0 if there is none.
    """

    rows: int
    templates: int
    last: int
    latest: int


def totals(db: sqlite3.Connection) -> Totals:
    """Return what the file holds."""
    rows, last = db.execute(
        "SELECT coalesce(sum(count), 0), coalesce(max(first + count) - 1, 0) FROM log_blocks"
    ).fetchone()
    (templates,) = db.execute("SELECT count(*) FROM first_entries").fetchone()
    query = "SELECT latest FROM log_blocks ORDER BY first DESC LIMIT 1"
    (latest,) = db.execute(query).fetchone() or (0,)
    return Totals(rows, templates, last, latest)


def instant_of(microseconds: int) -> dt.datetime | None:
    """Return the instant that ``Totals.latest`` tells."""
    return _EPOCH + dt.timedelta(microseconds=microseconds) if microseconds else None


class Taken(NamedTuple):
    """Entries in order of arrival, a column each part of ``LogEntry``; ``places`` say where ``origins`` has whose they are."""

    ats: list[dt.datetime]
    streams: list[str]
    severities: list[LogSeverity]
    template_ids: list[str]
    templates: list[str]
    texts: list[str]
    is_new: list[bool]
    places: "array[int]"

    @classmethod
    def empty(cls) -> "Taken":
        """Return room for entries."""
        return cls([], [], [], [], [], [], [], array("I"))

    def part(self, begin: int, end: int | None = None) -> "Taken":
        """Return the entries from place ``begin`` to before ``end``."""
        where = slice(begin, end)
        return Taken(
            self.ats[where],
            self.streams[where],
            self.severities[where],
            self.template_ids[where],
            self.templates[where],
            self.texts[where],
            self.is_new[where],
            self.places[where],
        )


class Numbers(NamedTuple):
    """The numbers of names, as far as they have been looked up: of origins by their places, of templates by name."""

    origins: "array[int]"
    templates: dict[str, int]

    @classmethod
    def none(cls) -> "Numbers":
        """Return room for numbers."""
        return cls(array("I"), {})


def write(
    db: sqlite3.Connection,
    first: int,
    taken: Taken,
    origins: Sequence[LogOrigin],
    numbers: Numbers,
    encode: Callable[[Columns], Encoded],
) -> int:
    """Store one or more entries in place of whatever stands from row ``first`` on; return their latest instant.

    Args:
        db: in a transaction.
        first: the row number of the first entry.
        taken: the entries.
        origins: those whose numbers are not known yet, in the order of their places.
        numbers: saves looking up, and is added to; what is added holds if the transaction is committed.
        encode: makes a block.
    """
    db.execute("DELETE FROM log_blocks WHERE first >= ?", (first,))
    of_origin = [_ORIGIN.encode(origin) for origin in origins]
    of_name: dict[str, int] = {}
    _number(db, "origins", of_origin, of_name)
    numbers.origins.extend(map(of_name.__getitem__, of_origin))
    of_place = np.array(numbers.origins)
    latest = []
    for begin, part in _parts(taken):
        names, of_template = ranked(part.template_ids)
        new = _number(db, "templates", names, numbers.templates)
        _index(db, first + begin, part, new)
        columns = Columns(
            ats=part.ats,
            origins=of_place[np.frombuffer(part.places, "u4")],
            streams=part.streams,
            severities=part.severities,
            templates=Ranked([*map(numbers.templates.__getitem__, names)], of_template),
            texts=part.texts,
        )
        block = encode(columns)
        latest.append(block.latest)
        row = (first + begin, len(part.ats), *block)
        db.execute("INSERT INTO log_blocks VALUES (?, ?, ?, ?, ?)", row)
    return max(latest)


def _parts(taken: Taken, begin: int = 0) -> Iterator[tuple[int, Taken]]:
    """Yield halves, and halves of them, until each is less than twice what a block shall be, or one entry."""
    count, characters = len(taken.texts), sum(map(len, taken.texts))
    if count == 1 or (count < 2 * BLOCK_ROWS and characters < 2 * BLOCK_CHARACTERS):
        yield begin, taken
        return
    middle = count // 2
    yield from _parts(taken.part(0, middle), begin)
    yield from _parts(taken.part(middle), begin + middle)


def _number(
    db: sqlite3.Connection, table: str, names: Sequence[str], numbers: dict[str, int]
) -> list[str]:
    """Put the numbers of all names into ``numbers``; return those names that had none yet."""
    wanted = {name: clean(name) for name in names if name not in numbers}
    if not wanted:
        return []
    marks = ", ".join("?" * len(wanted))
    query = f"SELECT name, number FROM {table} WHERE name IN ({marks})"  # noqa: S608 - our own table names
    known = dict(db.execute(query, [*wanted.values()]).fetchall())
    new = [name for name, text in wanted.items() if text not in known]
    insert = f"INSERT INTO {table} (name) VALUES (?) RETURNING number"  # noqa: S608 - the same
    for text in dict.fromkeys(wanted[name] for name in new):
        (known[text],) = db.execute(insert, (text,)).fetchone()
    numbers.update((name, known[text]) for name, text in wanted.items())
    return new


def _index(db: sqlite3.Connection, first: int, part: Taken, new: Sequence[str]) -> None:
    """Index the first entries of new templates, and those that are the first in their log, unless they are indexed."""
    places = _first_places(part.template_ids, new) if new else set()
    if any(part.is_new):
        places.update(place for place, is_new in enumerate(part.is_new) if is_new)
    if not places:
        return
    query = "SELECT rowid FROM first_entries ORDER BY rowid DESC LIMIT 1"
    (newest,) = db.execute(query).fetchone() or (0,)
    db.executemany(
        "INSERT INTO first_entries (rowid, template) VALUES (?, ?)",
        [
            (first + place, clean(part.templates[place]))
            for place in sorted(places)
            if first + place > newest
        ],
    )


def _first_places(names: Sequence[str], wanted: Iterable[str]) -> set[int]:
    """Return where each wanted name stands first."""
    first = dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))
    return {first[name] for name in wanted}


def phrases(words: str) -> str:
    """Return the FTS5 query for texts that hold all ``words``, parted by blanks; empty if there is nothing to look for.

    Whatever is in a word is looked for and means nothing. Words beyond ``WORDS_MAX``, and what stands beyond
    ``WORDS_CHARACTERS_MAX`` characters, are not looked for.
    """
    said = clean(words[:WORDS_CHARACTERS_MAX]).replace("\0", " ").split()
    kept = [word.replace('"', '""') for word in said if any(map(str.isalnum, word))]
    return " ".join(f'"{word}"' for word in kept[:WORDS_MAX])


class BlockReader:
    """Reads entries of any day. It keeps a few decoded blocks, and some names.

    It is used by one thread, but for :meth:`recent`, which any may call.
    """

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[dt.date, int], Block | Draft] = OrderedDict()
        self._lock = Lock()  # of _recent, held for microseconds
        self._names: dict[tuple[dt.date, int, int], tuple[LogOrigin, str]] = {}

    def recent(self, day: dt.date, row: int) -> StoredEntry | None:
        """Return one entry of a day without its file; None if that takes the file, or there is no such row."""
        if (found := self._find(day, row)) is None:
            return None
        read = found[1].row(row - found[0])
        names = self._names.get((day, read.origin, read.template))
        return None if names is None else _stored(day, row, read, names)

    def entry(self, db: sqlite3.Connection, day: dt.date, row: int) -> StoredEntry | None:
        """Return one entry of the day whose file ``db`` is, None if it has no such row.

        Raises:
            ValueError: the file holds something else than what was written.
        """
        found = self._find(day, row) or self._load(db, day, row)
        if found is None:
            return None
        read = found[1].row(row - found[0])
        key = (day, read.origin, read.template)
        names = self._names.get(key)
        if names is None:
            names = _names(db, read.origin, read.template)
            if len(self._names) >= RECENT_NAMES:
                self._names.clear()
            self._names[key] = names
        return _stored(day, row, read, names)

    def search(
        self, db: sqlite3.Connection, day: dt.date, query: str, limit: int
    ) -> list[StoredEntry]:
        """Return the day's first entries that match an FTS5 query, newest first. Raises as :meth:`entry` does."""
        rows = db.execute(
            "SELECT rowid FROM first_entries WHERE first_entries MATCH ? ORDER BY rowid DESC LIMIT ?",
            (query, limit),
        ).fetchall()
        found = (self.entry(db, day, row) for (row,) in rows)
        return [entry for entry in found if entry is not None]

    def _find(self, day: dt.date, row: int) -> tuple[int, Block | Draft] | None:
        """Return the block at hand that has a row, and its first row."""
        with self._lock:
            for (of_day, first), block in self._recent.items():
                if of_day == day and first <= row < first + len(block):
                    self._recent.move_to_end((of_day, first))
                    return first, block
        return None

    def _load(
        self, db: sqlite3.Connection, day: dt.date, row: int
    ) -> tuple[int, Block | Draft] | None:
        """Return the block of the file that has a row, and its first row, and keep it at hand."""
        query = "SELECT first, body FROM log_blocks WHERE first <= ? ORDER BY first DESC LIMIT 1"
        for first, body in db.execute(query, (row,)).fetchall():
            block = opened(body)
            if row < first + len(block):
                self._keep(day, first, block)
                return first, block
        return None

    def _keep(self, day: dt.date, first: int, block: Block | Draft) -> None:
        with self._lock:
            self._recent[day, first] = block
            size = sum(each.size for each in self._recent.values())
            while len(self._recent) > 1 and (
                len(self._recent) > RECENT_BLOCKS or size > RECENT_BYTES
            ):
                _, oldest = self._recent.popitem(last=False)
                size -= oldest.size


def _stored(day: dt.date, row: int, read: Row, names: tuple[LogOrigin, str]) -> StoredEntry:
    origin, template_id = names
    return StoredEntry(
        pointer=pointer(day, row),
        origin=origin,
        at=read.at,
        stream=read.stream,
        severity=read.severity,
        template_id=template_id,
        text=read.text,
    )


def pointer(day: dt.date, row: int) -> str:
    """Return the name of a day's row, as ``StoredEntry`` has it."""
    return f"{_prefix(day)}{row}"


@lru_cache(maxsize=16)
def _prefix(day: dt.date) -> str:
    return f"log:{day.isoformat()}."


def day_in(text: str) -> dt.date | None:
    """Return the day that ten characters name, None if there is no such day."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _names(db: sqlite3.Connection, origin: int, template: int) -> tuple[LogOrigin, str]:
    """Return what two numbers stand for. Raises ValueError: the file does not know one."""
    query = "SELECT o.name, t.name FROM origins o, templates t WHERE o.number = ? AND t.number = ?"
    for of_origin, of_template in db.execute(query, (origin, template)).fetchall():
        return _ORIGIN.decode(of_origin), str(of_template)
    raise ValueError(f"there is no origin {origin} or no template {template}")
