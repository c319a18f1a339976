"""``ports.Executor``: the loop that carries approved plans through their states.

Theory of operation. The loop is level-based: each round reads the open plans from the store and does the
next step of each, so after a crash the first round is the reconciliation. Checking and writing are done
one plan after another, because the guard's limits count what was written before; watching an effect
takes minutes, so each plan that was sent is followed by a task of its own. Between rounds the loop
sleeps until a plan moves or the next one expires: a quiet day costs nothing.

Troubles that may pass leave a plan where it is, to be tried again. A bug ends the loop, and its supervisor starts
it anew on what is stored. A store that cannot be written ends it for good: no intent, no action.
"""

import asyncio

import structlog

from opsagent.executor.execution import Execution
from opsagent.executor.journal import Journal
from opsagent.executor.rollback import Rollback
from opsagent.executor.verification import Verification
from opsagent.model.plan import PlanRecord, PlanState
from opsagent.ports import Conflict, Transient, Unwritable

RETRY_SECONDS = 1.0  # after a trouble that may pass; no plan outlives its expiry by more

log = structlog.get_logger(__name__)


class Engine:
    """Carries approved plans out, across crashes."""

    def __init__(
        self,
        journal: Journal,
        execution: Execution,
        verification: Verification,
        rollback: Rollback,
    ) -> None:
        self._journal = journal
        self._execution = execution
        self._verification = verification
        self._rollback = rollback
        self._followed: set[str] = set()

    async def run(self) -> None:
        """Reconcile what a crash left, then execute, verify and expire until cancelled.

        Raises:
            Unwritable: the store can no longer be written.
        """
        self._followed.clear()
        try:
            async with asyncio.TaskGroup() as group:
                await self._rounds(group)
        except BaseExceptionGroup as failures:
            ended, _ = failures.split(Unwritable)
            raise (failures if ended is None else ended.exceptions[0]) from None

    async def _rounds(self, group: asyncio.TaskGroup) -> None:
        while True:
            seen = await self._journal.newest_seq()
            seconds = await self._round(group)
            try:
                async with asyncio.timeout(seconds):
                    await self._journal.wait_changed(seen)
            except TimeoutError:
                continue

    async def _round(self, group: asyncio.TaskGroup) -> float | None:
        """Do the next step of every open plan; return when to look again, None: when something moves."""
        waits: list[float] = []
        for record in await self._journal.store.active(self._journal.clock.now()):
            plan_id = record.plan.plan_id
            if record.state in _FOLLOWED:
                if plan_id not in self._followed:
                    self._followed.add(plan_id)
                    group.create_task(self._follow(plan_id), name=f"follow {plan_id}")
                continue
            try:
                waits.append(await self._step(record))
            except Transient as error:
                log.warning("plan.retried", plan_id=plan_id, error=str(error))
                waits.append(RETRY_SECONDS)
        return min((seconds for seconds in waits if seconds > 0), default=None)

    async def _step(self, record: PlanRecord) -> float:
        """Do what can be done at once; return after how many seconds to look again, 0: after the next move."""
        match record.state:
            case PlanState.PENDING:
                left = self._journal.seconds_left(record.plan)
                if left > 0:
                    return left
                await self._journal.move(record, PlanState.EXPIRED, "nobody decided in time")
            case PlanState.APPROVED:
                await self._execution.carry_out(record)
            case PlanState.ARMED:
                return await self._execution.settle(record)
            case _:
                pass  # ended while the round went on
        return 0.0

    async def _follow(self, plan_id: str) -> None:
        """Carry one plan from its write to its end."""
        record = await self._journal.store.record(plan_id)
        while record is not None and record.state in _FOLLOWED:
            try:
                await self._follow_step(record)
            except (Transient, Conflict) as error:
                log.warning("plan.retried", plan_id=plan_id, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            record = await self._journal.store.record(plan_id)
        self._followed.discard(plan_id)

    async def _follow_step(self, record: PlanRecord) -> None:
        if record.state is PlanState.SENT:
            await self._verification.begin(record)
        elif record.state is PlanState.VERIFYING:
            await self._verification.finish(record)
        else:
            await self._rollback.carry_out(record)


_FOLLOWED = frozenset({PlanState.SENT, PlanState.VERIFYING, PlanState.ROLLING_BACK})
