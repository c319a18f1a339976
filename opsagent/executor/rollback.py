"""Takes a write back that did not help: the stored template, and only if the object is still as we left it.

If anybody wrote after us, nothing is overwritten and a person has to look. The rollback carries its own
mark, so after a crash the object itself tells whether it arrived; then it is not written again. A freeze
stops new actions, not this: it leaves nothing of ours behind.
"""

from opsagent.executor.journal import Journal
from opsagent.executor.undo import UndoTool, is_marked, template_digest
from opsagent.model.plan import PlanRecord, PlanState
from opsagent.ports import Forbidden, NotFound, RawDeployment, Terminal

MARK_SUFFIX = "-rollback"


class Rollback:
    """Restores the inverse of a plan."""

    def __init__(self, journal: Journal, tool: UndoTool) -> None:
        self._journal = journal
        self._tool = tool

    async def carry_out(self, record: PlanRecord) -> None:
        """Restore, or find that it cannot be; each end of this is a move.

        Raises:
            Transient, Conflict: nothing is decided; call again, it starts by looking.
        """
        plan = record.plan
        mark = f"{plan.plan_id}{MARK_SUFFIX}"
        intent = await self._journal.store.intent(plan.plan_id)
        assert intent is not None, "plans that were written are stored with their intent"
        try:
            raw = await self._tool.read(plan.proposal.action.target.entity)
            is_ours = (
                raw.decoded.meta.uid == plan.proposal.action.target.uid
                and is_marked(raw, plan.plan_id)
                and template_digest(raw) == intent.result_digest
            )
            if is_ours:
                raw = await self._tool.write(raw, plan.inverse, mark)
        except (NotFound, Forbidden, Terminal) as error:
            await self._journal.move(record, PlanState.ROLLBACK_FAILED, f"refused: {error}")
            return
        await self._conclude(record, raw, mark)

    async def _conclude(self, record: PlanRecord, raw: RawDeployment, mark: str) -> None:
        if not is_marked(raw, mark):
            state, reason = PlanState.ROLLBACK_FAILED, "somebody else wrote after us"
        elif template_digest(raw) != record.plan.template_digest:
            state, reason = PlanState.ROLLBACK_FAILED, "the server did not keep the old template"
        else:
            state, reason = PlanState.ROLLED_BACK, "the old template is back"
        await self._journal.move(record, state, reason)
