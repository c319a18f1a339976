"""A model's investigation of a bad rollout on fakes: what survives a crash, and one life of the process."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from opsagent.clients.model import ModelClient
from opsagent.model.alert import Severity
from opsagent.model.entity import Entity
from opsagent.model.incident import Cause, Diagnosis, Incident, IncidentState
from opsagent.model.plan import ActionType, VerifySpec
from opsagent.model.signal import LogRecord
from opsagent.model.transcript import Entry, Mode, Prompt, ToolResult, Turn
from opsagent.model.workload import Workload
from opsagent.ports import Advice, Case, ClusterReader, Model, Tool, TranscriptStore
from opsagent.responder.budget import Budget
from opsagent.responder.investigator import ModelInvestigator, RulesInvestigator
from opsagent.responder.rules import propose_revision
from opsagent.responder.step import Means
from opsagent.runbook import RevisionChoice, Runbook, RunbookAction
from opsagent.signals.inventory import Inventory
from opsagent.sim.model import ScriptedModel, ScriptedTurn
from opsagent.sim.model_server import ScriptedTransport
from opsagent.store.daemon import SqliteStore
from opsagent.tools import toolset
from tests.fakes.cluster import ScriptedCluster
from tests.fakes.deployments import Crash, Fuse
from tests.fakes.objects import T0, WEB, after, crash_looping, rolling, rows
from tests.fakes.virtual_time import LoopClock

T = TypeVar("T")

WORLD = rolling([crash_looping(after(20))])
LOG = ("starting", "fatal: cannot parse configuration: unknown key")
BOOK = Runbook(
    name="bad-rollout",
    description="Undo a bad rollout.",
    causes=frozenset({Cause.BAD_ROLLOUT}),
    confidence_min=0.6,
    change_within=dt.timedelta(days=365),
    action=RunbookAction(ActionType.ROLLOUT_UNDO, RevisionChoice.LAST_HEALTHY),
    verify=VerifySpec(),
)


def incident(**fields: object) -> Incident:
    """Return web's open incident with a bad rollout as its cause."""
    defaults: dict[str, object] = {
        "incident_id": "inc_1",
        "entity": WEB,
        "severity": Severity.CRITICAL,
        "state": IncidentState.OPEN,
        "title": "shop/web is crash looping",
        "opened_at": T0,
        "updated_at": T0,
        "resolved_at": None,
        "firing": ("alr_1",),
        "cleared": (),
        "diagnoses": (Diagnosis(WEB, Cause.BAD_ROLLOUT, 0.9, "it followed a rollout"),),
        "timeline": (),
    }
    return Incident(**(defaults | fields))  # type: ignore[arg-type]  # bends any field


def inventory_of(world: Workload) -> Inventory:
    """Return the inventory that holds ``world``."""
    inventory = Inventory()
    inventory.restore(rows(world), world.changes)
    return inventory


class LogReader(ScriptedCluster):
    """Reads one log, always the same."""

    def __init__(self, lines: Sequence[str] = LOG, error: Exception | None = None) -> None:
        super().__init__([])
        self.lines = lines
        self.error = error
        self.asked: list[Mapping[str, object]] = []

    async def pod_log(
        self, pod: Entity, container: str, *, previous: bool = False, tail_lines: int = 100
    ) -> tuple[LogRecord, ...]:
        self.asked.append({"pod": pod, "previous": previous, "tail_lines": tail_lines})
        if self.error is not None:
            raise self.error
        return tuple(LogRecord(T0, pod, container, line) for line in self.lines)


class Clock(LoopClock):
    """The loop's time, half a minute after the rollout when the loop begins."""

    def now(self) -> dt.datetime:
        return after(30 + self.monotonic())


class OneBook:
    """A library of one runbook."""

    def runbooks(self) -> tuple[Runbook, ...]:
        return (BOOK,)


@dataclass
class Crashing:
    """Touches the fuse before and after every call to the transcripts, the model and the tools; counts tool runs."""

    fuse: Fuse
    runs: list[tuple[str, str]]

    async def guarded(self, work: Awaitable[T]) -> T:
        try:
            self.fuse.touch()
        except Crash:
            work.close()  # type: ignore[attr-defined]  # a coroutine that never began
            raise
        result = await work
        self.fuse.touch()
        return result


@dataclass
class CrashingTranscripts(Crashing):
    store: TranscriptStore

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        return await self.guarded(self.store.entries(investigation_id))

    async def append(self, investigation_id: str, entry: Entry) -> None:
        await self.guarded(self.store.append(investigation_id, entry))


@dataclass
class CrashingModel(Crashing):
    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    async def complete(self, prompt: Prompt) -> Turn:
        return await self.guarded(self.model.complete(prompt))


@dataclass
class CrashingTool(Crashing):
    tool: Tool

    def __post_init__(self) -> None:
        self.spec = self.tool.spec

    async def run(self, arguments: str, case: Case) -> ToolResult:
        async def counted() -> ToolResult:
            self.runs.append((self.spec.name, arguments))
            return await self.tool.run(arguments, case)

        return await self.guarded(counted())


@dataclass
class Bench:
    """What outlives the process: the file, the cluster, the model's server. ``runs`` lists tool runs of all lives."""

    path: Path
    script: Sequence[ScriptedTurn]
    world: Workload = WORLD
    budget: Budget = field(default_factory=Budget)
    clock: LoopClock = field(default_factory=Clock)
    reader: ClusterReader = field(default_factory=LogReader)
    runs: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = ScriptedModel(self.script)

    @asynccontextmanager
    async def life(self, fuse: Fuse | None = None) -> AsyncIterator[ModelInvestigator]:
        """Yield the investigator of one life; then everything in memory is gone."""
        burning = fuse or Fuse()
        store = await SqliteStore.open(self.path / "daemon.db")
        try:
            client = ModelClient(ScriptedTransport(self.model), "scripted")
            tools = toolset(
                inventory_of(self.world), self.reader, partial(propose_revision, runbooks=(BOOK,))
            )
            means = Means(
                CrashingModel(burning, self.runs, client),
                tuple(CrashingTool(burning, self.runs, tool) for tool in tools),
                Mode.THINKING,
                self.budget,
                self.clock,
            )
            transcripts = CrashingTranscripts(burning, self.runs, store.transcripts())
            rules = RulesInvestigator(OneBook())
            yield ModelInvestigator(means, transcripts, rules, lambda _: self.world)
        finally:
            await store.aclose()

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return the transcript as the file has it."""
        store = await SqliteStore.open(self.path / "daemon.db")
        try:
            return await store.transcripts().entries(investigation_id)
        finally:
            await store.aclose()

    async def advice(self, fuse: Fuse | None = None) -> Advice | None:
        """Return what one life says, None if it died."""
        try:
            async with self.life(fuse) as investigator:
                return await investigator.investigate(incident(), self.world, self.clock.now())
        except Crash:
            return None
