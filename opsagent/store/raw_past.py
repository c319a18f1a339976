"""The days that are over: files that nobody writes to any more, read as they are until retention deletes them.

Theory of operation. A day that is over is made one plain file: its journal merged, out of WAL mode, so that
opening it to read creates nothing beside it. What a kill left undone is done at the next start, and a day for
which it cannot be done now, because the disk is full or somebody looks into the file, is read all the same.

Every job runs on one thread, so no file is deleted while it is read. A file is opened for each read, which
costs a fraction of a millisecond and keeps nothing open, however many days there are.

A damaged file is set aside: renamed, counted, not read any more, and deleted when its day is.
"""

import asyncio
import datetime as dt
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias, TypeVar, TypeVarTuple

import structlog

from opsagent.model.log import StoredEntry
from opsagent.ports import Terminal, Transient
from opsagent.store.database import MAGIC, fatal_reason, holder
from opsagent.store.raw_file import MIGRATIONS, BlockReader, Totals, day_in, instant_of, totals
from opsagent.store.schema import Schema

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Files: TypeAlias = dict[dt.date, list[tuple[Path, int]]]  # with their sizes

BUSY_SECONDS = 1.0  # to wait for somebody who looks into a file

_OF_DAY = re.compile(r"(\d{4}-\d\d-\d\d)\.db", re.ASCII)
_ASIDE = ".corrupt"
_WRITE_VERSION = 18  # its offset; 1 without WAL. Source: sqlite.org/fileformat.html
# Primary result codes that speak of the file and not of what is around it. ERROR: a table is not there; None: what
# Python refuses to read, such as text that is none.
_DAMAGE = frozenset({None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

log = structlog.get_logger(__name__)


def file_of(folder: Path, day: dt.date) -> Path:
    """Return where a day's file is."""
    return folder / f"{day.isoformat()}.db"


class PastDays:
    """All days in ``folder`` but the one that is being written. Make it with :meth:`open`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "raw-past")
        self._reader = BlockReader()
        self._totals: dict[dt.date, Totals] = {}

    @classmethod
    async def open(cls, folder: Path, today: dt.date) -> "PastDays":
        """Look at every day that is there but ``today``.

        Raises:
            Terminal: somebody else writes to one, or a file can be neither read nor set aside.
        """
        past = cls(folder)
        try:
            for day in sorted(await past._run(_files, folder)):
                if day != today:
                    await past.admit(day)
        except BaseException:
            past.close()
            raise
        return past

    async def admit(self, day: dt.date) -> None:
        """Take over a day that nobody writes to any more. Raises: Terminal."""
        await self._run(self._admit, day)

    async def entry(self, day: dt.date, row: int) -> StoredEntry | None:
        """Return one entry, None if it is gone or never was. Raises: Terminal."""
        return await self._run(self._entry, day, row)

    async def search(self, today: dt.date, query: str, limit: int) -> list[StoredEntry]:
        """Return first entries of all days but ``today`` that match an FTS5 query, newest first. Raises: Terminal."""
        found: list[StoredEntry] = []
        for day in await self._run(self._newest_first):
            if day != today and len(found) < limit:
                found += await self._run(self._search, day, query, limit - len(found))
        return found

    async def drop(self, today: dt.date, oldest: dt.date, bytes_max: int) -> int:
        """Delete days before ``oldest``, then the oldest until ``bytes_max`` holds, never ``today``; return how many.

        Raises:
            Terminal: a file cannot be deleted.
        """
        return await self._run(self._drop, today, oldest, bytes_max)

    async def counts(self, today: dt.date) -> dict[str, int]:
        """Return what the days but ``today`` hold, the bytes of all files, and how many files were set aside."""
        return await self._run(self._counts, today)

    async def newest(self) -> dt.datetime | None:
        """Return the latest instant in the last block of all days, None if there is none."""
        latest = await self._run(lambda: [self._totals[day].latest for day in self._newest_first()])
        return instant_of(latest[0]) if latest else None

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)

    async def _run(self, job: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Run a job on the thread. Raises: Terminal."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, job, *arguments)
        except OSError as error:
            raise Terminal(f"{error.filename or self._folder}: {error.strerror}") from error

    # What follows runs on the thread.

    def _newest_first(self) -> list[dt.date]:
        return sorted(self._totals, reverse=True)

    def _admit(self, day: dt.date) -> None:
        held = self._on(day, _admitted)
        if held is not None:
            self._totals[day] = held

    def _entry(self, day: dt.date, row: int) -> StoredEntry | None:
        def read(path: Path) -> StoredEntry | None:
            with _opened(path) as db:
                return self._reader.entry(db, day, row)

        return self._on(day, read)

    def _search(self, day: dt.date, query: str, limit: int) -> list[StoredEntry]:
        def read(path: Path) -> list[StoredEntry]:
            with _opened(path) as db:
                return self._reader.search(db, day, query, limit)

        return self._on(day, read) or []

    def _on(self, day: dt.date, job: Callable[[Path], T]) -> T | None:
        """Return what ``job`` makes of the day's file; None if there is none, or if it is set aside now."""
        path = file_of(self._folder, day)
        if not path.exists():
            return None
        try:
            return job(path)
        except (sqlite3.Error, ValueError) as error:
            if _code(error) not in _DAMAGE:
                kind = Transient if _code(error) == sqlite3.SQLITE_BUSY else Terminal
                raise kind(f"{path}: {_reason(error)}") from error
            self._set_aside(day, error)
            return None

    def _set_aside(self, day: dt.date, error: Exception) -> None:
        path = file_of(self._folder, day)
        log.warning("store.raw_day_set_aside", path=str(path), reason=str(error))
        self._totals.pop(day, None)
        path.rename(f"{path}{_ASIDE}")

    def _drop(self, today: dt.date, oldest: dt.date, bytes_max: int) -> int:
        files = _files(self._folder)
        total = sum(size for each in files.values() for _, size in each)
        dropped = 0
        for day in sorted(files.keys() - {today}):
            if day >= oldest and total <= bytes_max:
                break
            log.info("store.raw_day_dropped", day=day.isoformat())
            self._totals.pop(day, None)
            for path, size in files[day]:
                path.unlink(missing_ok=True)
                total -= size
            dropped += 1
        return dropped

    def _counts(self, today: dt.date) -> dict[str, int]:
        held = [each for day, each in self._totals.items() if day != today]
        files = [file for each in _files(self._folder).values() for file in each]
        return {
            "days": len(held),
            "rows": sum(each.rows for each in held),
            "bytes": sum(size for _, size in files),
            "templates": sum(each.templates for each in held),
            "set_aside": sum(path.name.endswith(_ASIDE) for path, _ in files),
        }


def _files(folder: Path) -> Files:
    """Return the files of each day; the database comes before what belongs to it."""
    found: Files = {}
    for path in sorted(folder.iterdir()):
        named = _OF_DAY.match(path.name)
        day = None if named is None else day_in(named[1])
        if day is not None:
            with suppress(FileNotFoundError):  # a journal is gone as soon as its file is closed
                size = path.stat().st_size
                found.setdefault(day, []).append((path, size))
    return found


def _opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", BUSY_SECONDS, uri=True))


def _admitted(path: Path) -> Totals:
    """Make the file plain, if that can be done, and return what it holds."""
    with path.open("rb") as file:
        head = file.read(_WRITE_VERSION + 1)
    if not head.startswith(MAGIC) or head[_WRITE_VERSION] != 1:
        _make_plain(path)
    with _opened(path) as db:
        return totals(db)


def _make_plain(path: Path) -> None:
    pid = holder(path)
    if pid:
        raise Terminal(
            f"{path} is still open in process {pid}: stop it, or use another state folder"
        )
    try:
        with closing(sqlite3.connect(path, BUSY_SECONDS, isolation_level=None)) as db:
            MIGRATIONS.apply(Schema(db, execute_plugins=False))  # a kill may have come before them
            db.execute("INSERT INTO first_entries (first_entries) VALUES ('optimize')")
            db.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        if _code(error) in _DAMAGE:
            raise
        log.warning("store.raw_day_not_plain", path=str(path), reason=_reason(error))


def _code(error: sqlite3.Error | ValueError) -> int | None:
    """Return SQLite's primary result code, None if it is not SQLite that complains."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _reason(error: sqlite3.Error | ValueError) -> str:
    return (isinstance(error, sqlite3.Error) and fatal_reason(error)) or str(error)
