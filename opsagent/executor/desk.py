"""``ports.ApprovalDesk``: takes proposals in, shows exact plans to people, judges their clicks.

Theory of operation. A proposal becomes a plan only after the guard agreed and the server rehearsed it;
plan and first moves are stored in one transaction at the end, so a crash on the way leaves nothing and
the same proposal may come again. Once people were asked, that plan is the answer to the same incident
and action for good, whatever became of it: a restart asks nobody twice, a no stands, what was done is
not done again. A proposal that was refused before is judged anew; the same refusal is stored once.

A click is judged twice: by the guard on what was read, and by the store, which lets only the first
one through. Tokens are used to ask the API server and then dropped.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import structlog

from opsagent.executor.journal import ACTOR, Journal
from opsagent.executor.survey import Survey
from opsagent.executor.undo import Rehearsal, UndoTool, change_problem
from opsagent.guard.approval import Click, judge
from opsagent.guard.catalogue import CATALOGUE
from opsagent.guard.decide import SUGGEST_RULE, decide
from opsagent.guard.plan import plan_id, sealed
from opsagent.guard.policy import Policy, policy_hash
from opsagent.model.plan import (
    ApprovalAnswer,
    ApprovalRequest,
    Decision,
    DecisionVerdict,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
    Transition,
)
from opsagent.ports import AccessReviewer, Approval, Identity, Move

REASON_CHARACTERS_MAX = 1000  # of a person's words

log = structlog.get_logger(__name__)


class Desk:
    """Where plans wait for people."""

    def __init__(
        self,
        journal: Journal,
        tool: UndoTool,
        survey: Survey,
        reviewer: AccessReviewer,
        *,
        policy: Policy,
        agents: frozenset[str],
    ) -> None:
        self._journal = journal
        self._tool = tool
        self._survey = survey
        self._reviewer = reviewer
        self._policy = policy
        self._agents = agents

    async def submit(self, proposal: Proposal) -> PlanRecord:
        """Validate, rehearse and diff; ask for approval or refuse. The same proposal gives the same plan.

        Raises:
            Transient: the cluster cannot be read now; nothing is stored.
        """
        earlier = await self._journal.store.asked(proposal)
        if earlier and _stands(earlier[-1]):
            return earlier[-1]
        situation = await self._survey.situation(proposal)
        decision = decide(proposal, situation, self._policy, self._journal.clock.now())
        name = plan_id(proposal, len(earlier))
        rehearsal: Rehearsal | str = decision.reason
        if decision.verdict is not DecisionVerdict.DENY or decision.rule == SUGGEST_RULE:
            rehearsal = await self._tool.rehearse(proposal.action, name)
        plan = self._plan(name, proposal, decision, rehearsal)
        moves = _first_moves(plan, rehearsal)
        if earlier and _told(earlier[-1].transitions) == _told(moves):
            return earlier[-1]
        return await self._journal.add(plan, moves)

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Judge a person's click.

        Raises:
            Transient: the API server cannot say who it is or what the person may do; nothing changed.
        """
        store = self._journal.store
        record = await store.record(request.plan_id)
        if record is None:
            return ApprovalAnswer(
                is_accepted=False,
                rule="plan.unknown",
                reason="there is no such plan",
                state=PlanState.UNKNOWN,
            )
        identity = await self._reviewer.identify(request.token)
        click = await self._click(record.plan, request, identity)
        # Read again: while the server was asked, somebody else may have decided.
        record = await store.record(request.plan_id) or record
        answer = judge(record, click, self._agents)
        if identity is None:
            log.warning("approval.refused", plan_id=request.plan_id, rule=answer.rule)
            return answer
        approval = self._approval(request, identity, answer)
        if answer.is_accepted:
            if await self._journal.decide(approval, answer.state):
                return answer
            record = await store.record(request.plan_id) or record
            answer = judge(record, click, self._agents)
            approval = self._approval(request, identity, answer)
        log.warning(
            "approval.refused", plan_id=request.plan_id, user=identity.username, rule=answer.rule
        )
        await store.note(approval)
        return answer

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or all."""
        return await self._journal.store.records(incident_id)

    async def wait_changed(self, after_seq: int) -> int:
        """Wait until a transition with a higher seq exists; return the newest seq."""
        return await self._journal.wait_changed(after_seq)

    async def _click(
        self, plan: Plan, request: ApprovalRequest, identity: Identity | None
    ) -> Click:
        username = "" if identity is None else identity.username
        namespace = plan.proposal.action.target.entity.namespace
        has_right = identity is not None and await self._reviewer.may_approve(identity, namespace)
        return Click(
            plan_hash=request.plan_hash,
            verdict=request.verdict,
            username=username,
            has_right=has_right,
            seconds_left=self._journal.seconds_left(plan),
        )

    def _approval(
        self, request: ApprovalRequest, identity: Identity, answer: ApprovalAnswer
    ) -> Approval:
        return Approval(
            plan_id=request.plan_id,
            plan_hash=request.plan_hash,
            at=self._journal.clock.now(),
            identity=identity,
            verdict=request.verdict,
            is_accepted=answer.is_accepted,
            rule=answer.rule,
            reason=request.reason[:REASON_CHARACTERS_MAX],
        )

    def _plan(
        self, name: str, proposal: Proposal, decision: Decision, rehearsal: Rehearsal | str
    ) -> Plan:
        """Return the sealed plan; one that was refused before its rehearsal binds and changes nothing."""
        now = self._journal.clock.now()
        entry = CATALOGUE[proposal.action.type]
        plan = Plan(
            plan_id=name,
            plan_hash="",
            proposal=proposal,
            action_class=entry.action_class,
            decision=decision,
            policy_hash=policy_hash(self._policy),
            tool_version=entry.tool_version,
            template_digest="",
            touched_digest="",
            diff=(),
            inverse="",
            created_at=now,
            expires_at=now + dt.timedelta(seconds=self._policy.approval_ttl_seconds),
        )
        if isinstance(rehearsal, Rehearsal):
            plan = dataclasses.replace(
                plan,
                template_digest=rehearsal.binding.template_digest,
                touched_digest=rehearsal.binding.touched_digest,
                diff=rehearsal.difference.changes,
                inverse=rehearsal.current.template_json,
            )
        return sealed(plan)


def _stands(record: PlanRecord) -> bool:
    """Return whether ``record`` answers the same ask for good: people were asked."""
    return any(item.state is PlanState.PENDING for item in record.transitions)


def _first_moves(plan: Plan, rehearsal: Rehearsal | str) -> tuple[Move, ...]:
    """Return the way of a new plan: to pending, or to the step that refused it."""
    decision = plan.decision
    denial = f"{decision.rule}: {decision.reason}"
    is_denied = decision.verdict is DecisionVerdict.DENY
    steps = [(PlanState.PROPOSED, "opsagent", plan.proposal.reason)]
    if is_denied and isinstance(rehearsal, str):
        return _moves(plan, *steps, (PlanState.DENIED, "guard", denial))
    steps.append((PlanState.VALIDATED, "guard", denial))
    if isinstance(rehearsal, str):
        return _moves(plan, *steps, (PlanState.INVALIDATED, ACTOR, rehearsal))
    steps.append((PlanState.DRY_RUN, ACTOR, "the server accepts the change"))
    problem = change_problem(plan.proposal.action, rehearsal)
    if problem:
        return _moves(plan, *steps, (PlanState.INVALIDATED, ACTOR, problem))
    steps.append((PlanState.DIFFED, ACTOR, f"{len(plan.diff)} lines differ"))
    if is_denied:
        return _moves(plan, *steps, (PlanState.DENIED, "guard", denial))
    return _moves(plan, *steps, (PlanState.PENDING, ACTOR, decision.reason))


def _moves(plan: Plan, *steps: tuple[PlanState, str, str]) -> tuple[Move, ...]:
    return tuple(Move(plan.created_at, state, actor, reason) for state, actor, reason in steps)


def _told(moves: Sequence[Move | Transition]) -> list[tuple[PlanState, str]]:
    return [(item.state, item.reason) for item in moves]
