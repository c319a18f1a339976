"""The composition root: the one place where parts meet.

``Daemon.run`` opens the state, waits for the Lease, leads for one term after another (``term.py`` is its inside), and takes
everything down in reverse order. Production, demo and tests differ in the ``World`` that they hand in and in nothing else.
"""

import asyncio
from contextlib import AsyncExitStack
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
from opsagent.controllers.intake import Intake
from opsagent.controllers.investigations import Investigations
from opsagent.controllers.model_identity import ModelIdentity
from opsagent.controllers.report import Report, Tree
from opsagent.detection.alerts import symptoms_of
from opsagent.executor import ExecutorConfig, build as build_executor
from opsagent.notify import parting
from opsagent.ports import (
    AlertIntake,
    ApprovalDesk,
    BinStore,
    Executor,
    IdSource,
    KubeTransport,
    Leadership,
    LogStore,
    Terminal,
    Transient,
    Unwritable,
)
from opsagent.responder.investigator import investigation_id
from opsagent.runtime.serving import serve
from opsagent.settings import Settings
from opsagent.store.daemon import SqliteStore
from opsagent.store.executor import ExecutorStore
from opsagent.store.raw import RawStore
from opsagent.store.series import SeriesStore
from opsagent.term import Leading, Opened
from opsagent.world import World

IDENTITY_FILE = "identity"  # of this install, in its state folder

log = structlog.get_logger(__name__)


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

    @property
    def alerts(self) -> AlertIntake:
        """Where somebody else's alerting reports to, as long as this replica leads."""
        return self._intake

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            Unwritable: the state cannot be used; people have been told.
            Terminal: the state is in use, the port is taken, or a part failed for good.
        """
        async with AsyncExitStack() as stack:
            try:
                await self._run(stack)
            except Unwritable as error:
                await self._part(str(error))
                raise

    async def _run(self, stack: AsyncExitStack) -> None:
        world = self._world
        _state_folder(self._state)
        store = await SqliteStore.open(self._state / "daemon.db")
        stack.push_async_callback(store.aclose)
        hands = None
        if world.hands is not None:
            hands = await self._open_hands(world.hands, stack)
        leadership = self._leadership()
        report = Report(
            store,
            hands[0] if hands else None,
            leadership,
            facts=self._facts(),
            clock=world.clock,
            metrics=world.metrics,
        )
        report.model = self._model_identity()
        report.investigations = Investigations(store.transcripts(), investigation_id)
        if world.is_serving:
            await self._serve(report, stack)
        self._up.set_result(report)
        key = _kept(self._state / "redaction.key", world.ids)
        logs = await self._open_logs(report, stack)
        bins = await self._open_bins(report, stack)
        opened = Opened(store, logs, bins, hands, report, self._intake, key)
        await leadership.run(partial(self._lead, opened))

    async def _open_logs(self, report: Report, stack: AsyncExitStack) -> LogStore | None:
        """Open the raw store; one that cannot be used costs the logs and nothing else."""
        if not self._settings.logs.streams_max:
            return None
        try:
            store = await RawStore.open(self._state / "raw", self._world.clock.now())
        except (Terminal, Transient) as error:
            log.warning("logs.not_followed", error=str(error))
            report.not_followed["logs"] = str(error)
            return None
        stack.push_async_callback(store.aclose)
        return store

    async def _open_bins(self, report: Report, stack: AsyncExitStack) -> BinStore | None:
        """Open the store of numbers; one that cannot be used costs the numbers and nothing else."""
        if self._world.series is None:
            return None
        try:
            store = await SeriesStore.open(self._state / "series.db")
        except (Terminal, Transient) as error:
            log.warning("series.not_followed", error=str(error))
            report.not_followed["series"] = str(error)
            return None
        stack.push_async_callback(store.aclose)
        return store

    def _model_identity(self) -> ModelIdentity | None:
        asked, server, clock = self._settings.model, self._world.model_server, self._world.clock
        if asked is None or server is None:
            return None
        return ModelIdentity(server, asked.name, asked.turn_tokens_max, clock.monotonic)

    async def _part(self, reason: str) -> None:
        """Tell people, past the store, that nothing is done any more. Sources, fold and executor have ended."""
        log.error("state.unwritable", reason=reason)
        if self._world.notifier is not None:
            install = _read_if_there(self._state / IDENTITY_FILE)
            now = self._world.clock.now()
            message = parting.unwritable(install, self._settings.cluster, reason, now)
            await parting.tell(self._world.notifier, message)

    async def _lead(self, opened: Opened) -> None:
        snapshot = await opened.store.load()
        await Leading(self._settings, self._world, opened, snapshot).run()

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
            identity=f"opsagent-{_kept(self._state / IDENTITY_FILE, world.ids).decode()[:12]}",
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
        raise Unwritable(f"cannot make the state folder {path}: {error.strerror}") from error
    return path


def _kept(path: Path, ids: IdSource) -> bytes:
    """Return the install's own secret, made at first use and kept for the owner alone.

    Raises:
        Unwritable: it can be neither read nor made.
    """
    try:
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text(ids.token(), encoding="ascii")
            draft.replace(path)
        return path.read_bytes()
    except OSError as error:
        raise Unwritable(f"cannot keep {path}: {error.strerror}") from error


def _read_if_there(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
