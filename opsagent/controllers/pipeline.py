"""The fold: one input after another through signals, detection and incidents.

Theory of operation. The pipeline owns the only mutable copy of what opsagent believes about the
cluster: the inventory, the alerts and the incident book. Every input (an observed object, a reported
alert, a plan that moved, a finding, the passing of time) goes through one method, which returns a
``Step``: the batch to commit and the incidents that want a plan. Nothing here waits, reads a clock or
writes, so the daemon and ``replay`` share it, and the same inputs give the same bytes.

Detection waits until every kind it joins has been listed once: on half a picture a deployment
without pods would look stuck, and an alert whose pods are not listed yet would look cleared.

A judgement looks at the Deployment, its ReplicaSets and its pods, and says itself when time alone would change
it. So only a row about one of these is followed by one, and none that differs from what is known in nothing that
anybody looks at: most of what a watch tells is a heartbeat. Such rows are stored like any other.

A judgement looks at the whole workload, so judging a large one at each of its rows would cost the square
of its size. After each judgement a large workload has peace for a time that grows with its size; what
comes meanwhile is judged together when that time is over.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from opsagent.controllers.reported import Reported
from opsagent.detection.alerts import judge
from opsagent.incidents.reduce import (
    Advised,
    AlertCleared,
    AlertFired,
    Book,
    Effects,
    Event,
    EvidenceGathered,
    NoPlan,
    PlanMoved,
    Tick,
    next_due,
    reduce,
    restore,
)
from opsagent.model.alert import Alert, AlertState, Evidence, ReportedAlert
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import Incident
from opsagent.model.kube import KubeObject
from opsagent.model.notification import Notification
from opsagent.model.plan import PlanRecord
from opsagent.model.quick import quick
from opsagent.model.signal import Change, RawRow, RowType
from opsagent.model.workload import Workload
from opsagent.ports import Batch, Snapshot
from opsagent.signals.inventory import Inventory
from opsagent.signals.redaction import Redactor
from opsagent_memory.fact import Fact, fact

SMALL_OBJECTS_MAX = 50  # a workload up to this size is judged at each of its rows
# Between two judgements, for each object of a large workload: one costs about 3 us, so judging a
# workload that never rests takes 0.3 % of a core, and a thousand pods are judged once a second.
PEACE_PER_OBJECT = dt.timedelta(milliseconds=1)
JOINED_KINDS = frozenset({Kind.DEPLOYMENT, Kind.REPLICA_SET, Kind.POD})


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one input or several."""

    batch: Batch = field(default_factory=Batch)
    wants_plan: tuple[str, ...] = ()


NOTHING = Step()
_RawRow, _Batch, _Step = quick(RawRow), quick(Batch), quick(Step)  # one of each an observation


def merge(steps: Iterable[Step]) -> Step:
    """Join consecutive steps into one commit; of an alert or incident only the last state is kept."""
    some = [step for step in steps if step is not NOTHING]
    if len(some) <= 1:
        return some[0] if some else NOTHING
    rows: list[RawRow] = []
    changes: list[Change] = []
    facts: list[Fact] = []
    notifications: list[Notification] = []
    alerts: dict[str, Alert] = {}
    incidents: dict[str, Incident] = {}
    wants: dict[str, None] = {}
    for step in some:
        rows += step.batch.rows
        changes += step.batch.changes
        facts += step.batch.facts
        notifications += step.batch.notifications
        alerts |= {alert.fingerprint: alert for alert in step.batch.alerts}
        incidents |= {incident.incident_id: incident for incident in step.batch.incidents}
        wants |= dict.fromkeys(step.wants_plan)
    batch = Batch(
        rows=tuple(rows),
        changes=tuple(changes),
        alerts=tuple(alerts.values()),
        incidents=tuple(incidents.values()),
        facts=tuple(facts),
        notifications=tuple(notifications),
    )
    return Step(batch, tuple(wants))


