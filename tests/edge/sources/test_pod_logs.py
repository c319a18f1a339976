"""Every line once, through breaks, restarts and rotations; what cannot be had is told; silence costs nothing."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from opsagent.model.kube import ContainerState, Phase
from opsagent.ports import Forbidden, Terminal, Transient
from opsagent.runtime.retry import RetryLater
from opsagent.sources.pod_logs import LogPlan, PodLogs
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import Containers, Heard
from tests.fakes.virtual_time import EPOCH, LoopClock

GAP = "(lines may be missing here: what the log held before was gone when it could be read again)"


class CountingClock(LoopClock):
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def now(self) -> dt.datetime:
        self.reads += 1
        return super().now()


class World:
    """Logs in memory, and who follows them."""

    def __init__(self, **plan: Any) -> None:
        self.clock = CountingClock()
        self.source = Containers(LoopClock())
        self.heard = Heard()
        self.sink_gate: asyncio.Event | None = None  # the sink waits for it
        self.logs = PodLogs(
            self.source,
            self.source.pods,
            self._take,
            plan=LogPlan(**({"since": EPOCH} | plan)),
            clock=self.clock,
            chance=MiddleChance(),
        )

    async def _take(self, whose: Any, entries: Any) -> None:
        if self.sink_gate is not None:
            await self.sink_gate.wait()
        await self.heard.take(whose, entries)

    async def changed(self, seconds: float = 2) -> None:
        """Tell that pods changed, and let time pass."""
        self.logs.notice()
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.logs.run())
            await asyncio.sleep(2)
            yield
            task.cancel()


def played(play: Callable[[World], Any], prepare: Callable[[World], None] = lambda _: None, **plan: Any) -> World:  # fmt: skip
    """Play on virtual time with one pod, ``a``."""

    async def main() -> World:
        world = World(**plan)
        world.source.add("a")
        prepare(world)
        async with world.running():
            await play(world)
        return world

    return virtual_time.run(main())


def numbers(texts: list[str]) -> list[int]:
    return [int(text.split()[-1]) for text in texts if text.startswith("line ")]


async def print_lines(world: World, name: str, count: int, every: float, first: int = 0) -> None:
    for number in range(first, first + count):
        world.source.write(name, f"line {number}")
        await asyncio.sleep(every)


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


actions = st.lists(
    st.one_of(
        st.tuples(st.just("print"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.2, 0.9, 3.0, 40.0])),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("refuse"), st.integers(1, 3)),
        st.tuples(st.just("break"), st.integers(0, 150)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("restart"), st.booleans()),
        st.tuples(st.just("tell"), st.just(0)),
        st.tuples(st.just("trouble"), st.booleans()),
    ),
    max_size=25,
)


async def act(world: World, action: str, argument: Any, printed: list[int]) -> None:
    source = world.source
    match action:
        case "print":
            for _ in range(argument):
                source.write("a", f"line {len(printed)}")
                printed.append(len(printed))
        case "wait":
            await asyncio.sleep(argument)
        case "cut":
            source.cut()
        case "refuse":
            source.refusals.extend([Transient("down")] * argument)
        case "break":
            source.breaks.append(argument)
        case _:
            change(world, action, argument)


def change(world: World, action: str, argument: Any) -> None:
    """Let the container or its log change."""
    source = world.source
    match action:
        case "rotate":
            # Of a life of which nothing was read yet, nobody could tell that its beginning is missing.
            texts = [line.content.decode() for line in source.containers["a"].lives[-1].lines]
            if set(texts) & set(world.heard.texts()):
                source.rotate("a")
        case "restart":
            source.exit("a", is_told=argument)
            source.start("a", is_told=argument)
        case "tell":
            source.tell("a")
        case _:  # somebody else needs the only stream more, or no longer
            source.bend("b", is_ready=not argument)
    world.logs.notice()


@settings(max_examples=300)
@given(actions)
def test_whatever_happens_no_line_comes_twice_and_none_is_missing_in_silence(
    acts: list[tuple[str, Any]],
) -> None:
    printed: list[int] = []

    async def play(world: World) -> None:
        world.source.add("b", workload="other")
        await act(world, "print", 1, printed)  # of a log that nobody ever read nothing is known
        await asyncio.sleep(2)
        for action, argument in acts:
            await act(world, action, argument, printed)
        world.source.remove("b")
        world.source.tell("a")
        await world.changed(200)
        await act(world, "print", 1, printed)  # the next line says that others are missing
        await asyncio.sleep(200)

    world = played(play, streams_max=1)
    heard = numbers(world.heard.texts())
    assert heard == sorted(set(heard))
    if heard != printed:
        assert world.logs.status().gaps_total > 0
        assert GAP in world.heard.texts()


class TestRestarts:
    def test_last_words_are_heard_and_the_new_life_from_its_beginning(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.write("a", "last words")
            world.source.exit("a")
            await world.changed(30)
            world.source.start("a")
            world.source.write("a", "born again")
            await world.changed(10)

        world = played(play)
        assert world.heard.texts() == ["line 0", "line 1", "line 2", "last words", "born again"]
        assert world.logs.status().gaps_total == 0

    def test_while_a_container_does_not_run_nobody_asks_for_its_log(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "last words")
            world.source.exit("a")
            await world.changed(60)
            reads, opened = world.clock.reads, len(world.source.opened)
            await asyncio.sleep(86_400)
            assert (world.clock.reads, len(world.source.opened)) == (reads, opened)

        assert played(play).heard.texts() == ["last words"]

    def test_words_that_were_printed_while_the_connection_was_broken_are_in_the_log_of_before(
        self,
    ) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.refusals.extend([Transient("down")] * 3)
            world.source.cut()
            await print_lines(world, "a", 3, 0.1, first=3)
            world.source.exit("a")
            world.source.start("a")
            await print_lines(world, "a", 3, 0.1, first=6)
            await world.changed(60)

        world = played(play)
        assert numbers(world.heard.texts()) == list(range(9))
        assert [each.is_previous for each in world.source.opened][-2:] == [True, False]
        assert world.logs.status().gaps_total == 0

    def test_also_before_the_api_says_that_it_was_restarted(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.refusals.extend([Transient("down")] * 3)
            world.source.cut()
            await print_lines(world, "a", 3, 0.1, first=3)
            world.source.exit("a", is_told=False)
            world.source.start("a", is_told=False)
            await print_lines(world, "a", 3, 0.1, first=6)
            await asyncio.sleep(60)
            assert numbers(world.heard.texts()) == list(range(9))
            world.source.tell("a")  # and when it does, that is no news
            opened = len(world.source.opened)
            await world.changed(30)
            assert len(world.source.opened) == opened
            world.source.exit("a")
            await world.changed(5)
            world.source.start("a")
            await print_lines(world, "a", 3, 0.1, first=9)
            await world.changed(30)

        world = played(play)
        assert numbers(world.heard.texts()) == list(range(12))
        assert world.logs.status().gaps_total == 0

    def test_a_new_life_that_says_nothing_hides_no_last_words(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.cut()
            await print_lines(world, "a", 3, 0.0, first=3)
            world.source.exit("a", is_told=False)
            world.source.start("a", is_told=False)
            await asyncio.sleep(10)  # connected to the new one, silent
            assert numbers(world.heard.texts()) == [0, 1, 2]
            world.source.tell("a")
            await world.changed(10)

        assert numbers(played(play).heard.texts()) == list(range(6))

    def test_of_a_life_that_came_and_went_unheard_its_log_is_read_and_the_gap_is_told(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.refusals.extend([Transient("down")] * 3)
            world.source.cut()
            world.source.write("a", "line 3, never to be heard")
            for first in (4, 6):
                world.source.exit("a")
                world.source.start("a")
                await print_lines(world, "a", 2, 0.1, first=first)
            await world.changed(60)

        world = played(play)
        assert world.heard.texts() == [
            *(f"line {number}" for number in (0, 1, 2)),
            GAP,
            *(f"line {number}" for number in (4, 5, 6, 7)),
        ]
        assert world.logs.status().gaps_total == 1

    def test_the_last_words_of_a_crash_shortly_before_we_came_are_read_once(self) -> None:
        def prepare(world: World) -> None:
            source = world.source
            source.write("a", "long ago", at=EPOCH - dt.timedelta(hours=1))
            source.write("a", "last words", at=EPOCH - dt.timedelta(seconds=30))
            source.exit("a")
            source.start("a")
            source.write("a", "born again", at=EPOCH - dt.timedelta(seconds=5))

        async def play(world: World) -> None:
            await asyncio.sleep(30)
            world.source.cut()
            await asyncio.sleep(30)

        world = played(play, prepare)
        assert world.heard.texts() == ["last words", "born again"]
        assert world.logs.status().gaps_total == 0

    def test_a_silent_life_that_came_and_went_unheard_is_told_too(self) -> None:
        async def play(world: World) -> None:
            for _ in range(2):
                world.source.exit("a", is_told=False)
                world.source.start("a", is_told=False)
            world.source.tell("a")
            await world.changed(30)
            world.source.write("a", "line 0")
            await asyncio.sleep(5)

        assert played(play).heard.texts() == [GAP, "line 0"]

    def test_what_stands_behind_missing_lines_in_the_log_of_before_is_told_behind_the_gap(
        self,
    ) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 1, 2)
            world.source.cut()
            world.source.write("a", "line 1, rotated away")
            world.source.rotate("a")
            await print_lines(world, "a", 2, 0.0, first=2)
            world.source.breaks.append(len("2026-01-05T00:00:00.000000000Z line 2\n"))
            world.source.exit("a")
            world.source.start("a")
            await world.changed(30)
            world.source.write("a", "line 4")
            await asyncio.sleep(5)

        world = played(play)
        assert world.heard.texts() == ["line 0", GAP, "line 2", "line 3", "line 4"]
        assert world.logs.status().gaps_total == 1

    def test_a_log_of_before_that_breaks_again_and_again_is_given_up_and_told(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 1, 2)
            world.source.cut()
            world.source.write("a", "line 1")
            world.source.breaks.extend([38] * 5)
            world.source.exit("a")
            world.source.start("a")
            world.source.write("a", "line 2")
            await world.changed(200)

        assert played(play).heard.texts() == ["line 0", GAP, "line 2"]

    def test_a_container_that_is_said_to_rest_and_to_run_again_is_followed_again(self) -> None:
        async def play(world: World) -> None:
            running = world.source.containers["a"].pod.container_statuses[0].state
            ended = ContainerState(Phase.TERMINATED, "Unknown", exit_code=137)
            world.source.bend("a", state=ended)
            await world.changed(2)
            world.source.cut(is_clean=True)
            await asyncio.sleep(3600)
            assert len(world.source.opened) == 1
            world.source.bend("a", state=running)
            world.source.write("a", "still here")
            await world.changed(5)

        assert played(play).heard.texts() == ["still here"]

    def test_a_job_that_succeeds_the_second_time_is_heard_to_its_end(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "failed")
            world.source.exit("a", 1)
            await world.changed(30)
            world.source.start("a")
            await world.changed(5)
            world.source.breaks.append(None)
            world.source.cut()
            world.source.write("a", "succeeded")
            world.source.exit("a", 0)
            await world.changed(30)
            assert world.logs.status().streams_open == 0

        assert played(play).heard.texts() == ["failed", "succeeded"]

    def test_those_of_a_crash_long_before_we_came_are_not(self) -> None:
        def prepare(world: World) -> None:
            source = world.source
            source.write("a", "last words", at=EPOCH)
            source.exit("a")
            source.start("a")

        async def play(world: World) -> None:
            assert [each.is_previous for each in world.source.opened] == [False]

        assert played(play, prepare, since=EPOCH + dt.timedelta(hours=1)).heard.texts() == []

    def test_a_log_of_before_that_nobody_can_read_is_given_up_and_told(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 2, 0.5)
            world.source.exit("a")
            await world.changed(30)
            world.source.refusals.extend([Transient("kubelet says no")] * 5)
            world.source.start("a")
            world.source.write("a", "line 2")
            await world.changed(300)

        world = played(play)
        assert world.heard.texts() == ["line 0", "line 1", GAP, "line 2"]


class TestRotation:
    def test_who_follows_misses_nothing(self) -> None:
        async def play(world: World) -> None:
            for first in range(0, 50, 10):
                await print_lines(world, "a", 10, 0.1, first=first)
                world.source.rotate("a")
            await asyncio.sleep(2)

        world = played(play)
        assert numbers(world.heard.texts()) == list(range(50))
        assert world.logs.status().reconnects_total == 0

    def test_what_was_rotated_away_unread_is_told(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.cut()
            await print_lines(world, "a", 3, 0.0, first=3)
            world.source.rotate("a")
            await print_lines(world, "a", 3, 0.0, first=6)
            await asyncio.sleep(30)
            world.source.cut()
            await print_lines(world, "a", 3, 0.0, first=9)
            world.source.rotate("a")
            await print_lines(world, "a", 3, 0.0, first=12)
            await asyncio.sleep(30)

        world = played(play)
        first, second, third = (
            [f"line {number}" for number in range(start, start + 3)] for start in (0, 6, 12)
        )
        assert world.heard.texts() == [*first, GAP, *second, GAP, *third]
        assert world.logs.status().gaps_total == 2

    def test_what_was_rotated_away_after_it_was_read_is_no_gap(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.0)
            world.source.rotate("a")
            world.source.write("a", "line 3")
            await asyncio.sleep(3)
            world.source.cut()
            await print_lines(world, "a", 2, 0.0, first=4)
            await asyncio.sleep(30)

        world = played(play)
        assert numbers(world.heard.texts()) == list(range(6))
        assert world.logs.status().gaps_total == 0

    def test_after_a_rotation_a_restart_is_still_noticed(self) -> None:
        async def play(world: World) -> None:
            world.source.exit("a")
            world.source.start("a")
            await world.changed(30)
            await print_lines(world, "a", 3, 0.5)
            world.source.cut()
            world.source.rotate("a")
            await print_lines(world, "a", 3, 0.0, first=3)
            await asyncio.sleep(30)
            world.source.refusals.extend([Transient("down")] * 3)
            world.source.cut()
            await print_lines(world, "a", 3, 0.0, first=6)
            world.source.exit("a")
            world.source.start("a")
            await world.changed(60)

        world = played(play)
        assert numbers(world.heard.texts()) == list(range(9))


class TestPodsThatGo:
    def test_what_a_pod_said_before_it_went_is_read_to_its_end(self) -> None:
        async def play(world: World) -> None:
            await print_lines(world, "a", 3, 0.5)
            world.source.write("a", "last words")
            world.source.remove("a")
            await world.changed(5)
            assert world.logs.status().streams_open == 0
            assert world.logs._places == {}

        assert played(play).heard.texts()[-1] == "last words"

    def test_a_log_that_does_not_end_with_its_pod_is_left_after_a_minute(self) -> None:
        async def play(world: World) -> None:
            life = world.source.containers.pop("a").lives[-1]
            await world.changed(30)
            life.write(EPOCH + dt.timedelta(seconds=30), b"still there")
            await world.changed(40)
            assert world.source.open_now == 0
            assert world.logs.status().streams_open == 0

        assert played(play).heard.texts() == ["still there"]

    def test_a_line_that_is_cut_off_for_good_is_kept_as_far_as_it_came(self) -> None:
        async def play(world: World) -> None:
            world.source.breaks.append(-50)
            world.source.cut()
            world.source.write("a", "a line of which only the beginning will come")
            await asyncio.sleep(10)
            world.source.containers.pop("a")
            await world.changed(70)
            assert world.logs.status().streams_open == 0

        assert played(play).heard.texts() == ["a line of which onl"]

    def test_a_pod_of_the_same_name_is_another(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "of the first")
            await asyncio.sleep(2)
            world.source.remove("a")
            world.source.add("a", uid="uid-second")
            world.source.write("a", "of the second")
            await world.changed(10)

        assert played(play).heard.texts() == ["of the first", "of the second"]

    def test_a_pod_that_goes_while_its_connection_is_broken_is_forgotten(self) -> None:
        async def play(world: World) -> None:
            world.source.refusals.extend([Transient("down")] * 100)
            world.source.cut()
            await asyncio.sleep(30)
            world.source.remove("a")
            await world.changed(5)
            assert world.logs.status().streams_open == 0

        played(play)


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
