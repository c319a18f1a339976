"""One incident on its way through one event: what each kind of event does to it.

Theory of operation. A ``Turn`` is a frozen incident with what has to be told about it so far. Each function
takes a turn (or makes the first one) and returns the next. Messages are only named here and written at
the end of the turn, when severity, cause and what is waited for are all known. Which incident an event
goes to is not decided here: see ``reduce``.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from opsagent.incidents import tell, timeline
from opsagent.incidents.diagnosis import EVIDENCE_MAX, unexplained
from opsagent.incidents.words import title
from opsagent.model.alert import Alert, Evidence, EvidenceKind, Severity
from opsagent.model.canonical import ordered_id
from opsagent.model.incident import Diagnosis, EntryKind, Incident, IncidentState, TimelineEntry
from opsagent.model.notification import NotificationReason
from opsagent.model.plan import PlanRecord, PlanState

QUIET = dt.timedelta(seconds=60)  # without an alert, until a mitigated incident counts as resolved
KEEP_RESOLVED = dt.timedelta(days=1)  # late states of its plans still find it

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Turn:
    """One incident on its way through one event; messages are written at the end, when all is known."""

    incident: Incident
    now: dt.datetime
    reasons: tuple[NotificationReason, ...] = ()
    facts: tuple[tell.Statement, ...] = ()
    record: PlanRecord | None = None

    def note(self, kind: EntryKind, text: str, pointer: str = "") -> "Turn":
        """Return the turn with a timeline entry by opsagent itself."""
        entry = TimelineEntry(self.now, timeline.OPSAGENT, kind, text, pointer)
        return replace(self, incident=timeline.add(self.incident, [entry]))

    def say(self, *reasons: NotificationReason) -> "Turn":
        """Return the turn with more to tell people."""
        return replace(self, reasons=(*self.reasons, *reasons))

    def keep(self, facts: Iterable[tell.Statement]) -> "Turn":
        """Return the turn with more for memory."""
        return replace(self, facts=(*self.facts, *facts))


def opened(alert: Alert, now: dt.datetime) -> Turn:
    """Return the first turn of a new incident."""
    incident = Incident(
        incident_id=ordered_id("inc", now, alert.group_key),
        entity=alert.entity,
        severity=alert.severity,
        state=IncidentState.OPEN,
        title=title(alert),
        opened_at=now,
        updated_at=now,
        resolved_at=None,
        firing=(alert.fingerprint,),
        cleared=(),
        diagnoses=(),
        timeline=(),
        group_key=alert.group_key,
    )
    turn = Turn(incident, now).note(EntryKind.DETECTED, _summary(alert), _pointer(alert.evidence))
    turn = turn.note(EntryKind.OPENED, f"{incident.title} ({incident.severity.value})")
    return turn.say(NotificationReason.OPENED)


def joined(turn: Turn, alert: Alert) -> Turn:
    """Take ``alert`` in, or note that it has risen; reopen what was thought to be over."""
    incident = turn.incident
    if alert.fingerprint not in incident.firing:
        moved = replace(
            incident,
            state=IncidentState.OPEN if not incident.firing else incident.state,
            resolved_at=None,
            firing=tuple(sorted((*incident.firing, alert.fingerprint))),
            cleared=tuple(each for each in incident.cleared if each != alert.fingerprint),
        )
        turn = replace(turn, incident=moved)
        turn = turn.note(EntryKind.JOINED, _summary(alert), _pointer(alert.evidence))
        if not incident.firing:
            turn = _reopened(turn)
    if _RANK[alert.severity] > _RANK[incident.severity]:
        turn = replace(turn, incident=replace(turn.incident, severity=alert.severity))
        turn = turn.say(NotificationReason.WORSE)
    return turn


def _reopened(turn: Turn) -> Turn:
    """Note that it was not over; if a plan had been verified, a person has to look."""
    turn = turn.note(EntryKind.REOPENED, "an alert fires again")
    plan = timeline.last_of_plan(turn.incident)
    if plan is None or plan.kind is not EntryKind.VERIFIED:
        return turn
    text = f"it came back after {plan.pointer} was verified"
    turn = turn.note(EntryKind.NEEDS_PERSON, text, plan.pointer)
    return turn.say(NotificationReason.NEEDS_PERSON)


def diagnosed(turn: Turn, found: tuple[Diagnosis, ...]) -> Turn:
    """Take over new candidates; a closer look's findings stay with the candidate that they were found for."""
    if not found:
        return turn
    known = {(each.entity, each.cause): each for each in turn.incident.diagnoses}
    merged = tuple(_carried(known.get((each.entity, each.cause)), each) for each in found)
    before = [(each.cause, each.confidence) for each in turn.incident.diagnoses[:1]]
    turn = replace(turn, incident=replace(turn.incident, diagnoses=merged))
    top = merged[0]
    if before == [(top.cause, top.confidence)]:
        return turn
    text = f"{top.cause.value} ({top.confidence:.2f}): {top.reason}"
    turn = turn.note(EntryKind.CAUSE, text, _pointer(top.evidence))
    return turn.keep(tell.of_cause(turn.incident))


