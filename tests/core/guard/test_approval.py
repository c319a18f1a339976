"""Whose click counts, on what, until when."""

import dataclasses

import pytest
from hypothesis import given, strategies as st

from opsagent.guard.approval import Click, judge
from opsagent.model.plan import ApprovalVerdict, PlanState
from tests.fakes.plans import plan, record

AGENTS = frozenset({"system:serviceaccount:opsagent:daemon"})
CLICK = Click(
    plan_hash=plan().plan_hash,
    verdict=ApprovalVerdict.APPROVE,
    username="alice",
    has_right=True,
    seconds_left=1.0,
)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (ApprovalVerdict.APPROVE, PlanState.APPROVED),
        (ApprovalVerdict.DENY, PlanState.DENIED),
    ],
)
def test_a_person_with_the_right_decides(verdict, state):
    answer = judge(record(), dataclasses.replace(CLICK, verdict=verdict), AGENTS)
    assert (answer.is_accepted, answer.state) == (True, state)


@pytest.mark.parametrize("verdict", ApprovalVerdict)
@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("token.invalid", {"username": ""}),
        ("person.agent", {"username": "system:serviceaccount:opsagent:daemon"}),
        ("plan.hash", {"plan_hash": "0" * 64}),
        ("right.missing", {"has_right": False}),
        ("plan.expired", {"seconds_left": 0.0}),
    ],
)
def test_a_click_that_does_not_count_changes_nothing_and_says_why(verdict, rule, changes):
    answer = judge(record(), dataclasses.replace(CLICK, verdict=verdict, **changes), AGENTS)
    assert (answer.is_accepted, answer.rule, answer.state) == (False, rule, PlanState.PENDING)
    assert answer.reason


@pytest.mark.parametrize("state", [state for state in PlanState if state is not PlanState.PENDING])
def test_a_click_after_the_first_decision_is_void(state):
    answer = judge(record(state), CLICK, AGENTS)
    assert (answer.is_accepted, answer.rule, answer.state) == (False, "plan.decided", state)


@given(
    st.sampled_from(PlanState),
    st.builds(
        Click,
        st.sampled_from([plan().plan_hash, ""]),
        st.sampled_from(ApprovalVerdict),
        st.sampled_from(["", "alice", *AGENTS]),
        st.booleans(),
        st.sampled_from([-1.0, 0.0, 1.0]),
    ),
)
def test_only_one_combination_counts(state, click):
    answer = judge(record(state), click, AGENTS)
    assert answer.is_accepted is (
        state is PlanState.PENDING and click == dataclasses.replace(CLICK, verdict=click.verdict)
    )
