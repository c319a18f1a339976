"""What the API shows of a model value: stable field names in snake_case, instants as RFC 3339, entities as references.

A plan is shown in the order in which a person decides: what will change, on which object, how far it reaches,
how it is undone, how success is measured, when the offer ends; then who proposed it and why. The template
that an undo would restore is never shown, because it may hold literal secrets.
"""

from collections.abc import Mapping
from typing import TypeAlias

from opsagent.model.canonical import JsonValue, instant, plain
from opsagent.model.incident import Diagnosis, Incident
from opsagent.model.plan import ActionClass, ApprovalAnswer, PlanRecord, Proposal

Tree: TypeAlias = Mapping[str, JsonValue]

UNDO = {
    ActionClass.OBSERVE: "nothing is written, so there is nothing to undo",
    ActionClass.REVERSIBLE: "the exact fields that it replaces are stored and put back if it fails",
    ActionClass.DISRUPTIVE: "it cannot be undone",
    ActionClass.FORBIDDEN: "it is never done",
}


def incident_tree(incident: Incident) -> Tree:
    """Return an incident with its causes, best first, and its timeline, oldest first."""
    return {
        **_fields(incident),
        "entity": str(incident.entity),
        "diagnoses": [_diagnosis_tree(item) for item in incident.diagnoses],
    }


def plan_tree(record: PlanRecord) -> Tree:
    """Return what a person needs to decide about a plan."""
    plan, proposal = record.plan, record.plan.proposal
    action = proposal.action
    return {
        "plan_id": plan.plan_id,
        "plan_hash": plan.plan_hash,
        "state": record.state.value,
        "diff": plain(plan.diff),
        "action": f"{action.type.value} to revision {action.to_revision}",
        "action_class": plan.action_class.value,
        "target": str(action.target.entity),
        "target_uid": action.target.uid,
        "reach": "the pods of this one Deployment, replaced step by step by its own update strategy",
        "undo": UNDO[plan.action_class],
        "success": _success(proposal),
        "expires_at": instant(plan.expires_at),
        "created_at": instant(plan.created_at),
        "incident_id": proposal.incident_id,
        "runbook": proposal.runbook,
        "reason": proposal.reason,
        "decision": plain(plan.decision),
    }


def answer_tree(answer: ApprovalAnswer) -> Tree:
    """Return what a click came to."""
    return _fields(answer)


def _diagnosis_tree(diagnosis: Diagnosis) -> Tree:
    return {**_fields(diagnosis), "entity": str(diagnosis.entity)}


def _fields(value: Incident | Diagnosis | ApprovalAnswer) -> Tree:
    fields = plain(value)
    assert isinstance(fields, Mapping)  # a dataclass is a mapping in plain form
    return fields


def _success(proposal: Proposal) -> str:
    symptoms = ", ".join(symptom.value for symptom in proposal.symptoms)
    return (
        f"all replicas ready on the restored template and no {symptoms}, over "
        f"{proposal.verify.window_seconds} s with at least {proposal.verify.samples_min} samples"
    )
