"""Every Protocol between the core and the world, on one page.

The core decides; these are the only ways in which a decision meets a clock, a disk or a network.
Each port has one contract suite in ``tests/contracts`` that its real and its fake form both pass.
The page is long because it is the only one: whoever wants to know what opsagent touches reads it here.
"""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from opsagent.model.alert import Alert, ReportedAlert
from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import Incident
from opsagent.model.kube import Deployment, KubeObject
from opsagent.model.log import LogEntry, LogOrigin, StoredEntry
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricsHealth, MetricTemplate
from opsagent.model.notification import Notification
from opsagent.model.plan import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalVerdict,
    Outcome,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
)
from opsagent.model.series import Bin, Selection, SeriesBlock
from opsagent.model.signal import Change, LogRecord, RawRow, RowType
from opsagent.model.trace import Trace, TraceAnswer, TraceSearch
from opsagent.model.transcript import Entry, Prompt, ToolResult, ToolSpec, Turn
from opsagent.model.workload import Workload
from opsagent.runbook import Runbook
from opsagent_memory.fact import Fact


class Transient(Exception):
    """The world failed in a way that may pass: retry later."""


class Terminal(Exception):
    """The world refused for good: do not retry, tell a person."""


class Unwritable(Terminal):
    """Our own state can no longer be written or trusted: nothing may be done until a person has repaired it."""


class Gone(Exception):
    """The resource version is too old (410): list again."""


class Conflict(Exception):
    """The object changed since it was read (409)."""


class NotFound(Exception):
    """No such object (404)."""


class Forbidden(Exception):
    """The identity has no right to this (401, 403)."""


class Clock(Protocol):
    """Wall clock for stamps, monotonic clock for waiting."""

    def now(self) -> dt.datetime:
        """Return the present instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed point; never goes back."""
        ...


class Chance(Protocol):
    """Draws for jitter; seeded in tests."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number between ``low`` and ``high``."""
        ...


class IdSource(Protocol):
    """Unguessable names: nonces, tokens, lease identities. What replay must reproduce never uses it."""

    def token(self) -> str:
        """Return 32 or more URL-safe characters."""
        ...


class Trigger(Protocol):
    """An APScheduler trigger: a pure next-time function."""

    def get_next_fire_time(
        self, previous_fire_time: dt.datetime | None, now: dt.datetime
    ) -> dt.datetime | None:
        """Return the next instant to fire at, None if never again."""
        ...


class Schedule(Protocol):
    """Runs jobs at the times that triggers give. One job never overlaps itself; missed runs are counted."""

    def add(self, name: str, trigger: Trigger, job: Callable[[], Awaitable[None]]) -> None:
        """Register ``job``; before or after start."""
        ...

    async def run(self) -> None:
        """Run until cancelled."""
        ...

    @property
    def missed_total(self) -> int:
        """Runs that came due while the same job still ran, or were found too late."""
        ...


@dataclass(frozen=True, slots=True)
class KubeAnswer:
    """One answer of an API server. ``headers`` have lower-case names."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class KubeTransport(Protocol):
    """Authenticated access to one API server as one identity: the real one, or the sim's two faces.

    Neither method raises on an HTTP status; connection trouble and time-outs are ``Transient``.
    """

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        """Send one request and read the whole answer."""
        ...

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """GET and yield (status, chunks as they arrive); for watches and logs.

        ``idle_seconds``: of silence after which the connection counts as lost; None for what suits a watch.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list. ``continue_token`` is empty on the last page."""

    items: tuple[KubeObject, ...]
    resource_version: str
    continue_token: str
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One watch event. ``type`` is None for a bookmark, which has no item."""

    type: RowType | None
    resource_version: str
    item: KubeObject | None = None


