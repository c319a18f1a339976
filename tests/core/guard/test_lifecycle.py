"""The life of a plan: every pair of states, allowed or not."""

import itertools

import pytest

from opsagent.guard.lifecycle import AFTER_SEND, ENDED, TRANSITIONS, may_move
from opsagent.model.plan import PlanState as S

ALLOWED = {
    "proposed": "validated denied invalidated cancelled",
    "validated": "dry_run denied invalidated cancelled",
    "dry_run": "diffed denied invalidated cancelled",
    "diffed": "pending denied invalidated cancelled",
    "pending": "approved denied expired invalidated cancelled",
    "approved": "armed denied expired invalidated cancelled",
    "armed": "sent approved invalidated unknown",
    "sent": "verifying",
    "verifying": "succeeded rolling_back",
    "rolling_back": "rolled_back rollback_failed",
}


@pytest.mark.parametrize(("from_state", "to_state"), list(itertools.product(S, S)))
def test_exactly_the_listed_moves_are_allowed(from_state, to_state):
    assert may_move(from_state, to_state) is (to_state in ALLOWED.get(from_state, "").split())


def test_every_state_is_in_the_table_and_every_state_is_reached():
    assert set(TRANSITIONS) == set(S)
    reached = {S.PROPOSED}
    for _ in S:
        reached |= set().union(*(TRANSITIONS[state] for state in reached))
    assert reached == set(S)


def test_the_ending_states_are_those_without_a_way_out():
    assert set(S) - {S(state) for state in ALLOWED} == ENDED


def test_nothing_is_sent_without_approval_and_intent():
    before = {state for state in S if S.SENT in TRANSITIONS[state]}
    assert before == {S.ARMED}
    assert {state for state in S if S.ARMED in TRANSITIONS[state]} == {S.APPROVED}
    assert {state for state in S if S.APPROVED in TRANSITIONS[state]} == {S.PENDING, S.ARMED}


def test_what_may_have_reached_the_cluster_never_goes_back_to_before():
    following = set().union(*(TRANSITIONS[state] for state in AFTER_SEND))
    assert following <= AFTER_SEND
