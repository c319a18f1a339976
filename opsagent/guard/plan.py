"""Plans as exact, hashed promises, and the check that the world is still the one they were made for.

Theory of binding. A resourceVersion from proposal time would void nearly every approval, for the
status of a sick workload moves all the time. A plan is bound to the uid, to the whole pod template and
to the exact difference of its dry run. When it is carried out all three are read again; only if
they are the same is it written, with the resourceVersion of that moment.
"""

import dataclasses

from opsagent.guard.catalogue import CATALOGUE
from opsagent.guard.policy import Policy, policy_hash
from opsagent.model.canonical import content_id, digest
from opsagent.model.plan import Plan, Proposal


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """What a plan is bound to, as read at one moment."""

    uid: str
    template_digest: str
    touched_digest: str


def proposal_key(proposal: Proposal) -> str:
    """Return what makes two proposals the same ask: incident and action."""
    return digest([proposal.incident_id, proposal.action])


def plan_id(proposal: Proposal, ordinal: int) -> str:
    """Return the id of the plan number ``ordinal`` (from 0) for the same ask."""
    return content_id("pln", [proposal.incident_id, proposal.action, ordinal])


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 over every field of ``plan`` but the hash itself."""
    return digest(dataclasses.replace(plan, plan_hash=""))


def sealed(plan: Plan) -> Plan:
    """Return ``plan`` with its hash."""
    return dataclasses.replace(plan, plan_hash=plan_hash(plan))


def validity_problem(plan: Plan, policy: Policy) -> str:
    """Return why ``plan`` may not be carried out by this program under ``policy``, '' if it may."""
    if plan.plan_hash != plan_hash(plan):
        return "the plan is not the one that was hashed"
    if plan.policy_hash != policy_hash(policy):
        return "the policy is another one than when the plan was made"
    if plan.tool_version != CATALOGUE[plan.proposal.action.type].tool_version:
        return "the tool is another version than when the plan was made"
    return ""


def binding_problem(plan: Plan, found: Binding) -> str:
    """Return how the object differs from the one that ``plan`` was made for, '' if it does not."""
    if found.uid != plan.proposal.action.target.uid:
        return "the object was created anew since the plan was made"
    if found.template_digest != plan.template_digest:
        return "the pod template was changed since the plan was made"
    if found.touched_digest != plan.touched_digest:
        return "the change would no longer be the one that was shown"
    return ""
