"""The daemon's own disk: what it believes, bins of numbers, logs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from opsagent.model.alert import Alert
from opsagent.model.incident import Incident
from opsagent.model.log import LogEntry, LogOrigin, StoredEntry
from opsagent.model.notification import Notification
from opsagent.model.series import Bin, Selection
from opsagent.model.signal import Change, RawRow
from opsagent_memory.fact import Fact


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that follows from one input, committed in one transaction or not at all."""

    rows: tuple[RawRow, ...] = ()
    changes: tuple[Change, ...] = ()
    alerts: tuple[Alert, ...] = ()
    incidents: tuple[Incident, ...] = ()
    facts: tuple[Fact, ...] = ()
    notifications: tuple[Notification, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the pipeline resumes from: live objects, recent changes, open alerts, all unclosed incidents."""

    seq: int = 0
    rows: tuple[RawRow, ...] = ()
    changes: tuple[Change, ...] = ()
    alerts: tuple[Alert, ...] = ()
    incidents: tuple[Incident, ...] = ()


class Store(Protocol):
    """The daemon's durable state, one writer.

    Raises: Terminal if the disk is full or the file corrupt, with the path in the message.
    """

    async def load(self) -> Snapshot:
        """Return the state after the last commit. ``rows`` hold the newest row of every live object."""
        ...

    async def commit(self, batch: Batch) -> None:
        """Write the batch atomically; a notification id already known is ignored."""
        ...

    async def incidents(self, limit: int = 100) -> tuple[Incident, ...]:
        """Return incidents, newest first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def facts(self, limit: int = 1000) -> tuple[Fact, ...]:
        """Return facts, oldest first."""
        ...

    async def row(self, seq: int) -> RawRow | None:
        """Return the raw row that a pointer names, None once retention has dropped it."""
        ...

    async def undelivered(self, limit: int = 50) -> tuple[Notification, ...]:
        """Return notifications that no receiver has taken and nobody gave up, oldest first."""
        ...

    async def mark_delivered(self, notification_id: str, at: dt.datetime) -> None:
        """Record that the receiver took it."""
        ...

    async def mark_given_up(self, notification_id: str, at: dt.datetime) -> None:
        """Record that nobody will try to deliver it any more; it stays in the log."""
        ...

    async def retain(self, oldest: dt.datetime) -> int:
        """Delete raw rows older than ``oldest`` that are no live object's newest; return how many."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Return the number of rows per table, for status."""
        ...

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        ...


class BinStore(Protocol):
    """What numbers came to, bin after bin. One writer.

    Raises (all methods but ``aclose``): Terminal if the disk is full or the file corrupt, with the path in the message;
    Transient while somebody else holds it.
    """

    async def keep(self, selection: Selection, told: Bin) -> None:
        """Keep one bin; one that is told again takes the place of the first."""
        ...

    async def bins(self, selection: Selection, start_ms: int, end_ms: int) -> tuple[Bin, ...]:
        """Return the bins that begin from ``start_ms`` to before ``end_ms`` (Unix ms), oldest first, at most 1,000."""
        ...

    async def ends(self) -> Mapping[Selection, int]:
        """Return where the newest bin of each selection that has one ends, Unix ms."""
        ...

    async def retain(self, oldest: dt.datetime) -> int:
        """Delete bins that begin before ``oldest``; return how many."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Return the number of bins and of their bytes, for status."""
        ...

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        ...


class LogStore(Protocol):
    """What logs said, a file a day, for as long as days and bytes allow. One writer.

    Rows are numbered from 1 within a day, which is that of arrival. Raises: Terminal if the disk is full
    or a file corrupt, with the path in the message; Transient while somebody else holds the file of an older day.
    """

    async def append(self, origin: LogOrigin, entries: Sequence[LogEntry], now: dt.datetime) -> str:
        """Take entries in, oldest first; return the pointer of the first, the others follow it.

        They can be read at once, and are durable after ``sync``.
        """
        ...

    @property
    def newest(self) -> dt.datetime | None:
        """The latest instant of what was taken in, or durable when the store was opened; None before any."""
        ...

    async def sync(self) -> None:
        """Make durable what was taken in so far."""
        ...

    async def entry(self, pointer: str) -> StoredEntry | None:
        """Return the entry that a pointer names, None once retention has dropped it."""
        ...

    async def search(self, words: str, limit: int = 100) -> tuple[StoredEntry, ...]:
        """Return the first entries of the templates that hold all ``words``, newest first."""
        ...

    async def retain(self, oldest: dt.date, bytes_max: int) -> int:
        """Delete days before ``oldest``, then the oldest ones until ``bytes_max`` holds; return how many."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Return days, rows, bytes on disk and first-seen templates, for status."""
        ...

    async def aclose(self) -> None:
        """Sync, close and release the lock."""
        ...
