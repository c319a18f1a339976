"""The executor's file: moves are compare-and-set, audited without a gap, and survive the process."""

import asyncio
import dataclasses
import datetime as dt
import sqlite3

import pytest

from opsagent.guard.plan import plan_id
from opsagent.model.plan import ApprovalVerdict, Outcome, PlanState as S, Verdict
from opsagent.ports import Approval, Identity, Intent, Move, Terminal
from opsagent.store.executor import CLICKS_PER_PLAN_MAX, RECORDS_MAX, ExecutorStore
from tests.fakes.plans import NOW, PROPOSAL, WAY_TO_PENDING, plan, proposal

PLAN = plan()


@pytest.fixture
async def store(tmp_path):
    opened = await ExecutorStore.open(tmp_path / "executor.sqlite")
    yield opened
    await opened.aclose()


def move(state: S, minutes: float = 0) -> Move:
    return Move(NOW + dt.timedelta(minutes=minutes), state, "test", f"to {state}")


def way(*states: S) -> tuple[Move, ...]:
    return tuple(move(state) for state in (states or WAY_TO_PENDING))


def approval(**changes: object) -> Approval:
    base = Approval(
        plan_id=PLAN.plan_id,
        plan_hash=PLAN.plan_hash,
        at=NOW,
        identity=Identity("alice", ("team", "oncall")),
        verdict=ApprovalVerdict.APPROVE,
        is_accepted=True,
        rule="person.decides",
        reason="looks right",
    )
    return dataclasses.replace(base, **changes)


def numbered(number: int, incident_id: str = "inc_1"):
    asked = proposal(incident_id=incident_id, reason=f"number {number}")
    return plan(plan_id=plan_id(asked, number), proposal=asked)


async def test_a_plan_comes_back_as_it_was_stored_also_after_reopening(tmp_path):
    path = tmp_path / "executor.sqlite"
    first = await ExecutorStore.open(path)
    record = await first.add(PLAN, way())
    assert record.plan == PLAN
    assert [(item.seq, item.state) for item in record.transitions] == list(
        enumerate(WAY_TO_PENDING, start=1)
    )
    assert record.transitions[0].at == NOW
    await first.aclose()
    second = await ExecutorStore.open(path)
    assert await second.record(PLAN.plan_id) == record
    assert await second.newest_seq() == 5
    await second.aclose()


async def test_what_is_not_there_is_none_or_nothing(store):
    assert await store.record("pln_x") is None
    assert await store.approval("pln_x") is None
    assert await store.intent("pln_x") is None
    assert await store.approvals("pln_x") == ()
    assert await store.records() == ()
    assert await store.asked(PROPOSAL) == ()
    assert await store.newest_seq() == 0
    assert await store.clicks_dropped("pln_x") == 0
    assert not await store.move("pln_x", S.PENDING, move(S.EXPIRED))


async def test_only_one_plan_is_open_for_the_same_ask(store):
    first = await store.add(PLAN, way())
    second = await store.add(numbered(1), way())
    assert second == first
    await store.move(PLAN.plan_id, S.PENDING, move(S.EXPIRED))
    third = await store.add(numbered(1), way())
    assert third.plan.plan_id != PLAN.plan_id
    assert [item.plan.plan_id for item in await store.asked(PROPOSAL)] == [
        PLAN.plan_id,
        third.plan.plan_id,
    ]


async def test_a_plan_id_that_is_there_is_not_stored_twice(store):
    await store.add(PLAN, way(S.PROPOSED, S.DENIED))
    again = await store.add(PLAN, way())
    assert again.state is S.DENIED
    assert len(await store.records()) == 1


async def test_a_move_happens_once_and_only_from_where_it_was_seen(store):
    await store.add(PLAN, way())
    assert await store.move(PLAN.plan_id, S.PENDING, move(S.EXPIRED))
    assert not await store.move(PLAN.plan_id, S.PENDING, move(S.APPROVED))
    record = await store.record(PLAN.plan_id)
    assert record.state is S.EXPIRED
    assert await store.newest_seq() == 6


async def test_of_many_moves_at_once_one_is_made(store):
    await store.add(PLAN, way())
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(store.decide(approval(identity=Identity(f"p{n}")), move(S.APPROVED)))
            for n in range(50)
        ]
    assert sum(task.result() for task in tasks) == 1
    assert len(await store.approvals(PLAN.plan_id)) == 1


@pytest.mark.parametrize(
    ("from_state", "to_state"),
    [(S.PENDING, S.ARMED), (S.PENDING, S.SENT), (S.APPROVED, S.SENT), (S.DENIED, S.APPROVED)],
)
async def test_a_move_that_the_life_cycle_forbids_is_a_bug_and_writes_nothing(
    store, from_state, to_state
):
    await store.add(PLAN, way())
    with pytest.raises(ValueError, match=f"from {from_state} to {to_state}"):
        await store.move(PLAN.plan_id, from_state, move(to_state))
    with pytest.raises(ValueError, match="cannot go"):
        await store.add(numbered(1, "inc_2"), way(S.PROPOSED, S.SENT))
    assert await store.newest_seq() == 5
    assert len(await store.records()) == 1


