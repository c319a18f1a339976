"""What REST and pages may see of the daemon and pass on to it. The composition root implements it."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from opsagent.api.views import Tree
from opsagent.model.incident import Incident
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, PlanRecord
from opsagent.model.signal import RawRow
from opsagent.model.transcript import Entry


class DeskView(Protocol):
    """Raises (all coroutines): the exceptions of ports/errors.py."""

    def now(self) -> dt.datetime:
        """Return the daemon's present instant, aware UTC."""
        ...

    def overdue(self) -> Sequence[str]:
        """Return the tasks whose heartbeat is overdue; empty: the process is alive."""
        ...

    def unready(self) -> Sequence[str]:
        """Return why the daemon cannot do its work now; empty: it is ready."""
        ...

    async def status(self) -> Tree:
        """Return what is watched, how fresh it is and what is degraded."""
        ...

    async def incidents(self, limit: int) -> tuple[Incident, ...]:
        """Return incidents, newest first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def investigation(self, incident_id: str) -> tuple[str, tuple[Entry, ...]]:
        """Return id and entries of the newest investigation of an incident by a model; ('', ()) if there is none."""
        ...

    async def transcript(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return the entries of one investigation, oldest first; none if there is none."""
        ...

    async def row(self, seq: int) -> RawRow | None:
        """Return the raw row that a pointer names, None if there is none any more."""
        ...

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or all."""
        ...

    async def approvals(self) -> tuple[PlanRecord, ...]:
        """Return the plans that wait for a person, oldest first."""
        ...

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Pass a click on to the desk. Raises NotFound for an unknown plan."""
        ...

    def news(self, incident_id: str = "") -> int:
        """Return the number of the newest change of one incident, or of any; 0 before there was one."""
        ...

    async def wait_news(self, after: int, incident_id: str = "") -> int | None:
        """Wait for a change with a higher number and return that, None when the daemon stops."""
        ...
