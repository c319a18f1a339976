"""What the API sees of a daemon, scripted: fixed incidents and plans, clicks remembered without their token."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from opsagent.api.views import Tree
from opsagent.model.incident import Incident
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, PlanRecord, PlanState
from opsagent.ports import NotFound


@dataclass
class ScriptedView:
    """``trouble``, if set, is raised by every read; ``good_token`` is the one that may decide."""

    shown: tuple[Incident, ...] = ()
    waiting: tuple[PlanRecord, ...] = ()
    overdue_tasks: Sequence[str] = ()
    unready_reasons: Sequence[str] = ()
    trouble: Exception | None = None
    good_token: str = field(default="alice's own token", repr=False)
    clicks: list[tuple[str, str, str, str]] = field(default_factory=list)

    def overdue(self) -> Sequence[str]:
        return self.overdue_tasks

    def unready(self) -> Sequence[str]:
        return self.unready_reasons

    async def status(self) -> Tree:
        self._fail()
        return {
            "cluster": "shop",
            "incidents_open": len(self.shown),
            "sources": {"pods": "0 s ago"},
        }

    async def incidents(self, limit: int) -> tuple[Incident, ...]:
        self._fail()
        return self.shown[:limit]

    async def incident(self, incident_id: str) -> Incident | None:
        return next((item for item in self.shown if item.incident_id == incident_id), None)

    async def approvals(self) -> tuple[PlanRecord, ...]:
        return self.waiting

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        self._fail()
        if request.plan_id not in {record.plan.plan_id for record in self.waiting}:
            raise NotFound(f"no plan {request.plan_id}")
        self.clicks.append(
            (request.plan_id, request.plan_hash, request.verdict.value, request.reason)
        )
        if request.token != self.good_token:
            return ApprovalAnswer(
                False, "approver.unknown", "this token is not valid", PlanState.PENDING
            )
        return ApprovalAnswer(True, "approver.allowed", "approved", PlanState.APPROVED)

    def _fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble
