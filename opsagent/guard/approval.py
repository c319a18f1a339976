"""Does a person's click count? One judgement over who clicked, on what, when.

The rules, in the order in which they refuse: the token belongs to somebody; opsagent's own identities
never decide; the click names the exact plan by hash; the person has the right in that namespace, for
a refusal too; nobody decided before; the plan has not expired, by the wall clock or by the monotonic
one. A click after the first decision is void and changes nothing.
"""

from dataclasses import dataclass

from opsagent.model.plan import ApprovalAnswer, ApprovalVerdict, PlanRecord, PlanState

VOID_RULE = "plan.decided"


@dataclass(frozen=True, slots=True)
class Click:
    """What is known about a click.

    ``username`` is empty if the token is not valid. ``has_right``: the person may approve in the
    plan's namespace, as the cluster says now. ``seconds_left`` until expiry on the stricter clock.
    """

    plan_hash: str
    verdict: ApprovalVerdict
    username: str
    has_right: bool
    seconds_left: float


def judge(record: PlanRecord, click: Click, agents: frozenset[str]) -> ApprovalAnswer:
    """Return whether ``click`` decides the plan; ``agents`` are the usernames of opsagent itself."""
    for rule, is_refused, reason in (
        ("token.invalid", not click.username, "the token is not valid"),
        ("person.agent", click.username in agents, "opsagent does not approve its own plans"),
        ("plan.hash", click.plan_hash != record.plan.plan_hash, "the plan is another one by now"),
        ("right.missing", not click.has_right, "no right to approve in this namespace"),
        (VOID_RULE, record.state is not PlanState.PENDING, f"the plan is already {record.state}"),
        ("plan.expired", click.seconds_left <= 0, "the plan has expired"),
    ):
        if is_refused:
            return ApprovalAnswer(is_accepted=False, rule=rule, reason=reason, state=record.state)
    state = PlanState.APPROVED if click.verdict is ApprovalVerdict.APPROVE else PlanState.DENIED
    return ApprovalAnswer(is_accepted=True, rule="person.decides", reason=state.value, state=state)
