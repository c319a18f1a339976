"""What numbers came to, ten minutes after ten minutes: ``ports.BinStore`` over one SQLite file.

A bin of one selection is one row: its labels and five arrays, compressed together. The arrays are little-endian and as
wide as in memory, so what is read back is what was kept, bit by bit.
"""

import datetime as dt
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import cramjam
import msgspec
import numpy as np
from sqlite_utils import Database as Schema, Migrations

from opsagent.model.series import Bin, Labels, Selection, Stamps, Values
from opsagent.store.database import Database

LEVEL = 1  # of zstd: 3 gains nothing on numbers
BINS_MAX = 1000  # of one question: a week
SERIES = Migrations("series")


@SERIES()
def m001_bins(schema: Schema) -> None:
    """Create the table. A bin that is told again, after a restart, takes the place of the first."""
    schema.execute(
        "CREATE TABLE bins (selection TEXT, start_ms INTEGER, width_ms INTEGER, body BLOB, "
        "PRIMARY KEY (selection, start_ms)) STRICT, WITHOUT ROWID"
    )


class _Packed(msgspec.Struct, array_like=True):
    labels: tuple[Labels, ...]
    count: bytes
    sum: bytes
    min: bytes
    max: bytes
    last: bytes


class SeriesStore:
    """Make it with :meth:`open`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "SeriesStore":
        """Open or make the file.

        Raises:
            Terminal: it is open elsewhere, corrupt or not writable.
        """
        return cls(await Database.open(path, SERIES))

    async def keep(self, selection: Selection, told: Bin) -> None:
        """Keep one bin; durable when this returns, but for a power cut."""
        body = _encoded(told)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO bins VALUES (?, ?, ?, ?)",
                (selection.value, told.start_ms, told.width_ms, body),
            )

        await self._database.write(write)

    async def bins(self, selection: Selection, start_ms: int, end_ms: int) -> tuple[Bin, ...]:
        """Return the bins that begin from ``start_ms`` to before ``end_ms``, oldest first, at most 1,000."""

        def read(connection: sqlite3.Connection) -> list[tuple[int, int, bytes]]:
            return connection.execute(
                "SELECT start_ms, width_ms, body FROM bins WHERE selection = ? "
                "AND start_ms >= ? AND start_ms < ? ORDER BY start_ms LIMIT ?",
                (selection.value, start_ms, end_ms, BINS_MAX),
            ).fetchall()

        return tuple(_decoded(*row) for row in await self._database.read(read))

    async def retain(self, oldest: dt.datetime) -> int:
        """Delete bins that begin before ``oldest``; return how many."""
        before = int(oldest.timestamp() * 1000)

        def write(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM bins WHERE start_ms < ?", (before,)).rowcount

        return await self._database.write(write)

    async def counts(self) -> Mapping[str, int]:
        """Return the number of bins, and of the bytes in them, for status."""

        def read(connection: sqlite3.Connection) -> tuple[int, int]:
            query = "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM bins"
            count, size = connection.execute(query).fetchone()
            return count, size

        bins, size = await self._database.read(read)
        return {"bins": bins, "bytes": size}

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        await self._database.aclose()


def _encoded(told: Bin) -> bytes:
    arrays = (told.count, told.sum, told.min, told.max, told.last)
    parts = [np.ascontiguousarray(each.astype(each.dtype.newbyteorder("<"))) for each in arrays]
    packed = _Packed(told.labels, *(each.tobytes() for each in parts))
    return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(packed), level=LEVEL))


def _decoded(start_ms: int, width_ms: int, body: bytes) -> Bin:
    packed = msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(body)), type=_Packed)
    count: Stamps = np.frombuffer(packed.count, "<i8")
    sums, mins, maxs, lasts = map(_values, (packed.sum, packed.min, packed.max, packed.last))
    return Bin(start_ms, width_ms, packed.labels, count, sums, mins, maxs, lasts)


def _values(body: bytes) -> Values:
    values: Values = np.frombuffer(body, "<f8")
    return values
