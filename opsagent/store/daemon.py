"""The daemon's state in one SQLite file: what was seen, what it means, who has to be told.

Theory of operation. Everything that follows from one input is one ``Batch`` and one transaction, so after
a kill the file holds the state after some input, never between two. Raw rows are appended and never
changed. The table ``live`` names the newest row of every object that exists; a deletion removes that
entry, and the row itself stays until retention, so that pointers into the recent past still open.
``meta`` keeps the last row number across retention, which may drop the row that carried it.

Values are JSON text next to the few columns that queries need. What this module refuses: a row that
does not follow the last one (a second writer, or a lost commit), and text that is not what its table
says. Both are ``Terminal``. Every read is bounded, but for the live objects, which the cluster bounds.
"""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from opsagent.model.alert import Alert, AlertState
from opsagent.model.canonical import instant
from opsagent.model.entity import Kind
from opsagent.model.incident import Incident, IncidentState
from opsagent.model.notification import Notification
from opsagent.model.signal import Change, RawRow, RowType
from opsagent.ports import Batch, Snapshot, Terminal
from opsagent.store import transcript
from opsagent.store.codec import Codec, object_codec
from opsagent.store.database import Database
from opsagent.store.schema import Migrations, Schema
from opsagent_memory.fact import Fact

T = TypeVar("T")

CHANGES_MAX = (
    1000  # recent changes that a start brings back; correlation looks at hours, not at weeks
)
LIMIT_MAX = 10_000  # rows of any other read
RETAIN_CHUNK = 1000  # rows per deleting transaction, so that a commit never waits long behind one
TABLES = ("rows", "live", "changes", "alerts", "incidents", "facts", "notifications")

CHANGE = Codec(Change)
ALERT = Codec(Alert)
INCIDENT = Codec(Incident)
FACT = Codec(Fact)
NOTIFICATION = Codec(Notification)

MIGRATIONS = Migrations("daemon")


@MIGRATIONS()
def m001_observed(db: Schema) -> None:
    """Create the tables of what was seen."""
    row = {"seq": int, "at": str, "type": str, "kind": str, "body": str}
    db.table("rows").create(row, pk="seq", not_null={"at", "type", "kind"}, strict=True)
    db.table("rows").create_index(["at"])
    key = ("kind", "namespace", "name")
    db.table("live").create(
        {**dict.fromkeys(key, str), "seq": int},
        pk=key,
        not_null={"seq"},
        foreign_keys=[("seq", "rows", "seq")],
        strict=True,
    )
    db.table("live").create_index(["seq"], unique=True)
    db.table("meta").create({"key": str, "value": int}, pk="key", strict=True)


@MIGRATIONS()
def m002_concluded(db: Schema) -> None:
    """Create the tables of what it means and who has to be told."""
    shapes = {
        "changes": ("change_id", ("at",)),
        "alerts": ("fingerprint", ("state", "ends_at")),
        "incidents": ("incident_id", ("opened_at", "state")),
        "facts": ("fact_id", ("at",)),
        "notifications": ("notification_id", ("at", "closed_at", "fate")),
    }
    for name, (key, columns) in shapes.items():
        shape = {key: str, **dict.fromkeys(columns, str), "body": str}
        db.table(name).create(shape, pk=key, not_null={"body"}, strict=True)
        db.table(name).create_index([columns[0]])


@MIGRATIONS()
def m003_transcripts(db: Schema) -> None:
    """Create the table of what a model was asked, answered and had run."""
    transcript.create(db)


