"""Leadership on a Lease: one leader at a time, quick hand-over, no leader without work, no work without the Lease."""

import asyncio
import itertools
from typing import Any

import pytest

from opsagent.clients.kube_lease import KubeLease
from opsagent.ports import Forbidden, NotFound, Terminal
from opsagent.runtime.retry import SystemChance
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.lease_server import LeaseServer
from tests.fakes.virtual_time import LoopClock


def candidate(server: LeaseServer, identity: str, seed: int | None = None) -> KubeLease:
    chance = MiddleChance() if seed is None else SystemChance(seed)
    return KubeLease(
        server,
        namespace="ops",
        name="opsagent",
        identity=identity,
        clock=LoopClock(),
        chance=chance,
    )


def spec(server: LeaseServer) -> dict[str, Any]:
    return server.leases["opsagent"]["spec"]


def now() -> float:
    return asyncio.get_running_loop().time()


class Work:
    """A ``lead`` that notes when it runs."""

    def __init__(self) -> None:
        self.spans: list[list[float]] = []

    async def lead(self) -> None:
        span = [now()]
        self.spans.append(span)
        try:
            await asyncio.sleep(1e9)
        finally:
            span.append(now())


async def run_for(seconds: float, lease: KubeLease, lead: Any) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await lease.run(lead)


def test_the_first_candidate_creates_the_lease_leads_renews_and_releases():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        assert not lease.is_leader
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(95)
            assert lease.is_leader
            assert lease.transitions == 1
            assert spec(server)["holderIdentity"] == "a"
            assert spec(server)["leaseDurationSeconds"] == 30
            assert spec(server)["acquireTime"] == "2026-01-05T00:00:00.010000Z"
            assert spec(server)["renewTime"] > "2026-01-05T00:01:20"
            running.cancel()
        assert server.writes == ["POST a", *["PUT a"] * 9, "PUT "]
        assert not lease.is_leader
        assert len(work.spans) == 1

    virtual_time.run(scenario())


def test_a_released_lease_is_taken_at_once_and_counts_the_change_of_hands():
    async def scenario() -> None:
        server = LeaseServer()
        await run_for(5, candidate(server, "a"), Work().lead)
        second, work = candidate(server, "b"), Work()
        started = now()
        await run_for(5, second, work.lead)
        assert work.spans[0][0] - started < 1
        assert spec(server)["leaseTransitions"] == 2

    virtual_time.run(scenario())


def test_the_lease_of_a_dead_leader_is_taken_after_its_whole_duration_by_our_own_clock():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        await run_for(5, candidate(server, "a"), Work().lead)
        # As a kill leaves it; the stamp, from a clock far in the past, must not matter.
        server.leases["opsagent"]["spec"] |= {
            "holderIdentity": "dead",
            "leaseDurationSeconds": 30,
            "renewTime": "1999-01-01T00:00:00.000000Z",
        }
        started = now()
        await run_for(60, candidate(server, "b"), work.lead)
        assert 30 <= work.spans[0][0] - started <= 33

    virtual_time.run(scenario())


def test_a_restarted_process_of_the_same_name_does_not_wait_for_itself():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        await run_for(5, candidate(server, "a"), Work().lead)
        server.leases["opsagent"]["spec"] |= {"holderIdentity": "a", "leaseDurationSeconds": 30}
        started = now()
        await run_for(5, candidate(server, "a"), work.lead)
        assert work.spans[0][0] - started < 1
        assert spec(server)["leaseTransitions"] == 1

    virtual_time.run(scenario())


def test_a_leader_that_renews_is_never_replaced():
    async def scenario() -> None:
        server, first, second = LeaseServer(), Work(), Work()
        async with asyncio.TaskGroup() as group:
            leading = group.create_task(candidate(server, "a").run(first.lead))
            await asyncio.sleep(1)
            waiting = group.create_task(candidate(server, "b").run(second.lead))
            await asyncio.sleep(3600)
            assert second.spans == []
            leading.cancel()
            await asyncio.sleep(5)
            assert len(second.spans) == 1
            waiting.cancel()

    virtual_time.run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_of_many_who_try_at_once_one_leads_and_terms_never_overlap(seed: int):
    async def scenario() -> None:
        server, works = LeaseServer(), [Work() for _ in range(5)]
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(candidate(server, f"c{number}", seed + number).run(work.lead))
                for number, work in enumerate(works)
            ]
            for each in running:  # one after another, whoever leads, is stopped
                await asyncio.sleep(100)
                each.cancel()
        spans = sorted(span for work in works for span in work.spans)
        assert spans
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))

    virtual_time.run(scenario())


def test_a_leader_that_cannot_renew_stops_its_work_before_another_may_begin():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(25)
            server.is_down = True
            last_write = 20.0
            await asyncio.sleep(30)
            (span,) = work.spans
            assert last_write + 19 <= span[1] <= last_write + 20.1
            assert not lease.is_leader
            server.is_down = False
            await asyncio.sleep(60)
            assert len(work.spans) == 2
            running.cancel()

    virtual_time.run(scenario())


