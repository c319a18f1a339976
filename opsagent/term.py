"""One term of leading: the inside of the daemon, built anew from what the store holds, run until the Lease is lost.

This is where sources, fold, responder, executor and delivery meet. They are stopped in reverse order of their start: the
watches first, so that nothing flows into what is already gone.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from opsagent.clients.kube_read import KubeReader
from opsagent.controllers.deliver import Deliver
from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Input, Observed
from opsagent.controllers.intake import Intake
from opsagent.controllers.learn_calls import LearnCalls
from opsagent.controllers.pipeline import Pipeline
from opsagent.controllers.plans import FollowPlans
from opsagent.controllers.report import Report, Term, Tree
from opsagent.controllers.respond import SIDE_BY_SIDE, Respond
from opsagent.model.entity import FOLLOWED_KINDS, Kind
from opsagent.model.kube import KubeObject
from opsagent.model.plan import VerifySpec
from opsagent.model.signal import RowType
from opsagent.notify.delivery import after_failure
from opsagent.ports import (
    ApprovalDesk,
    BinStore,
    Executor,
    Investigator,
    LogStore,
    Snapshot,
    Unwritable,
)
from opsagent.responder.investigator import ModelInvestigator, RulesInvestigator
from opsagent.responder.library import FolderLibrary, shipped_folder
from opsagent.responder.rules import propose_revision
from opsagent.responder.step import Means
from opsagent.runtime.channels import Channel
from opsagent.runtime.schedule import every
from opsagent.runtime.supervise import Supervisor
from opsagent.settings import Settings
from opsagent.signals.calls import KnownCalls
from opsagent.sources.reflector import Reflector, Target
from opsagent.store.daemon import SqliteStore
from opsagent.term_logs import Logs
from opsagent.term_series import Series
from opsagent.tools import toolset
from opsagent.world import World

KINDS = FOLLOWED_KINDS
INBOX_MAX = 10_000  # observations; full means that the watches wait
WATCH_SILENT_SECONDS_MAX = 180.0  # bookmarks come each minute
RETENTION_PERIOD = dt.timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """What outlives a term: the open state and the faces.

    ``logs`` is None when no log is kept, ``bins`` when no numbers are; ``hands`` is None when opsagent may only suggest.
    """

    store: SqliteStore
    logs: LogStore | None
    bins: BinStore | None
    hands: tuple[ApprovalDesk, Executor] | None
    report: Report
    intake: Intake
    redaction_key: bytes = field(repr=False)


class Leading:
    """What runs while this replica leads, from the snapshot that the store gave."""

    def __init__(
        self, settings: Settings, world: World, opened: Opened, snapshot: Snapshot
    ) -> None:
        self._settings = settings
        self._world = world
        self._opened = opened
        self._supervisor = Supervisor(world.chance)
        self._pipeline = Pipeline(snapshot, opened.redaction_key)
        inbox: Channel[Input] = Channel(INBOX_MAX)
        self._fold = Fold(
            self._pipeline, opened.store, world.clock, inbox, beat=self._beat_of("fold")
        )
        self._reader = KubeReader(world.cluster)
        self._reflectors = {f"watch {kind}": self._reflector(kind) for kind in KINDS}
        self._respond = Respond(
            self._pipeline,
            self._fold,
            reader=self._reader,
            investigator=self._investigator(),
            desk=opened.hands[0] if opened.hands else None,
            clock=world.clock,
        )
        self._deliver = Deliver(opened.store, world.notifier, world.clock, retry_at=self._retry_at)
        logs = opened.logs
        last_seen = max((row.at for row in snapshot.rows), default=None)
        self._logs = (
            None if logs is None else Logs(settings, world, self._pipeline, logs, last_seen)
        )
        self._series = self._follow_series()
        self._calls = self._learn_calls()
        self._schedule = world.schedule()
        self._schedule.add("retention", every(RETENTION_PERIOD, world.clock), self._retain)
        if self._logs is not None:
            self._schedule.add(
                "log retention", every(RETENTION_PERIOD, world.clock), self._logs.retain
            )
        if self._series is not None:
            self._schedule.add(
                "series retention", every(RETENTION_PERIOD, world.clock), self._series.retain
            )

    async def run(self) -> None:
        """Run until cancelled, or until a part failed for good (``Terminal``)."""
        report, intake = self._opened.report, self._opened.intake
        notices = [self._respond.notice, self._deliver.notice, report.changes.notice]
        if self._logs is not None:
            notices.append(self._logs.notice)
        for listener in (*notices, *self._world.listeners):
            self._fold.listen(listener)
        for name, run in self._parts().items():
            # They wait for news as long as it takes. What the fold believes is on no disk while it works.
            self._supervisor.add(name, run, silent_seconds_max=None, is_stateful=name == "fold")
        for name, reflector in self._reflectors.items():
            self._supervisor.add(name, reflector.run, silent_seconds_max=WATCH_SILENT_SECONDS_MAX)
        eyes = tuple(self._reflectors.values())
        logs = None if self._logs is None else self._logs.status
        series = None if self._series is None else self._series.status
        calls = None if self._calls is None else self._calls.status
        report.term = Term(
            self._pipeline, eyes, self._supervisor, self._counters, logs, series, calls
        )
        intake.begin(self._pipeline, self._fold)
        try:
            await self._supervisor.run()
        except Unwritable as error:
            report.failure = str(
                error
            )  # at once: the Lease is given up next, and stand-bys are ready
            raise
        finally:
            intake.end()
            report.term = None

    def _parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the loops by name, in the order of their start."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {"fold": self._fold.run}
        if self._opened.hands is not None:
            desk, executor = self._opened.hands
            parts |= {"plans": FollowPlans(desk, self._fold).run, "executor": executor.run}
        if (model := self._opened.report.model) is not None:
            parts["model"] = model.run
        if self._logs is not None:
            parts |= self._logs.parts()
        if self._series is not None:
            parts |= self._series.parts()
        if self._calls is not None:
            parts["calls"] = self._calls.run
        lanes = {f"respond {number}": self._respond.run for number in range(1, SIDE_BY_SIDE + 1)}
        return parts | lanes | {"deliver": self._deliver.run, "schedule": self._schedule.run}

    def _counters(self) -> Tree:
        return {
            "alerts_taken_total": self._opened.intake.taken_total,
            "alert_bodies_refused_total": self._opened.intake.refused_total,
            "alerts_unused_total": self._pipeline.reported.unused_total,
            "alerts_dropped_total": self._pipeline.reported.dropped_total,
            "events_ignored_total": self._pipeline.ignored_total,
            "edits_dropped_total": self._pipeline.inventory.diary_total,
            "objects_malformed_total": self._reader.malformed_total,
            "notifications_given_up_total": self._deliver.given_up_total,
            "schedule_missed_total": self._schedule.missed_total,
        }

    def _follow_series(self) -> Series | None:
        source, store, asked = self._world.series, self._opened.bins, self._settings.metrics
        if source is None or store is None or asked is None:
            return None
        return Series(self._world, source, store, dt.timedelta(days=asked.retention_days))

    def _learn_calls(self) -> LearnCalls | None:
        archive, asked, pipeline = (
            self._world.trace_archive,
            self._settings.trace_archive,
            self._pipeline,
        )
        if archive is None or asked is None or not asked.follow:
            return None
        return LearnCalls(
            archive,
            KnownCalls(pipeline.inventory),
            pipeline.inventory.topology.set_calls,  # no input of the fold: no object says it
            clock=self._world.clock,
            chance=self._world.chance,
            is_ready=lambda: pipeline.is_synced,
        )

    def _beat_of(self, name: str) -> Callable[[], None]:
        return partial(self._supervisor.beat, name)

    def _reflector(self, kind: Kind) -> Reflector:
        async def sink(
            at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
        ) -> None:
            await self._fold.put(Observed(at, row_type, kind, item))

        known = tuple(self._pipeline.inventory.known(kind).values())
        return Reflector(
            self._reader,
            Target(kind, self._settings.kubernetes.namespaces, known),
            sink,
            clock=self._world.clock,
            chance=self._world.chance,
            beat=self._beat_of(f"watch {kind}"),
        )

    def _investigator(self) -> Investigator:
        settings, world = self._settings.model, self._world
        seconds = self._settings.policy.verify_window_seconds
        override = None if seconds is None else VerifySpec(window_seconds=seconds)
        library = FolderLibrary((shipped_folder(),))
        rules = RulesInvestigator(library, override)
        if settings is None or world.model is None:
            return rules
        propose = partial(propose_revision, runbooks=library.runbooks(), verify_override=override)
        tools = toolset(
            self._pipeline.inventory,
            self._reader,
            propose,
            metrics=world.metrics,
            log_archive=world.log_archive,
            trace_archive=world.trace_archive,
        )
        means = Means(world.model, tools, settings.mode, settings.budget(), world.clock)
        transcripts = self._opened.store.transcripts()
        view, at_once = self._pipeline.workload, SIDE_BY_SIDE - 1  # one lane is always the rules'
        return ModelInvestigator(means, transcripts, rules, view, at_once=at_once)

    def _retry_at(self, attempts: int, at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
        return after_failure(attempts, at, now, self._world.chance.uniform(0.0, 1.0))

    async def _retain(self) -> None:
        oldest = self._world.clock.now() - dt.timedelta(days=self._settings.retention_days)
        dropped = await self._opened.store.retain(oldest)
        if dropped:
            log.info("store.retained", rows_dropped=dropped)
