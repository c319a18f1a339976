"""What was written is watched to the end of its window, and taken back if it did not help."""

import asyncio
import datetime as dt
from collections.abc import Callable

import pytest

from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.plan import PlanRecord, PlanState, RolloutUndo
from opsagent.ports import Conflict, Forbidden, Gone, NotFound, Terminal, Transient
from tests.fakes.executor import Bench, approved_to_the_end, click, states, until
from tests.fakes.plans import PROPOSAL, proposal
from tests.fakes.virtual_time import run

INVERSE = "shop/cart:v2"


def watched(bench: Bench, after_write: Callable[[Bench], None]) -> PlanRecord:
    """Carry the plan out; ``after_write`` changes the world when verification begins."""

    async def main() -> PlanRecord:
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            await click(life.desk, plan)
            await until(life.desk, lambda item: item.state is PlanState.VERIFYING)
            after_write(bench)
            return await until(life.desk)

    return run(main())


def images(bench: Bench) -> list[str]:
    return [item.image for item in bench.cluster.effects]


def still_sick(bench: Bench) -> None:
    bench.cluster.sick_images.add("shop/cart:v1")


def neighbour_lost(bench: Bench) -> None:
    bench.cluster.deployments["pay"].ready = 1


def blind(bench: Bench) -> None:
    bench.cluster.will("list_Pod", *[Transient("down")] * 99)


def blind_to_the_target(bench: Bench) -> None:
    bench.cluster.will("read_deployment", *[Transient("down")] * 12)


def blind_to_neighbours(bench: Bench) -> None:
    bench.cluster.will("list_Deployment", *[Gone("410")] * 99)


def malformed_pods(bench: Bench) -> None:
    bench.cluster.malformed[Kind.POD] = 1


@pytest.mark.parametrize(
    ("trouble", "verdict", "reason"),
    [
        (still_sick, "failed", "still there: ContainerCrashLooping"),
        (neighbour_lost, "failed", "less ready than before: pay"),
        (blind, "unknown", "symptoms could not be measured"),
        (malformed_pods, "unknown", "symptoms could not be measured"),
        (blind_to_the_target, "unknown", "target could not be read"),
        (blind_to_neighbours, "unknown", "neighbours could not be read"),
    ],
)
def test_what_did_not_help_or_cannot_be_measured_is_taken_back(tmp_path, trouble, verdict, reason):
    bench = Bench(tmp_path)
    record = watched(bench, trouble)
    assert states(record)[-3:] == ["verifying", "rolling_back", "rolled_back"]
    assert record.outcome.verdict == verdict
    assert any(reason in text for text in record.outcome.reasons)
    assert images(bench) == ["shop/cart:v1", INVERSE]
    assert bench.cluster.effects[1].action_id == f"{record.plan.plan_id}-rollback"


def test_a_failure_is_judged_at_the_end_of_the_window_and_the_unknown_one_window_later(tmp_path):
    for trouble, seconds in ((still_sick, 120), (blind, 240)):
        path = tmp_path / trouble.__name__
        record = watched(Bench(path), trouble)
        began, judged = record.transitions[-3].at, record.transitions[-2].at
        assert judged - began == dt.timedelta(seconds=seconds)


def test_a_short_blindness_is_no_harm(tmp_path):
    bench = Bench(tmp_path)
    record = watched(bench, lambda b: b.cluster.will("list_Pod", *[Transient("down")] * 3))
    assert record.state is PlanState.SUCCEEDED


def test_a_neighbour_that_was_sick_before_is_not_our_doing(tmp_path):
    bench = Bench(tmp_path)
    bench.cluster.deployments["pay"].ready = 1
    assert watched(bench, lambda _: None).state is PlanState.SUCCEEDED


def test_a_namespace_of_many_pages_is_read_to_its_end(tmp_path):
    bench = Bench(tmp_path)
    bench.cluster.page_size = 1
    assert watched(bench, lambda _: None).state is PlanState.SUCCEEDED


def test_nobody_elses_write_is_overwritten(tmp_path):
    bench = Bench(tmp_path)
    record = watched(bench, lambda b: b.cluster.edit("shop/cart:v9"))
    assert states(record)[-2:] == ["rolling_back", "rollback_failed"]
    assert "somebody else wrote after us" in record.transitions[-1].reason
    assert images(bench) == ["shop/cart:v1"]
    assert bench.cluster.cart.template["spec"]["containers"][0]["image"] == "shop/cart:v9"


def on_rollback(bench: Bench, change: Callable[[], None]) -> None:
    """Fail the verification; call ``change`` when the rollback writes."""

    def watch(method: str) -> None:
        if method == "write":
            bench.cluster.on_call = lambda _: None
            change()

    still_sick(bench)
    bench.cluster.on_call = watch


def test_somebody_who_writes_during_the_rollback_wins(tmp_path):
    bench = Bench(tmp_path)
    edit = lambda: bench.cluster.edit("shop/cart:v9")  # noqa: E731 - reads better in place
    record = watched(bench, lambda b: on_rollback(b, edit))
    assert record.state is PlanState.ROLLBACK_FAILED
    assert images(bench) == ["shop/cart:v1"]


