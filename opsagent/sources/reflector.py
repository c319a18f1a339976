"""Follows all objects of one kind and tells only what changed.

Theory. A paged list gives a consistent picture and its resource version; a watch continues from
there; bookmarks keep the version young while nothing happens. When the version is too old (Gone) the
list is taken again. A list, the first one after a restart included, is compared with what is already
known, so the sink hears differences and never a second "added" for an old object; what the list no
longer has is told as deleted. Each finished list ends with one ``SYNCED``.

Two things make it safe to leave alone for weeks. It never runs hot: a server that ends each watch at
once, or says Gone each time, meets growing jittered waits like one that fails. The first Gone after an
outage is another matter: it is the answer of a server that lives again, so the list is taken soon,
however long the outage made the waits. And silence is never news: :meth:`Reflector.status` says how old the picture is and why.

The sink is awaited, so a slow consumer slows the watch down and nothing is dropped. Sequence numbers,
redaction and storage are the consumer's.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias

import structlog

from opsagent.model.entity import CLUSTER_SCOPED, Entity, Kind
from opsagent.model.kube import KubeObject, entity_of
from opsagent.model.signal import RowType
from opsagent.ports import (
    Chance,
    Clock,
    ClusterReader,
    Forbidden,
    Gone,
    NotFound,
    Terminal,
    Transient,
    WatchEvent,
)
from opsagent.runtime.retry import Backoff, BackoffPolicy

HEALTHY_SECONDS = 5.0  # a watch that lived this long ended in the ordinary way
PAGE_OBJECTS = 500  # client-go's page size
POLICY = BackoffPolicy(
    limit_seconds=30.0
)  # client-go's reflector waits 0.8 s, doubling, up to 30 s
Sink: TypeAlias = Callable[[dt.datetime, RowType, Kind, KubeObject | None], Awaitable[None]]
_FAILURES = (Transient, Forbidden, NotFound, Terminal)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What to follow.

    ``known``: the objects that the sink knows already, from before a restart. ``namespaces``: where
    to look, each with its own watch; empty means everywhere. Kinds without a namespace are followed
    everywhere in any case.
    """

    kind: Kind
    namespaces: tuple[str, ...] = ()
    known: tuple[KubeObject, ...] = ()


@dataclass(slots=True)
class Counters:
    """What a reflector did since it was made."""

    lists_total: int = 0
    watches_total: int = 0
    events_total: int = 0
    bookmarks_total: int = 0
    repeats_total: int = 0  # events that told nothing new
    gone_total: int = 0
    failures_total: int = 0


@dataclass(frozen=True, slots=True)
class ReflectorStatus:
    """How well one kind is seen.

    ``observed_at`` is when the server last told anything, a bookmark included; None before the first
    list. ``last_error`` is empty while all is well.
    """

    kind: Kind
    is_synced: bool
    objects: int
    observed_at: dt.datetime | None
    lag_seconds: float | None
    last_error: str
    counters: Counters

    def counted(self) -> Mapping[str, int]:
        """Return the counters by their names."""
        return asdict(self.counters)


@dataclass(slots=True)
class _Scope:
    """One list and watch: a namespace, or all of them.

    ``version`` is empty when a list is due. ``was_gone``: since the last time that all went well.
    """

    namespace: str
    backoff: Backoff
    version: str = ""
    was_gone: bool = False
    is_synced: bool = False
    error: str = ""