async def test_intent_and_outcome_are_stored_with_their_move_or_not_at_all(store):
    await store.add(PLAN, way())
    intent = Intent(generation=7, result_digest="abc", baseline={"pay": 3})
    await store.decide(approval(), move(S.APPROVED))
    assert not await store.move(PLAN.plan_id, S.PENDING, move(S.EXPIRED), intent=intent)
    assert await store.intent(PLAN.plan_id) is None
    assert await store.move(PLAN.plan_id, S.APPROVED, move(S.ARMED), intent=intent)
    assert await store.intent(PLAN.plan_id) == intent
    await store.move(PLAN.plan_id, S.ARMED, move(S.SENT))
    await store.move(PLAN.plan_id, S.SENT, move(S.VERIFYING))
    outcome = Outcome(Verdict.FAILED, ("still there",))
    await store.move(PLAN.plan_id, S.VERIFYING, move(S.ROLLING_BACK), outcome=outcome)
    assert (await store.record(PLAN.plan_id)).outcome == outcome


async def test_the_deciding_click_is_kept_with_who_and_why(store):
    await store.add(PLAN, way())
    await store.note(approval(is_accepted=False, rule="right.missing"))
    assert await store.approval(PLAN.plan_id) is None
    assert await store.decide(approval(), move(S.APPROVED))
    assert not await store.decide(approval(), move(S.APPROVED))
    assert await store.approval(PLAN.plan_id) == approval()
    assert [item.is_accepted for item in await store.approvals(PLAN.plan_id)] == [False, True]


async def test_the_file_itself_takes_only_one_decision(store):
    await store.add(PLAN, way())
    await store.decide(approval(), move(S.APPROVED))
    with pytest.raises(sqlite3.IntegrityError):
        await store.note(approval())


async def test_clicks_that_do_not_count_are_bounded_and_counted(store):
    await store.add(PLAN, way())
    for _ in range(CLICKS_PER_PLAN_MAX + 3):
        await store.note(approval(is_accepted=False))
    assert len(await store.approvals(PLAN.plan_id)) == CLICKS_PER_PLAN_MAX
    assert await store.clicks_dropped(PLAN.plan_id) == 3


async def test_the_limits_see_what_is_open_and_what_moved_lately(store):
    ended = numbered(0, "inc_old")
    await store.add(ended, [move(S.PROPOSED, -1500), move(S.DENIED, -1500)])
    recent = numbered(0, "inc_recent")
    await store.add(recent, [move(S.PROPOSED, -1400), move(S.DENIED, -1400)])
    waiting = numbered(0, "inc_waiting")
    await store.add(
        waiting, [dataclasses.replace(item, at=NOW - dt.timedelta(9)) for item in way()]
    )
    found = await store.active(NOW - dt.timedelta(days=1))
    assert [item.plan.proposal.incident_id for item in found] == ["inc_recent", "inc_waiting"]


async def test_plans_of_one_incident_or_of_all_come_oldest_first(store):
    for number in range(3):
        await store.add(numbered(number, f"inc_{number % 2}"), way(S.PROPOSED, S.DENIED))
    everything = [item.plan.proposal.reason for item in await store.records()]
    assert everything == ["number 0", "number 1", "number 2"]
    assert [item.plan.proposal.reason for item in await store.records("inc_0")] == [
        "number 0",
        "number 2",
    ]


async def test_the_list_of_plans_is_bounded_and_keeps_the_newest(store):
    def fill(db: sqlite3.Connection) -> None:
        db.execute(
            """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
            INSERT INTO plans (plan_id, ask, incident_id, state, is_open, moved_at, body)
            SELECT 'pln_' || i, ask || i, incident_id, state, is_open, moved_at, body
            FROM plans JOIN n WHERE plan_id = ?""",
            (RECORDS_MAX, PLAN.plan_id),
        )

    await store.add(PLAN, way(S.PROPOSED, S.DENIED))
    await store._database.write(fill)
    found = await store.records()
    assert len(found) == RECORDS_MAX
    assert all(item.transitions == () for item in found)  # the first, real one fell out


async def test_a_long_reason_is_cut(store):
    text = "x" * 5000
    record = await store.add(PLAN, [Move(NOW, S.PROPOSED, "test", text)])
    assert record.transitions[0].reason == text[:1000]


async def test_every_commit_is_synced_and_the_file_is_locked(store, tmp_path):
    level = await store._database.write(lambda db: db.execute("PRAGMA synchronous").fetchone()[0])
    assert level == 2
    with pytest.raises(Terminal, match=r"executor\.sqlite is already open"):
        await ExecutorStore.open(tmp_path / "executor.sqlite")
