"""What an incident waits for, in words that follow "waiting for"."""

from opsagent.incidents import timeline
from opsagent.incidents.words import clock
from opsagent.model.incident import Cause, EntryKind, Incident, IncidentState
from opsagent.model.plan import PlanRecord

QUIET_WORDS = "a minute without an alert"
_ON_THE_WAY = {
    EntryKind.APPROVED: "the executor to carry out {}",
    EntryKind.EXECUTED: "the verification of {}",
    EntryKind.VERIFICATION_FAILED: "the roll back of {}",
    EntryKind.VERIFIED: "the alerts to clear after {}",
}
_WENT_WRONG = frozenset({EntryKind.ROLLED_BACK, EntryKind.NEEDS_PERSON})


def waiting_for(incident: Incident, record: PlanRecord | None = None) -> str:
    """Return whom or what it waits for; '' when it is over.

    Args:
        incident: the words it has now are kept while a plan is on offer, for only the plan knows until when.
        record: the plan that has just moved, if one has.
    """
    plan = timeline.last_of_plan(incident)
    if incident.resolved_at is not None:
        is_late_trouble = (
            plan is not None and plan.kind in _WENT_WRONG and plan.at > incident.resolved_at
        )
        return f"a person: {plan.text}" if plan is not None and is_late_trouble else ""
    if plan is None:
        return _before_any_plan(incident)
    if plan.kind is EntryKind.PLAN:
        is_this = record is not None and record.plan.plan_id == plan.pointer
        if record is None or not is_this:
            return incident.waiting_for
        return f"approval of {plan.pointer} until {clock(record.plan.expires_at)}"
    if plan.kind in _ON_THE_WAY:
        return _ON_THE_WAY[plan.kind].format(plan.pointer)
    return QUIET_WORDS if _is_quiet(incident) else f"a person: {plan.text}"


def _before_any_plan(incident: Incident) -> str:
    if _is_quiet(incident):
        return QUIET_WORDS
    if incident.plan_ids:
        return f"the executor to check {incident.plan_ids[-1]}"
    refusal = timeline.last(incident, EntryKind.NO_PLAN)
    if refusal is not None and timeline.lacks_plan(incident):
        return f"a person: {refusal.text}"
    if not incident.diagnoses or incident.diagnoses[0].cause is Cause.UNKNOWN:
        return "a person: the cause is not known"
    return "a plan"


def _is_quiet(incident: Incident) -> bool:
    return incident.state is IncidentState.MITIGATED
