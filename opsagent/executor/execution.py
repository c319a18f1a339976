"""From approval to the answer of the write: every check again, the intent on the disk, one write.

Theory of operation. An approved plan waited for a person, perhaps for minutes, so nothing that was true
then is taken for granted: expiry, the plan's own hash, the approver's right, the guard's rules, the
object and the rehearsed difference are all looked at again. Then the intent is stored (``armed``) and
the write leaves with the resourceVersion of that last look.

If the answer is lost, by a crash or by the network, the plan stays armed, and ``settle`` reads the
object: our mark on it proves that the write arrived; an unchanged generation and template prove that
it has not, and then the plan goes back to ``approved``, where every check is made again; anything else
is for a person. A write whose connection broke may still be on its way, so before "has not arrived" is
believed, some seconds pass; and a plan that was armed before is refused only after one more look for its
mark. Should a late write and a second one ever race, both carry a resourceVersion and the same content,
so one of them gets 409.
"""

from dataclasses import dataclass

from opsagent.executor.journal import Journal
from opsagent.executor.survey import Survey
from opsagent.executor.undo import Rehearsal, UndoTool, is_marked, template_digest
from opsagent.guard.decide import decide
from opsagent.guard.plan import binding_problem, validity_problem
from opsagent.guard.policy import Policy
from opsagent.model.plan import ApprovalVerdict, DecisionVerdict, Plan, PlanRecord, PlanState
from opsagent.ports import (
    AccessReviewer,
    Conflict,
    Forbidden,
    Intent,
    NotFound,
    Terminal,
    Transient,
)

CONFLICT = "conflict: the object changed between the last look and the write; nothing was written"
CONFLICTS_MAX = 2  # the third one ends the plan
SETTLE_SECONDS = 5.0  # a write whose connection broke arrives within this time, or not at all


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything holds: what to write, and the intent to store before it."""

    rehearsal: Rehearsal
    intent: Intent


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Something no longer holds: where the plan ends, and why."""

    state: PlanState
    reason: str


_TOO_LATE = _Refusal(PlanState.EXPIRED, "approved, but not carried out in time")


