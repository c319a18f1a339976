"""The way of numbers in one term: a store of samples -> windows -> bins -> the state folder."""

import datetime as dt
from collections.abc import Awaitable, Callable

from opsagent.controllers.remember_series import RememberSeries
from opsagent.controllers.report import Tree
from opsagent.ports import BinStore, SeriesSource
from opsagent.signals.series import WindowShape
from opsagent.sources.series import ADVICE, FeedPace, Following, SeriesFeed
from opsagent.world import World

# A question costs as much for one sample of a series as for ten, and nobody reads what is finer than a bin: windows are
# there to make bins of, detection and verification ask for numbers of their own. So one question a bin; its numbers are
# kept some minutes later than they could be, and a restart asks for them again. Ranges, which cost by the instant, have
# two in a bin. An answer goes through its window in the loop: 100,000 samples take it 5 ms.
PACE = FeedPace(
    period_seconds=WindowShape().bin_ms / 1000, step_seconds=300.0, piece_samples=100_000
)


class Series:
    """Follows all selections of ``source`` and keeps what they come to in ``store``, from where it ends."""

    def __init__(
        self, world: World, source: SeriesSource, store: BinStore, retention: dt.timedelta
    ) -> None:
        self._world = world
        self._source = source
        self._keeping = RememberSeries(store, world.clock, retention)
        self._feed: SeriesFeed | None = None

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the loop by name."""
        return {"series": self._run}

    async def retain(self) -> None:
        """Delete what is too old."""
        await self._keeping.retain()

    def status(self) -> Tree:
        """Return how well each selection is known and kept."""
        followed = {} if self._feed is None else _followed(self._feed)
        return {**followed, "kept": self._keeping.status()}

    async def _run(self) -> None:
        away_max = dt.timedelta(seconds=PACE.outage_seconds_max)
        since = await self._keeping.known(away_max)
        self._feed = SeriesFeed(
            self._source,
            Following(since=since, pace=PACE),
            self._keeping.take,
            clock=self._world.clock,
            chance=self._world.chance,
        )
        await self._feed.run()


def _followed(feed: SeriesFeed) -> Tree:
    """Return how well each selection is known, and what to do where one is not."""
    counters, selections = feed.counters, feed.status()
    is_failing = any(each.last_error for each in selections)
    return {
        "questions_total": counters.questions_total,
        "samples_total": counters.samples_total,
        "partial_total": counters.partial_total,
        "failures_total": counters.failures_total,
        "skipped_seconds_total": counters.skipped_seconds_total,
        **({"advice": ADVICE} if is_failing else {}),
        "selections": {
            each.selection.value: {
                "lag_seconds": round(each.lag_seconds),
                "is_sampled": each.is_sampled,
                "last_error": each.last_error,
            }
            for each in selections
        },
    }
