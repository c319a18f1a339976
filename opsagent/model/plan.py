"""Actions, plans and decisions: what may be done to a cluster, by whose leave, with what outcome."""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from opsagent.model.alert import Symptom
from opsagent.model.entity import Ref


class ActionClass(StrEnum):
    """Observe, reversible, disruptive, forbidden."""

    OBSERVE = "O"
    REVERSIBLE = "R"
    DISRUPTIVE = "D"
    FORBIDDEN = "F"


class ActionType(StrEnum):
    """The catalogue of writing actions. There is no free string among their arguments."""

    ROLLOUT_UNDO = "rollout_undo"


@dataclass(frozen=True, slots=True)
class RolloutUndo:
    """Put the pod template of a stored revision back on a Deployment."""

    target: Ref
    to_revision: int

    @property
    def type(self) -> ActionType:
        """The action's name in the catalogue."""
        return ActionType.ROLLOUT_UNDO


Action: TypeAlias = RolloutUndo  # a union, once the catalogue grows


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """How success is measured: samples spread over a window, judged at its end."""

    window_seconds: int = 120
    samples_min: int = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the responder asks for. ``symptoms`` are the alert names whose absence proves success."""

    incident_id: str
    action: Action
    runbook: str
    reason: str
    symptoms: tuple[Symptom, ...]
    verify: VerifySpec


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One line of a diff. ``path`` is a JSON pointer; values are canonical JSON, secrets masked, '' if absent."""

    path: str
    old: str
    new: str


class DecisionVerdict(StrEnum):
    """What the guard says."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """The guard's answer; ``rule`` names the deciding rule, ``reason`` tells a person."""

    verdict: DecisionVerdict
    rule: str
    reason: str


class PlanState(StrEnum):
    """The life of a plan, ``guard.lifecycle`` has the transitions."""

    PROPOSED = "proposed"
    VALIDATED = "validated"
    DRY_RUN = "dry_run"
    DIFFED = "diffed"
    PENDING = "pending"
    APPROVED = "approved"
    ARMED = "armed"
    SENT = "sent"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    DENIED = "denied"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Plan:
    """An exact change, frozen before anybody is asked.

    The hash covers every field but itself. ``template_digest`` is that of the whole pod template as
    read; ``touched_digest`` that of the old and new values under the touched paths, unmasked;
    ``inverse`` the canonical JSON of the template to restore (never shown: it may hold literal secrets).
    """

    plan_id: str
    plan_hash: str
    proposal: Proposal
    action_class: ActionClass
    decision: Decision
    policy_hash: str
    tool_version: str
    template_digest: str
    touched_digest: str
    diff: tuple[FieldChange, ...]
    inverse: str = field(repr=False)
    created_at: dt.datetime
    expires_at: dt.datetime


class Verdict(StrEnum):
    """Three-valued: what cannot be measured never counts as success."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What verification found, one reason per signal that was looked at."""

    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the action audit. ``seq`` is gapless over all plans of one executor."""

    seq: int
    at: dt.datetime
    plan_id: str
    state: PlanState
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A plan with its life so far; ``transitions`` oldest first, the last one holds the state."""

    plan: Plan
    transitions: tuple[Transition, ...]
    outcome: Outcome | None = None

    @property
    def state(self) -> PlanState:
        """The present state."""
        return self.transitions[-1].state


class ApprovalVerdict(StrEnum):
    """What a person says to a plan."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A person's click: the exact plan by id and hash, and the person's own cluster token (never stored)."""

    plan_id: str
    plan_hash: str
    verdict: ApprovalVerdict
    token: str = field(repr=False)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """Whether the click took effect; if not, ``rule`` and ``reason`` say why and nothing was changed."""

    is_accepted: bool
    rule: str
    reason: str
    state: PlanState
