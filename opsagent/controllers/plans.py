"""Executor -> incidents: every state a plan reaches becomes an input of the fold.

It starts from the beginning after a restart: folding a plan's record twice changes nothing.
"""

from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Moved
from opsagent.ports import ApprovalDesk


class FollowPlans:
    """One loop over the executor's transitions."""

    def __init__(self, desk: ApprovalDesk, fold: Fold) -> None:
        self._desk = desk
        self._fold = fold

    async def run(self) -> None:
        """Follow until cancelled."""
        seen = 0
        while True:
            newest = await self._desk.wait_changed(seen)
            for record in await self._desk.plans():
                if record.transitions[-1].seq > seen:
                    await self._fold.put(Moved(record))
            seen = newest
