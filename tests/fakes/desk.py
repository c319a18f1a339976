"""``ports.ApprovalDesk`` by script: plans move when the test says so, submissions fail when told to."""

import asyncio
import dataclasses

from opsagent.guard.plan import plan_id, sealed
from opsagent.model.plan import (
    ApprovalAnswer,
    ApprovalRequest,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
    Transition,
)
from tests.fakes.plans import NOW, PROPOSAL, WAY_TO_PENDING, plan


class ScriptedDesk:
    """Takes every proposal to pending. ``failures`` are raised by submissions first, in order."""

    def __init__(self, *failures: Exception) -> None:
        self.submitted: list[Proposal] = []
        self.clicks: list[ApprovalRequest] = []
        self._failures = list(failures)
        self._records: dict[str, PlanRecord] = {}
        self._seq = 0
        self._moved = asyncio.Event()

    def move(self, *states: PlanState, plan: str = "", of: Plan | None = None) -> PlanRecord:
        """Take a plan through ``states``; it is named by ``plan`` and made at its first move."""
        key = of.plan_id if of else f"pln_{plan}"
        record = self._records.get(key) or PlanRecord(of or _named(key), ())
        rows = []
        for state in states:
            self._seq += 1
            rows.append(Transition(self._seq, NOW, key, state, "test", ""))
        self._records[key] = dataclasses.replace(record, transitions=(*record.transitions, *rows))
        self._moved.set()
        self._moved = asyncio.Event()
        return self._records[key]

    async def submit(self, proposal: Proposal) -> PlanRecord:
        self.submitted.append(proposal)
        if self._failures:
            raise self._failures.pop(0)
        return self.move(*WAY_TO_PENDING, of=plan(proposal=proposal, plan_id=plan_id(proposal, 0)))

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        self.clicks.append(request)
        return ApprovalAnswer(True, "approver.allowed", "approved", PlanState.APPROVED)

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        return tuple(
            record
            for record in self._records.values()
            if incident_id in ("", record.plan.proposal.incident_id)
        )

    async def wait_changed(self, after_seq: int) -> int:
        while self._seq <= after_seq:
            await self._moved.wait()
        return self._seq


def _named(key: str) -> Plan:
    return sealed(dataclasses.replace(plan(), plan_id=key, proposal=PROPOSAL))
