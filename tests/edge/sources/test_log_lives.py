"""Every line once, through restarts, rotations and pods that go; what is missing is told where it is missing."""

import asyncio
import datetime as dt
from typing import Any

from hypothesis import given, settings, strategies as st

from opsagent.model.kube import ContainerState, Phase
from opsagent.ports import Transient
from tests.edge.sources.followed import GAP, World, numbers, played, print_lines
from tests.fakes.virtual_time import EPOCH

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

    def test_news_of_other_pods_do_not_hurry_the_way_back(self) -> None:
        async def play(world: World) -> None:
            world.source.write("a", "line 0")
            world.source.exit("a")
            await world.changed(10)
            world.source.refusals.extend([Transient("down")] * 4)
            world.source.start("a")
            opened = len(world.source.opened)
            for _ in range(40):
                await world.changed(1)
            assert len(world.source.opened) - opened <= 5

        assert played(play).logs.status().gaps_total == 0

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