def test_a_short_outage_does_not_end_the_term():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(15)
            server.is_down = True
            await asyncio.sleep(10)
            server.is_down = False
            await asyncio.sleep(60)
            assert lease.is_leader
            assert len(work.spans) == 1
            running.cancel()

    virtual_time.run(scenario())


def test_a_hanging_request_does_not_keep_a_leader_in_office():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(5)
            server.latency_seconds = 1000
            await asyncio.sleep(30)
            assert not lease.is_leader
            assert len(work.spans[0]) == 2
            running.cancel()

    virtual_time.run(scenario())


@pytest.mark.parametrize("theft", ["other holder", "deleted"])
def test_a_lease_that_is_taken_away_ends_the_term(theft: str):
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(5)
            if theft == "deleted":
                server.leases.clear()
            else:
                server.leases["opsagent"]["spec"]["holderIdentity"] = "thief"
                server.leases["opsagent"]["metadata"]["resourceVersion"] = "stolen"
            await asyncio.sleep(6)
            assert len(work.spans[0]) == 2
            await asyncio.sleep(60)  # nobody renews: it comes back
            assert lease.is_leader
            running.cancel()

    virtual_time.run(scenario())


def test_somebody_elses_edit_costs_a_retry_and_keeps_their_labels():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        lease = candidate(server, "a")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(work.lead))
            await asyncio.sleep(5)
            metadata = server.leases["opsagent"]["metadata"]
            metadata |= {"labels": {"team": "ops"}, "resourceVersion": "edited"}
            await asyncio.sleep(60)
            assert lease.is_leader
            assert server.leases["opsagent"]["metadata"]["labels"] == {"team": "ops"}
            running.cancel()
        assert len(work.spans) == 1

    virtual_time.run(scenario())


def test_work_that_crashes_leaves_with_its_own_error_and_releases_the_lease():
    async def scenario() -> None:
        server = LeaseServer()

        async def broken() -> None:
            await asyncio.sleep(5)
            raise Terminal("the disk is full")

        with pytest.raises(Terminal, match="the disk is full"):
            await candidate(server, "a").run(broken)
        assert server.writes[-1] == "PUT "

    virtual_time.run(scenario())


def test_work_that_returns_ends_the_run():
    async def scenario() -> None:
        server = LeaseServer()

        async def short() -> None:
            await asyncio.sleep(5)

        await candidate(server, "a").run(short)
        assert server.writes == ["POST a", "PUT "]

    virtual_time.run(scenario())


def test_without_the_right_to_the_lease_it_says_so():
    async def scenario(status: int) -> None:
        server = LeaseServer()
        server.status = status
        await candidate(server, "a").run(Work().lead)

    with pytest.raises(Forbidden, match="as told"):
        virtual_time.run(scenario(403))
    with pytest.raises(NotFound):
        virtual_time.run(scenario(404))  # of the POST: the namespace is missing


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_who_has_led_outlives_a_revoked_right(status: int):
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(candidate(server, "a").run(work.lead))
            await asyncio.sleep(60)
            server.status = status
            await asyncio.sleep(600)
            assert [len(span) for span in work.spans] == [2]  # its one term is over
            server.status = None
            await asyncio.sleep(10)
            assert [len(span) for span in work.spans] == [2, 1]
            running.cancel()

    virtual_time.run(scenario())


def test_a_server_in_trouble_at_the_start_is_waited_for():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        server.is_down = True
        async with asyncio.TaskGroup() as group:
            running = group.create_task(candidate(server, "a").run(work.lead))
            await asyncio.sleep(60)
            server.is_down = False
            await asyncio.sleep(5)
            assert len(work.spans) == 1
            server.is_down = True  # nothing to release it with: stopping is bounded all the same
            running.cancel()

    virtual_time.run(scenario())


def test_an_answer_that_is_no_lease_is_transient():
    async def scenario() -> None:
        server, work = LeaseServer(), Work()
        server.leases["opsagent"] = {
            "metadata": {"name": "opsagent"},
            "spec": {"holderIdentity": 5},
        }
        await run_for(10, candidate(server, "a"), work.lead)
        assert work.spans == []

    virtual_time.run(scenario())


def test_a_name_that_is_none_is_refused():
    with pytest.raises(NotFound):
        KubeLease(
            LeaseServer(),
            namespace="../kube-system",
            name="opsagent",
            identity="a",
            clock=LoopClock(),
            chance=MiddleChance(),
        )


def test_a_server_that_is_away_is_a_problem_until_it_is_back():
    async def scenario() -> None:
        server = LeaseServer()
        server.is_down = True
        lease = candidate(server, "a")
        assert lease.problem == ""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lease.run(Work().lead))
            await asyncio.sleep(60)
            assert not lease.is_leader
            assert "down" in lease.problem
            server.is_down = False
            await asyncio.sleep(5)
            assert lease.is_leader
            assert lease.problem == ""
            running.cancel()

    virtual_time.run(scenario())
