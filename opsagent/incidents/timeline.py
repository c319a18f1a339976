"""The timeline of an incident: what a plan's life adds to it, and what can be read back from it.

Theory of operation. The timeline is a set ordered by time: an entry that is already there is not added
again, and a plan's entries are a function of its record. So a record can be told twice, late, or after
several transitions at once. What the life cycle must know of the past (was a plan carried out, was it
verified, since when is it quiet) is read back from the entries, which are stored; there is no second
memory that a restart could lose.

Entries that come with every flap are bounded: of those only the newest stay. The raw rows and the alerts
have the rest.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace

from opsagent.incidents.words import action_text, clock
from opsagent.model.incident import EntryKind, Incident, TimelineEntry
from opsagent.model.plan import Plan, PlanRecord, PlanState, Transition

OPSAGENT = "opsagent"
EXECUTOR = "executor"
PLAN_PREFIX = "pln_"
FLAPPING_MAX = 60  # entries of the kinds below that one incident keeps

_FLAPPING = frozenset(
    {
        EntryKind.JOINED,
        EntryKind.CLEARED,
        EntryKind.REOPENED,
        EntryKind.CAUSE,
        EntryKind.INVESTIGATED,
        EntryKind.NO_PLAN,
    }
)
_IN_FLIGHT = frozenset({EntryKind.APPROVED, EntryKind.EXECUTED, EntryKind.VERIFICATION_FAILED})

_REFUSED = (EntryKind.REFUSED, "{plan} was refused{because}")
_ROWS = {
    PlanState.PENDING: (EntryKind.PLAN, "{plan}: {action}, offered until {until}"),
    PlanState.APPROVED: (EntryKind.APPROVED, "{actor} approved {plan}{because}"),
    PlanState.DENIED: (EntryKind.DENIED, "{actor} denied {plan}{because}"),
    PlanState.EXPIRED: (EntryKind.EXPIRED, "the approval of {plan} expired"),
    PlanState.INVALIDATED: _REFUSED,
    PlanState.CANCELLED: _REFUSED,
    PlanState.SENT: (EntryKind.EXECUTED, "{plan}: {action}"),
    PlanState.SUCCEEDED: (EntryKind.VERIFIED, "{plan} helped{because}"),
    PlanState.ROLLING_BACK: (EntryKind.VERIFICATION_FAILED, "{plan} did not help{because}"),
    PlanState.ROLLED_BACK: (EntryKind.ROLLED_BACK, "{plan} did not help and was rolled back"),
    PlanState.ROLLBACK_FAILED: (
        EntryKind.NEEDS_PERSON,
        "{plan} did not help and its roll back failed{because}",
    ),
    PlanState.UNKNOWN: (
        EntryKind.NEEDS_PERSON,
        "whether {plan} reached the cluster is not known{because}",
    ),
}
_ACTORS = {  # of the other kinds it is who made the transition: a person, by name
    EntryKind.PLAN: OPSAGENT,
    EntryKind.EXPIRED: EXECUTOR,
    EntryKind.REFUSED: EXECUTOR,
    EntryKind.EXECUTED: EXECUTOR,
    EntryKind.VERIFIED: EXECUTOR,
    EntryKind.VERIFICATION_FAILED: EXECUTOR,
    EntryKind.ROLLED_BACK: EXECUTOR,
    EntryKind.NEEDS_PERSON: EXECUTOR,
}


def add(incident: Incident, entries: Iterable[TimelineEntry]) -> Incident:
    """Return the incident with the entries that it lacks, oldest first; those of one instant stay as they came."""
    new = [entry for entry in dict.fromkeys(entries) if entry not in incident.timeline]
    if not new:
        return incident
    ordered = sorted((*incident.timeline, *new), key=lambda entry: entry.at)
    excess = sum(1 for entry in ordered if entry.kind in _FLAPPING) - FLAPPING_MAX
    kept = []
    for entry in ordered:
        if entry.kind in _FLAPPING and excess > 0:
            excess -= 1
        else:
            kept.append(entry)
    return replace(incident, timeline=tuple(kept))


def last(incident: Incident, *kinds: EntryKind) -> TimelineEntry | None:
    """Return the newest entry of one of ``kinds``."""
    return next((each for each in reversed(incident.timeline) if each.kind in kinds), None)


def last_of_plan(incident: Incident) -> TimelineEntry | None:
    """Return the newest entry about a plan."""
    about = (each for each in reversed(incident.timeline) if each.pointer.startswith(PLAN_PREFIX))
    return next(about, None)


def is_in_flight(incident: Incident) -> bool:
    """Whether a plan is between a person's leave and its outcome."""
    entry = last_of_plan(incident)
    return entry is not None and entry.kind in _IN_FLIGHT


def lacks_plan(incident: Incident) -> bool:
    """Whether the responder has said, since the cause last changed, that it has no plan."""
    entry = last(incident, EntryKind.NO_PLAN, EntryKind.CAUSE)
    return entry is not None and entry.kind is EntryKind.NO_PLAN


def quiet_since(incident: Incident) -> dt.datetime:
    """Return when the last alert cleared."""
    entry = last(incident, EntryKind.CLEARED)
    return incident.updated_at if entry is None else entry.at


def of_plan(record: PlanRecord) -> Iterator[TimelineEntry]:
    """Yield what the plan's transitions add, oldest first. States that nobody waits for add nothing."""
    previous = PlanState.PROPOSED
    for transition in record.transitions:
        row = _row(previous, transition.state)
        previous = transition.state
        if row is not None:
            kind, words = row
            actor = _ACTORS.get(kind, transition.actor)
            yield TimelineEntry(
                transition.at,
                actor,
                kind,
                _text(record.plan, transition, words),
                transition.plan_id,
            )


def _row(previous: PlanState, state: PlanState) -> tuple[EntryKind, str] | None:
    """Return kind and words of a transition: a return to approved is no second leave, a denial by the guard no person's."""
    if state is PlanState.APPROVED and previous is not PlanState.PENDING:
        return None
    if state is PlanState.DENIED and previous not in {PlanState.PENDING, PlanState.APPROVED}:
        return _ROWS[PlanState.INVALIDATED]
    return _ROWS.get(state)


def _text(plan: Plan, transition: Transition, words: str) -> str:
    because = f": {transition.reason}" if transition.reason else ""
    return words.format(
        plan=plan.plan_id,
        action=action_text(plan),
        actor=transition.actor,
        until=clock(plan.expires_at),
        because=because,
    )
