"""Samples -> windows -> bins -> the bin store. A store that fails costs bins, never the daemon: it is counted and shown.

What a restart goes on from is the store: a window begins where the newest kept bin of its selection ends, so that none is
missing and none is made of half of its samples. Where nothing is kept, or what is kept is too old for the samples
between to be read any more, it begins with the first bin that is whole.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict

import structlog

from opsagent.model.canonical import JsonValue
from opsagent.model.series import Bin, Selection, SeriesBlock
from opsagent.ports import BinStore, Clock, Terminal, Transient
from opsagent.signals.series import SeriesWindow

EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
log = structlog.get_logger(__name__)


class RememberSeries:
    """One window a selection. All methods belong to one event loop."""

    def __init__(self, store: BinStore, clock: Clock, retention: dt.timedelta) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._windows: dict[Selection, SeriesWindow] = {}
        self._begins_ms: dict[Selection, int] = {}  # of windows that are still to be made
        self._kept_total = self._lost_total = self._failures_total = 0
        self._last_error = ""

    async def known(self, away_max: dt.timedelta) -> Mapping[Selection, dt.datetime]:
        """Return the last instant of which each selection is kept; samples of the last ``away_max`` can still be had.

        An end that is yet to come was kept under a clock that was wrong, and is none.
        """
        try:
            ends = await self._store.ends()
        except (Terminal, Transient) as error:
            self._fail(error)
            return {}
        now = self._clock.now()
        known = {
            selection: at
            for selection, end_ms in ends.items()
            if (at := EPOCH + (end_ms - 1) * MILLISECOND) <= now
        }
        self._begins_ms = {
            selection: ends[selection] for selection, at in known.items() if at >= now - away_max
        }
        return known

    async def take(self, selection: Selection, block: SeriesBlock, at: dt.datetime) -> None:
        """Take samples that came at ``at``; keep the bins that they close."""
        now_ms = (at - EPOCH) // MILLISECOND
        if selection not in self._windows:
            if not len(block.stamps):  # the first samples are still to come, and may be old
                return
            oldest_ms = min(int(block.stamps.min()), now_ms)  # a stamp may lie in the future
            begin_ms = self._begins_ms.get(selection, oldest_ms)
            self._windows[selection] = SeriesWindow(begin_ms)
        for told in self._windows[selection].take(block, now_ms):
            await self._keep(selection, told)

    async def retain(self) -> None:
        """Delete what is too old."""
        try:
            dropped = await self._store.retain(self._clock.now() - self._retention)
        except (Terminal, Transient) as error:
            self._fail(error)
        else:
            if dropped:
                log.info("series.retained", bins_dropped=dropped)

    def status(self) -> dict[str, JsonValue]:
        """Return how many bins were kept and lost, and what became of the samples of each selection."""
        return {
            "bins_total": self._kept_total,
            "lost_total": self._lost_total,
            "failures_total": self._failures_total,
            "last_error": self._last_error,
            "windows": {
                selection.value: {"series": len(window), **asdict(window.counters)}
                for selection, window in self._windows.items()
            },
        }

    async def _keep(self, selection: Selection, told: Bin) -> None:
        try:
            await self._store.keep(selection, told)
        except (Terminal, Transient) as error:
            self._lost_total += 1
            self._fail(error)
            return
        self._kept_total += 1
        if self._last_error:
            log.info("series.kept_again", bins_lost=self._lost_total)
        self._last_error = ""

    def _fail(self, error: Exception) -> None:
        self._failures_total += 1
        if not self._last_error:
            log.error("series.not_kept", error=str(error))
        self._last_error = str(error)
