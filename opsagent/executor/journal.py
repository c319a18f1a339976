"""The store with a bell and a clock: moves plans, wakes those who wait, and knows what has expired.

Expiry is judged on both clocks: by the wall clock, and by the monotonic clock since this process first
saw the plan. Setting the wall clock back does not keep a plan alive, setting it forward ends it.
"""

import asyncio

import structlog

from opsagent.guard.lifecycle import ENDED
from opsagent.model.plan import Outcome, Plan, PlanRecord, PlanState
from opsagent.ports import Approval, Clock, Intent, Move, PlanStore

log = structlog.get_logger(__name__)

ACTOR = "executor"


class Journal:
    """Shared by desk and engine, so that each sees the other's moves at once."""

    def __init__(self, store: PlanStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._newest_seq = 0
        self._bell = asyncio.Condition()
        self._deadlines: dict[str, float] = {}

    async def add(self, plan: Plan, moves: tuple[Move, ...]) -> PlanRecord:
        """Store a new plan; while another one is open for the same ask, return that."""
        record = await self.store.add(plan, moves)
        self.seconds_left(record.plan)  # the monotonic life of the plan begins now
        await self._moved(record.plan.plan_id, record.state, record.transitions[-1].actor)
        return record

    async def move(
        self,
        record: PlanRecord,
        state: PlanState,
        reason: str,
        *,
        intent: Intent | None = None,
        outcome: Outcome | None = None,
    ) -> bool:
        """Move the plan on from where ``record`` saw it; return False if somebody else was faster."""
        move = Move(self.clock.now(), state, ACTOR, reason)
        plan_id = record.plan.plan_id
        is_moved = await self.store.move(
            plan_id, record.state, move, intent=intent, outcome=outcome
        )
        if is_moved:
            await self._moved(plan_id, state, ACTOR)
        return is_moved

    async def decide(self, approval: Approval, state: PlanState) -> bool:
        """Store a deciding click and its move; return False if the plan was no longer pending."""
        move = Move(approval.at, state, approval.identity.username, approval.reason)
        is_moved = await self.store.decide(approval, move)
        if is_moved:
            await self._moved(approval.plan_id, state, approval.identity.username)
        return is_moved

    def seconds_left(self, plan: Plan) -> float:
        """Return the time until ``plan`` expires, on the stricter of the two clocks; 0 or less: expired."""
        wall = (plan.expires_at - self.clock.now()).total_seconds()
        whole = (plan.expires_at - plan.created_at).total_seconds()
        monotonic = self.clock.monotonic()
        deadline = self._deadlines.setdefault(plan.plan_id, monotonic + min(wall, whole))
        return min(wall, deadline - monotonic)

    async def newest_seq(self) -> int:
        """Return the seq of the newest transition, 0 if there is none."""
        if not self._newest_seq:
            self._newest_seq = await self.store.newest_seq()
        return self._newest_seq

    async def wait_changed(self, after_seq: int) -> int:
        """Wait until a transition with a higher seq exists; return the newest seq."""
        await self.newest_seq()
        async with self._bell:
            await self._bell.wait_for(lambda: self._newest_seq > after_seq)
        return self._newest_seq

    async def _moved(self, plan_id: str, state: PlanState, actor: str) -> None:
        log.info("plan.moved", plan_id=plan_id, state=state.value, actor=actor)
        if state in ENDED:
            self._deadlines.pop(plan_id, None)
        self._newest_seq = max(self._newest_seq, await self.store.newest_seq())
        async with self._bell:
            self._bell.notify_all()
