"""The way of numbers in one term: a store of samples -> windows -> bins -> the state folder."""

import datetime as dt
from collections.abc import Awaitable, Callable

from opsagent.controllers.remember_series import RememberSeries
from opsagent.controllers.report import Tree
from opsagent.ports import BinStore, SeriesSource
from opsagent.sources.series import FeedPace, Following, SeriesFeed
from opsagent.world import World

# Asked for each five minutes: a question costs as much for one sample of a series as for ten.
PACE = FeedPace(period_seconds=300.0)


class Series:
    """Follows all selections of ``source`` and keeps what they come to in ``store``."""

    def __init__(
        self, world: World, source: SeriesSource, store: BinStore, retention: dt.timedelta
    ) -> None:
        self._keeping = RememberSeries(store, world.clock, retention)
        self._feed = SeriesFeed(
            source,
            Following(pace=PACE),
            self._keeping.take,
            clock=world.clock,
            chance=world.chance,
        )

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the loop by name."""
        return {"series": self._feed.run}

    async def retain(self) -> None:
        """Delete what is too old."""
        await self._keeping.retain()

    def status(self) -> Tree:
        """Return how well each selection is known and kept."""
        counters = self._feed.counters
        return {
            "questions_total": counters.questions_total,
            "samples_total": counters.samples_total,
            "partial_total": counters.partial_total,
            "failures_total": counters.failures_total,
            "skipped_seconds_total": counters.skipped_seconds_total,
            "selections": {
                each.selection.value: {
                    "lag_seconds": round(each.lag_seconds),
                    "is_sampled": each.is_sampled,
                    "last_error": each.last_error,
                }
                for each in self._feed.status()
            },
            "kept": self._keeping.status(),
        }
