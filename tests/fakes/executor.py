"""An executor on a fake cluster and a real file, that can be killed and started again on virtual time."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opsagent.executor import ExecutorConfig
from opsagent.executor.assembly import assemble
from opsagent.executor.desk import Desk
from opsagent.executor.engine import Engine
from opsagent.guard.lifecycle import ENDED
from opsagent.guard.policy import Policy
from opsagent.model.plan import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalVerdict,
    Plan,
    PlanRecord,
    PlanState,
)
from opsagent.ports import Approval, Intent, MetricsSource, Move
from opsagent.store.executor import ExecutorStore
from tests.fakes.deployments import Crash, FakeCluster, FakeReviewer, Fuse, symptoms_of
from tests.fakes.plans import POLICY, PROPOSAL

AGENT = "system:serviceaccount:opsagent:executor"


class CrashingStore:
    """``ports.PlanStore`` that may crash before and after each of its transactions; reads pass through."""

    def __init__(self, store: ExecutorStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def add(self, plan: Plan, moves: Sequence[Move]) -> PlanRecord:
        return await self._crashing(self._store.add(plan, moves))

    async def move(
        self, plan_id: str, from_state: PlanState, move: Move, **more: Intent | None
    ) -> bool:
        return await self._crashing(self._store.move(plan_id, from_state, move, **more))

    async def decide(self, approval: Approval, move: Move) -> bool:
        return await self._crashing(self._store.decide(approval, move))

    async def note(self, approval: Approval) -> None:
        await self._crashing(self._store.note(approval))

    async def _crashing(self, transaction: Awaitable[Any]) -> Any:
        try:
            self._fuse.touch()
        except Crash:
            transaction.close()
            raise
        result = await transaction
        self._fuse.touch()
        return result


@dataclasses.dataclass
class Life:
    """One run of the executor's process."""

    desk: Desk
    engine: Engine
    store: ExecutorStore


@dataclasses.dataclass
class Bench:
    """What survives a crash: the cluster, the people's rights, the file."""

    path: Path
    cluster: FakeCluster = dataclasses.field(default_factory=FakeCluster)
    reviewer: FakeReviewer = dataclasses.field(default_factory=FakeReviewer)
    policy: Policy = POLICY
    metrics: MetricsSource | None = None

    @asynccontextmanager
    async def life(self, fuse: Fuse | None = None) -> AsyncIterator[Life]:
        """Run the executor until the block ends or the fuse burns; then everything in memory is gone."""
        self.cluster.fuse = self.reviewer.fuse = fuse or Fuse()
        store = await ExecutorStore.open(self.path / "executor.sqlite")
        desk, engine = assemble(
            self.cluster,
            reader=self.cluster,
            reviewer=self.reviewer,
            store=CrashingStore(store, self.cluster.fuse),
            clock=self.cluster.clock,
            config=ExecutorConfig(self.policy, frozenset({AGENT}), symptoms_of, self.metrics),
        )
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(engine.run())
                yield Life(desk, engine, store)
                running.cancel()
        finally:
            await store.aclose()


async def click(
    desk: Desk, plan: Plan, who: str = "alice", verdict: ApprovalVerdict = ApprovalVerdict.APPROVE
) -> ApprovalAnswer:
    """Decide on ``plan`` as ``who``."""
    return await desk.decide(
        ApprovalRequest(plan.plan_id, plan.plan_hash, verdict, f"token-{who}", "looks right")
    )


async def until(
    desk: Desk, is_reached: Callable[[PlanRecord], bool] = lambda record: record.state in ENDED
) -> PlanRecord:
    """Wait until the newest plan is there; by default, until it has ended."""
    seen = 0
    while True:
        seen = await desk.wait_changed(seen)
        record = (await desk.plans())[-1]
        if is_reached(record):
            return record


async def approved_to_the_end(desk: Desk) -> PlanRecord:
    """Submit, approve as alice if it is pending, wait for the end: all of it may be repeated after a crash."""
    record = await desk.submit(PROPOSAL)
    if record.state is PlanState.PENDING:
        await click(desk, record.plan)
    return await until(desk)


def states(record: PlanRecord) -> list[str]:
    """Return the way of a plan, in words."""
    return [item.state.value for item in record.transitions]
