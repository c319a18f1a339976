"""A plan is an exact promise: change any part and it is another one."""

import dataclasses
import datetime as dt

import pytest

from opsagent.guard.plan import (
    Binding,
    binding_problem,
    plan_hash,
    plan_id,
    proposal_key,
    validity_problem,
)
from opsagent.guard.policy import Policy
from opsagent.model.plan import ActionClass, Decision, DecisionVerdict, FieldChange
from tests.fakes.plans import NOW, POLICY, PROPOSAL, UID, action, plan, proposal

OTHER_VALUES = {
    "plan_id": "pln_other",
    "proposal": proposal(reason="another"),
    "action_class": ActionClass.DISRUPTIVE,
    "decision": Decision(DecisionVerdict.DENY, "x", "y"),
    "policy_hash": "x",
    "tool_version": "rollout_undo/2",
    "template_digest": "x",
    "touched_digest": "x",
    "diff": (FieldChange("/spec/template/x", "", "1"),),
    "inverse": "[]",
    "created_at": NOW + dt.timedelta(seconds=1),
    "expires_at": NOW,
}


def test_every_field_but_the_hash_itself_is_hashed():
    names = {field.name for field in dataclasses.fields(plan())} - {"plan_hash"}
    assert set(OTHER_VALUES) == names
    hashes = {
        plan_hash(dataclasses.replace(plan(), **{name: OTHER_VALUES[name]})) for name in names
    }
    assert len(hashes | {plan().plan_hash}) == len(names) + 1
    assert plan_hash(dataclasses.replace(plan(), plan_hash="x")) == plan().plan_hash


def test_the_same_ask_has_the_same_key_whatever_words_came_with_it():
    assert proposal_key(proposal(reason="other words")) == proposal_key(PROPOSAL)
    assert proposal_key(proposal(incident_id="inc_2")) != proposal_key(PROPOSAL)
    assert proposal_key(proposal(action=action(to_revision=3))) != proposal_key(PROPOSAL)


def test_ids_are_the_same_on_every_machine_and_differ_by_ordinal():
    assert plan_id(PROPOSAL, 0) == plan_id(PROPOSAL, 0)
    assert plan_id(PROPOSAL, 0) != plan_id(PROPOSAL, 1)
    assert plan_id(PROPOSAL, 0).startswith("pln_")


@pytest.mark.parametrize(
    ("changed", "policy", "problem"),
    [
        (plan(), POLICY, ""),
        (dataclasses.replace(plan(), inverse="[]"), POLICY, "not the one that was hashed"),
        (plan(), Policy(), "policy is another one"),
        (plan(tool_version="rollout_undo/0"), POLICY, "tool is another version"),
    ],
)
def test_a_plan_is_valid_for_one_text_one_policy_one_tool(changed, policy, problem):
    assert problem in validity_problem(changed, policy)
    assert bool(validity_problem(changed, policy)) is bool(problem)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Binding(UID, "template", "touched"), ""),
        (Binding("other", "template", "touched"), "created anew"),
        (Binding(UID, "other", "touched"), "template was changed"),
        (Binding(UID, "template", "other"), "no longer be the one that was shown"),
    ],
)
def test_a_plan_is_bound_to_one_life_one_template_one_difference(found, problem):
    assert problem in binding_problem(plan(), found)
    assert bool(binding_problem(plan(), found)) is bool(problem)
