"""An approved plan is written once, if everything still holds; otherwise not at all, and it says why."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest

from opsagent.guard.policy import Level, Limits
from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.plan import PlanRecord, PlanState, RolloutUndo
from opsagent.ports import Conflict, Forbidden, ListPage, Move, NotFound, Terminal, Transient
from tests.fakes.deployments import FakeCluster, template
from tests.fakes.executor import Bench, approved_to_the_end, click, states, until
from tests.fakes.plans import POLICY, PROPOSAL, proposal
from tests.fakes.virtual_time import run

TO_APPROVED = ["proposed", "validated", "dry_run", "diffed", "pending", "approved"]


def carried_out(bench: Bench, before_click: Callable[[Bench], None] = lambda _: None) -> PlanRecord:
    async def main() -> PlanRecord:
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            before_click(bench)
            await click(life.desk, record.plan)
            return await until(life.desk)

    return run(main())


def test_an_approved_plan_is_written_once_verified_and_done(tmp_path):
    bench = Bench(tmp_path)
    record = carried_out(bench)
    assert states(record) == [*TO_APPROVED, "armed", "sent", "verifying", "succeeded"]
    assert [item.seq for item in record.transitions] == list(range(1, 11))
    assert [(item.name, item.action_id, item.image) for item in bench.cluster.effects] == [
        ("cart", record.plan.plan_id, "shop/cart:v1")
    ]
    assert record.outcome.verdict == "passed"
    window = record.transitions[-1].at - record.transitions[-2].at
    assert window == dt.timedelta(seconds=120)


def test_without_approval_nothing_is_written(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            await life.desk.submit(PROPOSAL)
            assert (await until(life.desk)).state is PlanState.EXPIRED
        assert bench.cluster.effects == []
        assert "write" not in bench.cluster.calls

    run(main())


def test_a_status_that_moved_does_not_void_the_approval(tmp_path):
    bench = Bench(tmp_path)
    assert carried_out(bench, lambda b: b.cluster.touch_status()).state is PlanState.SUCCEEDED


def other_template(bench: Bench) -> None:
    bench.cluster.edit("shop/cart:v3")


def same_revision_other_secret(bench: Bench) -> None:
    bench.cluster.cart.revisions[1] = template("cart", "shop/cart:v1", KEY="stolen")


def created_anew(bench: Bench) -> None:
    bench.cluster.cart.uid = "other"


def gone(bench: Bench) -> None:
    del bench.cluster.deployments["cart"]


def right_lost(bench: Bench) -> None:
    """Alice may approve at the click and not any more when it is carried out."""
    may_approve = bench.reviewer.may_approve

    async def once(*arguments: object) -> bool:
        answer = await may_approve(*arguments)
        bench.reviewer.approvers.clear()
        return answer

    bench.reviewer.may_approve = once


def protected(bench: Bench) -> None:
    bench.cluster.cart.labels["opsagent.io/protect"] = ""


def dry_run_refused(bench: Bench) -> None:
    bench.cluster.will("dry_run", Terminal("a webhook says no"))


def write_refused(bench: Bench) -> None:
    bench.cluster.will("write", Terminal("invalid"))


def write_forbidden(bench: Bench) -> None:
    bench.cluster.will("write", Forbidden("no"))


def unreadable_neighbours(bench: Bench) -> None:
    bench.cluster.will("list_Deployment", Forbidden("no"))


def malformed_neighbours(bench: Bench) -> None:
    bench.cluster.malformed[Kind.DEPLOYMENT] = 1


def endless_neighbours(bench: Bench) -> None:
    async def list_page(*_: object, **__: object) -> ListPage:
        return ListPage((), "1", "more")

    bench.cluster.list_page = list_page


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (other_template, "template was changed"),
        (same_revision_other_secret, "no longer be the one that was shown"),
        (created_anew, "uid is another one"),
        (gone, "is not known"),
        (right_lost, "alice has lost the right"),
        (protected, "target.protected"),
        (dry_run_refused, "a webhook says no"),
        (unreadable_neighbours, "neighbours cannot be read"),
        (malformed_neighbours, "neighbours cannot be read"),
        (endless_neighbours, "neighbours cannot be read"),
        (write_refused, "refused the write: invalid"),
        (write_forbidden, "refused the write: no"),
    ],
)
def test_what_no_longer_holds_voids_the_approval(tmp_path, trouble, reason):
    bench = Bench(tmp_path)
    record = carried_out(bench, trouble)
    assert record.state is PlanState.INVALIDATED
    assert reason in record.transitions[-1].reason
    assert bench.cluster.effects == []


def restarted(tmp_path, policy) -> PlanRecord:
    """Approve, crash before anything is done, come back under ``policy``."""

    async def main() -> PlanRecord:
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            bench.cluster.will("get", *[Transient("down")] * 99)
            await click(life.desk, record.plan)
        bench.cluster.troubles.clear()
        bench.policy = policy
        async with bench.life() as life:
            record = await until(life.desk)
        assert bench.cluster.effects == []
        return record

    return run(main())


@pytest.mark.parametrize(
    "policy",
    [
        dataclasses.replace(POLICY, is_frozen=True),
        dataclasses.replace(POLICY, level=Level.OBSERVE),
        dataclasses.replace(POLICY, approval_ttl_seconds=901),
    ],
)
def test_an_approval_under_another_policy_is_void(tmp_path, policy):
    record = restarted(tmp_path, policy)
    assert record.state is PlanState.INVALIDATED
    assert "policy is another one" in record.transitions[-1].reason


def test_a_plan_that_was_tampered_with_on_disk_is_void(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            bench.cluster.will("get", *[Transient("down")] * 99)
            await click(life.desk, record.plan)
            await life.store._database.write(
                lambda db: db.execute("UPDATE plans SET body = replace(body, 'shop', 'bank')")
            )
            record = await until(life.desk)
        assert record.state is PlanState.INVALIDATED
        assert "not the one that was hashed" in record.transitions[-1].reason
        assert bench.cluster.effects == []

    run(main())


def test_an_approved_state_without_a_click_is_not_enough(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            await life.desk.submit(PROPOSAL)
            await life.store._database.write(
                lambda db: db.execute("UPDATE plans SET state = 'approved'")
            )
            await life.store._database.write(
                lambda db: db.execute(
                    "INSERT INTO transitions (at, plan_id, state, actor, reason)"
                    " SELECT at, plan_id, 'approved', 'mallory', '' FROM transitions LIMIT 1"
                )
            )
        async with bench.life() as life:
            record = await until(life.desk)
        assert record.state is PlanState.INVALIDATED
        assert "nobody approved" in record.transitions[-1].reason
        assert bench.cluster.effects == []

    run(main())


def test_troubles_that_pass_are_waited_for(tmp_path):
    bench = Bench(tmp_path)

    def down(target: Bench) -> None:
        for method in ("read_deployment", "get", "dry_run", "list_Deployment"):
            target.cluster.will(method, Transient("down"), Transient("down"))

    assert carried_out(bench, down).state is PlanState.SUCCEEDED
    assert len(bench.cluster.effects) == 1


def test_an_approval_expires_also_while_it_waits_for_the_cluster(tmp_path):
    bench = Bench(tmp_path)
    record = carried_out(bench, lambda b: b.cluster.will("get", *[Transient("down")] * 999))
    assert record.state is PlanState.EXPIRED
    late = record.transitions[-1].at - record.plan.expires_at
    assert late <= dt.timedelta(seconds=1)
    assert bench.cluster.effects == []


def test_a_plan_that_expires_during_its_last_checks_is_not_written(tmp_path):
    bench = Bench(tmp_path)

    def late(target: Bench) -> None:
        def leap(method: str) -> None:
            if method == "list_Deployment":
                target.cluster.clock.skew = dt.timedelta(hours=1)

        target.cluster.on_call = leap

    assert carried_out(bench, late).state is PlanState.EXPIRED
    assert bench.cluster.effects == []


@pytest.mark.parametrize("conflicts", [1, 2])
def test_a_conflict_goes_back_to_all_checks(tmp_path, conflicts):
    bench = Bench(tmp_path)
    record = carried_out(bench, lambda b: b.cluster.will("write", *[Conflict("moved")] * conflicts))
    assert states(record) == [
        *TO_APPROVED,
        *["armed", "approved"] * conflicts,
        *["armed", "sent", "verifying", "succeeded"],
    ]
    assert len(bench.cluster.effects) == 1


def test_the_third_conflict_ends_the_plan(tmp_path):
    bench = Bench(tmp_path)
    record = carried_out(bench, lambda b: b.cluster.will("write", *[Conflict("moved")] * 3))
    assert states(record)[-2:] == ["armed", "invalidated"]
    assert bench.cluster.effects == []


def test_somebody_else_who_writes_between_look_and_write_wins(tmp_path):
    bench = Bench(tmp_path)

    def race(target: Bench) -> None:
        def edit(method: str) -> None:
            if method == "write":
                target.cluster.edit("shop/cart:v3")

        target.cluster.on_call = edit

    record = carried_out(bench, race)
    assert record.state is PlanState.INVALIDATED
    assert "template was changed" in record.transitions[-1].reason
    assert bench.cluster.effects == []


def test_a_lost_answer_is_settled_by_the_mark(tmp_path):
    bench = Bench(tmp_path)
    record = carried_out(bench, lambda b: b.cluster.will("write", Transient("reset"), is_late=True))
    assert states(record) == [*TO_APPROVED, "armed", "sent", "verifying", "succeeded"]
    assert len(bench.cluster.effects) == 1
    assert bench.cluster.calls.count("write") == 1


def test_a_write_that_did_not_arrive_is_written_again_after_some_seconds(tmp_path):
    bench = Bench(tmp_path)
    record = carried_out(bench, lambda b: b.cluster.will("write", Transient("refused")))
    assert states(record)[6:] == ["armed", "approved", "armed", "sent", "verifying", "succeeded"]
    armed, back = record.transitions[6:8]
    assert back.at - armed.at >= dt.timedelta(seconds=5)
    assert len(bench.cluster.effects) == 1


@pytest.mark.parametrize("method", ["get", "list_Deployment", "dry_run", "write"])
def test_a_write_that_arrives_late_is_found_and_not_repeated(tmp_path, method):
    """The connection broke, five seconds later the object was still untouched, then the write landed."""
    bench = Bench(tmp_path)
    cluster = bench.cluster

    def land_late(called: str) -> None:
        if called == method and cluster.calls.count("write") == (2 if method == "write" else 1):
            cluster.on_call = lambda _: None
            cluster.land(late[0])

    async def main() -> PlanRecord:
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            late.append(plan.plan_id)
            cluster.will("write", Transient("reset"))
            cluster.on_call = land_late
            await click(life.desk, plan)
            return await until(life.desk)

    late: list[str] = []
    record = run(main())
    assert states(record)[6:10] == ["armed", "approved", "armed", "sent"] or (
        states(record)[6:12] == ["armed", "approved", "armed", "approved", "armed", "sent"]
    )
    assert record.state is PlanState.SUCCEEDED
    assert len(cluster.effects) == 1


def edited(cluster: FakeCluster) -> None:
    cluster.edit("shop/cart:v3")


def annotated(cluster: FakeCluster) -> None:
    cluster.cart.generation += 1


def deleted(cluster: FakeCluster) -> None:
    del cluster.deployments["cart"]


@pytest.mark.parametrize("change", [edited, annotated, deleted])
def test_a_lost_answer_on_an_object_that_moved_is_for_a_person(tmp_path, change):
    """Whether our write came before theirs cannot be told, so it is not repeated."""
    bench = Bench(tmp_path)

    def lose(target: Bench) -> None:
        target.cluster.will("write", Transient("reset"))

        def move(method: str) -> None:
            if method == "read_deployment" and "write" in target.cluster.calls:
                target.cluster.on_call = lambda _: None
                change(target.cluster)

        target.cluster.on_call = move

    record = carried_out(bench, lose)
    assert states(record)[-2:] == ["armed", "unknown"]
    assert bench.cluster.effects == []


def test_the_settling_read_may_be_troubled_too(tmp_path):
    bench = Bench(tmp_path)

    def down(target: Bench) -> None:
        target.cluster.will("write", Transient("reset"), is_late=True)

        def fail(method: str) -> None:
            if method == "write":
                target.cluster.will("read_deployment", Transient("down"), Transient("down"))

        target.cluster.on_call = fail

    assert carried_out(bench, down).state is PlanState.SUCCEEDED
    assert len(bench.cluster.effects) == 1


def test_two_plans_approved_at_once_do_not_overrun_a_limit(tmp_path):
    """Checks and writes are done one after another, so the second plan sees the first one's effect."""

    async def main():
        limits = dataclasses.replace(Limits(), per_namespace_per_hour_max=1)
        bench = Bench(tmp_path, policy=dataclasses.replace(POLICY, limits=limits))
        pay = bench.cluster.deployments["pay"]
        old = pay.template
        pay.template = template("pay", "shop/pay:v2")
        pay.revisions = {1: old, 2: pay.template}
        other = proposal(
            action=RolloutUndo(Ref(Entity(Kind.DEPLOYMENT, "shop", "pay"), pay.uid), 1)
        )
        async with bench.life() as life:
            first = await life.desk.submit(PROPOSAL)
            second = await life.desk.submit(other)
            async with asyncio.TaskGroup() as group:
                group.create_task(click(life.desk, first.plan))
                group.create_task(click(life.desk, second.plan, "bob"))
            await asyncio.sleep(400)
            ended = {item.state for item in await life.desk.plans()}
        assert ended == {PlanState.SUCCEEDED, PlanState.INVALIDATED}
        assert len(bench.cluster.effects) == 1

    run(main())


