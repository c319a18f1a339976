"""Transcripts of investigations, in the daemon's file: one row per entry, numbered, never changed.

A row is committed before the thing that it announces happens, so after a kill the rows say what may have
been done and what was not. They share the file's ``synchronous=NORMAL``: a power cut may take the
last rows with it, and then a read-only tool is asked again; an intent to write never stands here.

It refuses nothing: whoever holds the file's lock and the Lease is the only one who writes here.
"""

import sqlite3

from opsagent.model.canonical import instant
from opsagent.model.transcript import Answered, Asked, Called, Closed, Entry, Opened, Returned
from opsagent.ports import Terminal
from opsagent.store.codec import Codec
from opsagent.store.database import Database
from opsagent.store.schema import Schema

_FORMS: dict[str, Codec[Entry]] = {
    type_.__name__.lower(): Codec[Entry](type_)
    for type_ in (Opened, Asked, Answered, Called, Returned, Closed)
}


def create(db: Schema) -> None:
    """Create the table; a migration of the daemon's file calls this."""
    db.execute(
        """CREATE TABLE transcripts (
            investigation_id TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL,
            type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (investigation_id, seq)
        ) STRICT, WITHOUT ROWID"""
    )


def drop_ended_before(connection: sqlite3.Connection, stamp: str) -> None:
    """Delete the transcripts whose last entry is older than ``stamp``, each whole."""
    connection.execute(
        """DELETE FROM transcripts WHERE investigation_id IN (
            SELECT investigation_id FROM transcripts GROUP BY investigation_id HAVING MAX(at) < ?
        )""",
        (stamp,),
    )


class SqliteTranscripts:
    """``ports.TranscriptStore`` over the daemon's file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return all entries, oldest first.

        Raises:
            Terminal: a stored entry cannot be read.
        """

        def read(connection: sqlite3.Connection) -> tuple[Entry, ...]:
            query = "SELECT type, body FROM transcripts WHERE investigation_id = ? ORDER BY seq"
            rows = connection.execute(query, (investigation_id,))
            return tuple(_FORMS[type_].decode(body) for type_, body in rows)

        try:
            return await self._database.read(read)
        except (ValueError, KeyError) as error:
            raise Terminal(
                f"{self._database.path}: the transcript {investigation_id} cannot be read ({error}): "
                "start the version that wrote it, restore a copy, or use an empty state folder"
            ) from error

    async def append(self, investigation_id: str, entry: Entry) -> None:
        """Add ``entry`` behind the others; it is committed when this returns."""
        type_ = type(entry).__name__.lower()
        row = (instant(entry.at), type_, _FORMS[type_].encode(entry), investigation_id)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                """INSERT INTO transcripts (at, type, body, investigation_id, seq)
                    SELECT ?1, ?2, ?3, ?4, COUNT(*) FROM transcripts WHERE investigation_id = ?4""",
                row,
            )

        await self._database.write(write)