class Execution:
    """The write path. One plan at a time: the limits of the guard count what was armed before."""

    def __init__(
        self,
        journal: Journal,
        tool: UndoTool,
        survey: Survey,
        reviewer: AccessReviewer,
        policy: Policy,
    ) -> None:
        self._journal = journal
        self._tool = tool
        self._survey = survey
        self._reviewer = reviewer
        self._policy = policy
        self._settling_since: dict[str, float] = {}

    async def carry_out(self, record: PlanRecord) -> None:
        """Check an approved plan again and write it; each end of this is a move.

        Raises:
            Transient: the cluster cannot be asked now; the plan is still approved.
        """
        found = await self._check(record)
        if isinstance(found, _Ready):
            await self._arm_and_write(record, found)
        elif not await self._has_arrived(record):
            await self._journal.move(record, found.state, found.reason)

    async def settle(self, record: PlanRecord) -> float:
        """Find out whether the write of an armed plan arrived; return after how many seconds to ask again, 0: settled.

        Raises:
            Transient: the object cannot be read now.
        """
        plan = record.plan
        intent = await self._journal.store.intent(plan.plan_id)
        assert intent is not None, "armed plans are stored with their intent"
        try:
            raw = await self._tool.read(plan.proposal.action.target.entity)
        except (NotFound, Forbidden, Terminal) as error:
            reason = f"whether the write arrived cannot be read: {error}"
            await self._journal.move(record, PlanState.UNKNOWN, reason)
            return 0.0
        if is_marked(raw, plan.plan_id):
            await self._journal.move(record, PlanState.SENT, "our mark is on the object")
            return 0.0
        is_untouched = (
            raw.decoded.meta.uid == plan.proposal.action.target.uid
            and raw.decoded.meta.generation == intent.generation
            and template_digest(raw) == plan.template_digest
        )
        if not is_untouched:
            reason = (
                "the object changed and does not carry our mark: whether we wrote cannot be told"
            )
            await self._journal.move(record, PlanState.UNKNOWN, reason)
            return 0.0
        return await self._believe_not_arrived(record)

    async def _believe_not_arrived(self, record: PlanRecord) -> float:
        now = self._journal.clock.monotonic()
        since = self._settling_since.setdefault(record.plan.plan_id, now)
        if now - since < SETTLE_SECONDS:
            return SETTLE_SECONDS - (now - since)
        del self._settling_since[record.plan.plan_id]
        await self._journal.move(record, PlanState.APPROVED, "the write did not arrive")
        return 0.0

    async def _has_arrived(self, record: PlanRecord) -> bool:
        """Look for the mark of an earlier write of the plan; if it is there, go back to armed, to be settled."""
        plan_id = record.plan.plan_id
        intent = await self._journal.store.intent(plan_id)
        if intent is None:
            return False
        try:
            raw = await self._tool.read(record.plan.proposal.action.target.entity)
        except (NotFound, Forbidden, Terminal):
            return False
        if not is_marked(raw, plan_id):
            return False
        reason = "an earlier write arrived after all"
        return await self._journal.move(record, PlanState.ARMED, reason, intent=intent)

    async def _check(self, record: PlanRecord) -> _Ready | _Refusal:
        """Look at everything again that the approval rested on."""
        plan = record.plan
        if self._journal.seconds_left(plan) <= 0:
            return _TOO_LATE
        problem = await self._authority_problem(plan) or await self._guard_problem(plan)
        if problem:
            return _Refusal(PlanState.INVALIDATED, problem)
        rehearsal = await self._tool.rehearse(plan.proposal.action, plan.plan_id)
        if isinstance(rehearsal, str):
            return _Refusal(PlanState.INVALIDATED, rehearsal)
        baseline = await self._survey.baseline(plan.proposal.action.target.entity.namespace)
        problem = binding_problem(plan, rehearsal.binding)
        if problem or baseline is None:
            reason = problem or "the neighbours cannot be read, so harm to them could not be seen"
            return _Refusal(PlanState.INVALIDATED, reason)
        if self._journal.seconds_left(plan) <= 0:  # again, because all of the above took time
            return _TOO_LATE
        generation = rehearsal.current.decoded.meta.generation
        return _Ready(rehearsal, Intent(generation, rehearsal.result_digest, baseline))

    async def _authority_problem(self, plan: Plan) -> str:
        """Return why nobody's leave covers this plan any more, '' if somebody's does."""
        problem = validity_problem(plan, self._policy)
        if problem:
            return problem
        approval = await self._journal.store.approval(plan.plan_id)
        if (
            approval is None
            or approval.verdict is not ApprovalVerdict.APPROVE
            or approval.plan_hash != plan.plan_hash
        ):
            return "nobody approved this very plan"
        namespace = plan.proposal.action.target.entity.namespace
        if not await self._reviewer.may_approve(approval.identity, namespace):
            return f"{approval.identity.username} has lost the right to approve"
        return ""

    async def _guard_problem(self, plan: Plan) -> str:
        """Return why the guard would not let this plan be proposed now, '' if it would."""
        situation = await self._survey.situation(plan.proposal, plan.plan_id)
        decision = decide(plan.proposal, situation, self._policy, self._journal.clock.now())
        is_denied = decision.verdict is DecisionVerdict.DENY
        return f"{decision.rule}: {decision.reason}" if is_denied else ""

    async def _arm_and_write(self, record: PlanRecord, ready: _Ready) -> None:
        if not await self._journal.move(
            record, PlanState.ARMED, "all checks passed again", intent=ready.intent
        ):
            return
        armed = await self._journal.store.record(record.plan.plan_id)
        assert armed is not None, "plans are never deleted"
        await self._write(armed, ready.rehearsal)

    async def _write(self, armed: PlanRecord, rehearsal: Rehearsal) -> None:
        try:
            await self._tool.write(rehearsal.current, rehearsal.template_json, armed.plan.plan_id)
        except Conflict:
            conflicts = sum(item.reason == CONFLICT for item in armed.transitions)
            if conflicts < CONFLICTS_MAX:
                await self._journal.move(armed, PlanState.APPROVED, CONFLICT)
            else:
                reason = "the object changes faster than it can be written"
                await self._journal.move(armed, PlanState.INVALIDATED, reason)
        except (NotFound, Forbidden, Terminal) as error:
            reason = f"the server refused the write: {error}"
            await self._journal.move(armed, PlanState.INVALIDATED, reason)
        except Transient:
            # The answer is lost, not the write: the plan stays armed and is settled by reading.
            self._settling_since[armed.plan.plan_id] = self._journal.clock.monotonic()
        else:
            await self._journal.move(armed, PlanState.SENT, "the server answered")
