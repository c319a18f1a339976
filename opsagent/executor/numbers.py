"""Asks a metrics source about the target of a change, for verification.

What cannot be asked, or is answered in part, is handed on as None, never as an empty answer: a source
that fails makes the verdict unknown. Everything together gets a few seconds, so that a source that hangs
does not hold up the other signals.
"""

import asyncio
import datetime as dt
from dataclasses import dataclass

from opsagent.guard.verification import Metrics
from opsagent.model.entity import Entity
from opsagent.model.metrics import MetricArguments, MetricTemplate, Series
from opsagent.ports import Clock, MetricsSource, Terminal, Transient

SECONDS_MAX = 5.0  # a fifth of what is between two samples of a usual window
SCRAPES_SEEN = 2.5  # intervals that hold two scrapes for sure, one of which may be late
UNREADABLE = Metrics(None, None, None)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A source, and the longest time between two scrapes of what it holds of the cluster."""

    source: MetricsSource
    clock: Clock
    scrape_seconds: float

    async def look(self, target: Entity, window: dt.timedelta, since: dt.datetime) -> Metrics:
        """Return what there is to say about ``target`` now.

        Args:
            target: a Deployment.
            window: of the verification; restarts are looked for in its later half, or in as much time
                as two scrapes need, but never from before ``since``.
            since: when the change was made.
        """
        now = self.clock.now()
        scrapes = dt.timedelta(seconds=SCRAPES_SEEN * self.scrape_seconds)
        back = max(dt.timedelta(seconds=1), min(max(window / 2, scrapes), now - since))
        try:
            async with asyncio.timeout(SECONDS_MAX):
                return await self._ask(target, back, now)
        except (TimeoutError, Transient, Terminal):
            return UNREADABLE

    async def _ask(self, target: Entity, back: dt.timedelta, now: dt.datetime) -> Metrics:
        restarts = await self._whole(MetricTemplate.CONTAINER_RESTARTS, target, now, back)
        ready = await self._whole(MetricTemplate.DEPLOYMENT_REPLICAS_READY, target, now)
        age = await self._whole(MetricTemplate.DEPLOYMENT_SAMPLE_AGE_SECONDS, target, now)
        if restarts is None or not ready or not age:
            return UNREADABLE
        by_pod: dict[str, int] = {}
        for series in restarts:
            pod = series.labels.get("pod", "")
            by_pod[pod] = by_pod.get(pod, 0) + round(_last(series))
        sample_at = now - dt.timedelta(seconds=_last(age[0]))
        return Metrics(by_pod, round(_last(ready[0])), sample_at)

    async def _whole(
        self,
        template: MetricTemplate,
        target: Entity,
        now: dt.datetime,
        window: dt.timedelta = dt.timedelta(0),
    ) -> tuple[Series, ...] | None:
        """Return the answer, None if it is partial."""
        about = MetricArguments(target.namespace, target.name, window=window)
        answer = await self.source.query(template, about, now)
        return None if answer.is_partial else answer.series


def _last(series: Series) -> float:
    return series.points[-1].value
