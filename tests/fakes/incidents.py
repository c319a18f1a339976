"""Ready-made incidents, plain ones and some whose every text is hostile."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from itertools import cycle

from opsagent.guard.plan import sealed
from opsagent.model.alert import Evidence, EvidenceKind, Severity
from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.incident import (
    Cause,
    Diagnosis,
    EntryKind,
    Incident,
    IncidentState,
    TimelineEntry,
)
from opsagent.model.kube import KubeEvent, ObjectMeta
from opsagent.model.plan import (
    FieldChange,
    Outcome,
    Plan,
    PlanRecord,
    PlanState,
    Transition,
    Verdict,
)
from opsagent.model.signal import RawRow, RowType
from tests.fakes.plans import CART, NOW, PROPOSAL, UID, plan

PLAIN = Incident(
    incident_id="inc_1",
    entity=CART,
    severity=Severity.CRITICAL,
    state=IncidentState.OPEN,
    title="shop/cart is crash looping",
    opened_at=NOW - dt.timedelta(minutes=3),
    updated_at=NOW - dt.timedelta(seconds=41),
    resolved_at=None,
    firing=("alr_1",),
    cleared=(),
    diagnoses=(
        Diagnosis(
            CART,
            Cause.BAD_ROLLOUT,
            0.95,
            "rolled out just before the first symptom",
            (
                Evidence(EvidenceKind.CHANGE, str(CART), "image v1 -> v2", NOW, "raw:18"),
                Evidence(EvidenceKind.LOG, "v1/Pod/shop/cart-1", "fatal: no configuration", NOW),
            ),
        ),
        Diagnosis(CART, Cause.APPLICATION_ERROR, 0.05, "its process ends by itself"),
    ),
    timeline=(
        TimelineEntry(NOW, "opsagent", EntryKind.DETECTED, "cart crashes", "raw:46"),
        TimelineEntry(NOW, "opsagent", EntryKind.OPENED, "shop/cart is crash looping"),
        TimelineEntry(NOW, "opsagent", EntryKind.CAUSE, "bad_rollout", "raw:18"),
        TimelineEntry(NOW, "opsagent", EntryKind.PLAN, "roll back", "pln_0123456789abcdef"),
        TimelineEntry(NOW, "alice", EntryKind.APPROVED, "alice approved it"),
        TimelineEntry(NOW, "executor", EntryKind.EXECUTED, "rolled back"),
        TimelineEntry(NOW, "opsagent", EntryKind.CLEARED, "cleared"),
        TimelineEntry(NOW, "executor", EntryKind.VERIFIED, "it helped"),
        TimelineEntry(NOW, "opsagent", EntryKind.RESOLVED, "over"),
    ),
    waiting_for="approval",
)


def hostile_incident(texts: Iterator[str]) -> Incident:
    """Return an incident with more of everything than a page shows, each text the next of ``texts``."""
    entity = Entity(Kind.DEPLOYMENT, next(texts), next(texts))
    evidence = tuple(
        Evidence(EvidenceKind.LOG, next(texts), next(texts), NOW, next(texts)) for _ in range(20)
    )
    return dataclasses.replace(
        PLAIN,
        entity=entity,
        title=next(texts),
        diagnoses=tuple(
            Diagnosis(entity, cause, 0.5, next(texts), evidence)
            for cause in (*Cause, *Cause)
        ),
        timeline=tuple(
            TimelineEntry(NOW, next(texts), kind, next(texts), next(texts))
            for kind, _ in zip(cycle(EntryKind), range(100), strict=False)
        ),
        waiting_for=next(texts),
    )  # fmt: skip


def hostile_plan(texts: Iterator[str]) -> Plan:
    """Return a plan whose proposal and diff say what ``texts`` say."""
    target = Ref(Entity(Kind.DEPLOYMENT, next(texts), next(texts)), UID)
    proposal = dataclasses.replace(
        PROPOSAL,
        action=dataclasses.replace(PROPOSAL.action, target=target),
        runbook=next(texts),
        reason=next(texts),
    )
    # As the guard cuts them: 500 characters at most.
    diff = tuple(
        FieldChange(next(texts)[:500], next(texts)[:500], next(texts)[:500]) for _ in range(2)
    )
    # Sealed first: a lone surrogate has no canonical bytes, and no cluster sends one.
    return dataclasses.replace(sealed(plan()), proposal=proposal, diff=diff)


def hostile_record(texts: Iterator[str], *states: PlanState) -> PlanRecord:
    """Return a record of a hostile plan; who moved it and why is hostile as well."""
    item = hostile_plan(texts)
    rows = tuple(
        Transition(seq, NOW, item.plan_id, state, next(texts), next(texts))
        for seq, state in enumerate(states, start=1)
    )
    return PlanRecord(item, rows, Outcome(Verdict.FAILED, (next(texts), next(texts))))


def hostile_row(texts: Iterator[str]) -> RawRow:
    """Return a raw row of an event that says what ``texts`` say."""
    meta = ObjectMeta(
        next(texts),
        next(texts),
        UID,
        "1",
        annotations={next(texts): next(texts) for _ in range(40)},
    )
    event = KubeEvent(meta, reason=next(texts), message=next(texts), source=next(texts))
    return RawRow(7, NOW, RowType.ADDED, Kind.EVENT, event)
