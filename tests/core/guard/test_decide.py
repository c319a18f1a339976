"""The guard denies by default, by named rules, and one more rule never allows more."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opsagent.guard.decide import Attempt, Situation, attempt_of, decide
from opsagent.guard.policy import Level, Limits, Policy, VerifyBounds
from opsagent.model.entity import Entity, Kind
from opsagent.model.plan import ActionType, DecisionVerdict, PlanState as S, VerifySpec
from tests.fakes.plans import (
    CART,
    NOW,
    POLICY,
    PROPOSAL,
    action,
    deployment,
    proposal,
    record,
    situation,
)

UNDO = ActionType.ROLLOUT_UNDO
PAY = Entity(Kind.DEPLOYMENT, "shop", "pay")
MAIL = Entity(Kind.DEPLOYMENT, "office", "mail")


def policy(**changes: object) -> Policy:
    return dataclasses.replace(POLICY, **changes)


def sent(target: Entity, minutes: float) -> Attempt:
    return Attempt(target, UNDO, is_open=False, sent_at=NOW - dt.timedelta(minutes=minutes))


def waiting(target: Entity) -> Attempt:
    return Attempt(target, UNDO, is_open=True, sent_at=None)


def test_an_action_in_order_needs_a_person():
    decision = decide(PROPOSAL, situation(), POLICY, NOW)
    assert decision.verdict is DecisionVerdict.REQUIRE_APPROVAL
    assert decision.rule == "class.R"


@pytest.mark.parametrize(
    ("rule", "changed_policy"),
    [
        ("policy.frozen", policy(is_frozen=True)),
        ("level.observe", policy(level=Level.OBSERVE)),
        ("level.suggest", policy(level=Level.SUGGEST)),
        ("action.unlisted", policy(actions=())),
        ("namespace.unlisted", policy(namespaces=("office",))),
        ("namespace.protected", policy(protected_namespaces=("sh*",))),
        ("namespace.protected", policy(own_namespace="shop")),
        ("verification", policy(verify=VerifyBounds(samples_min=4))),
        ("limits.open", policy(limits=Limits(open_per_workload_max=0))),
    ],
)
def test_rules_of_policy(rule, changed_policy):
    decision = decide(PROPOSAL, situation(), changed_policy, NOW)
    assert (decision.verdict, decision.rule) == (DecisionVerdict.DENY, rule)
    assert decision.reason


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("action.arguments", {"action": action(to_revision=0)}),
        ("namespace.protected", {"action": action(entity=Entity(Kind.DEPLOYMENT, "kube-x", "a"))}),
        ("verification", {"verify": VerifySpec(window_seconds=119)}),
        ("verification", {"verify": VerifySpec(window_seconds=301)}),
        ("verification", {"verify": VerifySpec(samples_min=2)}),
        ("verification", {"symptoms": ()}),
        ("target.unknown", {"action": action(entity=PAY)}),
        ("target.unknown", {"action": action(uid="another")}),
        ("revision", {"action": action(to_revision=2)}),
    ],
)
def test_rules_of_the_proposal(rule, changes):
    assert decide(proposal(**changes), situation(), POLICY, NOW).rule == rule


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("target.unknown", {"deployment": None}),
        ("target.unknown", {"deployment": deployment(meta_deleted_at=NOW)}),
        ("target.protected", {"namespace_labels": None}),
        ("target.protected", {"namespace_labels": {"opsagent.io/protect": ""}}),
        ("target.protected", {"deployment": deployment(meta_labels={"opsagent.io/protect": "x"})}),
        ("target.paused", {"deployment": deployment(is_paused=True)}),
        ("revision", {"has_revision": None}),
        ("revision", {"has_revision": False}),
        ("limits.unknown", {"attempts": None}),
        ("limits.open", {"attempts": (waiting(CART),)}),
        ("limits.same_action", {"attempts": (sent(CART, 61), sent(CART, 1439))}),
        ("limits.namespace", {"attempts": (sent(PAY, 1), sent(PAY, 2), sent(PAY, 59))}),
        ("limits.cluster", {"attempts": (sent(MAIL, 1),) * 6}),
        ("limits.cluster", {"attempts": (sent(MAIL, -600),) * 6}),  # the clock was set back
        ("facts.stale", {"observed_at": NOW - dt.timedelta(seconds=61)}),
        ("facts.stale", {"observed_at": NOW + dt.timedelta(seconds=1)}),
    ],
)
def test_rules_of_the_situation(rule, changes):
    decision = decide(PROPOSAL, situation(**changes), POLICY, NOW)
    assert (decision.verdict, decision.rule) == (DecisionVerdict.DENY, rule)


@pytest.mark.parametrize(
    "attempts",
    [
        (waiting(PAY),),
        (sent(CART, 1),),
        (sent(CART, 1441), sent(CART, 1442)),
        (sent(PAY, 1), sent(PAY, 2), sent(PAY, 60)),
        (sent(MAIL, 1),) * 5,
    ],
)
def test_up_to_its_limit_an_action_may_be_asked_for(attempts):
    decision = decide(PROPOSAL, situation(attempts=attempts), POLICY, NOW)
    assert decision.verdict is DecisionVerdict.REQUIRE_APPROVAL


def test_a_fact_of_exactly_sixty_seconds_is_fresh():
    facts = situation(observed_at=NOW - dt.timedelta(seconds=60))
    assert decide(PROPOSAL, facts, POLICY, NOW).verdict is DecisionVerdict.REQUIRE_APPROVAL


def test_a_suggestion_is_the_last_thing_that_is_denied():
    """So a plan that is denied by ``level.suggest`` is otherwise in order."""
    assert decide(PROPOSAL, situation(deployment=None), policy(level=Level.SUGGEST), NOW).rule == (
        "target.unknown"
    )


@pytest.mark.parametrize(
    ("states", "is_open", "is_sent"),
    [
        ((S.PROPOSED, S.DENIED), False, False),
        ((S.PROPOSED, S.PENDING), True, False),
        ((S.APPROVED,), True, False),
        ((S.APPROVED, S.ARMED), True, True),  # its write may be on the way
        ((S.APPROVED, S.ARMED, S.APPROVED), True, False),  # it was not
        ((S.APPROVED, S.ARMED, S.UNKNOWN), False, True),
        ((S.ARMED, S.SENT, S.VERIFYING), True, True),
        ((S.SENT, S.VERIFYING, S.ROLLING_BACK, S.ROLLED_BACK), False, True),
    ],
)
def test_what_the_limits_see_of_a_plan(states, is_open, is_sent):
    seen = attempt_of(record(*states))
    assert seen == Attempt(CART, UNDO, is_open, NOW if is_sent else None)


attempts = st.builds(
    Attempt,
    st.sampled_from([CART, PAY, MAIL]),
    st.just(UNDO),
    st.booleans(),
    st.none() | st.integers(-100, 2000).map(lambda m: NOW - dt.timedelta(minutes=m)),
)
situations = st.builds(
    Situation,
    st.sampled_from([None, deployment(), deployment(is_paused=True), deployment(revision=1)]),
    st.sampled_from([None, {}, {"opsagent.io/protect": "1"}]),
    st.sampled_from([None, True, False]),
    st.none() | st.lists(attempts, max_size=8).map(tuple),
    st.integers(-2, 90).map(lambda s: NOW - dt.timedelta(seconds=s)),
)
namespace_lists = st.lists(st.sampled_from(["shop", "office", "*", "s*"]), max_size=2).map(tuple)
limits = st.builds(
    Limits, st.integers(0, 2), st.integers(0, 3), st.integers(0, 4), st.integers(0, 7)
)
policies = st.builds(
    Policy,
    level=st.sampled_from(Level),
    actions=st.sampled_from([(), (UNDO,)]),
    namespaces=namespace_lists,
    protected_namespaces=namespace_lists,
    limits=limits,
    is_frozen=st.booleans(),
)
RANK = {level: rank for rank, level in enumerate(Level)}


def is_denied(facts: Situation, rules: Policy) -> bool:
    return decide(PROPOSAL, facts, rules, NOW).verdict is DecisionVerdict.DENY


@given(situations, policies, policies)
def test_a_policy_that_is_tighter_in_every_part_never_allows_more(facts, one, other):
    tighter = Policy(
        level=min(one.level, other.level, key=RANK.__getitem__),
        actions=tuple(set(one.actions) & set(other.actions)),
        namespaces=tuple(set(one.namespaces) & set(other.namespaces)),
        protected_namespaces=one.protected_namespaces + other.protected_namespaces,
        limits=Limits(
            *map(min, dataclasses.astuple(one.limits), dataclasses.astuple(other.limits))
        ),
        is_frozen=one.is_frozen or other.is_frozen,
    )
    if is_denied(facts, one) or is_denied(facts, other):
        assert is_denied(facts, tighter)


@given(situations, policies, attempts)
def test_more_history_and_less_knowledge_never_allow_more(facts, rules, more):
    poorer = [
        dataclasses.replace(facts, attempts=(*(facts.attempts or ()), more)),
        *(
            dataclasses.replace(facts, **{name: None})
            for name in ("deployment", "namespace_labels", "has_revision", "attempts")
        ),
    ]
    for other in poorer[1:]:
        assert is_denied(other, rules)
    if facts.attempts is not None and is_denied(facts, rules):
        assert is_denied(poorer[0], rules)


@given(situations, policies)
def test_nothing_is_ever_allowed_without_a_person(facts, rules):
    assert decide(PROPOSAL, facts, rules, NOW).verdict is not DecisionVerdict.ALLOW
