"""Kill the executor at every point of its way: at most one effect per plan, none unapproved, none too late.

The cluster, the file and the people outlive the process. Points lie before and after every transaction,
every call to the cluster and every question to the API server.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from opsagent.guard.lifecycle import ENDED
from opsagent.model.plan import PlanRecord, PlanState
from tests.fakes.deployments import Crash, Fuse
from tests.fakes.executor import Bench, approved_to_the_end, states, until
from tests.fakes.plans import PROPOSAL
from tests.fakes.virtual_time import run

pytestmark = pytest.mark.timeout(120)
LIVES_MAX = 12


async def lived(bench: Bench, fuse: Fuse, script=approved_to_the_end) -> PlanRecord | None:
    """Run one life; return the ended plan, None if the process died before."""
    try:
        async with bench.life(fuse) as life:
            return await script(life.desk)
    except* Crash:
        pass
    return None


async def lives(bench: Bench, burns_at: list[int], pause_seconds: float = 0.0) -> PlanRecord:
    """Die at each of the given touches in turn, then live on in peace."""
    for point in burns_at:
        record = await lived(bench, Fuse(point))
        if record is not None:
            return record
        await asyncio.sleep(pause_seconds)
    record = await lived(bench, Fuse())
    assert record is not None
    return record


def check(bench: Bench, record: PlanRecord) -> None:
    """Hold the invariants over what is in the cluster and what is in the file."""
    effects = bench.cluster.effects
    own = [item for item in effects if item.action_id == record.plan.plan_id]
    back = [item for item in effects if item.action_id != record.plan.plan_id]
    way = states(record)
    assert len(own) <= 1
    assert len(back) <= len(own)
    assert record.state in ENDED
    assert bool(own) == ("sent" in way)
    for item in own:
        approved = next(row for row in record.transitions if row.state is PlanState.APPROVED)
        assert approved.at <= item.at <= record.plan.expires_at
    assert [row.seq for row in record.transitions] == list(range(1, len(way) + 1))


def points(bench: Bench) -> int:
    """Return how many points a life without a crash has."""
    fuse = Fuse()
    assert run(lived(bench, fuse)) is not None
    return fuse.touched


def test_killed_once_at_every_point_the_plan_still_succeeds_with_one_effect(tmp_path):
    total = points(Bench(tmp_path / "0"))
    assert total > 40
    for point in range(1, total + 1):
        bench = Bench(tmp_path / str(point))
        record = run(lives(bench, [point]))
        check(bench, record)
        assert record.state is PlanState.SUCCEEDED, (point, states(record))
        assert len(bench.cluster.effects) == 1, point


def test_killed_once_at_every_point_of_a_way_back_both_writes_happen_once(tmp_path):
    def sick(path) -> Bench:
        bench = Bench(path)
        bench.cluster.sick_images.add("shop/cart:v1")
        return bench

    total = points(sick(tmp_path / "0"))
    for point in range(1, total + 1):
        bench = sick(tmp_path / str(point))
        record = run(lives(bench, [point]))
        check(bench, record)
        assert record.state is PlanState.ROLLED_BACK, (point, states(record))
        assert [item.image for item in bench.cluster.effects] == ["shop/cart:v1", "shop/cart:v2"]


def test_killed_anywhere_and_down_past_the_expiry_nothing_is_written_after_it(tmp_path):
    total = points(Bench(tmp_path / "0"))
    for point in range(1, total + 1):
        bench = Bench(tmp_path / str(point))
        record = run(lives(bench, [point], pause_seconds=3600.0))
        check(bench, record)


def test_without_a_click_no_crash_ever_leads_to_a_write(tmp_path):
    async def unattended(desk):
        await desk.submit(PROPOSAL)
        return await until(desk)

    async def main(bench: Bench, fuse: Fuse) -> None:
        if await lived(bench, fuse, unattended) is None:
            await lived(bench, Fuse(), unattended)

    whole = Fuse()
    run(main(Bench(tmp_path / "0"), whole))
    assert whole.touched > 8
    for point in range(1, whole.touched + 1):
        bench = Bench(tmp_path / str(point))
        run(main(bench, Fuse(point)))
        assert bench.cluster.effects == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(burns_at=st.lists(st.integers(1, 45), min_size=2, max_size=LIVES_MAX))
def test_killed_again_and_again_at_any_points_nothing_happens_twice(tmp_path_factory, burns_at):
    bench = Bench(tmp_path_factory.mktemp("lives"))
    record = run(lives(bench, burns_at))
    check(bench, record)
    assert record.state is PlanState.SUCCEEDED
