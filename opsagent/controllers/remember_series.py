"""Samples -> windows -> bins -> the bin store. A store that fails costs bins, never the daemon: it is counted and shown."""

import datetime as dt
from dataclasses import asdict

import structlog

from opsagent.model.canonical import JsonValue
from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import BinStore, Clock, Terminal
from opsagent.signals.series import SeriesWindow

log = structlog.get_logger(__name__)


class RememberSeries:
    """One window a selection. All methods belong to one event loop."""

    def __init__(self, store: BinStore, clock: Clock, retention: dt.timedelta) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._windows: dict[Selection, SeriesWindow] = {}
        self._kept_total = self._lost_total = 0
        self._last_error = ""

    async def take(self, selection: Selection, block: SeriesBlock, at: dt.datetime) -> None:
        """Take samples that came at ``at``; keep the bins that they close."""
        now_ms = int(at.timestamp() * 1000)
        window = self._windows.get(selection)
        if window is None:
            oldest_ms = int(block.stamps.min()) if len(block.stamps) else now_ms
            window = self._windows[selection] = SeriesWindow(oldest_ms)
        for told in window.take(block, now_ms):
            try:
                await self._store.keep(selection, told)
            except Terminal as error:
                self._fail(error)
            else:
                self._kept_total += 1
                self._last_error = ""

    async def retain(self) -> None:
        """Delete what is too old."""
        try:
            dropped = await self._store.retain(self._clock.now() - self._retention)
        except Terminal as error:
            self._fail(error)
        else:
            log.info("series.retained", bins_dropped=dropped)

    def status(self) -> dict[str, JsonValue]:
        """Return how many bins were kept and lost, and what became of the samples of each selection."""
        return {
            "bins_total": self._kept_total,
            "lost_total": self._lost_total,
            "last_error": self._last_error,
            "windows": {
                selection.value: {"series": len(window), **asdict(window.counters)}
                for selection, window in self._windows.items()
            },
        }

    def _fail(self, error: Terminal) -> None:
        self._lost_total += 1
        if not self._last_error:
            log.warning("series.not_kept", error=str(error))
        self._last_error = str(error)