def reported(turn: Turn, alert: Alert) -> Turn:
    """Take over what somebody else's alert says: evidence for the cause that is known, else a cause unknown."""
    if not turn.incident.diagnoses:
        return diagnosed(turn, (unexplained(alert),))
    top, *others = turn.incident.diagnoses
    diagnoses = (with_evidence(top, alert.evidence), *others)
    return replace(turn, incident=replace(turn.incident, diagnoses=diagnoses))


def _carried(old: Diagnosis | None, new: Diagnosis) -> Diagnosis:
    looked_up = [] if old is None else [e for e in old.evidence if e.kind is EvidenceKind.LOG]
    return with_evidence(new, looked_up)


def with_evidence(diagnosis: Diagnosis, more: Iterable[Evidence]) -> Diagnosis:
    """Return the candidate with more evidence, each piece once, at most ``EVIDENCE_MAX``."""
    joined = tuple(dict.fromkeys((*diagnosis.evidence, *more)))
    return replace(diagnosis, evidence=joined[:EVIDENCE_MAX])


def plan_reasons(
    incident: Incident, record: PlanRecord, entry: TimelineEntry
) -> tuple[NotificationReason, ...]:
    """Return why people are told of a plan's step; of an incident that is over only what went wrong."""
    match entry.kind:
        case EntryKind.ROLLED_BACK | EntryKind.NEEDS_PERSON:
            return (NotificationReason.NEEDS_PERSON,)
        case _ if incident.resolved_at is not None:
            return ()
        case EntryKind.PLAN if record.state is PlanState.PENDING:
            return (NotificationReason.APPROVAL_NEEDED,)
        case EntryKind.EXPIRED:
            return (NotificationReason.APPROVAL_EXPIRED,)
        case EntryKind.REFUSED:
            return (NotificationReason.NEEDS_PERSON,)
        case _:
            return ()


def due(incident: Incident) -> dt.datetime | None:
    """Return when the incident moves on by itself, None if it waits for something else."""
    if incident.resolved_at is not None:
        return incident.resolved_at + KEEP_RESOLVED
    if incident.state is not IncidentState.MITIGATED or timeline.is_in_flight(incident):
        return None
    plan = timeline.last_of_plan(incident)
    if plan is not None and plan.kind is EntryKind.VERIFIED:
        return plan.at
    return timeline.quiet_since(incident) + QUIET


def settled(turn: Turn) -> Turn:
    """Resolve a mitigated incident, or close a resolved one, once it is due."""
    at = due(turn.incident)
    if at is None or at > turn.now:
        return turn
    if turn.incident.resolved_at is not None:
        closed = replace(turn.incident, state=IncidentState.CLOSED)
        return replace(turn, incident=closed)
    plan = timeline.last_of_plan(turn.incident)
    is_verified = plan is not None and plan.kind is EntryKind.VERIFIED
    quiet = f"no alert for {QUIET.total_seconds():.0f} s"
    text = "its alerts cleared and the change was verified" if is_verified else quiet
    resolved = replace(turn.incident, state=IncidentState.RESOLVED, resolved_at=turn.now)
    turn = replace(turn, incident=resolved).note(EntryKind.RESOLVED, text)
    turn = turn.keep([tell.of_resolution(resolved, turn.now)])
    return turn.say(NotificationReason.RESOLVED)


def _summary(alert: Alert) -> str:
    return alert.annotations.get("summary", alert.name)


def _pointer(evidence: tuple[Evidence, ...]) -> str:
    return next((each.pointer for each in evidence), "")
