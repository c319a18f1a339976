"""A policy is tight where it says nothing."""

import dataclasses

import pytest

from opsagent.guard.policy import (
    Level,
    Policy,
    VerifyBounds,
    is_covered,
    is_protected,
    policy_hash,
)


def test_a_policy_that_says_nothing_lets_nothing_be_done():
    policy = Policy()
    assert policy.level is Level.SUGGEST
    assert policy.actions == policy.namespaces == ()
    assert policy.approval_ttl_seconds == 15 * 60
    assert dataclasses.astuple(policy.limits) == (1, 2, 3, 6)
    assert policy.verify == VerifyBounds(120, 300, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"approval_ttl_seconds": 0},
        {"approval_ttl_seconds": 86_401},
        {"verify": VerifyBounds(window_seconds_min=0)},
        {"verify": VerifyBounds(window_seconds_min=10, window_seconds_max=9)},
        {"verify": VerifyBounds(samples_min=0)},
    ],
)
def test_a_bound_without_meaning_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes)).split("_")[0]):
        Policy(**changes)


@pytest.mark.parametrize(
    ("namespace", "patterns", "expected"),
    [
        ("shop", ("shop",), True),
        ("shop", ("shop-*",), False),
        ("shop-eu", ("shop-*",), True),
        ("shop", ("*",), True),
        ("shop", ("sho",), False),
        ("shop", (), False),
    ],
)
def test_patterns_are_names_or_prefixes(namespace, patterns, expected):
    assert is_covered(namespace, patterns) is expected


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("kube-system", True),
        ("opsagent", True),
        ("bank", True),
        ("bank-eu", False),
        ("shop", False),
        ("kube", False),
    ],
)
def test_the_clusters_own_opsagents_own_and_the_listed_namespaces_are_protected(
    namespace, expected
):
    assert is_protected(namespace, Policy(protected_namespaces=("bank",))) is expected


def test_the_hash_follows_every_field():
    policies = [
        Policy(),
        Policy(level=Level.OBSERVE),
        Policy(namespaces=("shop",)),
        Policy(is_frozen=True),
        Policy(verify=VerifyBounds(samples_min=4)),
    ]
    assert len({policy_hash(policy) for policy in policies}) == len(policies)
    assert policy_hash(Policy()) == policy_hash(Policy())
