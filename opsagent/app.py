"""The composition root: the one place where parts meet.

``World`` is everything outside: time, chance, the two cluster identities, the receiver of messages.
``Daemon.run`` opens the state, waits for the Lease, builds the inside anew for each term of leading,
and takes everything down in reverse order. Production, demo and tests differ in the world that they
hand in and in nothing else.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

import opsagent
from opsagent.api.app import Alerts, create_app, link_path
from opsagent.api.session import Sessions
from opsagent.clients.daemon import DaemonAddress, write_address
from opsagent.clients.kube_lease import KubeLease
from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_review import KubeReviewer
from opsagent.controllers.deliver import Deliver
from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Input, Observed
from opsagent.controllers.intake import Intake
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.plans import FollowPlans
from opsagent.controllers.report import Report, Term, Tree
from opsagent.controllers.respond import Respond
from opsagent.detection.alerts import symptoms_of
from opsagent.executor import ExecutorConfig, build as build_executor
from opsagent.model.entity import Kind
from opsagent.model.kube import KubeObject
from opsagent.model.plan import VerifySpec
from opsagent.model.signal import RowType
from opsagent.notify.delivery import after_failure
from opsagent.ports import (
    ApprovalDesk,
    Chance,
    Clock,
    Executor,
    IdSource,
    Investigator,
    KubeTransport,
    Leadership,
    MetricsSource,
    Model,
    Notifier,
    Schedule,
    Store,
    Terminal,
)
from opsagent.responder.investigator import ModelInvestigator, RulesInvestigator
from opsagent.responder.library import FolderLibrary, shipped_folder
from opsagent.responder.rules import propose_revision
from opsagent.responder.step import Means
from opsagent.runtime.channels import Channel
from opsagent.runtime.schedule import every
from opsagent.runtime.serving import serve
from opsagent.runtime.supervise import Supervisor
from opsagent.settings import Settings
from opsagent.sources.reflector import Reflector, Target
from opsagent.store.daemon import SqliteStore
from opsagent.store.executor import ExecutorStore
from opsagent.tools import toolset

KINDS = (Kind.NODE, Kind.DEPLOYMENT, Kind.REPLICA_SET, Kind.POD, Kind.EVENT)
INBOX_MAX = 10_000  # observations; full means that the watches wait
WATCH_SILENT_SECONDS_MAX = 180.0  # bookmarks come each minute
RETENTION_PERIOD = dt.timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the daemon. ``hands`` is None when it may only suggest.

    ``schedule`` makes a fresh one for each term. ``is_serving``: whether REST and pages listen on loopback.
    ``announce`` is told a link to the pages, once they are up; it opens once.
    """

    clock: Clock
    chance: Chance
    ids: IdSource
    schedule: Callable[[], Schedule]
    cluster: KubeTransport
    hands: KubeTransport | None = None
    notifier: Notifier | None = None
    model: Model | None = None
    metrics: MetricsSource | None = None
    alertmanager_token: str = field(default="", repr=False)  # empty: no Alertmanager may report
    is_serving: bool = True
    announce: Callable[[str], None] | None = None
    listeners: Sequence[Callable[[Step], None]] = field(default=())


