"""The executor's side: plans, clicks and intents on its disk, the desk, the one that carries out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from opsagent.model.plan import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalVerdict,
    Outcome,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
)
from opsagent.ports.cluster import Identity


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's click as it is kept: who, what, when, whether it counted. The token is not in it."""

    plan_id: str
    plan_hash: str
    at: dt.datetime
    identity: Identity
    verdict: ApprovalVerdict
    is_accepted: bool
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What the executor was about to write, on the disk before the request leaves.

    ``generation`` is the object's before the write, ``result_digest`` that of the template as the dry
    run left it, ``baseline`` name -> ready replicas of the namespace's Deployments.
    """

    generation: int
    result_digest: str
    baseline: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a plan to another state, by whom and why."""

    at: dt.datetime
    state: PlanState
    actor: str
    reason: str


class PlanStore(Protocol):
    """The executor's durable state: plans, transitions, clicks, intents. One writer, every commit synced.

    Each writing method is one transaction; a move that the life cycle forbids is a ``ValueError``.
    Raises: Terminal if the disk is full or the file corrupt, with the path in the message.
    """

    async def add(self, plan: Plan, moves: Sequence[Move]) -> PlanRecord:
        """Store a new plan with its first moves; while another plan for the same ask is open, return that one."""
        ...

    async def move(
        self,
        plan_id: str,
        from_state: PlanState,
        move: Move,
        *,
        intent: Intent | None = None,
        outcome: Outcome | None = None,
    ) -> bool:
        """Move the plan if it still is in ``from_state``, and store what comes with the move; return whether it was."""
        ...

    async def decide(self, approval: Approval, move: Move) -> bool:
        """Store the deciding click with its move if the plan is still pending, else nothing; return whether it was."""
        ...

    async def note(self, approval: Approval) -> None:
        """Store a click that did not count; clicks beyond a bound per plan are dropped and counted."""
        ...

    async def record(self, plan_id: str) -> PlanRecord | None:
        """Return one plan."""
        ...

    async def records(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or the newest 1000 of all."""
        ...

    async def asked(self, proposal: Proposal) -> tuple[PlanRecord, ...]:
        """Return every plan for the same ask, oldest first."""
        ...

    async def active(self, since: dt.datetime) -> tuple[PlanRecord, ...]:
        """Return the plans that are open or moved at or after ``since``, oldest first."""
        ...

    async def approval(self, plan_id: str) -> Approval | None:
        """Return the click that decided, None if none did."""
        ...

    async def approvals(self, plan_id: str) -> tuple[Approval, ...]:
        """Return every stored click on the plan, oldest first."""
        ...

    async def intent(self, plan_id: str) -> Intent | None:
        """Return what was last about to be written, None if the plan was never armed."""
        ...

    async def newest_seq(self) -> int:
        """Return the seq of the newest transition, 0 if there is none."""
        ...

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        ...


class ApprovalDesk(Protocol):
    """Where plans wait for people; owned by the executor."""

    async def submit(self, proposal: Proposal) -> PlanRecord:
        """Validate, dry-run and diff; ask for approval or refuse. The same proposal gives the same plan.

        Raises: Transient when the cluster cannot be read; nothing is stored then.
        """
        ...

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Judge a person's click."""
        ...

    async def plans(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return plans, oldest first; of one incident, or all."""
        ...

    async def wait_changed(self, after_seq: int) -> int:
        """Wait until a transition with a higher seq exists; return the newest seq."""
        ...


class Executor(Protocol):
    """Carries approved plans out, across crashes."""

    async def run(self) -> None:
        """Reconcile what a crash left, then execute, verify and expire until cancelled."""
        ...
