"""A feed of series leaves no gap, asks for a bounded amount, survives every answer and says how far it is."""

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from opsagent.model.series import Labels, Selection, SeriesBlock, block_of
from opsagent.ports import NotFound, Terminal, Transient
from opsagent.sim.prometheus import Prometheus
from opsagent.sim.series import SimSeries
from opsagent.sources.series import FeedPace, Following, SeriesFeed
from tests.edge.sim.hand import Hand
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.series import Troubled
from tests.fakes.virtual_time import EPOCH, LoopClock

UP, MEMORY = Selection.TARGETS_UP, Selection.CONTAINER_MEMORY
EPOCH_MS = round(EPOCH.timestamp() * 1000)
SCRAPE_MS = 15_000
HOUR = 3600.0


class Wandering:
    """A clock that may go wrong."""

    def __init__(self) -> None:
        self.wrong_seconds = 0.0

    def now(self) -> dt.datetime:
        return LoopClock().now() + dt.timedelta(seconds=self.wrong_seconds)

    def monotonic(self) -> float:
        return LoopClock().monotonic()


class Heard:
    """The sink: every sample once, by selection and series."""

    def __init__(self) -> None:
        self.stamps: dict[Selection, dict[Labels, set[int]]] = {}
        self.blocks: list[SeriesBlock] = []
        self.trouble: deque[Exception] = deque()

    async def sink(self, selection: Selection, block: SeriesBlock, now: dt.datetime) -> None:
        assert now.tzinfo is dt.UTC
        if self.trouble:
            raise self.trouble.popleft()
        self.blocks.append(block)
        known = self.stamps.setdefault(selection, {})
        for index, labels in enumerate(block.labels):
            known.setdefault(labels, set()).update(block.of(index)[0].tolist())

    def gaps(self, selection: Selection) -> set[int]:
        """Return the steps between neighbouring samples of all series, in ms."""
        return {
            later - earlier
            for stamps in self.stamps[selection].values()
            for earlier, later in pairwise(sorted(stamps))
        }

    def newest(self, selection: Selection) -> float:
        """Return the newest sample, in seconds since EPOCH."""
        return (max(max(each) for each in self.stamps[selection].values()) - EPOCH_MS) / 1000


@dataclass
class World:
    """A feed on a simulated Prometheus, on virtual time."""

    following: Following = field(default_factory=lambda: Following((UP,)))
    clock: Wandering = field(default_factory=Wandering)
    heard: Heard = field(default_factory=Heard)
    beats: int = 0

    def __post_init__(self) -> None:
        self.prometheus = Prometheus(Hand().cluster)
        self.source = Troubled(SimSeries(self.prometheus, LoopClock()))

    def beat(self) -> None:
        self.beats += 1

    def feed(self) -> SeriesFeed:
        return SeriesFeed(
            self.source,
            self.following,
            self.heard.sink,
            clock=self.clock,
            chance=MiddleChance(),
            beat=self.beat,
        )


