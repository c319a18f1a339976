"""What an incident tells: messages to people and statements for memory.

A message is one per (incident, severity, reason): its id is made of these alone, so a second one is the
same one. Lines are short plain text; what comes from the cluster in them is redacted and cut already.
"""

import datetime as dt
from dataclasses import dataclass

from opsagent.incidents.words import action_text, clock, count, diff_lines, short, span
from opsagent.model.alert import EvidenceKind
from opsagent.model.canonical import content_id
from opsagent.model.incident import EntryKind, Incident, TimelineEntry
from opsagent.model.notification import Notification, NotificationReason
from opsagent.model.plan import Plan, PlanRecord

EVIDENCE_LINES_MAX = 3
DIFF_LINES_MAX = 10
_HEADLINES = {
    NotificationReason.OPENED: "{}",
    NotificationReason.WORSE: "Worse: {}",
    NotificationReason.APPROVAL_NEEDED: "Approve? {}",
    NotificationReason.APPROVAL_EXPIRED: "Not approved in time: {}",
    NotificationReason.NEEDS_PERSON: "A person is needed: {}",
    NotificationReason.RESOLVED: "Resolved: {}",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What memory shall keep: the arguments of ``opsagent_memory.fact.fact``, made by the one who joins both."""

    at: dt.datetime
    subject: str
    predicate: str
    text: str
    pointers: tuple[str, ...]
    is_pinned: bool = True


def message(
    incident: Incident, reason: NotificationReason, at: dt.datetime, record: PlanRecord | None
) -> Notification:
    """Return the message for ``reason`` at the incident's present severity; ``record`` is the plan on offer, if any."""
    headline, lines = _HEADLINES[reason].format(incident.title), belief_lines(incident)
    if reason is NotificationReason.APPROVAL_NEEDED and record is not None:
        headline, lines = f"Approve? {action_text(record.plan)}", _question(record.plan)
    identity = [incident.incident_id, incident.severity, reason]
    return Notification(
        notification_id=content_id("ntf", identity),
        incident_id=incident.incident_id,
        reason=reason,
        severity=incident.severity,
        title=headline,
        lines=lines,
        at=at,
    )


def belief_lines(incident: Incident) -> tuple[str, ...]:
    """Return what is believed and why: the top cause, its reason, its first evidence, what comes next."""
    lines: list[str] = []
    for top in incident.diagnoses[:1]:
        lines.append(f"Cause: {top.cause.value} ({top.confidence:.2f}) of {short(top.entity)}.")
        lines.append(top.reason)
        lines += [each.text for each in top.evidence[:EVIDENCE_LINES_MAX]]
    if incident.waiting_for:
        lines.append(f"Waiting for: {incident.waiting_for}.")
    return tuple(lines)


def _question(plan: Plan) -> tuple[str, ...]:
    """Return what changes, where, how it is undone and measured, until when it is offered, and why."""
    window = plan.proposal.verify.window_seconds
    return (
        *_capped(diff_lines(plan)),
        f"On: {plan.proposal.action.target.entity}",
        "Undone by: putting back the pod template that is there now.",
        f"Success: none of {count(len(plan.proposal.symptoms), 'symptom')} for {window} s.",
        f"Offered until: {clock(plan.expires_at)}, as {plan.plan_id}.",
        f"Why: {plan.proposal.reason}",
    )


def of_plan_entry(incident: Incident, plan: Plan, entry: TimelineEntry) -> tuple[Statement, ...]:
    """Return what memory keeps of a step of a plan: that it was done, that it helped, that it did not."""
    predicates = {
        EntryKind.EXECUTED: "action_executed",
        EntryKind.VERIFIED: "action_verified",
        EntryKind.ROLLED_BACK: "action_rolled_back",
    }
    predicate = predicates.get(entry.kind)
    if predicate is None:
        return ()
    text = f"{action_text(plan)}: {predicate.removeprefix('action_').replace('_', ' ')}"
    if entry.kind is EntryKind.VERIFIED:
        text = "; ".join((text, *_capped(diff_lines(plan))))
    pointers = (plan.plan_id, incident.incident_id)
    return (Statement(entry.at, str(incident.entity), predicate, text, pointers),)


def of_cause(incident: Incident) -> tuple[Statement, ...]:
    """Return the changes that the top cause rests on."""
    return tuple(
        Statement(
            each.at,
            str(incident.entity),
            "rollout",
            f"{short(incident.entity)} {each.text}",
            tuple(filter(None, (each.pointer, incident.incident_id))),
        )
        for top in incident.diagnoses[:1]
        for each in top.evidence
        if each.kind is EvidenceKind.CHANGE
    )


def of_opening(incident: Incident) -> Statement:
    """Return that the incident began, and what was believed of it then."""
    text = f"{incident.title}; {_cause(incident)}"
    return _of_incident(incident, "incident_opened", text, incident.opened_at)


def of_resolution(incident: Incident, at: dt.datetime) -> Statement:
    """Return that the incident is over, its cause and what was done."""
    text = f"{incident.title}: over after {span(at - incident.opened_at)}; {_cause(incident)}"
    plans = f"; {', '.join(incident.plan_ids)}" if incident.plan_ids else ""
    return _of_incident(incident, "incident_resolved", text + plans, at)


def _of_incident(incident: Incident, predicate: str, text: str, at: dt.datetime) -> Statement:
    pointers = (incident.incident_id, *incident.plan_ids)
    return Statement(at, str(incident.entity), predicate, text, pointers)


def _cause(incident: Incident) -> str:
    top = next(iter(incident.diagnoses), None)
    return "cause unknown" if top is None else f"cause {top.cause.value} ({top.confidence:.2f})"


def _capped(lines: tuple[str, ...]) -> tuple[str, ...]:
    left = len(lines) - DIFF_LINES_MAX
    return lines if left <= 0 else (*lines[:DIFF_LINES_MAX], f"and {count(left, 'field')} more")
