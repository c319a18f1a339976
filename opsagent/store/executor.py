"""The executor's state in its own SQLite file: plans, their transitions, people's clicks, intents before writes.

Theory of operation. A plan's body never changes after it was stored. Its life is the append-only table
``transitions``, one row per move, gapless over all plans; ``plans.state`` repeats the last one, so that
a move can be a compare-and-set in the transaction that appends it. Every move is checked against the
guard's life cycle here, where it becomes durable, whoever asked for it. What belongs to a move (the
intent, the outcome, the click) is stored in the same transaction, with every commit synced to the disk.

It refuses to forget: nothing is deleted. It keeps no token, and of clicks that do not count only the
first hundred per plan, the rest as a number.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from opsagent.guard.lifecycle import ENDED, may_move
from opsagent.guard.plan import proposal_key
from opsagent.model.canonical import instant
from opsagent.model.plan import Outcome, Plan, PlanRecord, PlanState, Proposal, Transition
from opsagent.ports import Approval, Intent, Move
from opsagent.store.codec import Codec
from opsagent.store.database import Database
from opsagent.store.schema import Migrations, Schema

RECORDS_MAX = 1000
CLICKS_PER_PLAN_MAX = 100
REASON_CHARACTERS_MAX = 1000

_PLAN = Codec(Plan)
_OUTCOME = Codec(Outcome)
_INTENT = Codec(Intent)
_APPROVAL = Codec(Approval)

MIGRATIONS = Migrations("executor")


@MIGRATIONS()
def m001_plans(db: Schema) -> None:
    """Create all tables."""
    db.execute(
        """CREATE TABLE plans (
            number INTEGER PRIMARY KEY, plan_id TEXT NOT NULL UNIQUE, ask TEXT NOT NULL,
            incident_id TEXT NOT NULL, state TEXT NOT NULL, is_open INTEGER NOT NULL,
            moved_at TEXT NOT NULL, body TEXT NOT NULL, intent TEXT, outcome TEXT,
            clicks_dropped INTEGER NOT NULL DEFAULT 0
        ) STRICT"""
    )
    db.execute("CREATE INDEX plans_by_ask ON plans (ask)")
    db.execute("CREATE INDEX plans_by_incident ON plans (incident_id)")
    db.execute("CREATE INDEX plans_by_activity ON plans (is_open, moved_at)")
    db.execute(
        """CREATE TABLE transitions (
            seq INTEGER PRIMARY KEY, at TEXT NOT NULL,
            plan_id TEXT NOT NULL REFERENCES plans (plan_id),
            state TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL
        ) STRICT"""
    )
    db.execute("CREATE INDEX transitions_by_plan ON transitions (plan_id, seq)")
    db.execute(
        """CREATE TABLE approvals (
            number INTEGER PRIMARY KEY, plan_id TEXT NOT NULL REFERENCES plans (plan_id),
            is_accepted INTEGER NOT NULL, body TEXT NOT NULL
        ) STRICT"""
    )
    db.execute("CREATE INDEX approvals_by_plan ON approvals (plan_id, number)")
    # The first decision wins, also if a program error ever let a second one through.
    db.execute("CREATE UNIQUE INDEX approvals_decided ON approvals (plan_id) WHERE is_accepted = 1")


class ExecutorStore:
    """``ports.PlanStore`` over one file. Make it with :meth:`open`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "ExecutorStore":
        """Open the file, bring its schema up to date and keep every other writer out.

        Raises:
            Terminal: it is open elsewhere, corrupt or not writable.
        """
        return cls(await Database.open(path, MIGRATIONS, synchronous="FULL"))

    async def add(self, plan: Plan, moves: Sequence[Move]) -> PlanRecord:
        """Store a new plan and its first moves, or return the plan that is there for the same ask."""
        ask = proposal_key(plan.proposal)

        def write(db: sqlite3.Connection) -> PlanRecord:
            there = db.execute(
                "SELECT plan_id FROM plans WHERE plan_id = ? OR (ask = ? AND is_open = 1)",
                (plan.plan_id, ask),
            ).fetchone()
            if there is None:
                _insert(db, plan, ask, moves)
            return _record(db, there[0] if there else plan.plan_id)

        return await self._database.write(write)

    async def move(
        self,
        plan_id: str,
        from_state: PlanState,
        move: Move,
        *,
        intent: Intent | None = None,
        outcome: Outcome | None = None,
    ) -> bool:
        """Move the plan if it still is in ``from_state``; return whether it was.

        Raises:
            ValueError: the life cycle has no such move.
        """

        def write(db: sqlite3.Connection) -> bool:
            if not _move(db, plan_id, from_state, move):
                return False
            if intent is not None:
                body = _INTENT.encode(intent)
                db.execute("UPDATE plans SET intent = ? WHERE plan_id = ?", (body, plan_id))
            if outcome is not None:
                body = _OUTCOME.encode(outcome)
                db.execute("UPDATE plans SET outcome = ? WHERE plan_id = ?", (body, plan_id))
            return True

        return await self._database.write(write)

    async def decide(self, approval: Approval, move: Move) -> bool:
        """Store the deciding click with its move; if the plan is no longer pending, store neither and return False."""

        def write(db: sqlite3.Connection) -> bool:
            if not _move(db, approval.plan_id, PlanState.PENDING, move):
                return False
            _insert_approval(db, approval)
            return True

        return await self._database.write(write)

    async def note(self, approval: Approval) -> None:
        """Store a click that did not count, or count it if the plan has too many."""

        def write(db: sqlite3.Connection) -> None:
            query = "SELECT count(*) FROM approvals WHERE plan_id = ? AND is_accepted = 0"
            stored: int = db.execute(query, (approval.plan_id,)).fetchone()[0]
            if stored < CLICKS_PER_PLAN_MAX:
                _insert_approval(db, approval)
                return
            db.execute(
                "UPDATE plans SET clicks_dropped = clicks_dropped + 1 WHERE plan_id = ?",
                (approval.plan_id,),
            )

        await self._database.write(write)

    async def clicks_dropped(self, plan_id: str) -> int:
        """Return how many clicks on the plan were counted and not kept."""

        def read(db: sqlite3.Connection) -> int:
            query = "SELECT coalesce(sum(clicks_dropped), 0) FROM plans WHERE plan_id = ?"
            count: int = db.execute(query, (plan_id,)).fetchone()[0]
            return count

        return await self._database.read(read)

    async def record(self, plan_id: str) -> PlanRecord | None:
        """Return one plan."""
        found = await self._select("SELECT plan_id FROM plans WHERE plan_id = ?", (plan_id,))
        return found[0] if found else None

    async def records(self, incident_id: str = "") -> tuple[PlanRecord, ...]:
        """Return the newest 1000 plans, oldest first; of one incident, or of all."""
        query = """SELECT plan_id FROM plans WHERE ? IN ('', incident_id)
            ORDER BY number DESC LIMIT ?"""
        return tuple(reversed(await self._select(query, (incident_id, RECORDS_MAX))))

    async def asked(self, proposal: Proposal) -> tuple[PlanRecord, ...]:
        """Return every plan for the same incident and action, oldest first."""
        query = "SELECT plan_id FROM plans WHERE ask = ? ORDER BY number"
        return await self._select(query, (proposal_key(proposal),))

    async def active(self, since: dt.datetime) -> tuple[PlanRecord, ...]:
        """Return the plans that are open or moved at or after ``since``, oldest first."""
        query = "SELECT plan_id FROM plans WHERE is_open = 1 OR moved_at >= ? ORDER BY number"
        return await self._select(query, (instant(since),))

    async def approval(self, plan_id: str) -> Approval | None:
        """Return the click that decided, None if none did."""
        return next((item for item in await self.approvals(plan_id) if item.is_accepted), None)

    async def approvals(self, plan_id: str) -> tuple[Approval, ...]:
        """Return every stored click on the plan, oldest first."""

        def read(db: sqlite3.Connection) -> tuple[Approval, ...]:
            query = "SELECT body FROM approvals WHERE plan_id = ? ORDER BY number"
            return tuple(_APPROVAL.decode(row[0]) for row in db.execute(query, (plan_id,)))

        return await self._database.read(read)

    async def intent(self, plan_id: str) -> Intent | None:
        """Return what was last about to be written, None if the plan was never armed."""

        def read(db: sqlite3.Connection) -> Intent | None:
            query = "SELECT intent FROM plans WHERE plan_id = ? AND intent IS NOT NULL"
            row = db.execute(query, (plan_id,)).fetchone()
            return row and _INTENT.decode(row[0])

        return await self._database.read(read)

    async def newest_seq(self) -> int:
        """Return the seq of the newest transition, 0 if there is none."""

        def read(db: sqlite3.Connection) -> int:
            seq: int = db.execute("SELECT coalesce(max(seq), 0) FROM transitions").fetchone()[0]
            return seq

        return await self._database.read(read)

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock."""
        await self._database.aclose()

    async def _select(self, query: str, parameters: Iterable[object]) -> tuple[PlanRecord, ...]:
        """Return the records of the plan ids that ``query`` selects, in its order."""

        def read(db: sqlite3.Connection) -> tuple[PlanRecord, ...]:
            plan_ids = db.execute(query, tuple(parameters)).fetchall()
            return tuple(_record(db, row[0]) for row in plan_ids)

        return await self._database.read(read)


def _insert(db: sqlite3.Connection, plan: Plan, ask: str, moves: Sequence[Move]) -> None:
    first, *others = moves
    db.execute(
        """INSERT INTO plans (plan_id, ask, incident_id, state, is_open, moved_at, body)
            VALUES (?, ?, ?, ?, 1, ?, ?)""",
        (
            plan.plan_id,
            ask,
            plan.proposal.incident_id,
            first.state.value,
            instant(first.at),
            _PLAN.encode(plan),
        ),
    )
    _append(db, plan.plan_id, first)
    state = first.state
    for move in others:
        _move(db, plan.plan_id, state, move)
        state = move.state


def _move(db: sqlite3.Connection, plan_id: str, from_state: PlanState, move: Move) -> bool:
    if not may_move(from_state, move.state):
        raise ValueError(f"a plan cannot go from {from_state} to {move.state}")
    changed = db.execute(
        "UPDATE plans SET state = ?, is_open = ?, moved_at = ? WHERE plan_id = ? AND state = ?",
        (
            move.state.value,
            move.state not in ENDED,
            instant(move.at),
            plan_id,
            from_state.value,
        ),
    ).rowcount
    if changed:
        _append(db, plan_id, move)
    return bool(changed)


def _append(db: sqlite3.Connection, plan_id: str, move: Move) -> None:
    # Nothing is ever deleted and there is one writer, so the next row number has no gap before it.
    db.execute(
        "INSERT INTO transitions (at, plan_id, state, actor, reason) VALUES (?, ?, ?, ?, ?)",
        (
            instant(move.at),
            plan_id,
            move.state.value,
            move.actor,
            move.reason[:REASON_CHARACTERS_MAX],
        ),
    )


def _insert_approval(db: sqlite3.Connection, approval: Approval) -> None:
    db.execute(
        "INSERT INTO approvals (plan_id, is_accepted, body) VALUES (?, ?, ?)",
        (approval.plan_id, approval.is_accepted, _APPROVAL.encode(approval)),
    )


def _record(db: sqlite3.Connection, plan_id: str) -> PlanRecord:
    body, outcome = db.execute(
        "SELECT body, outcome FROM plans WHERE plan_id = ?", (plan_id,)
    ).fetchone()
    rows = db.execute(
        "SELECT seq, at, state, actor, reason FROM transitions WHERE plan_id = ? ORDER BY seq",
        (plan_id,),
    )
    transitions = tuple(
        Transition(seq, dt.datetime.fromisoformat(at), plan_id, PlanState(state), actor, reason)
        for seq, at, state, actor, reason in rows
    )
    return PlanRecord(
        _PLAN.decode(body), transitions, None if outcome is None else _OUTCOME.decode(outcome)
    )