@pytest.mark.parametrize(
    ("error", "is_late"),
    [(Transient("reset"), False), (Transient("reset"), True), (Conflict("moved"), False)],
)
def test_a_troubled_rollback_is_tried_again_and_written_once(tmp_path, error, is_late):
    bench = Bench(tmp_path)
    record = watched(
        bench, lambda b: (still_sick(b), b.cluster.will("write", error, is_late=is_late))
    )
    assert record.state is PlanState.ROLLED_BACK
    assert images(bench) == ["shop/cart:v1", INVERSE]


@pytest.mark.parametrize("error", [Terminal("invalid"), Forbidden("no"), NotFound("gone")])
def test_a_refused_rollback_is_for_a_person(tmp_path, error):
    bench = Bench(tmp_path)
    record = watched(bench, lambda b: (still_sick(b), b.cluster.will("write", error)))
    assert record.state is PlanState.ROLLBACK_FAILED
    assert str(error) in record.transitions[-1].reason


def test_a_template_that_the_server_changes_on_the_way_back_is_for_a_person(tmp_path):
    bench = Bench(tmp_path)

    def inject(item: dict) -> None:
        item["spec"]["template"]["metadata"]["labels"]["injected"] = "yes"

    record = watched(
        bench,
        lambda b: on_rollback(b, lambda: setattr(b.cluster, "admission", inject)),
    )
    assert record.state is PlanState.ROLLBACK_FAILED
    assert "did not keep the old template" in record.transitions[-1].reason


@pytest.mark.parametrize("at", [5, 60, 119])
def test_a_restart_does_not_prolong_the_window(tmp_path, at):
    async def main() -> PlanRecord:
        bench = Bench(tmp_path)
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            await click(life.desk, plan)
            await until(life.desk, lambda item: item.state is PlanState.VERIFYING)
            await asyncio.sleep(at)
        async with bench.life() as life:
            return await until(life.desk)

    record = run(main())
    assert record.state is PlanState.SUCCEEDED
    length = record.transitions[-1].at - record.transitions[-2].at
    # The end is where it was, or where the samples that must be good have been taken anew.
    assert dt.timedelta(seconds=120) <= length <= dt.timedelta(seconds=max(140, at + 60))


def test_a_long_absence_is_followed_by_fresh_samples_not_by_a_guess(tmp_path):
    async def main() -> tuple[Bench, PlanRecord]:
        bench = Bench(tmp_path)
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            await click(life.desk, plan)
            await until(life.desk, lambda item: item.state is PlanState.VERIFYING)
        await asyncio.sleep(3600)
        async with bench.life() as life:
            return bench, await until(life.desk)

    bench, record = run(main())
    assert record.state is PlanState.SUCCEEDED
    assert images(bench) == ["shop/cart:v1"]


@pytest.mark.parametrize("skew", [dt.timedelta(days=-10), dt.timedelta(days=10)])
def test_a_wall_clock_that_jumps_changes_no_verdict(tmp_path, skew):
    async def main() -> PlanRecord:
        bench = Bench(tmp_path)
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            await click(life.desk, plan)
            await until(life.desk, lambda item: item.state is PlanState.VERIFYING)
            bench.cluster.clock.skew = skew
            await asyncio.sleep(121)
            return (await life.desk.plans())[0]

    assert run(main()).state is PlanState.SUCCEEDED


@pytest.mark.parametrize("skew", [dt.timedelta(days=-10), dt.timedelta(days=10)])
def test_a_wall_clock_that_jumped_while_nobody_ran_costs_at_most_one_window(tmp_path, skew):
    async def main() -> PlanRecord:
        bench = Bench(tmp_path)
        async with bench.life() as life:
            plan = (await life.desk.submit(PROPOSAL)).plan
            await click(life.desk, plan)
            await until(life.desk, lambda item: item.state is PlanState.VERIFYING)
        bench.cluster.clock.skew = skew
        async with bench.life() as life:
            await asyncio.sleep(121)
            return (await life.desk.plans())[0]

    assert run(main()).state is PlanState.SUCCEEDED


def test_several_effects_are_watched_at_the_same_time(tmp_path):
    """A second plan does not wait for the first one's window."""

    async def main() -> None:
        bench = Bench(tmp_path)
        bench.cluster.edit("shop/pay:v2", "pay")
        other = proposal(
            action=RolloutUndo(Ref(Entity(Kind.DEPLOYMENT, "shop", "pay"), "uid-pay"), 1)
        )
        async with bench.life() as life:
            for asked in (PROPOSAL, other):
                await click(life.desk, (await life.desk.submit(asked)).plan)
            await asyncio.sleep(1)
            states_now = [item.state for item in await life.desk.plans()]
            assert states_now == [PlanState.VERIFYING] * 2
            await asyncio.sleep(120)
            states_now = [item.state for item in await life.desk.plans()]
            assert states_now == [PlanState.SUCCEEDED] * 2

    run(main())


def test_a_whole_run_is_the_same_every_time(tmp_path):
    def once(name: str) -> list[object]:
        async def main() -> list[object]:
            bench = Bench(tmp_path / name)
            async with bench.life() as life:
                return [await approved_to_the_end(life.desk), bench.cluster.effects]

        return run(main())

    assert once("first") == once("second")
