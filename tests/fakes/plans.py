"""Ready-made values of the plan vocabulary for tests: one Deployment, one proposal, one policy that allows it."""

import dataclasses
import datetime as dt

from opsagent.guard.decide import Situation
from opsagent.guard.plan import plan_id, sealed
from opsagent.guard.policy import Level, Policy, policy_hash
from opsagent.model.alert import Symptom
from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.kube import Deployment, ObjectMeta
from opsagent.model.plan import (
    ActionClass,
    ActionType,
    Decision,
    DecisionVerdict,
    FieldChange,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
    RolloutUndo,
    Transition,
    VerifySpec,
)

NOW = dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC)
CART = Entity(Kind.DEPLOYMENT, "shop", "cart")
UID = "11111111-0000-4000-8000-000000000001"
POLICY = Policy(level=Level.APPROVE, actions=(ActionType.ROLLOUT_UNDO,), namespaces=("shop",))
PROPOSAL = Proposal(
    incident_id="inc_1",
    action=RolloutUndo(Ref(CART, UID), to_revision=1),
    runbook="bad-rollout",
    reason="the rollout of revision 2 broke it",
    symptoms=(Symptom.CRASH_LOOP,),
    verify=VerifySpec(),
)
WAY_TO_PENDING = (
    PlanState.PROPOSED,
    PlanState.VALIDATED,
    PlanState.DRY_RUN,
    PlanState.DIFFED,
    PlanState.PENDING,
)


def deployment(**changes: object) -> Deployment:
    """Return shop/cart at revision 2, 3 of 3 ready; ``changes`` go to it, or as ``meta_<field>`` to its metadata."""
    meta = {key[5:]: changes.pop(key) for key in tuple(changes) if key.startswith("meta_")}
    base = Deployment(
        meta=ObjectMeta("shop", "cart", UID, "100", generation=2),
        revision=2,
        replicas_desired=3,
        observed_generation=2,
        replicas=3,
        replicas_updated=3,
        replicas_ready=3,
    )
    return dataclasses.replace(base, meta=dataclasses.replace(base.meta, **meta), **changes)


def situation(**changes: object) -> Situation:
    """Return facts under which nothing speaks against the proposal."""
    base = Situation(
        deployment=deployment(),
        namespace_labels={},
        has_revision=True,
        attempts=(),
        observed_at=NOW,
    )
    return dataclasses.replace(base, **changes)


def action(**changes: object) -> RolloutUndo:
    """Return the proposal's action, changed; ``entity`` and ``uid`` go to its target."""
    target = Ref(changes.pop("entity", CART), changes.pop("uid", UID))
    return dataclasses.replace(PROPOSAL.action, target=target, **changes)


def proposal(**changes: object) -> Proposal:
    """Return the proposal, changed."""
    return dataclasses.replace(PROPOSAL, **changes)


def plan(**changes: object) -> Plan:
    """Return a sealed plan for the proposal, changed before it is sealed."""
    base = Plan(
        plan_id=plan_id(PROPOSAL, 0),
        plan_hash="",
        proposal=PROPOSAL,
        action_class=ActionClass.REVERSIBLE,
        decision=Decision(DecisionVerdict.REQUIRE_APPROVAL, "class.R", "a person"),
        policy_hash=policy_hash(POLICY),
        tool_version="rollout_undo/1",
        template_digest="template",
        touched_digest="touched",
        diff=(FieldChange("/spec/template/spec/containers/0/image", '"shop:v2"', '"shop:v1"'),),
        inverse="{}",
        created_at=NOW,
        expires_at=NOW + dt.timedelta(seconds=POLICY.approval_ttl_seconds),
    )
    return sealed(dataclasses.replace(base, **changes))


def record(*states: PlanState, of: Plan | None = None, at: dt.datetime = NOW) -> PlanRecord:
    """Return a record that went through ``states`` (to pending, if none are given) at ``at``."""
    item = of or plan()
    rows = tuple(
        Transition(seq, at, item.plan_id, state, "test", "")
        for seq, state in enumerate(states or WAY_TO_PENDING, start=1)
    )
    return PlanRecord(item, rows)
