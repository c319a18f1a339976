"""Alerts, plans and time folded into incidents: ``reduce(book, event, now) -> (book, effects)``.

Theory of operation. The book holds every incident that can still change. An alert belongs to the incident
of its group, which is its Deployment: the first alert opens it, later ones join, in whatever order they
come. What somebody else's alerting reports of a Deployment joins in the same way; of anything else, it is
grouped by its name and where it is. Severity only rises. The life cycle:

    open --all alerts clear--> mitigated --> resolved --a day later--> closed
      ^____an alert fires again____|

Mitigated becomes resolved at once when a plan was carried out and verified; while a plan is between a
person's leave and its outcome it waits for that; otherwise after ``QUIET`` without an alert. An alert
that fires before that reopens the incident. After it, a new incident opens, because people have been
told that the old one is over, and what they are told of an incident they are told once. (Only a refire
at the very instant of resolution reopens: it was not resolved then.)

Plans are not kept here: the executor owns them. What the life cycle needs of them is in the timeline
(see ``timeline``), so that a book restored from stored incidents goes on exactly where it was.
``wants_plan`` is a level, not an edge: it names every open incident with a known cause that has no plan
and no refusal since the cause last changed, after every event, until one arrives.

It refuses nothing in silence: an event that finds no incident is named in ``Effects.ignored``.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

from opsagent.incidents import tell, timeline
from opsagent.incidents.diagnosis import diagnose
from opsagent.incidents.turn import (
    Turn,
    diagnosed,
    due,
    joined,
    opened,
    plan_reasons,
    reported,
    settled,
    with_evidence,
)
from opsagent.incidents.waiting import waiting_for
from opsagent.model.alert import Alert, Evidence
from opsagent.model.incident import Cause, EntryKind, Incident, IncidentState
from opsagent.model.notification import Notification, NotificationReason
from opsagent.model.plan import PlanRecord
from opsagent.model.workload import Workload


@dataclass(frozen=True, slots=True)
class AlertFired:
    """An alert fires, or one that fires already has risen. ``workload`` as it is now, None if it is not known."""

    alert: Alert
    workload: Workload | None


@dataclass(frozen=True, slots=True)
class AlertCleared:
    """An alert no longer fires."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class EvidenceGathered:
    """Somebody looked closer at the incident's objects."""

    incident_id: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Advised:
    """Somebody looked for a remedy: how it came about, one line each; ``pointer`` names the transcript."""

    incident_id: str
    notes: tuple[str, ...]
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class PlanMoved:
    """A plan has new transitions; any number of them, and the same record any number of times."""

    record: PlanRecord


