"""May this action be proposed, and later carried out? One decision over facts that the executor gathered.

Theory of operation. Each rule is a function that returns why it denies, or nothing. A rule cannot
allow; only the absence of every denial asks a person. So one more rule, limit or protection can never
allow more. A fact that could not be read is None, and None denies. The same function judges a
proposal and, with fresh facts, the approved plan just before its write.

Pure: ``now`` and all facts come in.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from opsagent.guard.catalogue import CATALOGUE, argument_problem
from opsagent.guard.lifecycle import AFTER_SEND, ENDED
from opsagent.guard.policy import (
    INPUT_AGE_SECONDS_MAX,
    PROTECT_LABEL,
    Level,
    Policy,
    is_covered,
    is_protected,
)
from opsagent.model.entity import Entity
from opsagent.model.kube import Deployment, entity_of
from opsagent.model.plan import (
    Action,
    ActionType,
    Decision,
    DecisionVerdict,
    PlanRecord,
    PlanState,
    Proposal,
)

SUGGEST_RULE = "level.suggest"
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Another plan as the limits see it. ``sent_at`` is None while it has had no effect."""

    target: Entity
    action_type: ActionType
    is_open: bool
    sent_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts, read from the cluster and the executor's own store. None means: could not be known.

    ``has_revision``: whether the revision to go back to is stored. ``attempts``: all plans of this
    executor that are open or were sent in the last day, without the one that is judged.
    ``observed_at``: when the oldest of these facts was read.
    """

    deployment: Deployment | None
    namespace_labels: Mapping[str, str] | None
    has_revision: bool | None
    attempts: tuple[Attempt, ...] | None
    observed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Case:
    proposal: Proposal
    situation: Situation
    policy: Policy
    now: dt.datetime

    @property
    def action(self) -> Action:
        return self.proposal.action


_Rule: TypeAlias = Callable[[_Case], str]


def decide(proposal: Proposal, situation: Situation, policy: Policy, now: dt.datetime) -> Decision:
    """Return ``require_approval``, or ``deny`` by the first rule that denies.

    ``level.suggest`` comes last: what it denies is otherwise in order and worth showing to a person.
    """
    case = _Case(proposal, situation, policy, now)
    for name, rule in _RULES:
        reason = rule(case)
        if reason:
            return Decision(DecisionVerdict.DENY, name, reason)
    entry = CATALOGUE[proposal.action.type]
    reason = f"class {entry.action_class} actions need a person"
    return Decision(DecisionVerdict.REQUIRE_APPROVAL, f"class.{entry.action_class}", reason)


def attempt_of(record: PlanRecord) -> Attempt:
    """Return what the limits need to know of a plan. A write that may have been sent counts as sent."""
    last = record.transitions[-1]
    sent = (item.at for item in record.transitions if item.state in AFTER_SEND)
    sent_at = last.at if last.state is PlanState.ARMED else next(sent, None)
    action = record.plan.proposal.action
    return Attempt(action.target.entity, action.type, last.state not in ENDED, sent_at)


def _frozen(case: _Case) -> str:
    return "all actions are frozen by policy" if case.policy.is_frozen else ""


def _level_observe(case: _Case) -> str:
    return "the policy only observes" if case.policy.level is Level.OBSERVE else ""


def _level_suggest(case: _Case) -> str:
    is_approve = case.policy.level is Level.APPROVE
    return "" if is_approve else "the policy only suggests: a person would have to do this"


def _unlisted(case: _Case) -> str:
    kind = case.action.type
    if kind not in CATALOGUE or kind not in case.policy.actions:
        return f"{kind} is not an allowed action"
    return ""


def _arguments(case: _Case) -> str:
    return argument_problem(case.action)


def _verification(case: _Case) -> str:
    verify, bounds = case.proposal.verify, case.policy.verify
    if not bounds.window_seconds_min <= verify.window_seconds <= bounds.window_seconds_max:
        return (
            f"a verification of {verify.window_seconds} s is not within "
            f"{bounds.window_seconds_min} to {bounds.window_seconds_max} s"
        )
    if verify.samples_min < bounds.samples_min:
        return f"a verification needs {bounds.samples_min} samples or more"
    return "" if case.proposal.symptoms else "no symptom is named whose absence proves success"


def _protected_namespace(case: _Case) -> str:
    namespace = case.action.target.entity.namespace
    return f"namespace {namespace} is protected" if is_protected(namespace, case.policy) else ""


def _unlisted_namespace(case: _Case) -> str:
    namespace = case.action.target.entity.namespace
    is_listed = is_covered(namespace, case.policy.namespaces)
    return "" if is_listed else f"namespace {namespace} is not allowed"


def _stale(case: _Case) -> str:
    age = (case.now - case.situation.observed_at).total_seconds()
    if age < 0:
        return "the facts are from the future: the clock went back"
    return f"the facts are {age:.0f} s old" if age > INPUT_AGE_SECONDS_MAX else ""


def _unknown_target(case: _Case) -> str:
    deployment = case.situation.deployment
    target = case.action.target
    if deployment is None or entity_of(deployment) != target.entity:
        return f"{target.entity} is not known"
    if deployment.meta.uid != target.uid:
        return f"{target.entity} was created anew: its uid is another one"
    return f"{target.entity} is being deleted" if deployment.meta.deleted_at else ""


def _protected_label(case: _Case) -> str:
    deployment, labels = case.situation.deployment, case.situation.namespace_labels
    if deployment is None or labels is None:
        return "whether the target is protected is not known"
    if PROTECT_LABEL in deployment.meta.labels or PROTECT_LABEL in labels:
        return f"the target carries the label {PROTECT_LABEL}"
    return ""


def _paused(case: _Case) -> str:
    deployment = case.situation.deployment
    if deployment is None or deployment.is_paused:
        return "the Deployment is paused, or not known not to be: somebody works on it"
    return ""


def _revision(case: _Case) -> str:
    deployment, revision = case.situation.deployment, case.action.to_revision
    if deployment is not None and deployment.revision == revision:
        return f"revision {revision} is the current one"
    if case.situation.has_revision is None:
        return f"whether revision {revision} exists is not known"
    return "" if case.situation.has_revision else f"revision {revision} does not exist"


def _attempts_unknown(case: _Case) -> str:
    return "what was done before is not known" if case.situation.attempts is None else ""


def _open(case: _Case) -> str:
    target = case.action.target.entity
    here = [item for item in _attempts(case) if item.is_open and item.target == target]
    limit = case.policy.limits.open_per_workload_max
    return f"{len(here)} other plans are open for this workload" if len(here) >= limit else ""


def _same_action(case: _Case) -> str:
    done = [
        item
        for item in _attempts(case)
        if (item.target, item.action_type) == (case.action.target.entity, case.action.type)
        and _is_within(item, _DAY, case)
    ]
    limit = case.policy.limits.same_action_per_workload_per_day_max
    return f"the same was done {len(done)} times in 24 h" if len(done) >= limit else ""


def _namespace_rate(case: _Case) -> str:
    namespace = case.action.target.entity.namespace
    done = [
        item
        for item in _attempts(case)
        if item.target.namespace == namespace and _is_within(item, _HOUR, case)
    ]
    limit = case.policy.limits.per_namespace_per_hour_max
    return f"{len(done)} actions in this namespace in 1 h" if len(done) >= limit else ""


def _cluster_rate(case: _Case) -> str:
    done = [item for item in _attempts(case) if _is_within(item, _HOUR, case)]
    limit = case.policy.limits.per_cluster_per_hour_max
    return f"{len(done)} actions in the cluster in 1 h" if len(done) >= limit else ""


def _attempts(case: _Case) -> tuple[Attempt, ...]:
    return case.situation.attempts or ()


def _is_within(attempt: Attempt, window: dt.timedelta, case: _Case) -> bool:
    # An instant in the future counts too: a clock that was set back does not open the limits.
    return attempt.sent_at is not None and attempt.sent_at > case.now - window


_RULES: tuple[tuple[str, _Rule], ...] = (
    ("policy.frozen", _frozen),
    ("level.observe", _level_observe),
    ("action.unlisted", _unlisted),
    ("action.arguments", _arguments),
    ("verification", _verification),
    ("namespace.protected", _protected_namespace),
    ("namespace.unlisted", _unlisted_namespace),
    ("facts.stale", _stale),
    ("target.unknown", _unknown_target),
    ("target.protected", _protected_label),
    ("target.paused", _paused),
    ("revision", _revision),
    ("limits.unknown", _attempts_unknown),
    ("limits.open", _open),
    ("limits.same_action", _same_action),
    ("limits.namespace", _namespace_rate),
    ("limits.cluster", _cluster_rate),
    (SUGGEST_RULE, _level_suggest),
)