def test_a_quiet_executor_does_nothing_for_days(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            await approved_to_the_end(life.desk)
            calls = len(bench.cluster.calls)
            await asyncio.sleep(3 * 86_400)
            assert len(bench.cluster.calls) == calls

    run(main())


def test_a_plan_that_was_armed_once_is_not_void_before_its_mark_was_looked_for(tmp_path):
    """The object cannot be read at that look: then nothing of ours is on it, as far as anybody can tell."""
    bench = Bench(tmp_path)

    def lose(target: Bench) -> None:
        def fail(method: str) -> None:
            if method == "write":
                target.cluster.will("write", Conflict("moved"))
                target.cluster.will("read_deployment", NotFound("gone"), NotFound("gone"))

        target.cluster.on_call = fail

    record = carried_out(bench, lose)
    assert states(record)[-3:] == ["armed", "approved", "invalidated"]
    assert bench.cluster.effects == []


def test_a_plan_that_is_cancelled_during_its_last_check_is_not_written(tmp_path):
    """No part of this slice cancels, but the write must not depend on that."""

    async def main() -> PlanRecord:
        bench = Bench(tmp_path)
        list_page = bench.cluster.list_page
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan

            async def cancelling(*arguments: object, **more: object) -> ListPage:
                move = Move(bench.cluster.clock.now(), PlanState.CANCELLED, "bob", "stop")
                await life.store.move(plan.plan_id, PlanState.APPROVED, move)
                return await list_page(*arguments, **more)

            bench.cluster.list_page = cancelling
            await click(life.desk, plan)
            await asyncio.sleep(300)
            assert bench.cluster.effects == []
            return (await life.desk.plans())[0]

    assert run(main()).state is PlanState.CANCELLED
