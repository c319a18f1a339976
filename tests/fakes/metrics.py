"""``ports.MetricsSource`` that answers from a table and fails as it is told to."""

import asyncio
import datetime as dt
from dataclasses import dataclass, field

from opsagent.model.metrics import (
    MetricAnswer,
    MetricArguments,
    MetricsHealth,
    MetricTemplate,
    Point,
    Series,
)

Table = dict[MetricTemplate, MetricAnswer | Exception]


def answer(value: float, *warnings: str, **labels: str) -> MetricAnswer:
    """Return one series of one point."""
    at = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    return MetricAnswer((Series(labels, (Point(at, value),)),), warnings)


def several(values: dict[str, float], label: str = "pod") -> MetricAnswer:
    """Return one series a pod."""
    at = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    lines = (Series({label: name}, (Point(at, value),)) for name, value in values.items())
    return MetricAnswer(tuple(lines))


@dataclass
class ScriptedMetrics:
    """``table`` holds what each question comes to; what is not in it has no series. ``asked`` keeps all questions."""

    table: Table = field(default_factory=dict)
    fact: MetricsHealth | Exception = field(default_factory=lambda: MetricsHealth("2.42.0"))
    delay_seconds: float = 0.0
    asked: list[tuple[MetricTemplate, MetricArguments, dt.datetime]] = field(default_factory=list)

    async def query(
        self, template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
    ) -> MetricAnswer:
        self.asked.append((template, arguments, at))
        await asyncio.sleep(self.delay_seconds)
        found = self.table.get(template, MetricAnswer())
        if isinstance(found, Exception):
            raise found
        return found

    async def query_range(
        self,
        template: MetricTemplate,
        arguments: MetricArguments,
        *,
        start: dt.datetime,
        end: dt.datetime,
        step: dt.timedelta,
    ) -> MetricAnswer:
        assert start <= end
        assert step
        return await self.query(template, arguments, end)

    async def health(self) -> MetricsHealth:
        await asyncio.sleep(self.delay_seconds)
        if isinstance(self.fact, Exception):
            raise self.fact
        return self.fact
