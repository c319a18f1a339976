"""Entries, and a look into the files, for the tests of the raw store."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from opsagent.model.entity import Entity, Kind
from opsagent.model.log import LogEntry, LogOrigin, LogSeverity
from opsagent.ports import LogStore

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
TODAY = "2026-11-24"
CART = LogOrigin(Entity(Kind.POD, "shop", "cart-7d9f8b6c5-x2x9q"), "cart")
ENDLESS = 10**12


def entries(count: int, text: str = "line", first: int = 1) -> list[LogEntry]:
    """Return entries whose texts end in their numbers; a template each seven."""
    return [
        LogEntry(
            NOW,
            "stdout",
            LogSeverity.INFO,
            f"tpl_{number % 7}",
            f"{text} <*> of kind {number % 7}",
            f"{text} {number}",
            is_new=False,
        )
        for number in range(first, first + count)
    ]


def pointer(row: int, day: str = TODAY) -> str:
    return f"log:{day}.{row}"


async def texts(store: LogStore, pointers: Sequence[str]) -> list[str | None]:
    found = [await store.entry(each) for each in pointers]
    return [None if each is None else each.text for each in found]


def names(folder: Path) -> list[str]:
    """Return the files in ``folder`` but the locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def asked(path: Path, statement: str) -> list[tuple[int | str, ...]]:
    """Return the answer to a statement, which is committed."""
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(statement).fetchall()
