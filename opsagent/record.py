"""``opsagent record``: what a cluster says, written down as it comes, with nothing secret in it.

Theory of operation. The daemon's own reflectors follow every kind that opsagent follows, so a recording
survives what the daemon survives: watches that end, versions that are gone, servers that are away. A
reflector deals in decoded values; the whole object comes from the same bytes (``kube_whole``) and is
redacted and written when the reflector says what it means. An Alertmanager, if one is named, is asked what
stands; without one the header says that there are no alerts. A Tempo, if one is named, is asked who calls whom.

It ends at an interrupt, after ``seconds``, or when the disk refuses; every line until then stays. It
only reads. The key of the hashes is made for one recording and kept nowhere.
"""

import asyncio
import datetime as dt
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from opsagent.clients.alertmanager import AlertmanagerClient
from opsagent.clients.archive_query import Address
from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_transport import connect
from opsagent.clients.kube_whole import WholeObjects
from opsagent.clients.rest import RestReader
from opsagent.clients.tempo import TempoArchive
from opsagent.controllers.learn_calls import LearnCalls
from opsagent.model.alert import ReportedAlert, StandingAlert
from opsagent.model.canonical import JsonValue
from opsagent.model.entity import CLUSTER_SCOPED, FOLLOWED_KINDS, Kind
from opsagent.model.kube import KubeObject
from opsagent.model.signal import RawRow, RowType
from opsagent.ports import (
    Chance,
    Clock,
    Forbidden,
    KubeTransport,
    NotFound,
    Terminal,
    TraceArchive,
)
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.retry import SystemChance
from opsagent.runtime.telemetry import configure
from opsagent.signals.calls import Call, KnownCalls
from opsagent.signals.inventory import Inventory
from opsagent.signals.redaction import redact_text
from opsagent.signals.redaction_tree import redact_tree
from opsagent.sources.alert_poll import AlertPoll
from opsagent.sources.recording import OBJECTS_FILE, Header
from opsagent.sources.recording_writer import RecordingWriter
from opsagent.sources.reflector import Reflector, Target

Tree: TypeAlias = Mapping[str, JsonValue]
LAST_LOOK_SECONDS = 10.0  # a person waits for the end
NO_ALERTMANAGER = "alerts are absent: no Alertmanager was named"
Place: TypeAlias = tuple[Kind, str]  # a namespace, "" for all


