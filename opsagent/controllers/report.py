"""What the daemon says about itself, and the clicks that it passes on. Reads, never decides."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from opsagent.controllers.investigations import Investigations
from opsagent.controllers.metrics import metrics_status
from opsagent.controllers.model_identity import ModelIdentity
from opsagent.controllers.news import News
from opsagent.controllers.pipeline import Pipeline
from opsagent.model.canonical import JsonValue
from opsagent.model.entity import Kind
from opsagent.model.incident import Incident, IncidentState
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, PlanRecord, PlanState
from opsagent.model.signal import RawRow
from opsagent.model.transcript import Entry
from opsagent.ports import ApprovalDesk, Clock, Leadership, MetricsSource, NotFound, Store
from opsagent.runtime.supervise import Supervisor

Tree: TypeAlias = Mapping[str, JsonValue]

OPEN_STATES = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED})


class Seen(Protocol):
    """How well one kind is seen."""

    @property
    def kind(self) -> Kind:
        """Which kind."""
        ...

    @property
    def is_synced(self) -> bool:
        """Whether it was listed whole since the start."""
        ...

    @property
    def objects(self) -> int:
        """How many are known."""
        ...

    @property
    def lag_seconds(self) -> float | None:
        """Seconds since the server last told anything, None before it ever did."""
        ...

    @property
    def last_error(self) -> str:
        """What went wrong last, empty while all is well."""
        ...

    def counted(self) -> Mapping[str, int]:
        """Return what was done since the start, by the names that status shows."""
        ...


class Eye(Protocol):
    """Something that follows one kind."""

    def status(self) -> Seen:
        """Return how well it sees."""
        ...


@dataclass(frozen=True, slots=True)
class Term:
    """The parts that exist only while this replica leads."""

    pipeline: Pipeline
    eyes: Sequence[Eye]
    supervisor: Supervisor
    counters: Callable[[], Tree]
    logs: Callable[[], Tree] | None = None  # None while none is followed
    series: Callable[[], Tree] | None = None
    calls: Callable[[], Tree] | None = None


class Report:
    """What REST and the command line are shown."""

    def __init__(
        self,
        store: Store,
        desk: ApprovalDesk | None,
        leadership: Leadership,
        *,
        facts: Tree,
        clock: Clock,
        metrics: MetricsSource | None = None,
    ) -> None:
        self._store = store
        self._desk = desk
        self._leadership = leadership
        self._facts = facts
        self._clock = clock
        self._metrics = metrics
        self._started = clock.monotonic()  # the clock on the wall may be set
        self.term: Term | None = None
        self.model: ModelIdentity | None = None
        self.investigations: Investigations | None = None
        self.failure = ""  # why the process is about to end
        self.not_followed: dict[str, str] = {}  # what cannot be kept, and why
        self.changes = News()

    def now(self) -> dt.datetime:
        """Return the daemon's present instant."""
        return self._clock.now()

    def overdue(self) -> Sequence[str]:
        """Return the tasks whose heartbeat is overdue; empty: the process is alive."""
        late = {} if self.term is None else self.term.supervisor.overdue()
        return [f"{name}: silent for {age:.0f} s" for name, age in late.items()]

    def unready(self) -> Sequence[str]:
        """Return why the daemon cannot do its work now; a healthy stand-by is ready."""
        if self.failure:
            return (self.failure,)
        if not self._leadership.is_leader:
            problem = self._leadership.problem
            return (f"the cluster cannot be asked who is the leader: {problem}",) if problem else ()
        if self.term is None or not self.term.pipeline.is_synced:
            return ("the first full list of the cluster is not complete",)
        return ()

    async def status(self) -> Tree:
        """Return what is watched, how fresh it is and what is degraded."""
        term = self.term
        open_now = [item for item in await self._store.incidents() if item.state in OPEN_STATES]
        waiting = await self.approvals()
        tree: dict[str, JsonValue] = {
            **self._facts,
            **({} if self.model is None else {"model": await self.model.status()}),
            "metrics": await metrics_status(self._metrics, self._clock.now()),
            "uptime_seconds": round(self._clock.monotonic() - self._started),
            "is_leader": self._leadership.is_leader,
            "unready": list(self.unready()),
            "incidents_open": len(open_now),
            "approvals_waiting": len(waiting),
            "stored": dict(await self._store.counts()),
        }
        if term is not None:
            tree |= {
                "sources": {
                    seen.kind.value: {
                        "objects": seen.objects,
                        "is_synced": seen.is_synced,
                        "lag_seconds": seen.lag_seconds,
                        "last_error": seen.last_error,
                        **seen.counted(),
                    }
                    for seen in (eye.status() for eye in term.eyes)
                },
                "topology": dict(_size(term.pipeline)),
                "restarts": {
                    task.name: {"restarts": task.restarts, "last_error": task.last_error}
                    for task in term.supervisor.status()
                    if task.restarts
                },
                "logs": self._followed("logs", term.logs),
                "series": self._followed("series", term.series),
                "calls": self._followed("calls", term.calls),
                "counters": dict(term.counters()),
            }
        return tree

    def _followed(self, what: str, status: Callable[[], Tree] | None) -> JsonValue:
        if status is not None:
            return dict(status())
        reason = self.not_followed.get(what)
        return "not followed" if reason is None else f"not followed: {reason}"

    async def incidents(self, limit: int) -> tuple[Incident, ...]:
        """Return incidents, newest first."""
        return await self._store.incidents(limit)

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        return await self._store.incident(incident_id)

    async def investigation(self, incident_id: str) -> tuple[str, tuple[Entry, ...]]:
        """Return id and entries of the newest investigation of an incident by a model; ('', ()) if there is none."""
        incident = await self._store.incident(incident_id)
        if incident is None or self.investigations is None:
            return "", ()
        return await self.investigations.newest(incident)

    async def transcript(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return the entries of one investigation, oldest first; none if there is none."""
        if self.investigations is None:
            return ()
        return await self.investigations.entries(investigation_id)

    async def row(self, seq: int) -> RawRow | None:
        """Return the raw row that a pointer names."""
        return await self._store.row(seq)

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or all."""
        return () if self._desk is None else await self._desk.plans(incident_id)

    async def approvals(self) -> tuple[PlanRecord, ...]:
        """Return the plans that wait for a person, oldest first."""
        return tuple(each for each in await self.plans() if each.state is PlanState.PENDING)

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Pass a click on to the desk."""
        if self._desk is None:
            raise NotFound("no executor is configured: there are no plans to decide about")
        return await self._desk.decide(request)

    def news(self, incident_id: str = "") -> int:
        """Return the number of the newest change of one incident, or of any."""
        return self.changes.newest(incident_id)

    async def wait_news(self, after: int, incident_id: str = "") -> int | None:
        """Wait for a change with a higher number, None when the daemon stops."""
        return await self.changes.wait(after, incident_id)


def _size(pipeline: Pipeline) -> Tree:
    size = pipeline.inventory.topology.size()
    return {"entities": size.entities, "edges": size.edges, "dangling": size.dangling}
