"""Log entries -> the log store, in batches, durable within seconds; a store that fails costs entries, never the daemon.

A full disk must not stop what else entries are for. So whoever hands entries in never hears of a failure: it is
counted, shown and logged once, and for a while that grows nothing is tried; what comes meanwhile is lost, and
counted. Silence costs nothing: there is a timer only while something waits to be made durable.
"""

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TypeAlias

import structlog

from opsagent.model.canonical import JsonValue
from opsagent.model.following import LogFollowing, LogKeeping
from opsagent.model.log import LogEntry, LogOrigin
from opsagent.ports import Chance, Clock, LogStore, Terminal, Transient
from opsagent.runtime.channels import Channel
from opsagent.runtime.retry import Backoff, BackoffPolicy

INBOX_MAX = 256  # batches, of some 16 KiB of raw lines each; full means that reading waits
# What a kill loses is read again at the next start, as far as the node still has it. Of a container that keeps crashing
# it has little, and that says something new. A sync costs a millisecond or two of CPU.
SYNC_SECONDS = 300.0
SYNC_NEWS_SECONDS = 60.0
POLICY = BackoffPolicy(first_seconds=10.0, limit_seconds=60.0)

log = structlog.get_logger(__name__)

_Batch: TypeAlias = tuple[LogOrigin, Sequence[LogEntry]]


@dataclass(frozen=True, slots=True)
class LogRetention:
    """How much of the past is kept: ``days``, and of them the newest that have at most ``bytes_max``."""

    days: int
    bytes_max: int


class RememberLogs:
    """The way of entries into ``store``. All methods belong to one event loop."""

    def __init__(
        self, store: LogStore, clock: Clock, chance: Chance, retention: LogRetention
    ) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._inbox: Channel[_Batch] = Channel(INBOX_MAX)
        self._backoff = Backoff(chance, POLICY)
        self._is_to_sync = asyncio.Event()
        self._is_news = asyncio.Event()
        self._rests_until = 0.0  # no attempt before
        self._entries_total = self._waiting = self._lost_total = self._failures_total = 0
        self._last_error = ""

    async def take(self, origin: LogOrigin, entries: Sequence[LogEntry]) -> None:
        """Take entries of one log in, oldest first; waits while too many wait already."""
        self._waiting += len(entries)
        try:
            await self._inbox.put((origin, entries))
        except asyncio.CancelledError:
            self._waiting -= len(entries)
            raise

    def status(self) -> LogKeeping:
        """Return how well entries are kept."""
        return LogKeeping(
            entries_total=self._entries_total,
            waiting=self._waiting,
            lost_total=self._lost_total,
            failures_total=self._failures_total,
            last_error=self._last_error,
        )

    async def run(self) -> None:
        """Keep entries until cancelled; those that were handed in by then are kept too."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sync_when_due(), name="log store sync")
                while True:
                    first = await self._inbox.get()
                    await self._keep([first, *self._inbox.drain(INBOX_MAX)])
        finally:
            await self._keep(self._inbox.drain(INBOX_MAX))

    async def retain(self) -> None:
        """Delete what is too old or too much."""
        oldest = self._clock.now() - dt.timedelta(days=self._retention.days)
        try:
            dropped = await self._store.retain(oldest.date(), self._retention.bytes_max)
        except (Terminal, Transient) as error:
            self._fail(error)
        else:
            if dropped:
                log.info("logs.retained", days_dropped=dropped)

    async def _keep(self, batches: Sequence[_Batch]) -> None:
        """Store what came, log by log."""
        for origin, entries in batches if len(batches) == 1 else _together(batches):
            self._waiting -= len(entries)
            await self._append(origin, entries)

    async def _append(self, origin: LogOrigin, entries: Sequence[LogEntry]) -> None:
        if self._clock.monotonic() < self._rests_until:
            self._lost_total += len(entries)
            return
        try:
            await self._store.append(origin, entries, self._clock.now())
        except (Terminal, Transient) as error:
            self._lost_total += len(entries)
            self._fail(error)
            return
        self._entries_total += len(entries)
        self._is_to_sync.set()
        if not self._is_news.is_set() and any(entry.is_new for entry in entries):
            self._is_news.set()

    async def _sync_when_due(self) -> None:
        """Make durable what was stored, sooner if something was said for the first time; wait for ever while there is nothing."""
        while True:
            await self._is_to_sync.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(SYNC_SECONDS - SYNC_NEWS_SECONDS):
                    await self._is_news.wait()
            await asyncio.sleep(SYNC_NEWS_SECONDS)
            self._is_to_sync.clear()
            self._is_news.clear()
            await self._sync()

    async def _sync(self) -> None:
        try:
            await self._store.sync()
        except (Terminal, Transient) as error:
            self._fail(error)
        else:
            self._succeed()

    def _fail(self, error: Exception) -> None:
        self._failures_total += 1
        self._rests_until = self._clock.monotonic() + self._backoff.next_seconds(error)
        if not self._last_error:
            log.error("logs.not_kept", error=str(error))
        self._last_error = str(error)

    def _succeed(self) -> None:
        self._backoff.reset()
        if self._last_error:
            log.info("logs.kept_again", entries_lost=self._lost_total)
        self._last_error = ""


def _together(batches: Sequence[_Batch]) -> Iterable[_Batch]:
    """Return one batch a log."""
    entries_of: dict[LogOrigin, list[LogEntry]] = {}
    for origin, entries in batches:
        entries_of.setdefault(origin, []).extend(entries)
    return entries_of.items()


def logs_status(following: LogFollowing, keeping: LogKeeping) -> dict[str, JsonValue]:
    """Return what to show of the way of logs, from the containers to the disk."""
    return {"followed": asdict(following), "kept": asdict(keeping)}