class SqliteStore:
    """``ports.Store`` over one file. Make it with :meth:`open`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the file, bring its schema up to date and keep every other writer out.

        Raises:
            Terminal: it is open elsewhere, corrupt or not writable.
        """
        return cls(await Database.open(path, MIGRATIONS, synchronous="NORMAL"))

    def transcripts(self) -> transcript.SqliteTranscripts:
        """Return the transcripts, which are kept in the same file."""
        return transcript.SqliteTranscripts(self._database)

    async def load(self) -> Snapshot:
        """Return the state after the last commit: rows by number, changes oldest first, the rest by id."""
        return await self._read(_snapshot)

    async def commit(self, batch: Batch) -> None:
        """Write the batch in one transaction; what is known already by id is not written twice."""

        def write(connection: sqlite3.Connection) -> None:
            self._write_rows(connection, batch.rows)
            _write_conclusions(connection, batch)

        await self._database.write(write)

    async def incidents(self, limit: int = 100) -> tuple[Incident, ...]:
        """Return incidents, newest first."""
        query = "SELECT body FROM incidents ORDER BY opened_at DESC, incident_id DESC LIMIT ?"
        return await self._values(INCIDENT, query, (_bounded(limit),))

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        query = "SELECT body FROM incidents WHERE incident_id = ?"
        found = await self._values(INCIDENT, query, (incident_id,))
        return found[0] if found else None

    async def facts(self, limit: int = 1000) -> tuple[Fact, ...]:
        """Return the newest ``limit`` facts, oldest of them first."""
        query = "SELECT body FROM facts ORDER BY at DESC, rowid DESC LIMIT ?"
        found = await self._values(FACT, query, (_bounded(limit),))
        return found[::-1]

    async def row(self, seq: int) -> RawRow | None:
        """Return the raw row that a pointer names, None once retention has dropped it."""

        def read(connection: sqlite3.Connection) -> RawRow | None:
            query = "SELECT seq, at, type, kind, body FROM rows WHERE seq = ?"
            found = connection.execute(query, (seq,)).fetchone()
            return None if found is None else _row(*found)

        return await self._read(read)

    async def undelivered(self, limit: int = 50) -> tuple[Notification, ...]:
        """Return notifications that no receiver has taken and nobody gave up, oldest first."""
        query = "SELECT body FROM notifications WHERE fate IS NULL ORDER BY at, rowid LIMIT ?"
        return await self._values(NOTIFICATION, query, (_bounded(limit),))

    async def mark_delivered(self, notification_id: str, at: dt.datetime) -> None:
        """Record that the receiver took it."""
        await self._close_notification(notification_id, at, "delivered")

    async def mark_given_up(self, notification_id: str, at: dt.datetime) -> None:
        """Record that nobody will try to deliver it any more; it stays in the log."""
        await self._close_notification(notification_id, at, "given_up")

    async def retain(self, oldest: dt.datetime) -> int:
        """Delete raw rows older than ``oldest`` that are no live object's newest; return how many.

        Changes, resolved alerts and transcripts of before go with them: what they point to is gone.
        """
        stamp = instant(oldest)
        removed = 0
        while True:
            chunk = await self._database.write(lambda connection: _drop_rows(connection, stamp))
            removed += chunk
            if chunk < RETAIN_CHUNK:
                break
        await self._database.write(lambda connection: _drop_conclusions(connection, stamp))
        return removed

    async def counts(self) -> Mapping[str, int]:
        """Return the number of rows per table."""

        def read(connection: sqlite3.Connection) -> dict[str, int]:
            # Table names are the constants above, never input.
            return {name: _scalar(connection, f"SELECT COUNT(*) FROM {name}") for name in TABLES}  # noqa: S608 - our own table names

        return await self._database.read(read)

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        await self._database.aclose()

    def _write_rows(self, connection: sqlite3.Connection, rows: Sequence[RawRow]) -> None:
        if not rows:
            return
        seq = _last_seq(connection)
        for row in rows:
            if row.seq != seq + 1:
                raise Terminal(
                    f"{self._database.path}: row {row.seq} cannot follow row {seq}: "
                    "daemon and file disagree; start the daemon again, it resumes from the file"
                )
            seq = row.seq
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", map(_columns, rows))
        _write_live(connection, rows)

    async def _close_notification(self, notification_id: str, at: dt.datetime, fate: str) -> None:
        # The first fate stands: a message taken and then reported again was taken.
        statement = (
            "UPDATE notifications SET fate = ?, closed_at = ? "
            "WHERE notification_id = ? AND fate IS NULL"
        )
        values = (fate, instant(at), notification_id)
        await self._database.write(lambda connection: connection.execute(statement, values).close())

    async def _values(
        self, codec: Codec[T], query: str, values: tuple[str | int, ...]
    ) -> tuple[T, ...]:
        return await self._read(lambda connection: _select(connection, codec, query, values))

    async def _read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._database.read(fn)
        except ValueError as error:
            raise Terminal(
                f"{self._database.path}: a stored value cannot be read ({error}): "
                "start the version that wrote it, restore a copy, or use an empty state folder"
            ) from error


def _snapshot(connection: sqlite3.Connection) -> Snapshot:
    rows = connection.execute(
        "SELECT rows.seq, at, type, rows.kind, body FROM live JOIN rows USING (seq) ORDER BY seq"
    )
    changes = "SELECT body FROM changes ORDER BY at DESC, rowid DESC LIMIT ?"
    alerts = "SELECT body FROM alerts WHERE state != ? ORDER BY fingerprint"
    incidents = "SELECT body FROM incidents WHERE state != ? ORDER BY incident_id"
    return Snapshot(
        seq=_last_seq(connection),
        rows=tuple(_row(*columns) for columns in rows),
        changes=_select(connection, CHANGE, changes, (CHANGES_MAX,))[::-1],
        alerts=_select(connection, ALERT, alerts, (AlertState.RESOLVED.value,)),
        incidents=_select(connection, INCIDENT, incidents, (IncidentState.CLOSED.value,)),
    )