class Pipeline:
    """See the module's docstring. One owner; not safe to share between tasks."""

    def __init__(self, snapshot: Snapshot, redaction_key: bytes) -> None:
        self._redactor = Redactor(redaction_key)
        self._seq = snapshot.seq
        self._inventory = Inventory()
        self._inventory.restore(snapshot.rows, snapshot.changes)
        self._book = self._due_book = restore(snapshot.incidents, snapshot.alerts)
        self._book_due = next_due(self._book)
        self._alerts: dict[Entity, dict[str, Alert]] = {}
        for alert in snapshot.alerts:
            if alert.is_own:
                self._alerts.setdefault(alert.entity, {})[alert.fingerprint] = alert
        self.reported = Reported(
            self._inventory, (alert for alert in snapshot.alerts if not alert.is_own)
        )
        self._synced: set[Kind] = set()
        self.ignored_total = 0  # events that found no incident to change
        self._recheck: dict[Entity, dt.datetime] = {}
        self._peace_until: dict[Entity, dt.datetime] = {}

    @property
    def book(self) -> Book:
        """The incident book, a frozen value."""
        return self._book

    @property
    def inventory(self) -> Inventory:
        """The live objects; for reading only."""
        return self._inventory

    @property
    def is_synced(self) -> bool:
        """Whether every joined kind has been listed since the start."""
        return self._synced >= JOINED_KINDS

    def workload(self, deployment: Entity) -> Workload | None:
        """Return a Deployment with all that belongs to it, None if it does not exist."""
        return self._inventory.workload(deployment)

    def incident(self, incident_id: str) -> Incident | None:
        """Return an incident that can still change, None if there is none of that id."""
        return self._book.incidents.get(incident_id)

    def next_due(self) -> dt.datetime | None:
        """Return when :meth:`tick` has something to do, None if never."""
        if self._book is not self._due_book:
            self._due_book, self._book_due = self._book, next_due(self._book)
        due = [*self._recheck.values(), self.reported.next_due(), self._book_due]
        return min((each for each in due if each is not None), default=None)

    def observe(
        self, at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
    ) -> Step:
        """Fold one observation: redact, number, join, judge."""
        self._seq += 1
        safe = None if item is None else self._redactor.redact(item)
        row = _RawRow(self._seq, at, row_type, kind, safe)
        if self._inventory.renew(row):
            return _Step(_Batch((row,)))
        is_judged = kind in JOINED_KINDS
        concerned = self._inventory.concerned(row) if is_judged else set()
        changes = self._inventory.apply(row)
        if is_judged:
            concerned |= self._inventory.concerned(row)
        is_news = row_type is RowType.SYNCED and kind not in self._synced
        steps = [_Step(_Batch((row,), changes))]
        if is_news:
            self._synced.add(kind)
            concerned |= self._everything()
        if self.is_synced:
            steps += [self._judge_or_wait(deployment, at) for deployment in sorted(concerned)]
        if self.is_synced and is_news:
            steps.append(self._reduce(Tick(), at))  # incidents of an earlier life speak up again
        return merge(steps)

    def tick(self, now: dt.datetime) -> Step:
        """Fold the passing of time: judge again what asked for it, let incidents settle."""
        due = sorted(deployment for deployment, at in self._recheck.items() if at <= now)
        steps = [self._judge(deployment, now) for deployment in due]
        steps += [self._told(*each, now) for each in self.reported.forget(now)]
        return merge([*steps, self._reduce(Tick(), now)])

    def report(self, told: Iterable[ReportedAlert], now: dt.datetime) -> Step:
        """Fold what somebody else's alerting says."""
        return merge(self._told(*self.reported.take(each, self._book, now), now) for each in told)

    def plan_moved(self, record: PlanRecord, now: dt.datetime) -> Step:
        """Fold a plan's new state."""
        return self._reduce(PlanMoved(record), now)

    def no_plan(self, incident_id: str, reason: str, now: dt.datetime) -> Step:
        """Fold that the responder has no plan to offer."""
        return self._reduce(NoPlan(incident_id, reason), now)

    def evidence(self, incident_id: str, evidence: tuple[Evidence, ...], now: dt.datetime) -> Step:
        """Fold what was found by looking closer."""
        return self._reduce(EvidenceGathered(incident_id, evidence), now)

    def advised(
        self, incident_id: str, notes: tuple[str, ...], investigation_id: str, now: dt.datetime
    ) -> Step:
        """Fold how the responder came to its answer."""
        return self._reduce(Advised(incident_id, notes, investigation_id), now)

    def _told(self, alert: Alert | None, event: Event | None, now: dt.datetime) -> Step:
        stored = NOTHING if alert is None else Step(Batch(alerts=(alert,)))
        return stored if event is None else merge([stored, self._reduce(event, now)])

    def _everything(self) -> set[Entity]:
        return set(self._inventory.workloads()) | set(self._alerts)

    def _judge_or_wait(self, deployment: Entity, now: dt.datetime) -> Step:
        peace_until = self._peace_until.get(deployment, now)
        if peace_until <= now:
            return self._judge(deployment, now)
        self._recheck[deployment] = min(self._recheck.get(deployment, peace_until), peace_until)
        return NOTHING

    def _judge(self, deployment: Entity, now: dt.datetime) -> Step:
        workload = self._inventory.workload(deployment)
        self._note_size(deployment, workload, now)
        open_alerts = self._alerts.get(deployment, {})
        judgement = judge(tuple(open_alerts.values()), workload, now)
        self._recheck.pop(deployment, None)
        if judgement.recheck_at is not None:
            self._recheck[deployment] = judgement.recheck_at
        steps = [Step(Batch(alerts=judgement.changed))] if judgement.changed else []
        for alert in judgement.changed:
            if alert.state is AlertState.RESOLVED:
                open_alerts.pop(alert.fingerprint, None)
                steps.append(self._reduce(AlertCleared(alert), now))
            else:
                open_alerts = self._alerts.setdefault(deployment, {})
                open_alerts[alert.fingerprint] = alert
                steps.append(self._reduce(AlertFired(alert, workload), now))
        if not open_alerts:
            self._alerts.pop(deployment, None)
        return merge(steps)

    def _note_size(self, deployment: Entity, workload: Workload | None, now: dt.datetime) -> None:
        size = 0 if workload is None else len(workload.pods) + len(workload.replica_sets)
        if size > SMALL_OBJECTS_MAX:
            self._peace_until[deployment] = now + size * PEACE_PER_OBJECT
        else:
            self._peace_until.pop(deployment, None)

    def _reduce(self, event: Event, now: dt.datetime) -> Step:
        self._book, effects = reduce(self._book, event, now)
        self.ignored_total += len(effects.ignored)
        return _step(effects)


def _step(effects: Effects) -> Step:
    if effects == Effects(ignored=effects.ignored):
        return NOTHING
    facts = tuple(
        fact(
            told.at,
            told.subject,
            told.predicate,
            told.text,
            told.pointers,
            is_pinned=told.is_pinned,
        )
        for told in effects.facts
    )
    batch = Batch(incidents=effects.incidents, facts=facts, notifications=effects.notifications)
    return Step(batch, effects.wants_plan)