class Reflector:
    """Keeps ``sink`` informed about every object of the target's kind.

    Args:
        reader: where to look.
        target: what to look for.
        sink: takes (observed at, type, kind, object); ``SYNCED`` has no object. If it fails, the same
            observation is told again after a restart.
        clock: stamps the observations.
        chance: spreads the waits.
        beat: called at each sign of life.
    """

    def __init__(
        self,
        reader: ClusterReader,
        target: Target,
        sink: Sink,
        *,
        clock: Clock,
        chance: Chance,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._kind = target.kind
        self._sink = sink
        self._clock = clock
        self._beat = beat
        self._known: dict[Entity, KubeObject] = {entity_of(item): item for item in target.known}
        namespaces = () if target.kind in CLUSTER_SCOPED else target.namespaces
        self._scopes = [_Scope(name, Backoff(chance, POLICY)) for name in namespaces or ("",)]
        self._observed_at: dt.datetime | None = None
        self._observed = 0.0  # the same by the clock that nobody sets
        self._counters = Counters()

    def status(self) -> ReflectorStatus:
        """Return how well the kind is seen now."""
        seen = self._observed_at
        return ReflectorStatus(
            self._kind,
            all(scope.is_synced for scope in self._scopes),
            len(self._known),
            seen,
            None if seen is None else self._clock.monotonic() - self._observed,
            "; ".join(scope.error for scope in self._scopes if scope.error),
            self._counters,
        )

    async def run(self) -> None:
        """List and watch until cancelled; no answer of the server ends it."""
        async with asyncio.TaskGroup() as group:
            for scope in self._scopes:
                name = f"reflector {self._kind.value} {scope.namespace}".rstrip()
                group.create_task(self._follow(scope), name=name)

    async def _follow(self, scope: _Scope) -> None:
        while True:
            self._beat()
            wait = await self._list_and_watch(scope)
            if wait > 0:
                await asyncio.sleep(wait)

    async def _list_and_watch(self, scope: _Scope) -> float:
        """Go on from where ``scope`` stands until the server ends it; return how long to wait then."""
        loop = asyncio.get_running_loop()
        watched_since = loop.time()
        told_before = self._counters.events_total
        error: Exception | None = None
        try:
            if not scope.version:
                scope.version = await self._list(scope)
            watched_since = loop.time()
            await self._watch(scope)
        except Gone:
            self._note_gone(scope)
        except _FAILURES as failure:
            error = failure
            self._note_failure(scope, failure)
        lasted = loop.time() - watched_since >= HEALTHY_SECONDS
        if lasted or (
            error is None and scope.version and self._counters.events_total > told_before
        ):
            scope.backoff.reset()
            scope.was_gone = False
        return 0.0 if lasted and error is None else scope.backoff.next_seconds(error)

    def _note_gone(self, scope: _Scope) -> None:
        self._counters.gone_total += 1
        scope.version = ""
        if not scope.was_gone:
            scope.backoff.reset()
        scope.was_gone = True

    def _note_failure(self, scope: _Scope, error: Exception) -> None:
        self._counters.failures_total += 1
        scope.error = f"{type(error).__name__}: {error}"
        _log.warning("reflector.failed", kind=self._kind.value, reason=scope.error)

    def _note_answer(self, scope: _Scope) -> None:
        scope.error = ""
        self._observed_at, self._observed = self._clock.now(), self._clock.monotonic()
        self._beat()

    async def _list(self, scope: _Scope) -> str:
        """Tell the differences between the list and what is known; return the list's version."""
        self._counters.lists_total += 1
        missing = {entity for entity in self._known if scope.namespace in ("", entity.namespace)}
        malformed = 0
        token = ""
        while True:
            page = await self._reader.list_page(
                self._kind, namespace=scope.namespace, continue_token=token, limit=PAGE_OBJECTS
            )
            self._note_answer(scope)
            malformed += page.malformed
            for item in page.items:
                missing.discard(entity_of(item))
                await self._tell_present(item)
            token = page.continue_token
            if not token:
                break
        for entity in sorted(missing):
            # A malformed item has no name to tell: who is missing may only be unreadable.
            if not malformed or await self._is_gone(entity):
                await self._tell_deleted(self._known[entity])
        await self._tell_synced(scope)
        return page.resource_version

    async def _is_gone(self, entity: Entity) -> bool:
        try:
            await self._reader.get(entity)
        except NotFound:
            return True
        except (Transient, Forbidden, Terminal):
            return False
        return False

    async def _tell_synced(self, scope: _Scope) -> None:
        """Tell ``SYNCED`` once all namespaces are listed: before, the picture of the kind is not whole."""
        scope.is_synced = True
        if all(each.is_synced for each in self._scopes):
            await self._sink(self._clock.now(), RowType.SYNCED, self._kind, None)

    async def _watch(self, scope: _Scope) -> None:
        self._counters.watches_total += 1
        events = self._reader.watch(self._kind, scope.version, namespace=scope.namespace)
        try:
            async for event in events:
                self._note_answer(scope)
                await self._take(event)
                scope.version = event.resource_version or scope.version
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()  # the connection, now and not when the collector comes by

    async def _take(self, event: WatchEvent) -> None:
        if event.type is None or event.item is None:
            self._counters.bookmarks_total += 1
            return
        self._counters.events_total += 1
        if event.type is not RowType.DELETED:
            await self._tell_present(event.item)
            return
        known = self._known.get(entity_of(event.item))
        if known is None or known.meta.uid != event.item.meta.uid:
            self._counters.repeats_total += 1
            return
        await self._tell_deleted(event.item)

    async def _tell_present(self, item: KubeObject) -> None:
        """Tell what it means that ``item`` exists, whatever the server calls the event."""
        entity = entity_of(item)
        known = self._known.get(entity)
        if known is not None and known.meta.uid != item.meta.uid:
            await self._tell_deleted(known)
            known = None
        if known is None:
            await self._tell(RowType.ADDED, item)
        elif known.meta.resource_version != item.meta.resource_version:
            await self._tell(RowType.MODIFIED, item)
        else:
            self._counters.repeats_total += 1
        self._known[entity] = item  # after the sink has it: what was not told is not known

    async def _tell_deleted(self, item: KubeObject) -> None:
        await self._tell(RowType.DELETED, item)
        del self._known[entity_of(item)]

    async def _tell(self, row_type: RowType, item: KubeObject) -> None:
        await self._sink(self._clock.now(), row_type, self._kind, item)