async def during(feed: SeriesFeed, *steps: tuple[float, Callable[[], None]], until: float) -> None:
    """Run the feed until loop time ``until``; call each step at its time."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(feed.run())
        for at, step in (*steps, (until, task.cancel)):
            await asyncio.sleep(at - loop.time())
            step()
        with suppress(asyncio.CancelledError):
            await task


def test_every_sample_is_told_soon_and_without_a_gap() -> None:
    world = World(Following((UP, MEMORY)))

    async def main() -> None:
        feed = world.feed()
        await during(feed, until=HOUR + 10)
        for status in feed.status():
            assert status.lag_seconds < 45
            assert status.is_sampled
            assert status.last_error == ""
        assert feed.counters.failures_total == feed.counters.skipped_seconds_total == 0
        assert feed.counters.questions_total == len(world.source.asked)
        assert world.beats > len(world.source.asked)

    virtual_time.run(main())
    for selection in (UP, MEMORY):
        assert world.heard.gaps(selection) == {SCRAPE_MS}
        assert world.heard.newest(selection) == HOUR
    assert 230 < len(world.source.asked) < 260  # two each 30 s


def test_an_hour_before_the_start_comes_in_pieces_of_a_bounded_size() -> None:
    pace = FeedPace(baseline_seconds=HOUR, piece_seconds=60, piece_samples=200)
    world = World(Following((UP,), pace=pace))

    async def main() -> None:
        await asyncio.sleep(HOUR)
        feed = world.feed()
        await during(feed, until=HOUR + 1)

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}
    assert world.heard.newest(UP) == HOUR
    assert max(len(each.stamps) for each in world.heard.blocks) <= 2 * 200 + 10
    lengths = [end - start for _, _, start, end in world.source.asked]
    assert lengths[0].total_seconds() == 60
    assert max(lengths).total_seconds() > 300


def test_what_the_sink_knows_from_before_is_not_read_again() -> None:
    since = EPOCH + dt.timedelta(minutes=50)
    world = World(Following((UP,), {UP: since}))

    async def main() -> None:
        await asyncio.sleep(HOUR)
        await during(world.feed(), until=HOUR + 1)

    virtual_time.run(main())
    assert world.source.asked[0][2] == since - dt.timedelta(seconds=60)


def test_after_an_outage_nothing_is_missing_and_the_waits_had_grown() -> None:
    world = World()

    def away(is_away: bool) -> None:
        world.source.always = {UP: Transient("away")} if is_away else {}

    async def main() -> None:
        feed = world.feed()
        steps = [(600.0, lambda: away(True)), (2400.0, lambda: away(False))]
        await during(feed, *steps, until=2600)
        assert 30 < feed.counters.failures_total < 60
        assert feed.status()[0].last_error == ""

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}
    assert world.heard.newest(UP) > 2550


def test_what_lies_too_far_back_is_skipped_and_counted_once() -> None:
    world = World(Following((UP,), pace=FeedPace(outage_seconds_max=600, baseline_seconds=0)))
    world.source.trouble.extend([None] * 10)
    world.source.always = {UP: Transient("away")}

    async def main() -> None:
        feed = world.feed()
        await during(feed, (1800.0, world.source.always.clear), until=1900)
        counted = feed.counters.skipped_seconds_total
        known = 9 * 30  # of ten rounds
        assert counted == pytest.approx(1800 - 600 - known, abs=60)

    virtual_time.run(main())
    assert max(world.heard.gaps(UP)) == pytest.approx(1000 * (1800 - 600 - 270), abs=60_000)


def test_one_selection_that_fails_holds_up_no_other_and_says_why() -> None:
    world = World(Following((UP, MEMORY)))
    world.source.always = {MEMORY: Terminal("metrics: an answer of more than 7 bytes")}

    async def main() -> None:
        feed = world.feed()
        await during(feed, until=1200)
        up, memory = feed.status()
        assert up.last_error == ""
        assert memory.last_error == "Terminal: metrics: an answer of more than 7 bytes"
        assert memory.lag_seconds > 1200

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}
    asked = [end - start for _, selection, start, end in world.source.asked if selection is MEMORY]
    assert asked[-1].total_seconds() == 30  # each time for less


def test_a_source_without_samples_is_asked_for_ranges_each_instant_once() -> None:
    world = World(Following((UP,), {UP: EPOCH}))
    world.prometheus.has_remote_read = False

    async def main() -> None:
        feed = world.feed()
        await during(feed, until=HOUR)
        assert not feed.status()[0].is_sampled

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {30_000}
    assert HOUR - 120 <= world.heard.newest(UP) <= HOUR - 60
    told = sum(len(each.stamps) for each in world.heard.blocks)
    assert told == sum(len(each) for each in world.heard.stamps[UP].values())
    assert [how for how, *_ in world.source.asked[:2]] == ["samples", "range"]


def test_a_range_may_hold_several_instants() -> None:
    world = World(Following((UP,), {UP: EPOCH}, FeedPace(period_seconds=600, step_seconds=120)))
    world.prometheus.has_remote_read = False

    async def main() -> None:
        await during(world.feed(), until=HOUR)

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {120_000}
    assert world.heard.newest(UP) >= HOUR - 600 - 120 - 60
    ranges = [each for each in world.source.asked if each[0] == "range"]
    assert 5 <= len(ranges) <= 10


def test_ranges_too_have_a_bound_after_an_outage() -> None:
    world = World(Following((UP,), {UP: EPOCH}, FeedPace(outage_seconds_max=600)))
    world.source.always = {UP: NotFound("no remote read")}
    world.source.trouble.extend([NotFound("no remote read"), *[Transient("away")] * 60])

    async def main() -> None:
        feed = world.feed()
        await during(feed, (1.0, world.source.always.clear), until=HOUR)
        assert feed.counters.skipped_seconds_total > 600
        assert feed.status()[0].lag_seconds < 120

    virtual_time.run(main())


@pytest.mark.parametrize("wrong", [-3000.0, 3000.0, 86_400.0 * 30])
def test_a_clock_that_goes_wrong_and_right_again_loses_nothing(wrong: float) -> None:
    world = World()

    def set_clock(seconds: float) -> None:
        world.clock.wrong_seconds = seconds

    async def main() -> None:
        feed = world.feed()
        steps = [(600.0, lambda: set_clock(wrong)), (1200.0, lambda: set_clock(0.0))]
        await during(feed, *steps, until=1800)

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}
    assert world.heard.newest(UP) > 1750


def test_what_the_sink_did_not_take_is_told_again() -> None:
    world = World()
    world.heard.trouble.append(RuntimeError("full"))

    async def main() -> None:
        feed = world.feed()
        await asyncio.sleep(60)
        with pytest.raises(RuntimeError):
            await feed.run()
        await during(feed, until=600)

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}
    assert min(min(each) for each in world.heard.stamps[UP].values()) == EPOCH_MS


def test_partial_answers_are_told_and_counted() -> None:
    world = World(Following((UP,), {UP: EPOCH}))
    world.prometheus.has_remote_read = False
    world.prometheus.warnings = ["store-1 is away"]

    async def main() -> None:
        feed = world.feed()
        await during(feed, until=300)
        assert feed.counters.partial_total == len(world.heard.blocks) > 5

    virtual_time.run(main())


def test_a_sample_from_the_future_does_not_move_the_questions() -> None:
    world = World()
    far = block_of([((("n", "a"),), [EPOCH_MS + 10**12], [1.0])])

    class Odd:
        async def samples(self, _: Selection, **__: object) -> SeriesBlock:
            return far

    world.source.inner = Odd()  # type: ignore[assignment]

    async def main() -> None:
        feed = world.feed()
        await during(
            feed, (290.0, lambda: world.source.trouble.extend([Transient()] * 9)), until=600
        )
        assert 0 <= feed.status()[0].lag_seconds <= 30

    virtual_time.run(main())
    spans = [(start, end) for _, _, start, end in world.source.asked]
    assert all(later[0] <= earlier[1] for earlier, later in pairwise(spans))


def test_a_series_that_is_written_later_than_others_has_no_gap() -> None:
    world = World()
    whole = world.source.inner

    class Lagging:
        async def samples(
            self, selection: Selection, *, start: dt.datetime, end: dt.datetime
        ) -> SeriesBlock:
            block = await whole.samples(selection, start=start, end=end)
            written = EPOCH_MS + 1000 * LoopClock().monotonic() - 20_000
            return block_of(
                (labels, stamps[keep].tolist(), values[keep].tolist())
                for labels, (stamps, values) in zip(
                    block.labels, map(block.of, range(len(block.labels))), strict=True
                )
                for keep in [(stamps < written) | (("job", "kubelet") not in labels)]
            )

    world.source.inner = Lagging()  # type: ignore[assignment]

    async def main() -> None:
        await during(world.feed(), until=600)

    virtual_time.run(main())
    assert world.heard.gaps(UP) == {SCRAPE_MS}


def test_what_is_not_there_is_not_looked_for_further_and_further_back() -> None:
    world = World()

    class Empty:
        async def samples(self, _: Selection, **__: object) -> SeriesBlock:
            return block_of([])

    world.source.inner = Empty()  # type: ignore[assignment]

    async def main() -> None:
        await during(world.feed(), until=HOUR)

    virtual_time.run(main())
    assert len(world.source.asked) < 130
    _, _, start, end = world.source.asked[-1]
    assert end - start < dt.timedelta(seconds=100)
