"""Ranges in bulk: download and decoding of query_range's JSON, beside prometheus-api-client's data frame.

5,000 series of 240 points over loopback from a process of its own, NaN and series that end among them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opsagent.clients.download import Place
from opsagent.clients.prometheus_selections import matchers, selector
from opsagent.clients.prometheus_series import PrometheusSeries
from opsagent.model.series import Selection
from tests.bench.data_frame import START, STEP, Sums, data_frame, sums
from tests.bench.frame import Measure, Pair, Sides
from tests.bench.metrics_server import count, serving

SERIES, POINTS = 5000, 240
CPU = Selection.CONTAINER_CPU


@contextmanager
def _opened() -> Iterator[Sides]:
    with serving(SERIES, POINTS) as url, asyncio.Runner() as runner:
        source = PrometheusSeries(Place("metrics", url))

        async def read() -> Sums:
            end = START + STEP * (POINTS - 1)
            return sums((await source.range(CPU, start=START, end=end, step=STEP)).values)

        def candidate() -> Sums:
            return runner.run(read())

        yardstick = data_frame(url, selector(matchers(CPU)), POINTS)
        yield Sides(candidate, yardstick, count(SERIES, POINTS))
        runner.run(source.aclose())


ROWS = (
    Pair("metrics.range", 8, _opened),
    Pair("metrics.range.memory", 5, _opened, Measure.MEMORY),
)
