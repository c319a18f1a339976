"""``ports.SeriesSource`` on a simulated Prometheus in the same process: the bytes that it would send, decoded as ever."""

import datetime as dt
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from opsagent.clients.prometheus_bulk import RangeReader
from opsagent.clients.prometheus_remote import READ, RemoteReader, question
from opsagent.clients.prometheus_selections import matchers, selector
from opsagent.clients.prometheus_series import milliseconds, range_path, samples_of
from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import Clock
from opsagent.sim.prometheus import Prometheus


class SimSeries:
    """All series of ``namespaces``, of all of them if none is named."""

    def __init__(
        self, prometheus: Prometheus, clock: Clock, namespaces: Sequence[str] = ()
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._namespaces = namespaces
        self._remote = RemoteReader()
        self._range = RangeReader()

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return every sample from ``start`` to ``end``."""
        wanted = matchers(selection, self._namespaces)
        asked = question(wanted, milliseconds(start), milliseconds(end))
        found = self._prometheus.handle(READ, {}, self._clock.now(), asked)
        return samples_of(self._remote, found.status, found.body)

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Return what is seen each ``step`` from ``start`` to ``end``."""
        wanted = matchers(selection, self._namespaces)
        path, asked = urlsplit(range_path(selector(wanted), start, end, step))[2:4]
        found = self._prometheus.handle(path, dict(parse_qsl(asked)), self._clock.now())
        return self._range.block(found.status, found.body)