@dataclass(frozen=True, slots=True)
class Wish:
    """What to record and where to. ``seconds`` None: until interrupted; no ``namespaces``: all.

    ``alertmanager`` and ``tempo``: base of its API, empty for none.
    """

    folder: Path
    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    seconds: float | None = None
    alertmanager: str = ""
    tempo: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The cluster to record and the time to stamp with.

    ``key``: 16 random bytes or more. ``standing``: what an Alertmanager holds, ``traces``: an archive; None if there is none.
    """

    transport: KubeTransport
    clock: Clock
    chance: Chance
    key: bytes
    standing: Callable[[], Awaitable[Sequence[StandingAlert]]] | None = None
    traces: TraceArchive | None = None


class Ledger:
    """The recording while it is made: redacts, writes, counts.

    A disk that refuses sets ``stop``, like a person who interrupts; ``failure`` says why.
    """

    def __init__(self, writer: RecordingWriter, key: bytes, stop: asyncio.Event) -> None:
        self._writer = writer
        self._key = key
        self._stop = stop
        self._unsynced: Counter[Kind] = Counter()
        self.lines: Counter[Kind] = Counter()
        self.alerts_total = self.calls_total = 0
        self.failure: OSError | None = None

    def expect(self, kind: Kind) -> None:
        """Note one more place whose list belongs to the snapshot of ``kind``."""
        self._unsynced[kind] += 1

    def synced(self, at: dt.datetime, kind: Kind, *, is_first: bool) -> None:
        """Close the snapshot of ``kind`` when all of its places are listed."""
        self._unsynced[kind] -= is_first
        if not self._unsynced[kind]:
            self._keep(lambda: self._writer.synced(at, kind))

    def append(self, at: dt.datetime, row_type: RowType, kind: Kind, whole: Tree) -> None:
        """Write one observation."""
        clean = redact_tree(whole, self._key)
        self.lines[kind] += self._keep(lambda: self._writer.write(at, row_type, clean))

    def tell(self, at: dt.datetime, alerts: Sequence[ReportedAlert]) -> None:
        """Write what an Alertmanager says."""
        clean = [_redacted(each) for each in alerts]
        if self._keep(lambda: self._writer.write_alerts(at, clean)):
            self.alerts_total += len(clean)

    def know_calls(self, calls: Sequence[Call]) -> None:
        """Write who calls whom."""
        if self._keep(lambda: self._writer.write_calls(calls)):
            self.calls_total = len(calls)

    def _keep(self, write: Callable[[], None]) -> bool:
        """Write unless the disk refused before; return whether it was written."""
        if self.failure is None:
            try:
                write()
            except OSError as error:
                self.failure = error
                self._stop.set()
        return self.failure is None


class Scope:
    """One kind in one place, followed. What is seen goes into ``inventory``, if there is one."""

    def __init__(
        self, place: Place, source: Source, ledger: Ledger, inventory: Inventory | None
    ) -> None:
        self._kind, self._namespace = place
        self._ledger = ledger
        self._inventory = inventory
        self._whole = WholeObjects()
        self._reader = KubeReader(source.transport, tap=self._whole.tap)
        self._is_synced = False
        self._reflector = Reflector(
            self._reader,
            Target(self._kind, (self._namespace,) if self._namespace else ()),
            self._sink,
            clock=source.clock,
            chance=source.chance,
        )
        self.run = self._reflector.run

    async def _sink(
        self, at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
    ) -> None:
        if self._inventory is not None:
            self._inventory.apply(RawRow(0, at, row_type, kind, item))
        if item is not None:
            self._ledger.append(at, row_type, kind, self._whole.whole(item))
            return
        self._ledger.synced(at, kind, is_first=not self._is_synced)
        self._is_synced = True

    def complaints(self) -> Iterator[str]:
        """Yield what was not seen."""
        where = f"{self._kind.value} in {self._namespace or 'all namespaces'}"
        status = self._reflector.status()
        if not self._is_synced or status.last_error:
            yield f"{where}: {status.last_error or 'the first list did not finish'}"
        if left_out := self._reader.malformed_total + self._whole.unreadable_total:
            yield f"{where}: {left_out} could not be decoded and are left out"


Eye: TypeAlias = Scope | AlertPoll | LearnCalls


def run_record(wish: Wish, say: Callable[[str], None]) -> None:
    """Record until interrupted or ``wish.seconds`` are over; say what was done.

    Raises:
        Terminal: there is a recording already, or the disk refuses; what was written stays.
        Transient: the API server cannot be reached at the start.
        Forbidden: it lets us list nothing at all.
    """
    configure(SystemClock(), redact_text, is_json=False)
    with asyncio.Runner() as runner:
        runner.run(_until_told(wish, say))


async def _until_told(wish: Wish, say: Callable[[str], None]) -> None:
    async with AsyncExitStack() as stack:
        transport = await connect(wish.kubeconfig, wish.context)
        stack.push_async_callback(transport.aclose)
        key, standing = SecureIds().token().encode(), None
        if wish.alertmanager:
            client = AlertmanagerClient(RestReader("alertmanager", wish.alertmanager))
            stack.push_async_callback(client.aclose)
            standing = client.alerts
        traces = None
        if wish.tempo:
            traces = TempoArchive(Address(wish.tempo))
            stack.push_async_callback(traces.aclose)
        source = Source(transport, SystemClock(), SystemChance(), key, standing, traces)
        stop = asyncio.Event()

        def heed_signals() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)

        await record(wish, source, stop, say, on_start=heed_signals)


async def record(
    wish: Wish,
    source: Source,
    stop: asyncio.Event,
    say: Callable[[str], None],
    *,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Record until ``stop`` is set or the time is over; see :func:`run_record`.

    ``on_start`` is called when there is something to end in an orderly way.
    """
    if (wish.folder / OBJECTS_FILE).exists():
        raise Terminal(
            f"{wish.folder} holds a recording already: name another folder, or move it away"
        )
    places, refused = await _places(wish.namespaces, KubeReader(source.transport))
    on_start()
    started = source.clock.now()
    notes = "" if source.standing else NO_ALERTMANAGER
    header = Header(wish.folder.name, start=started, namespaces=wish.namespaces, notes=notes)
    try:
        with RecordingWriter(wish.folder, header, source.key) as writer:
            ledger = Ledger(writer, source.key, stop)
            calls, inventory = _learning(source, ledger)
            eyes: list[Eye] = [Scope(place, source, ledger, inventory) for place in places]
            for kind, _ in places:
                ledger.expect(kind)
            if source.standing is not None:
                ledger.tell(started, ())  # makes the file: none fires is not the same as not asked
                eyes.append(AlertPoll(source.standing, ledger.tell, source.clock, wish.namespaces))
            if calls is not None:
                eyes.append(calls)
            say(f"recording into {wish.folder}; Ctrl-C ends it")
            await _follow(eyes, stop, wish.seconds)
            ended = source.clock.now()
            if calls is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_LOOK_SECONDS):
                        await calls.look()
            complaints = [line for eye in eyes for line in eye.complaints()]
            if ledger.failure is None:
                writer.end(ended, _what_is_absent(eyes))
    except OSError as error:
        raise Terminal(f"cannot write to {wish.folder}: {error.strerror}") from error
    for line in _summary(ended - started, ledger, [*refused, *complaints]):
        say(line)
    if ledger.failure is not None:
        raise Terminal(
            f"recording stopped, cannot write to {wish.folder}: {ledger.failure.strerror}; "
            "what was written until then can be replayed"
        )


