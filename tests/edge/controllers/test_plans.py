"""Every state that a plan reaches comes to the fold, also after a restart, and none for ever again."""

import asyncio

from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Input, Moved
from opsagent.controllers.pipeline import Pipeline
from opsagent.controllers.plans import FollowPlans
from opsagent.model.plan import PlanState
from opsagent.ports import Snapshot
from opsagent.runtime.channels import Channel
from tests.fakes.desk import ScriptedDesk
from tests.fakes.plans import WAY_TO_PENDING
from tests.fakes.store import MemoryStore
from tests.fakes.virtual_time import LoopClock, run


class Inbox:
    """What the loop handed to a fold that never runs."""

    def __init__(self) -> None:
        self.channel: Channel[Input] = Channel(1000)
        pipeline = Pipeline(Snapshot(), b"k" * 32)
        self.fold = Fold(pipeline, MemoryStore(), LoopClock(), self.channel, beat=lambda: None)

    def states(self) -> list[PlanState]:
        """Take everything out: the state of each plan that was handed in."""
        moved = self.channel.drain(1000)
        return [each.record.state for each in moved if isinstance(each, Moved)]


def test_each_move_is_handed_in_once() -> None:
    async def scene() -> None:
        inbox, desk = Inbox(), ScriptedDesk()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(FollowPlans(desk, inbox.fold).run())
            await asyncio.sleep(1)
            assert inbox.states() == []
            for state in (*WAY_TO_PENDING, PlanState.APPROVED):
                desk.move(state)
                await asyncio.sleep(1)
            assert inbox.states() == [*WAY_TO_PENDING, PlanState.APPROVED]
            running.cancel()

    run(scene())


def test_of_moves_that_come_together_the_record_with_all_of_them_is_handed_in_once() -> None:
    async def scene() -> None:
        inbox, desk = Inbox(), ScriptedDesk()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(FollowPlans(desk, inbox.fold).run())
            desk.move(*WAY_TO_PENDING)
            await asyncio.sleep(1)
            assert inbox.states() == [PlanState.PENDING]
            running.cancel()

    run(scene())


def test_a_restart_hands_in_what_is_there_and_a_plan_that_stands_still_no_more() -> None:
    async def scene() -> None:
        inbox, desk = Inbox(), ScriptedDesk()
        desk.move(*WAY_TO_PENDING)
        desk.move(*WAY_TO_PENDING, plan="other")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(FollowPlans(desk, inbox.fold).run())
            await asyncio.sleep(1)
            assert inbox.states() == [PlanState.PENDING, PlanState.PENDING]
            desk.move(PlanState.DENIED, plan="other")
            await asyncio.sleep(1)
            assert inbox.states() == [PlanState.DENIED]
            running.cancel()

    run(scene())
