"""The policy: how far opsagent may go, where, how often. The tight value is the default of every field.

A policy that says nothing lets nothing be done. Its hash goes into every plan, so a plan that was
approved under another policy is void.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from opsagent.model.canonical import digest
from opsagent.model.plan import ActionType

ALWAYS_PROTECTED = ("kube-*",)  # the cluster's own namespaces; no policy can open them
PROTECT_LABEL = "opsagent.io/protect"  # on a Deployment or a Namespace, with any value
APPROVAL_TTL_SECONDS_MAX = 86_400
INPUT_AGE_SECONDS_MAX = 60  # older facts about the cluster are stale: no action rests on them


class Level(StrEnum):
    """How far opsagent goes by itself. There is no level that acts without a person."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be done. Effects are counted from when a write was sent, asks while they are open."""

    open_per_workload_max: int = 1
    same_action_per_workload_per_day_max: int = 2
    per_namespace_per_hour_max: int = 3
    per_cluster_per_hour_max: int = 6


@dataclass(frozen=True, slots=True)
class VerifyBounds:
    """What a plan may ask of its verification: long enough to see harm, short enough to undo it."""

    window_seconds_min: int = 120
    window_seconds_max: int = 300
    samples_min: int = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """One frozen policy.

    ``namespaces`` and ``protected_namespaces`` hold names, or prefixes that end in ``*``; protection
    wins. ``own_namespace`` is where opsagent itself lives, protected like ``kube-*``.
    """

    level: Level = Level.SUGGEST
    actions: tuple[ActionType, ...] = ()
    namespaces: tuple[str, ...] = ()
    protected_namespaces: tuple[str, ...] = ()
    own_namespace: str = "opsagent"
    approval_ttl_seconds: int = 900
    limits: Limits = field(default_factory=Limits)
    verify: VerifyBounds = field(default_factory=VerifyBounds)
    is_frozen: bool = False

    def __post_init__(self) -> None:
        """Refuse what would be no limit at all.

        Raises:
            ValueError: a bound is missing its meaning.
        """
        if not 1 <= self.approval_ttl_seconds <= APPROVAL_TTL_SECONDS_MAX:
            raise ValueError(f"approval_ttl_seconds must be 1 to {APPROVAL_TTL_SECONDS_MAX}")
        if not 1 <= self.verify.window_seconds_min <= self.verify.window_seconds_max:
            raise ValueError("verify needs 1 <= window_seconds_min <= window_seconds_max")
        if self.verify.samples_min < 1:
            raise ValueError("verify.samples_min must be 1 or more")


def policy_hash(policy: Policy) -> str:
    """Return the SHA-256 of the policy's canonical form."""
    return digest(policy)


def is_covered(namespace: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of ``patterns`` names ``namespace``, or is a prefix of it that ends in ``*``."""
    return any(
        namespace.startswith(pattern[:-1]) if pattern.endswith("*") else namespace == pattern
        for pattern in patterns
    )


def is_protected(namespace: str, policy: Policy) -> bool:
    """Return whether nothing may be done in ``namespace``, whatever else is allowed."""
    own = (policy.own_namespace,)
    return is_covered(namespace, ALWAYS_PROTECTED + own + policy.protected_namespaces)
