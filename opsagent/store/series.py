"""What numbers came to, ten minutes after ten minutes: ``ports.BinStore`` over one SQLite file.

Theory of operation. A bin of one selection is a row. Its numbers are five columns, each as wide as in memory, so what is
read back is what was kept, bit by bit. They lie byte by byte, first all the low bytes of all of them: neighbours share
the high ones, and a compressor sees it. A checksum comes first: SQLite has none.

Whose numbers they are is mostly the same from bin to bin and is as long as the numbers themselves. So the labels of a bin
are a row of their own, named by their digest, which any number of bins share; retention deletes those that nobody has.
"""

import datetime as dt
import hashlib
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

import cramjam
import msgspec
import numpy as np

from opsagent.model.series import Bin, Labels, Selection
from opsagent.ports import Terminal, Transient
from opsagent.store.database import Database
from opsagent.store.schema import Migrations, Schema

T = TypeVar("T")

LEVEL = 1  # of zstd: 3 gains nothing on numbers
BINS_MAX = 1000  # of one question: a week
DIGEST_BYTES = 16
SERIES = Migrations("series")

_CHECKSUM_BYTES = 4
_COLUMNS, _WIDTH = 5, 8  # count, sum, min, max, last; bytes of each number
_Row: TypeAlias = tuple[int, int, bytes, bytes, bytes | None]
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[Labels, ...])


@SERIES()
def m001_bins(schema: Schema) -> None:
    """Create the tables. A bin that is told again, after a restart, takes the place of the first."""
    schema.execute("CREATE TABLE label_sets (digest BLOB PRIMARY KEY, body BLOB) STRICT")
    schema.execute(
        "CREATE TABLE bins (selection TEXT, start_ms INTEGER, width_ms INTEGER, labels BLOB, body BLOB, "
        "PRIMARY KEY (selection, start_ms)) STRICT"
    )
    schema.execute("CREATE INDEX bins_by_start ON bins (start_ms, labels)")