@dataclass(frozen=True, slots=True)
class NoPlan:
    """The responder has nothing to offer for the present cause, and why."""

    incident_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; see :func:`next_due`."""


Event: TypeAlias = (
    AlertFired | AlertCleared | EvidenceGathered | Advised | PlanMoved | NoPlan | Tick
)


@dataclass(frozen=True, slots=True)
class Book:
    """All incidents that can still change, by id, and the firing alerts in them, by fingerprint."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    alerts: Mapping[str, Alert] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows: incidents that changed, messages, statements for memory, incidents that want a plan (by id).

    ``ignored`` says, one text each, which events found nothing to change.
    """

    incidents: tuple[Incident, ...] = ()
    notifications: tuple[Notification, ...] = ()
    facts: tuple[tell.Statement, ...] = ()
    wants_plan: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def restore(incidents: Iterable[Incident], alerts: Iterable[Alert] = ()) -> Book:
    """Return the book that stored incidents and open alerts make up.

    Without the alerts it still groups and settles; only causes are then judged on what fires anew.
    """
    kept = {each.incident_id: each for each in incidents if each.state is not IncidentState.CLOSED}
    return Book(kept, {each.fingerprint: each for each in alerts})


def group_of(incident: Incident) -> str:
    """Return the group key of the alerts that belong to ``incident``."""
    return incident.group_key or str(incident.entity)


def next_due(book: Book) -> dt.datetime | None:
    """Return when a :class:`Tick` has something to do, None if never."""
    return min((at for each in book.incidents.values() if (at := due(each))), default=None)


def reduce(book: Book, event: Event, now: dt.datetime) -> tuple[Book, Effects]:  # noqa: PLR0911 - one per kind of event
    """Fold one event. The same event twice changes nothing the second time."""
    match event:
        case AlertFired(alert, workload):
            return _fired(book, alert, workload, now)
        case AlertCleared(alert):
            return _cleared(book, alert, now)
        case EvidenceGathered(incident_id, evidence):
            return _gathered(book, incident_id, evidence, now)
        case Advised():
            return _advised(book, event, now)
        case PlanMoved(record):
            return _moved(book, record, now)
        case NoPlan(incident_id, reason):
            return _unplanned(book, incident_id, reason, now)
        case Tick():
            return _ticked(book, now)
        case _:
            assert_never(event)


def _fired(
    book: Book, alert: Alert, workload: Workload | None, now: dt.datetime
) -> tuple[Book, Effects]:
    book = replace(book, alerts={**book.alerts, alert.fingerprint: alert})
    incident = _of_group(book, alert, now)
    turn = opened(alert, now) if incident is None else joined(Turn(incident, now), alert)
    if not alert.is_own:
        turn = reported(turn, alert)
    elif workload is not None:
        firing = [book.alerts[each] for each in turn.incident.firing if each in book.alerts]
        turn = diagnosed(turn, diagnose(firing, workload, now))
    if incident is None:
        turn = turn.keep([tell.of_opening(turn.incident)])
    return _finish(book, turn)


def _of_group(book: Book, alert: Alert, now: dt.datetime) -> Incident | None:
    """Return the incident that ``alert`` belongs to."""
    for incident in book.incidents.values():
        is_over = incident.resolved_at not in {None, now}
        if group_of(incident) == alert.group_key and not is_over:
            return incident
    return None


def _cleared(book: Book, alert: Alert, now: dt.datetime) -> tuple[Book, Effects]:
    left = {name: each for name, each in book.alerts.items() if name != alert.fingerprint}
    book = replace(book, alerts=left)
    for incident in book.incidents.values():
        if alert.fingerprint in incident.firing:
            break
    else:
        return _ignore(book, f"{alert.fingerprint} cleared: it fires in no incident")
    firing = tuple(each for each in incident.firing if each != alert.fingerprint)
    moved = replace(
        incident,
        state=incident.state if firing else IncidentState.MITIGATED,
        firing=firing,
        cleared=tuple(sorted({*incident.cleared, alert.fingerprint})),
    )
    return _finish(book, Turn(moved, now).note(EntryKind.CLEARED, f"{alert.name} cleared"))


def _gathered(
    book: Book, incident_id: str, evidence: tuple[Evidence, ...], now: dt.datetime
) -> tuple[Book, Effects]:
    incident = book.incidents.get(incident_id)
    if incident is None or not incident.diagnoses:
        return _ignore(
            book, f"evidence for {incident_id}: no such incident, or no cause to support"
        )
    top, *others = incident.diagnoses
    diagnoses = (with_evidence(top, evidence), *others)
    return _finish(book, Turn(replace(incident, diagnoses=diagnoses), now))


def _advised(book: Book, event: Advised, now: dt.datetime) -> tuple[Book, Effects]:
    incident = book.incidents.get(event.incident_id)
    if incident is None:
        return _ignore(book, f"notes for {event.incident_id}: no such incident")
    told = {
        each.text
        for each in incident.timeline
        if each.kind is EntryKind.INVESTIGATED and each.pointer == event.pointer
    }
    turn = Turn(incident, now)
    for text in event.notes:
        if text not in told:  # a restart tells the same once more, at another time
            turn = turn.note(EntryKind.INVESTIGATED, text, event.pointer)
    return _finish(book, turn)


def _moved(book: Book, record: PlanRecord, now: dt.datetime) -> tuple[Book, Effects]:
    plan = record.plan
    incident = book.incidents.get(plan.proposal.incident_id)
    if incident is None:
        return _ignore(book, f"{plan.plan_id}: no incident {plan.proposal.incident_id}")
    entries = [each for each in timeline.of_plan(record) if each not in incident.timeline]
    if not entries and plan.plan_id in incident.plan_ids:
        return _unchanged(book)
    plan_ids = tuple(dict.fromkeys((*incident.plan_ids, plan.plan_id)))
    moved = replace(timeline.add(incident, entries), plan_ids=plan_ids)
    turn = Turn(moved, now, record=record)
    for entry in entries:
        turn = turn.keep(tell.of_plan_entry(moved, plan, entry))
        turn = turn.say(*plan_reasons(moved, record, entry))
    return _finish(book, turn)


def _unplanned(book: Book, incident_id: str, reason: str, now: dt.datetime) -> tuple[Book, Effects]:
    incident = book.incidents.get(incident_id)
    if incident is None or not _wants_plan(incident):
        return _ignore(book, f"no plan for {incident_id}: it wants none")
    turn = Turn(incident, now).note(EntryKind.NO_PLAN, reason)
    return _finish(book, turn.say(NotificationReason.NEEDS_PERSON))


def _ticked(book: Book, now: dt.datetime) -> tuple[Book, Effects]:
    effects = Effects(wants_plan=_wanted(book))
    for incident in tuple(book.incidents.values()):
        at = due(incident)
        if at is not None and at <= now:
            book, more = _finish(book, Turn(incident, now))
            effects = Effects(
                incidents=effects.incidents + more.incidents,
                notifications=effects.notifications + more.notifications,
                facts=effects.facts + more.facts,
                wants_plan=more.wants_plan,
            )
    return book, effects


def _finish(book: Book, turn: Turn) -> tuple[Book, Effects]:
    """Settle the incident, write the messages, put it back into the book."""
    turn = settled(turn)
    incident = replace(turn.incident, waiting_for=waiting_for(turn.incident, turn.record))
    if incident == book.incidents.get(incident.incident_id):
        return _unchanged(book)
    incident = replace(incident, updated_at=turn.now)
    kept = {**book.incidents, incident.incident_id: incident}
    if incident.state is IncidentState.CLOSED:
        del kept[incident.incident_id]
    book = replace(book, incidents=kept)
    messages = [
        tell.message(incident, reason, turn.now, turn.record)
        for reason in dict.fromkeys(turn.reasons)
    ]
    return book, Effects((incident,), tuple(messages), turn.facts, _wanted(book))


def _unchanged(book: Book) -> tuple[Book, Effects]:
    return book, Effects(wants_plan=_wanted(book))


def _ignore(book: Book, why: str) -> tuple[Book, Effects]:
    return book, Effects(wants_plan=_wanted(book), ignored=(why,))


def _wanted(book: Book) -> tuple[str, ...]:
    return tuple(sorted(name for name, each in book.incidents.items() if _wants_plan(each)))


def _wants_plan(incident: Incident) -> bool:
    return (
        incident.state is IncidentState.OPEN
        and bool(incident.diagnoses)
        and incident.diagnoses[0].cause is not Cause.UNKNOWN
        and not incident.plan_ids
        and not timeline.lacks_plan(incident)
    )