class ClusterReader(Protocol):
    """Read access to objects and logs.

    Raises (all methods): Transient, Forbidden, NotFound; list and watch also Gone.
    """

    async def list_page(
        self, kind: Kind, *, namespace: str = "", continue_token: str = "", limit: int = 500
    ) -> ListPage:
        """Return one page; an empty ``namespace`` means all."""
        ...

    def watch(
        self, kind: Kind, resource_version: str, *, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version`` until the server ends the watch; malformed ones are counted and skipped."""
        ...

    async def get(self, entity: Entity) -> KubeObject:
        """Return one object."""
        ...

    async def pod_log(
        self, pod: Entity, container: str, *, previous: bool = False, tail_lines: int = 100
    ) -> tuple[LogRecord, ...]:
        """Return the last lines, oldest first; at most 256 KiB are read."""
        ...

    @property
    def malformed_total(self) -> int:
        """Objects that could not be decoded so far."""
        ...


class LogSource(Protocol):
    """Containers' logs as they are written, each line behind the stamp that its container runtime gave it.

    Raises: Transient, also while chunks are read; at the start also Forbidden, Terminal, and NotFound: no such
    pod, or its container has no such log.
    """

    def follow_log(
        self,
        pod: Entity,
        container: str,
        since: dt.datetime | None = None,
        *,
        is_previous: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Yield chunks as they arrive, cut anywhere, until the container ends or the server closes.

        What is rotated away is not there any more, unless it is followed already.

        Args:
            pod: whose.
            container: which of its containers.
            since: lines of that second and later; None means all there are.
            is_previous: the log of the container's life before this one.
        """
        ...


class SeriesSource(Protocol):
    """Named sets of series, each as a whole, for those who follow them. A partial answer is marked.

    Raises (all methods): Transient, also for a partial answer that shows nothing; Terminal if the source will
    never answer this: too much of it, no access, not what we take it for.
    """

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return every sample from ``start`` to ``end``, both included, as it was scraped, with the marks of series that ended.

        Raises NotFound: this source has no samples to give, ask for a range.
        """
        ...

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Return what is seen each ``step`` from ``start`` to ``end``, all three taken to the second, at most 11,000 times.

        A sample is seen for five minutes, unless its series ended; there are no marks.
        """
        ...


class MetricsSource(Protocol):
    """Named questions to a store of numbers. A partial answer is marked, and one without any series is no answer.

    Raises (all methods): Transient, also for a partial answer that shows nothing; Terminal if the source
    will never answer this: arguments that the template does not take, no access, not what we take it for.
    """

    async def query(
        self, template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
    ) -> MetricAnswer:
        """Return one point a series, at ``at``."""
        ...

    async def query_range(
        self,
        template: MetricTemplate,
        arguments: MetricArguments,
        *,
        start: dt.datetime,
        end: dt.datetime,
        step: dt.timedelta,
    ) -> MetricAnswer:
        """Return a point each ``step`` from ``start`` to ``end``, all three taken to the second, at most 11,000."""
        ...

    async def health(self) -> MetricsHealth:
        """Return what the source says of itself."""
        ...


class LogArchive(Protocol):
    """Where a collector brings the logs of the cluster, also of pods that are gone. Bounded, redacted; a partial answer is marked.

    Raises: Transient; Terminal if the archive will never answer this: a search that makes no sense, no
    access, more than is read, not what we take it for.
    """

    async def search(self, search: LogSearch) -> LogAnswer:
        """Return the newest lines that fit, oldest first; at most 1,000 over at most 30 days."""
        ...


class TraceArchive(Protocol):
    """Where services bring their traces. Bounded, redacted; a partial answer is marked. Raises as ``LogArchive``."""

    async def search(self, search: TraceSearch) -> TraceAnswer:
        """Return traces that fit, newest first; at most 100 over at most 7 days."""
        ...

    async def trace(self, trace_id: str) -> Trace:
        """Return one trace by its hexadecimal id, at most 500 of its spans; also raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class RawDeployment:
    """A Deployment as the server sent it, for those who write: canonical JSON texts, unredacted."""

    decoded: Deployment
    template_json: str = field(repr=False)
    object_json: str = field(repr=False)


class ClusterWriter(Protocol):
    """The executor's hands. Every write carries the field manager ``opsagent-executor``.

    Raises: Transient, Forbidden, NotFound, Conflict, Terminal (the server calls the write invalid).
    """

    async def read_deployment(self, entity: Entity) -> RawDeployment:
        """Return the Deployment with its whole pod template."""
        ...

    async def template_of_revision(self, deployment: Entity, uid: str, revision: int) -> str:
        """Return the canonical JSON of the template that the owned ReplicaSet of ``revision`` holds, without pod-template-hash."""
        ...

    async def replace_template(
        self,
        deployment: Entity,
        *,
        template_json: str,
        resource_version: str,
        action_id: str,
        is_dry_run: bool,
    ) -> RawDeployment:
        """Replace spec.template and set the annotation ``opsagent.io/action-id`` in one write; Conflict if the version is stale."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, as TokenReview says."""

    username: str
    groups: tuple[str, ...] = ()


class AccessReviewer(Protocol):
    """TokenReview and SubjectAccessReview. Raises Transient when the server cannot answer."""

    async def identify(self, token: str) -> Identity | None:
        """Return the identity behind ``token``, None if it is not valid."""
        ...

    async def may_approve(self, identity: Identity, namespace: str) -> bool:
        """Return whether the identity may ``approve`` ``actionrequests.opsagent.io`` in ``namespace``."""
        ...


class Leadership(Protocol):
    """One active leader. ``run`` calls ``lead`` while the Lease is held and cancels it when it is lost."""

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Hold or wait for the Lease until cancelled."""
        ...

    @property
    def is_leader(self) -> bool:
        """Whether the Lease is held now."""
        ...

    @property
    def problem(self) -> str:
        """Why nobody knows who holds it; empty while the Lease can be read and written."""
        ...


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
    or a file corrupt, with the path in the message.
    """

    async def append(self, origin: LogOrigin, entries: Sequence[LogEntry], now: dt.datetime) -> str:
        """Take entries in, oldest first; return the pointer of the first, the others follow it.

        They can be read at once, and are durable after ``sync``.
        """
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


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's click as it is kept: who, what, when, whether it counted. The token is not in it."""

    plan_id: str
    plan_hash: str
    at: dt.datetime
    identity: Identity
    verdict: ApprovalVerdict
    is_accepted: bool
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What the executor was about to write, on the disk before the request leaves.

    ``generation`` is the object's before the write, ``result_digest`` that of the template as the dry
    run left it, ``baseline`` name -> ready replicas of the namespace's Deployments.
    """

    generation: int
    result_digest: str
    baseline: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a plan to another state, by whom and why."""

    at: dt.datetime
    state: PlanState
    actor: str
    reason: str


class PlanStore(Protocol):
    """The executor's durable state: plans, transitions, clicks, intents. One writer, every commit synced.

    Each writing method is one transaction; a move that the life cycle forbids is a ``ValueError``.
    Raises: Terminal if the disk is full or the file corrupt, with the path in the message.
    """

    async def add(self, plan: Plan, moves: Sequence[Move]) -> PlanRecord:
        """Store a new plan with its first moves; while another plan for the same ask is open, return that one."""
        ...

    async def move(
        self,
        plan_id: str,
        from_state: PlanState,
        move: Move,
        *,
        intent: Intent | None = None,
        outcome: Outcome | None = None,
    ) -> bool:
        """Move the plan if it still is in ``from_state``, and store what comes with the move; return whether it was."""
        ...

    async def decide(self, approval: Approval, move: Move) -> bool:
        """Store the deciding click with its move if the plan is still pending, else nothing; return whether it was."""
        ...

    async def note(self, approval: Approval) -> None:
        """Store a click that did not count; clicks beyond a bound per plan are dropped and counted."""
        ...

    async def record(self, plan_id: str) -> PlanRecord | None:
        """Return one plan."""
        ...

    async def records(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or the newest 1000 of all."""
        ...

    async def asked(self, proposal: Proposal) -> tuple[PlanRecord, ...]:
        """Return every plan for the same ask, oldest first."""
        ...

    async def active(self, since: dt.datetime) -> tuple[PlanRecord, ...]:
        """Return the plans that are open or moved at or after ``since``, oldest first."""
        ...

    async def approval(self, plan_id: str) -> Approval | None:
        """Return the click that decided, None if none did."""
        ...

    async def approvals(self, plan_id: str) -> tuple[Approval, ...]:
        """Return every stored click on the plan, oldest first."""
        ...

    async def intent(self, plan_id: str) -> Intent | None:
        """Return what was last about to be written, None if the plan was never armed."""
        ...

    async def newest_seq(self) -> int:
        """Return the seq of the newest transition, 0 if there is none."""
        ...

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        ...


class RunbookLibrary(Protocol):
    """The team's runbooks."""

    def runbooks(self) -> tuple[Runbook, ...]:
        """Return all active runbooks, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Advice:
    """What an investigator has to say: a proposal, else the reason why there is none.

    ``notes`` tell people how it came about, one line each; ``investigation_id`` names the transcript.
    """

    proposal: Proposal | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    investigation_id: str = ""


class Investigator(Protocol):
    """Finds a remedy for an incident: by runbooks, or by a model that falls back to them."""

    async def investigate(self, incident: Incident, workload: Workload, now: dt.datetime) -> Advice:
        """Return a proposal, or in words why there is none. Raises Transient: try again later."""
        ...


class Model(Protocol):
    """A language model behind a server.

    Raises: Transient (no answer, not in time, or cut short), Terminal (the server refuses the request,
    or its answer breaks a bound).
    """

    @property
    def name(self) -> str:
        """The model's name, as its server knows it."""
        ...

    async def complete(self, prompt: Prompt) -> Turn:
        """Return one whole turn. Whether its calls make sense is not judged here."""
        ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server offers. ``context_tokens``: of question and answer together, None if it does not say."""

    name: str
    context_tokens: int | None = None


class ModelServer(Protocol):
    """The server of a model, asked what it offers."""

    async def served(self) -> tuple[ServedModel, ...]:
        """Return what it offers. Raises: Transient (no answer now), Forbidden, Terminal (it will never say)."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """What an investigation is about, as it is now."""

    incident: Incident
    workload: Workload
    now: dt.datetime


class Tool(Protocol):
    """One thing that a model may do: read, or propose. None of them writes to a cluster.

    Raises: Transient, NotFound, Forbidden, Terminal: the world could not be read.
    """

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        ...

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the result; arguments that break the schema are an error in words, for the model."""
        ...


class TranscriptStore(Protocol):
    """Transcripts of investigations: entries are added and never changed.

    Raises: Terminal if the disk is full or the file corrupt, with the path in the message.
    """

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return all entries, oldest first; none if it was never opened."""
        ...

    async def append(self, investigation_id: str, entry: Entry) -> None:
        """Add ``entry`` behind the others; it is durable when this returns."""
        ...


class ApprovalDesk(Protocol):
    """Where plans wait for people; owned by the executor."""

    async def submit(self, proposal: Proposal) -> PlanRecord:
        """Validate, dry-run and diff; ask for approval or refuse. The same proposal gives the same plan.

        Raises: Transient when the cluster cannot be read; nothing is stored then.
        """
        ...

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Judge a person's click."""
        ...

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or all."""
        ...

    async def wait_changed(self, after_seq: int) -> int:
        """Wait until a transition with a higher seq exists; return the newest seq."""
        ...


class Executor(Protocol):
    """Carries approved plans out, across crashes."""

    async def run(self) -> None:
        """Reconcile what a crash left, then execute, verify and expire until cancelled."""
        ...


class AlertIntake(Protocol):
    """Where somebody else's alerting reports to."""

    async def take(self, alerts: tuple[ReportedAlert, ...]) -> None:
        """Take the alerts in; what follows from them is durable when this returns.

        Raises: Transient when that cannot be now: the sender shall try again.
        """
        ...

    def refuse(self) -> None:
        """Take note of a message that cannot be read."""
        ...


class Notifier(Protocol):
    """One receiver of messages. Raises: Transient (try again), Terminal (it will never take this)."""

    @property
    def name(self) -> str:
        """The receiver's name in the configuration."""
        ...

    async def send(self, notification: Notification) -> None:
        """Deliver; the id is the idempotency key."""
        ...