class Daemon:
    """One replica of opsagent."""

    def __init__(self, settings: Settings, world: World) -> None:
        self._settings = settings
        self._world = world
        self._state = settings.state_dir
        self._up: asyncio.Future[Report] = asyncio.Future()
        self._intake = Intake(world.clock.now)

    async def report(self) -> Report:
        """Wait until the state is open and REST listens; return what it reports."""
        return await asyncio.shield(self._up)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            Terminal: the state cannot be used, the port is taken, or a part failed for good.
        """
        world = self._world
        async with AsyncExitStack() as stack:
            _state_folder(self._state)
            store = await SqliteStore.open(self._state / "daemon.db")
            stack.push_async_callback(store.aclose)
            desk: ApprovalDesk | None = None
            executor: Executor | None = None
            if world.hands is not None:
                desk, executor = await self._open_hands(world.hands, stack)
            leadership = self._leadership()
            report = Report(
                store,
                desk,
                leadership,
                facts=self._facts(),
                now=world.clock.now,
                metrics=world.metrics,
            )
            if world.is_serving:
                await self._serve(report, stack)
            self._up.set_result(report)
            await leadership.run(partial(self._lead, store, desk, executor))

    async def _open_hands(
        self, transport: KubeTransport, stack: AsyncExitStack
    ) -> tuple[ApprovalDesk, Executor]:
        settings, clock = self._settings, self._world.clock
        store = await ExecutorStore.open(self._state / "executor.db")
        stack.push_async_callback(store.aclose)
        return build_executor(
            transport,
            reader=KubeReader(transport),
            reviewer=KubeReviewer(transport),
            store=store,
            clock=clock,
            config=ExecutorConfig(
                policy=settings.policy.policy(settings.lease.namespace),
                agents=frozenset(settings.policy.agents),
                symptoms_of=symptoms_of,
                metrics=self._world.metrics,
                scrape_seconds=settings.metrics.scrape_seconds if settings.metrics else 0.0,
            ),
        )

    def _leadership(self) -> Leadership:
        lease, world = self._settings.lease, self._world
        return KubeLease(
            world.cluster,
            namespace=lease.namespace,
            name=lease.name,
            identity=f"opsagent-{_kept(self._state / 'identity', world.ids).decode()[:12]}",
            clock=world.clock,
            chance=world.chance,
        )

    async def _serve(self, report: Report, stack: AsyncExitStack) -> None:
        api, ids = self._settings.api, self._world.ids
        token, sessions = ids.token(), Sessions(ids, self._world.clock.monotonic)
        theirs = self._world.alertmanager_token
        alerts = Alerts(self._intake, theirs) if theirs else None
        server = serve(create_app(report, token, sessions, alerts), api.host, api.port)
        port = await stack.enter_async_context(server)
        stack.callback(report.changes.close)  # before the server stops: pages listen for ever
        host = f"[{api.host}]" if ":" in api.host else api.host
        url = f"http://{host}:{port}"
        write_address(self._state, DaemonAddress(url, token))
        log.info("api.listening", address=api.host, port=port)
        if self._world.announce is not None:
            self._world.announce(url + link_path(sessions))

    async def _lead(
        self, store: SqliteStore, desk: ApprovalDesk | None, executor: Executor | None
    ) -> None:
        """Build the inside from what the store holds and run it for one term."""
        world = self._world
        supervisor = Supervisor(world.chance)
        pipeline = Pipeline(await store.load(), _kept(self._state / "redaction.key", world.ids))
        inbox: Channel[Input] = Channel(INBOX_MAX)
        fold = Fold(pipeline, store, world.clock, inbox, beat=partial(supervisor.beat, "fold"))
        reader = KubeReader(world.cluster)
        watches = {f"watch {kind}": kind for kind in KINDS}
        reflectors = {
            name: self._reflector(reader, kind, pipeline, fold, partial(supervisor.beat, name))
            for name, kind in watches.items()
        }
        respond = Respond(
            pipeline,
            fold,
            reader=reader,
            investigator=self._investigator(pipeline, reader, store),
            desk=desk,
            clock=world.clock,
        )
        deliver = self._deliver(store)
        schedule = world.schedule()
        schedule.add(
            "retention", every(RETENTION_PERIOD, world.clock), partial(self._retain, store)
        )
        report = await self.report()
        for listener in (respond.notice, deliver.notice, report.changes.notice, *world.listeners):
            fold.listen(listener)

        # Stopped in reverse: the watches first, so that nothing flows into what is already gone.
        parts: dict[str, Callable[[], Awaitable[None]]] = {"fold": fold.run}
        if desk is not None and executor is not None:
            parts |= {"plans": FollowPlans(desk, fold).run, "executor": executor.run}
        parts |= {"respond": respond.run, "deliver": deliver.run, "schedule": schedule.run}
        for name, run in parts.items():
            supervisor.add(
                name, run, silent_seconds_max=None
            )  # they wait for news as long as it takes
        for name, reflector in reflectors.items():
            supervisor.add(name, reflector.run, silent_seconds_max=WATCH_SILENT_SECONDS_MAX)

        counters = partial(self._counters, pipeline, reader, deliver, schedule)
        report.term = Term(pipeline, tuple(reflectors.values()), supervisor, counters)
        self._intake.begin(pipeline, fold)
        try:
            await supervisor.run()
        finally:
            self._intake.end()
            report.term = None

    def _counters(
        self, pipeline: Pipeline, reader: KubeReader, deliver: Deliver, schedule: Schedule
    ) -> Tree:
        return {
            "alerts_taken_total": self._intake.taken_total,
            "alerts_unused_total": pipeline.reported.unused_total,
            "alerts_dropped_total": pipeline.reported.dropped_total,
            "events_ignored_total": pipeline.ignored_total,
            "objects_malformed_total": reader.malformed_total,
            "notifications_given_up_total": deliver.given_up_total,
            "schedule_missed_total": schedule.missed_total,
        }

    def _reflector(
        self,
        reader: KubeReader,
        kind: Kind,
        pipeline: Pipeline,
        fold: Fold,
        beat: Callable[[], None],
    ) -> Reflector:
        async def sink(
            at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
        ) -> None:
            await fold.put(Observed(at, row_type, kind, item))

        known = tuple(pipeline.inventory.known(kind).values())
        return Reflector(
            reader,
            Target(kind, self._settings.kubernetes.namespaces, known),
            sink,
            clock=self._world.clock,
            chance=self._world.chance,
            beat=beat,
        )

    def _investigator(
        self, pipeline: Pipeline, reader: KubeReader, store: SqliteStore
    ) -> Investigator:
        settings, world = self._settings.model, self._world
        seconds = self._settings.policy.verify_window_seconds
        override = None if seconds is None else VerifySpec(window_seconds=seconds)
        library = FolderLibrary((shipped_folder(),))
        rules = RulesInvestigator(library, override)
        if settings is None or world.model is None:
            return rules
        propose = partial(propose_revision, runbooks=library.runbooks(), verify_override=override)
        tools = toolset(pipeline.inventory, reader, propose)
        means = Means(world.model, tools, settings.mode, settings.budget(), world.clock)
        return ModelInvestigator(means, store.transcripts(), rules, pipeline.workload)

    def _deliver(self, store: Store) -> Deliver:
        chance = self._world.chance

        def retry_at(attempts: int, at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
            return after_failure(attempts, at, now, chance.uniform(0.0, 1.0))

        return Deliver(store, self._world.notifier, self._world.clock, retry_at=retry_at)

    async def _retain(self, store: Store) -> None:
        oldest = self._world.clock.now() - dt.timedelta(days=self._settings.retention_days)
        dropped = await store.retain(oldest)
        log.info("store.retained", rows_dropped=dropped)

    def _facts(self) -> Tree:
        policy = self._settings.policy
        return {
            "version": opsagent.__version__,
            "cluster": self._settings.cluster,
            "alertmanager": "may report to /v1/alertmanager"
            if self._world.alertmanager_token
            else "not configured",
            "model": self._world.model.name if self._world.model else "not configured: rules alone",
            "messages_to": self._world.notifier.name
            if self._world.notifier
            else "nobody: no webhook is configured",
            "actions": policy.level.value
            if self._world.hands
            else "suggest: no executor is configured",
        }


def _state_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Terminal(f"cannot make the state folder {path}: {error.strerror}") from error
    return path


def _kept(path: Path, ids: IdSource) -> bytes:
    """Return the install's own secret, made at first use and kept for the owner alone.

    Raises:
        Terminal: it can be neither read nor made.
    """
    try:
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text(ids.token(), encoding="ascii")
            draft.replace(path)
        return path.read_bytes()
    except OSError as error:
        raise Terminal(f"cannot keep {path}: {error.strerror}") from error
