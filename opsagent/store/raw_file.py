"""The SQL of one day's file of raw logs: its tables, what is written to them, what is read back.

Theory of operation. Entries stand in blocks (see ``raw_block``), each under the row number of its first entry.
Whoever writes replaces everything from some row on, so writing the same again, or the same and more, changes
nothing that was there. Names that repeat, of origins and templates, are numbered in tables of their own.

The full-text index holds the template's text of those entries alone that were the first of their template, in
their log or on that day. It keeps no copy of it, and its row number is the entry's.

A day may be given other tables of blocks later: nothing here reads all tables.
"""

import datetime as dt
import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlite_utils import Database as Schema, Migrations

from opsagent.model.log import LogEntry, LogOrigin, StoredEntry
from opsagent.store.codec import Codec
from opsagent.store.raw_block import Block, clean, encoded

# A block ends behind this much. More makes smaller files and slower reads: on the corpus, lines of
# 140 characters, 1,024 rows take 0.15 of what came in and 0.2 ms to decode, 2,048 0.13 and 0.3, 4,096 0.10 and 0.6.
BLOCK_ROWS = 2048
BLOCK_CHARACTERS = 384 * 1024
RECENT_BLOCKS = 8
RECENT_CHARACTERS = 4 * 1024 * 1024
WORDS_MAX = 32
WORDS_CHARACTERS_MAX = 1000

MIGRATIONS = Migrations("raw")

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
    """What a day's file holds. ``last`` is the highest row number, 0 if there is none."""

    last: int
    rows: int
    templates: int


def totals(db: sqlite3.Connection) -> Totals:
    """Return what the file holds."""
    last, rows = db.execute(
        "SELECT coalesce(max(first + count) - 1, 0), coalesce(sum(count), 0) FROM log_blocks"
    ).fetchone()
    (templates,) = db.execute("SELECT count(*) FROM first_entries").fetchone()
    return Totals(last, rows, templates)


class Taken(NamedTuple):
    """Entries in the order in which they were taken in; ``origins[i]`` is whose ``entries[i]`` is."""

    first: int  # row number
    entries: Sequence[LogEntry]
    origins: Sequence[LogOrigin]


def write(db: sqlite3.Connection, taken: Taken) -> None:
    """Store entries in place of whatever stands from the first one's row number on."""
    db.execute("DELETE FROM log_blocks WHERE first >= ?", (taken.first,))
    for part in _parts(taken):
        _write_block(db, part)


def _parts(taken: Taken) -> Iterator[Taken]:
    """Yield halves, and halves of them, until none is more than twice as much as a block shall be."""
    count = len(taken.entries)
    characters = sum(map(len, (entry.text for entry in taken.entries)))
    if count == 1 or (count < 2 * BLOCK_ROWS and characters < 2 * BLOCK_CHARACTERS):
        yield taken
        return
    middle = count // 2
    yield from _parts(Taken(taken.first, taken.entries[:middle], taken.origins[:middle]))
    yield from _parts(Taken(taken.first + middle, taken.entries[middle:], taken.origins[middle:]))
