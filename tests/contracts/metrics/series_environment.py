"""Where the contract of bulk series runs: the simulated Prometheus in process and over HTTP, and a real one.

All hold the same samples, stale marks among them. The two that speak HTTP are asked through the product's own client.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from opsagent.clients.download import Place
from opsagent.clients.prometheus_series import PrometheusSeries
from opsagent.ports import SeriesSource
from opsagent.sim.prometheus_server import prometheus_serving
from opsagent.sim.series import SimSeries
from tests.contracts.metrics.environment import ClusterClock, history
from tests.lab.remote_write import write
from tests.lab.telemetry_binaries import prometheus as running_prometheus

Environment = Callable[..., AbstractAsyncContextManager[SeriesSource]]


@asynccontextmanager
async def sim(_folder: Path, namespaces: tuple[str, ...] = ()) -> AsyncIterator[SeriesSource]:
    hand, prometheus = history()
    yield SimSeries(prometheus, ClusterClock(hand), namespaces)


@asynccontextmanager
async def asking(url: str, namespaces: tuple[str, ...] = ()) -> AsyncIterator[SeriesSource]:
    source = PrometheusSeries(Place("metrics", url), namespaces=namespaces)
    try:
        yield source
    finally:
        await source.aclose()


@asynccontextmanager
async def http(_folder: Path, namespaces: tuple[str, ...] = ()) -> AsyncIterator[SeriesSource]:
    hand, prometheus = history()
    async with (
        prometheus_serving(prometheus, ClusterClock(hand)) as url,
        asking(url, namespaces) as source,
    ):
        yield source


@asynccontextmanager
async def real(folder: Path, namespaces: tuple[str, ...] = ()) -> AsyncIterator[SeriesSource]:
    hand, prometheus = history()
    with running_prometheus(folder, "", "--web.enable-remote-write-receiver") as url:
        write(url, prometheus.samples(hand.cluster.now))
        async with asking(url, namespaces) as source:
            yield source


everywhere = pytest.mark.parametrize(
    "environment", [sim, http, pytest.param(real, marks=pytest.mark.lab)]
)