class SeriesStore:
    """Make it with :meth:`open`. Raises (all methods): as ``ports.BinStore``; Transient while somebody else locks the file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._digests: dict[Selection, tuple[tuple[Labels, ...], bytes]] = {}

    @classmethod
    async def open(cls, path: Path) -> "SeriesStore":
        """Open or make the file.

        Raises:
            Terminal: it is open elsewhere, corrupt or not writable.
        """
        return cls(await Database.open(path, SERIES))

    async def keep(self, selection: Selection, told: Bin) -> None:
        """Keep one bin; durable when this returns, but for a power cut."""

        def write(connection: sqlite3.Connection) -> None:
            digest = self._digest_of(selection, told.labels)
            _keep_labels(connection, digest, told.labels)
            row = (selection.value, told.start_ms, told.width_ms, digest, _encoded(told))
            connection.execute("INSERT OR REPLACE INTO bins VALUES (?, ?, ?, ?, ?)", row)

        await self._run(self._database.write, write)

    def _digest_of(self, selection: Selection, labels: tuple[Labels, ...]) -> bytes:
        """Return the digest of ``labels``, which are mostly the very objects of the bin before."""
        known = self._digests.get(selection)
        if known is None or known[0] != labels:
            known = self._digests[selection] = labels, _digest(_ENCODER.encode(labels))
        return known[1]

    async def bins(self, selection: Selection, start_ms: int, end_ms: int) -> tuple[Bin, ...]:
        """Return the bins that begin from ``start_ms`` to before ``end_ms``, oldest first, at most 1,000."""

        def read(connection: sqlite3.Connection) -> tuple[Bin, ...]:
            rows = connection.execute(
                "SELECT start_ms, width_ms, bins.body, digest, label_sets.body "
                "FROM bins LEFT JOIN label_sets ON digest = labels "
                "WHERE selection = ? AND start_ms >= ? AND start_ms < ? ORDER BY start_ms LIMIT ?",
                (selection.value, start_ms, end_ms, BINS_MAX),
            )
            return _decoded(rows)

        return await self._run(self._database.read, read)

    async def ends(self) -> Mapping[Selection, int]:
        """Return where the newest bin of each selection that has one ends, Unix ms."""
        query = "SELECT start_ms + width_ms FROM bins WHERE selection = ? ORDER BY start_ms DESC LIMIT 1"

        def read(connection: sqlite3.Connection) -> Mapping[Selection, int]:
            found = {
                each: connection.execute(query, (each.value,)).fetchone() for each in Selection
            }
            return {selection: row[0] for selection, row in found.items() if row is not None}

        return await self._run(self._database.read, read)

    async def retain(self, oldest: dt.datetime) -> int:
        """Delete bins that begin before ``oldest``; return how many."""
        before = int(oldest.timestamp() * 1000)

        def write(connection: sqlite3.Connection) -> int:
            dropped = connection.execute("DELETE FROM bins WHERE start_ms < ?", (before,)).rowcount
            connection.execute(
                "DELETE FROM label_sets WHERE digest NOT IN (SELECT labels FROM bins)"
            )
            return dropped

        return await self._run(self._database.write, write)

    async def counts(self) -> Mapping[str, int]:
        """Return the number of bins and of the bytes of all bodies, for status."""

        def read(connection: sqlite3.Connection) -> Mapping[str, int]:
            (bins, size), (labels,) = (
                connection.execute(query).fetchone()
                for query in (
                    "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM bins",
                    "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM label_sets",
                )
            )
            return {"bins": bins, "bytes": size + labels}

        return await self._run(self._database.read, read)

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        await self._database.aclose()

    async def _run(
        self,
        lane: Callable[[Callable[[sqlite3.Connection], T]], Awaitable[T]],
        job: Callable[[sqlite3.Connection], T],
    ) -> T:
        """Run ``job`` on one of the file's two threads; what it raises becomes the port's."""
        path = self._database.path
        try:
            return await lane(job)
        except (ValueError, cramjam.DecompressionError) as error:
            raise Terminal(
                f"{path}: what is stored cannot be read ({error}): "
                "restore a copy of it, or move it and its -wal and -shm away to begin anew"
            ) from error
        except sqlite3.Error as error:
            kind = Transient if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else Terminal
            raise kind(f"{path}: {error}") from error


def _keep_labels(connection: sqlite3.Connection, digest: bytes, labels: tuple[Labels, ...]) -> None:
    """Keep the labels, unless they are there."""
    query = "SELECT 1 FROM label_sets WHERE digest = ?"
    if connection.execute(query, (digest,)).fetchone() is None:
        body = bytes(cramjam.zstd.compress(_ENCODER.encode(labels), level=LEVEL))
        connection.execute("INSERT INTO label_sets VALUES (?, ?)", (digest, body))


def _encoded(told: Bin) -> bytes:
    """Return the five columns as one body."""
    floats = (told.sum, told.min, told.max, told.last)
    words = [told.count.astype("<i8").view("u1"), *(e.astype("<f8").view("u1") for e in floats)]
    planes = np.concatenate(words).reshape(-1, _WIDTH).T.tobytes()
    packed = bytes(cramjam.zstd.compress(planes, level=LEVEL))
    return _checksum(packed) + packed


def _decoded(rows: sqlite3.Cursor) -> tuple[Bin, ...]:
    """Return the bins of rows. Raises: ValueError, DecompressionError."""
    known: dict[bytes, tuple[Labels, ...]] = {}
    return tuple(_bin(row, known) for row in rows)


def _bin(row: _Row, known: dict[bytes, tuple[Labels, ...]]) -> Bin:
    start_ms, width_ms, body, digest, packed_labels = row
    if packed_labels is None:
        raise ValueError("the labels of a bin are missing")
    if digest not in known:
        known[digest] = _decoded_labels(digest, packed_labels)
    packed = body[_CHECKSUM_BYTES:]
    if not packed or _checksum(packed) != body[:_CHECKSUM_BYTES]:
        raise ValueError("the checksum of a bin is wrong")
    planes = np.frombuffer(bytes(cramjam.zstd.decompress(packed)), "u1").reshape(_WIDTH, -1)
    columns = np.ascontiguousarray(planes.T).view("<i8").reshape(_COLUMNS, len(known[digest]))
    return Bin(start_ms, width_ms, known[digest], columns[0], *columns[1:].view("<f8"))


def _decoded_labels(digest: bytes, packed: bytes) -> tuple[Labels, ...]:
    plain = bytes(cramjam.zstd.decompress(packed))
    if _digest(plain) != digest:
        raise ValueError("the digest of labels is wrong")
    return _DECODER.decode(plain)


def _digest(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=DIGEST_BYTES).digest()


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES, "little")