def _select(
    connection: sqlite3.Connection, codec: Codec[T], query: str, values: tuple[str | int, ...]
) -> tuple[T, ...]:
    return tuple(codec.decode(body) for (body,) in connection.execute(query, values))


def _row(seq: int, at: str, type_: str, kind: str, body: str | None) -> RawRow:
    what = Kind(kind)
    item = None if body is None else object_codec(what).decode(body)
    return RawRow(seq, dt.datetime.fromisoformat(at), RowType(type_), what, item)


def _bounded(limit: int) -> int:
    # SQLite takes a negative limit for none.
    return max(0, min(limit, LIMIT_MAX))


def _scalar(connection: sqlite3.Connection, query: str) -> int:
    (value,) = connection.execute(query).fetchone()
    return int(value)


def _last_seq(connection: sqlite3.Connection) -> int:
    return _scalar(
        connection,
        "SELECT MAX(COALESCE((SELECT MAX(seq) FROM rows), 0),"
        " COALESCE((SELECT value FROM meta WHERE key = 'seq'), 0))",
    )


def _columns(row: RawRow) -> tuple[int, str, str, str, str | None]:
    body = None if row.item is None else object_codec(row.kind).encode(row.item)
    return row.seq, instant(row.at), row.type.value, row.kind.value, body


def _write_live(connection: sqlite3.Connection, rows: Iterable[RawRow]) -> None:
    """Note which row is the newest of each object; one that was deleted last has none."""
    newest: dict[tuple[str, str, str], RawRow] = {}
    for row in rows:
        if row.item is not None:
            newest[row.kind.value, row.item.meta.namespace, row.item.meta.name] = row
    gone = [key for key, row in newest.items() if row.type is RowType.DELETED]
    there = [(*key, row.seq) for key, row in newest.items() if row.type is not RowType.DELETED]
    if gone:
        connection.executemany(
            "DELETE FROM live WHERE kind = ? AND namespace = ? AND name = ?", gone
        )
    if there:
        connection.executemany(
            "INSERT INTO live VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, namespace, name) DO UPDATE SET seq = excluded.seq",
            there,
        )


def _write_conclusions(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write what follows from rows, table by table; from most rows nothing does."""
    if batch.changes:
        connection.executemany(
            "INSERT OR IGNORE INTO changes VALUES (?, ?, ?)",
            [(item.change_id, instant(item.at), CHANGE.encode(item)) for item in batch.changes],
        )
    if batch.alerts:
        connection.executemany(
            "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?)",
            [
                (
                    item.fingerprint,
                    item.state.value,
                    None if item.ends_at is None else instant(item.ends_at),
                    ALERT.encode(item),
                )
                for item in batch.alerts
            ],
        )
    if batch.incidents:
        connection.executemany(
            "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?)",
            [
                (item.incident_id, instant(item.opened_at), item.state.value, INCIDENT.encode(item))
                for item in batch.incidents
            ],
        )
    if batch.notifications:
        connection.executemany(
            "INSERT OR IGNORE INTO notifications VALUES (?, ?, NULL, NULL, ?)",
            [
                (item.notification_id, instant(item.at), NOTIFICATION.encode(item))
                for item in batch.notifications
            ],
        )
    for item in batch.facts:
        _write_fact(connection, item)


def _write_fact(connection: sqlite3.Connection, item: Fact) -> None:
    # The same fact told again without its pin stays pinned.
    connection.execute(
        "INSERT OR IGNORE INTO facts VALUES (?, ?, ?)",
        (item.fact_id, instant(item.at), FACT.encode(item)),
    )
    if item.is_pinned:
        connection.execute(
            "UPDATE facts SET body = ? WHERE fact_id = ?",
            (FACT.encode(item), item.fact_id),
        )


def _drop_rows(connection: sqlite3.Connection, stamp: str) -> int:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('seq', ?)", (_last_seq(connection),))
    statement = (
        "DELETE FROM rows WHERE seq IN (SELECT seq FROM rows WHERE at < ? AND NOT EXISTS "
        "(SELECT 1 FROM live WHERE live.seq = rows.seq) ORDER BY at LIMIT ?)"
    )
    return connection.execute(statement, (stamp, RETAIN_CHUNK)).rowcount


def _drop_conclusions(connection: sqlite3.Connection, stamp: str) -> None:
    connection.execute("DELETE FROM changes WHERE at < ?", (stamp,))
    connection.execute(
        "DELETE FROM alerts WHERE state = ? AND ends_at < ?", (AlertState.RESOLVED.value, stamp)
    )
    transcript.drop_ended_before(connection, stamp)