async def _places(
    namespaces: tuple[str, ...], reader: KubeReader
) -> tuple[Sequence[Place], Sequence[str]]:
    """Return what may be listed, and in words what may not.

    Raises:
        Transient: the server cannot be reached. Forbidden: nothing may be listed.
    """
    allowed: list[Place] = []
    refused: list[Forbidden | NotFound] = []
    for kind in FOLLOWED_KINDS:
        for namespace in ("",) if kind in CLUSTER_SCOPED else namespaces or ("",):
            try:
                await reader.list_page(kind, namespace=namespace, limit=1)
                allowed.append((kind, namespace))
            except (Forbidden, NotFound) as error:
                refused.append(error)
    if not allowed:
        raise refused[0]
    return allowed, [f"not recorded: {error}" for error in refused]


def _learning(source: Source, ledger: Ledger) -> tuple[LearnCalls | None, Inventory | None]:
    """Return who asks for calls, and what it knows whom they mean by; nobody if there is no archive."""
    if source.traces is None:
        return None, None
    inventory = Inventory()
    known, clock, chance = KnownCalls(inventory), source.clock, source.chance
    learning = LearnCalls(source.traces, known, ledger.know_calls, clock=clock, chance=chance)
    return learning, inventory


async def _follow(eyes: Sequence[Eye], stop: asyncio.Event, seconds: float | None) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in eyes]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
        for task in tasks:
            task.cancel()


def _what_is_absent(eyes: Sequence[Eye]) -> str:
    silent = (eye for eye in eyes if isinstance(eye, AlertPoll) and not eye.has_answered)
    return "".join(f"alerts are absent: {poll.last_error}" for poll in silent)


def _summary(took: dt.timedelta, ledger: Ledger, complaints: Sequence[str]) -> Iterator[str]:
    counts = ", ".join(f"{kind.value} {count}" for kind, count in sorted(ledger.lines.items()))
    yield f"{ledger.lines.total()} observations in {took.total_seconds():.0f} s ({counts or 'none'})"
    if ledger.alerts_total:
        yield f"{ledger.alerts_total} times an alert that fires or ended"
    if ledger.calls_total:
        yield f"{ledger.calls_total} calls from workload to workload"
    yield from complaints


def _redacted(alert: ReportedAlert) -> ReportedAlert:
    labels = {name: redact_text(text) for name, text in alert.labels.items()}
    annotations = {name: redact_text(text) for name, text in alert.annotations.items()}
    return replace(alert, labels=labels, annotations=annotations)
