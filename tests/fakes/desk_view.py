"""What the API sees of a daemon, scripted: fixed incidents and plans, clicks remembered without their token."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opsagent.api.session import Sessions
from opsagent.api.views import Tree
from opsagent.controllers.news import News
from opsagent.model.incident import Incident
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, PlanRecord, PlanState
from opsagent.model.signal import RawRow
from opsagent.model.transcript import Entry
from opsagent.ports import NotFound
from opsagent.runtime.ids import SecureIds
from tests.fakes.plans import NOW


def fresh_sessions() -> Sessions:
    """Return sessions of a time that stands still."""
    return Sessions(SecureIds(), lambda: 0.0)


@dataclass
class ScriptedView:
    """``trouble``, if set, is raised by every read; ``good_token`` is the one that may decide.

    ``investigations`` gives each incident its newest transcript by id. ``decided`` are plans besides those that wait; ``answers`` are given to clicks before judging them.
    """

    shown: tuple[Incident, ...] = ()
    waiting: tuple[PlanRecord, ...] = ()
    overdue_tasks: Sequence[str] = ()
    unready_reasons: Sequence[str] = ()
    trouble: Exception | None = None
    good_token: str = field(default="alice's own token", repr=False)
    clicks: list[tuple[str, str, str, str]] = field(default_factory=list)
    tree: Tree | None = None
    rows: Mapping[int, RawRow] = field(default_factory=dict)
    decided: tuple[PlanRecord, ...] = ()
    answers: list[ApprovalAnswer] = field(default_factory=list)
    changes: News = field(default_factory=News)
    investigations: Mapping[str, str] = field(default_factory=dict)
    transcripts: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    def now(self) -> dt.datetime:
        return NOW

    def overdue(self) -> Sequence[str]:
        return self.overdue_tasks

    def unready(self) -> Sequence[str]:
        return self.unready_reasons

    async def status(self) -> Tree:
        self._fail()
        return self.tree or {
            "cluster": "shop",
            "incidents_open": len(self.shown),
            "sources": {"pods": "0 s ago"},
        }

    async def incidents(self, limit: int) -> tuple[Incident, ...]:
        self._fail()
        return self.shown[:limit]

    async def incident(self, incident_id: str) -> Incident | None:
        return next((item for item in self.shown if item.incident_id == incident_id), None)

    async def investigation(self, incident_id: str) -> tuple[str, tuple[Entry, ...]]:
        self._fail()
        name = self.investigations.get(incident_id, "")
        return name, self.transcripts.get(name, ())

    async def transcript(self, investigation_id: str) -> tuple[Entry, ...]:
        self._fail()
        return self.transcripts.get(investigation_id, ())

    async def row(self, seq: int) -> RawRow | None:
        return self.rows.get(seq)

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        records = (*self.decided, *self.waiting)
        about = (record.plan.proposal.incident_id for record in records)
        return tuple(
            record for record, each in zip(records, about, strict=True) if incident_id in ("", each)
        )

    async def approvals(self) -> tuple[PlanRecord, ...]:
        return self.waiting

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        self._fail()
        if self.answers:
            return self.answers.pop(0)
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

    def news(self, incident_id: str = "") -> int:
        return self.changes.newest(incident_id)

    async def wait_news(self, after: int, incident_id: str = "") -> int | None:
        return await self.changes.wait(after, incident_id)

    def _fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble
