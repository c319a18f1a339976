"""Who is followed, from when on and how often asked; every line once through breaks; silence costs nothing."""

import asyncio
import datetime as dt
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from opsagent.model.kube import ContainerState, Phase
from opsagent.ports import Forbidden, Terminal, Transient
from opsagent.runtime.retry import RetryLater
from opsagent.sources.pod_logs import LogPlan, PodLogs
from tests.edge.sources.followed import World, numbers, played, print_lines
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.virtual_time import EPOCH


def test_lines_become_entries_within_a_second_of_silence() -> None:
    async def play(world: World) -> None:
        await asyncio.sleep(10)
        world.source.write("a", "ERROR one", "  at two", "three")
        await asyncio.sleep(5)

    heard = played(play).heard
    assert heard.texts() == ["ERROR one\n  at two", "three"]
    assert [at for at, _, _ in heard.entries] == [12.0, 13.0]
    assert heard.entries[0][2].at == EPOCH + dt.timedelta(seconds=12)


def test_a_record_that_grows_slowly_is_not_torn() -> None:
    async def play(world: World) -> None:
        for text in ("ERROR one", *["  at two"] * 8):
            world.source.write("a", text)
            await asyncio.sleep(0.6)
        await asyncio.sleep(5)

    assert played(play).heard.texts() == ["ERROR one" + "\n  at two" * 8]


def test_a_quiet_day_costs_nothing() -> None:
    async def play(world: World) -> None:
        for number in range(50):
            world.source.add(f"b-{number}")
        await world.changed(60)
        world.source.write("a", "one line")
        await asyncio.sleep(60)
        reads = world.clock.reads
        await asyncio.sleep(86_400)
        assert world.clock.reads == reads
        assert world.source.open_now == 51

    world = played(play)
    assert world.heard.texts() == ["one line"]
    assert world.logs.status().reconnects_total == 0


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 10_000])
@pytest.mark.parametrize("every", [0.0, 0.3])
def test_each_line_comes_once_wherever_connections_break(chunk_bytes: int, every: float) -> None:
    async def play(world: World) -> None:
        world.source.chunk_bytes = chunk_bytes
        world.source.breaks.extend([1, 0, 33, 34, 35, 100, 171, 500, None])
        world.source.cut()
        await print_lines(world, "a", 100, every)
        world.source.cut()
        await print_lines(world, "a", 20, every, first=100)
        await asyncio.sleep(120)

    world = played(play)
    assert numbers(world.heard.texts()) == list(range(120))
    status = world.logs.status()
    assert status.gaps_total == 0
    assert status.seams_total >= 3
    assert (status.lines_total, status.entries_total) == (120, 120)
    assert status.repeated_lines_total > 0
    assert status.last_error == ""


def test_equal_lines_of_one_instant_are_counted_not_confused() -> None:
    async def play(world: World) -> None:
        world.source.write("a", *["same"] * 5)
        await asyncio.sleep(3)
        world.source.write("a", "same", at=EPOCH + dt.timedelta(seconds=2))
        world.source.cut()
        world.source.write("a", "same", at=EPOCH + dt.timedelta(seconds=2))
        await asyncio.sleep(10)

    assert played(play).heard.texts() == ["same"] * 7


def test_a_server_that_ends_every_connection_is_asked_ever_more_rarely() -> None:
    async def play(world: World) -> None:
        world.source.refusals.extend([Transient("no")] * 20)
        world.source.cut()
        await asyncio.sleep(100)
        assert world.logs.status().last_error == "Transient: no"
        await asyncio.sleep(1000)
        assert world.logs.status().last_error == ""

    world = played(play)
    opened = [each.at for each in world.source.opened]
    waits = [later - before for before, later in pairwise(opened)]
    assert max(waits) == 22.5  # the middle between half and the whole of 30 s
    assert len(opened) == 22
    assert world.logs.status().failures_total == 21


def test_a_silent_log_whose_connection_is_lost_now_and_then_is_taken_up_soon() -> None:
    async def play(world: World) -> None:
        for _ in range(20):
            await asyncio.sleep(300)
            world.source.cut()
        await asyncio.sleep(300)

    world = played(play)
    opened = [each.at for each in world.source.opened]
    assert [later - before for before, later in pairwise(opened[1:])] == [300.0] * 19


def test_a_source_that_is_out_of_time_has_failed_like_any_other() -> None:
    async def play(world: World) -> None:
        world.source.refusals.append(TimeoutError("its own"))
        world.source.cut()
        await asyncio.sleep(60)

    status = played(play).logs.status()
    assert status.failures_total == 2


def test_a_log_that_breaks_off_is_read_on_without_loss_however_much_waits() -> None:
    async def play(world: World) -> None:
        await print_lines(world, "a", 3, 0.5)
        world.source.refusals.extend([Transient("down")] * 6)
        world.source.cut()
        for number in range(3, 1200):
            world.source.write("a", f"{'x' * 5000} line {number}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(60)

    world = played(play)
    assert len(world.heard.texts()) == 1200
    assert world.logs.status().skipped_lines_total == 0


def test_who_says_when_to_come_back_is_not_asked_before() -> None:
    async def play(world: World) -> None:
        world.source.refusals.append(RetryLater("busy", 17))
        world.source.cut()
        await asyncio.sleep(60)

    opened = [each.at for each in played(play).source.opened]
    assert opened[-1] - opened[-2] == 17


@pytest.mark.parametrize("refusal", [Forbidden("no right"), Terminal("never")])
def test_no_refusal_ends_it(refusal: Exception) -> None:
    async def play(world: World) -> None:
        world.source.refusals.append(refusal)
        world.source.cut()
        await asyncio.sleep(60)
        world.source.write("a", "later")
        await asyncio.sleep(60)

    assert played(play).heard.texts() == ["later"]


def test_what_was_there_before_we_came_is_not_read_but_a_new_container_is_from_its_beginning() -> (
    None
):
    def prepare(world: World) -> None:
        world.source.write("a", "old")
        world.source.bend("a", state=ContainerState(Phase.RUNNING, started_at=EPOCH))

    async def play(world: World) -> None:
        world.source.write("a", "new", at=EPOCH + dt.timedelta(hours=1, seconds=3))
        world.source.add("b", workload="other")
        world.source.bend(
            "b",
            state=ContainerState(Phase.RUNNING, started_at=EPOCH + dt.timedelta(hours=2)),
        )
        world.source.write("b", "stamped by a clock that is behind", at=EPOCH)
        await world.changed(5)

    world = played(play, prepare, since=EPOCH + dt.timedelta(hours=1))
    assert world.heard.texts() == ["new", "stamped by a clock that is behind"]


class TestBudget:
    def test_trouble_comes_first_and_the_rest_is_counted(self) -> None:
        def prepare(world: World) -> None:
            for number in range(5):
                world.source.add(f"b-{number}", workload=f"w-{number}")
            world.source.bend("b-4", is_ready=False)

        async def play(world: World) -> None:
            status = world.logs.status()
            assert (status.streams_open, status.not_followed) == (2, 4)
            assert {each.name for each in world.source.opened} == {"a", "b-4"}

        played(play, prepare, streams_max=2)

    def test_who_is_let_go_of_is_taken_up_again_where_it_was_left(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.write("a", b"line 3")
            world.source.add("b", workload="other")
            world.source.bend("b", is_ready=False)
            await world.changed(2)
            assert world.source.open_now == 1
            await print_lines(world, "a", 3, 0.5, first=4)
            world.source.write("b", "trouble")
            await asyncio.sleep(2)
            world.source.remove("b")
            await world.changed(5)

        world = played(play, streams_max=1)
        assert numbers(world.heard.texts("a")) == list(range(7))
        assert world.heard.texts("b") == ["trouble"]
        assert world.logs.status().gaps_total == 0

    def test_a_line_that_had_begun_when_its_log_was_let_go_of_comes_once_and_whole(self) -> None:
        async def play(world: World) -> None:
            world.source.breaks.append(-50)
            world.source.cut()
            world.source.write("a", "a line of which the beginning came first")
            await asyncio.sleep(10)
            world.source.add("b", workload="other")
            world.source.bend("b", is_ready=False)
            await world.changed(5)
            world.source.remove("b")
            await world.changed(5)

        expected = ["a line of which the beginning came first"]
        assert played(play, streams_max=1).heard.texts() == expected

    def test_who_is_wanted_again_before_he_was_let_go_of_begins_behind_himself(self) -> None:
        async def play(world: World) -> None:
            gate = asyncio.Event()
            world.sink_gate = gate
            world.source.write("a", "line 0")
            await asyncio.sleep(0.1)
            world.source.add("b", workload="other")
            world.source.bend("b", is_ready=False)
            await world.changed(2)
            world.source.remove("b")
            await world.changed(2)
            assert world.logs.status().streams_open == 1
            world.source.write("a", "line 1")
            gate.set()
            await asyncio.sleep(10)

        assert numbers(played(play, streams_max=1).heard.texts()) == [0, 1]

    def test_only_so_many_places_are_remembered(self) -> None:
        async def play(world: World) -> None:
            for number in range(5):
                world.source.add(f"b-{number}", workload=f"w-{number}")
                world.source.bend(f"b-{number}", is_ready=False)
                await world.changed(2)
                world.source.bend(f"b-{number}", is_ready=True)
            assert len(world.logs._places) == 2

        played(play, streams_max=1)

    def test_a_job_that_is_done_makes_room_and_is_not_read_again(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "result")
            world.source.exit("a", 0)
            await world.changed(10)
            assert world.logs.status().streams_open == 0
            world.source.add("b", workload="other")
            await world.changed(10)
            status = world.logs.status()
            assert (status.streams_open, status.not_followed) == (1, 0)
            world.source.write("b", "next")
            await world.changed(10)
            assert [each.name for each in world.source.opened].count("a") <= 3

        assert played(play, streams_max=1).heard.texts() == ["result", "next"]

    def test_a_pod_that_has_failed_for_good_makes_room_too(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "no result")
            world.source.exit("a", 1)
            life = world.source.containers["a"]
            life.pod = replace(life.pod, phase="Failed")
            await world.changed(30)
            assert world.logs.status().streams_open == 0

        assert played(play).heard.texts() == ["no result"]

    def test_what_ended_long_before_we_came_is_not_read(self) -> None:
        def prepare(world: World) -> None:
            world.source.write("a", "old")
            world.source.exit("a")

        async def play(world: World) -> None:
            assert world.logs.status().streams_open == 0

        played(play, prepare, since=EPOCH + dt.timedelta(hours=1))

    def test_only_the_namespaces_that_were_named_are_followed(self) -> None:
        def prepare(world: World) -> None:
            world.source.add("b", namespace="other")

        async def play(world: World) -> None:
            assert {each.name for each in world.source.opened} == {"a"}
            assert world.logs.status().not_followed == 0

        played(play, prepare, namespaces=("shop",))

    def test_a_budget_of_none_follows_nobody(self) -> None:
        async def play(world: World) -> None:
            assert world.source.opened == []
            assert world.logs.status().not_followed == 1

        played(play, streams_max=0)

    def test_many_that_start_together_are_not_opened_at_once(self) -> None:
        def prepare(world: World) -> None:
            for number in range(99):
                world.source.add(f"b-{number}")

        async def play(world: World) -> None:
            assert world.source.open_now == 100

        opened = played(play, prepare).source.opened
        assert max(sum(start <= each.at < start + 0.1 for each in opened) for start in (0, 1)) <= 6

    def test_pods_that_change_all_the_time_are_looked_at_once_a_second(self) -> None:
        looks = 0

        async def play(world: World) -> None:
            nonlocal looks
            pods = world.source.pods

            def counted() -> list[Any]:
                nonlocal looks
                looks += 1
                return pods()

            world.logs._pods = counted
            for _ in range(1000):
                await world.changed(0.01)

        played(play)
        assert 8 <= looks <= 11


def test_templates_are_shared_by_a_workload_and_outlive_its_pods() -> None:
    async def play(world: World) -> None:
        world.source.add("b")
        world.source.add("c", workload="other")
        await world.changed()
        for name in "abc":
            world.source.write(name, "took 5 ms")
            await asyncio.sleep(2)
        for name in "ab":
            world.source.remove(name)
        await world.changed()
        world.source.add("d")
        world.source.write("d", "took 7 ms")
        await world.changed(5)

    heard = played(play).heard
    assert [(whose.pod.name, entry.is_new) for _, whose, entry in heard.entries] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", False),
    ]


def test_of_workloads_that_nobody_follows_only_so_many_are_remembered() -> None:
    async def play(world: World) -> None:
        for number in range(80):
            world.source.add(f"b-{number}", workload=f"w-{number}")
            await world.changed()
            world.source.remove(f"b-{number}")
            await world.changed()
        assert len(world.logs._miners) <= 1 + 64 + 1

    played(play)


def test_a_sink_that_is_slow_is_waited_for() -> None:
    async def play(world: World) -> None:
        world.sink_gate = asyncio.Event()
        await print_lines(world, "a", 1000, 0.01)
        assert world.heard.texts() == []
        world.sink_gate.set()
        await asyncio.sleep(5)

    assert numbers(played(play).heard.texts()) == list(range(1000))


def test_what_is_held_at_the_end_is_handed_on_and_another_run_goes_on_from_there() -> None:
    async def main() -> World:
        world = World()
        world.source.add("a")
        for first in (0, 5):
            async with world.running():
                await print_lines(world, "a", 5, 0.0, first=first)
                await asyncio.sleep(0.5)
            assert numbers(world.heard.texts()) == list(range(first + 5))
        return world

    assert virtual_time.run(main()).logs.status().gaps_total == 0


def test_a_sink_that_fails_is_nobodys_to_survive() -> None:
    async def main() -> None:
        world = World()
        world.source.add("a")

        async def broken(_: Any, __: Any) -> None:
            raise Transient("the sink's own")

        logs = PodLogs(
            world.source,
            world.source.pods,
            broken,
            plan=LogPlan(EPOCH),
            clock=world.clock,
            chance=MiddleChance(),
        )
        world.source.write("a", "one", "two")
        with pytest.raises(ExceptionGroup):
            await logs.run()
        assert logs.status().streams_open == 0

    virtual_time.run(main())
