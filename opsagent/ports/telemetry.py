"""What others measure and keep of the cluster: series, numbers, archived logs, traces."""

import datetime as dt
from typing import Protocol

from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricsHealth, MetricTemplate
from opsagent.model.series import Selection, SeriesBlock
from opsagent.model.trace import Trace, TraceAnswer, TraceSearch


class SeriesSource(Protocol):
    """Named sets of series, each as a whole, for those who follow them. A partial answer is marked.

    Raises (all methods): Transient, also for a partial answer that shows nothing; Terminal if the source will
    never answer this: too much of it, no access, not what we take it for.
    """

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return every sample from ``start`` to ``end``, both included, as it was scraped, with the marks of series that ended.

        Raises NotFound: this source has no samples to give, ask for a range.
        """
        ...

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Return what is seen each ``step`` from ``start`` to ``end``, all three taken to the second, at most 11,000 times.

        A sample is seen for five minutes, unless its series ended; there are no marks.
        """
        ...


class MetricsSource(Protocol):
    """Named questions to a store of numbers. A partial answer is marked, and one without any series is no answer.

    Raises (all methods): Transient, also for a partial answer that shows nothing; Terminal if the source
    will never answer this: arguments that the template does not take, no access, not what we take it for.
    """

    async def query(
        self, template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
    ) -> MetricAnswer:
        """Return one point a series, at ``at``."""
        ...

    async def query_range(
        self,
        template: MetricTemplate,
        arguments: MetricArguments,
        *,
        start: dt.datetime,
        end: dt.datetime,
        step: dt.timedelta,
    ) -> MetricAnswer:
        """Return a point each ``step`` from ``start`` to ``end``, all three taken to the second, at most 11,000."""
        ...

    async def health(self) -> MetricsHealth:
        """Return what the source says of itself."""
        ...


class LogArchive(Protocol):
    """Where a collector brings the logs of the cluster, also of pods that are gone. Bounded, redacted; a partial answer is marked.

    Raises: Transient; Terminal if the archive will never answer this: a search that makes no sense, no
    access, more than is read, not what we take it for.
    """

    async def search(self, search: LogSearch) -> LogAnswer:
        """Return the newest lines that fit, oldest first; at most 1,000 over at most 30 days."""
        ...


class TraceArchive(Protocol):
    """Where services bring their traces. Bounded, redacted; a partial answer is marked. Raises as ``LogArchive``."""

    async def search(self, search: TraceSearch) -> TraceAnswer:
        """Return traces that fit, newest first; at most 100 over at most 7 days."""
        ...

    async def trace(self, trace_id: str) -> Trace:
        """Return one trace by its hexadecimal id, at most 500 of its spans; also raises NotFound."""
        ...
