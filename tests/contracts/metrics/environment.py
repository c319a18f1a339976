"""Where the contract of metrics runs: the simulated Prometheus in process and over HTTP, and a real one.

All three hold the same samples: the real one's database is filled with what the simulated one scraped. The two that speak HTTP are asked through the product's own client.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from opsagent.clients.prometheus import PrometheusSource
from opsagent.ports import MetricsSource
from opsagent.runtime.clock import SystemClock
from opsagent.sim.prometheus import Prometheus, SimMetrics
from opsagent.sim.prometheus_server import prometheus_serving
from tests.contracts.metrics.history import half_hour
from tests.edge.sim.hand import Hand
from tests.lab.remote_write import write
from tests.lab.telemetry_binaries import backfill, prometheus as running_prometheus

SAMPLES_MIN = 5000


@cache
def history() -> tuple[Hand, Prometheus]:
    """Return the one history that all are compared on; it is not moved on."""
    return half_hour()


class ClusterClock:
    """Shows the time that the simulated cluster has come to."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def now(self):
        return self._hand.cluster.now

    def monotonic(self) -> float:
        return self._hand.cluster.now.timestamp()


Environment = Callable[[Path], AbstractAsyncContextManager[MetricsSource]]


@asynccontextmanager
async def sim(_folder: Path) -> AsyncIterator[MetricsSource]:
    hand, prometheus = history()
    yield SimMetrics(prometheus, ClusterClock(hand))


@asynccontextmanager
async def http(_folder: Path) -> AsyncIterator[MetricsSource]:
    hand, prometheus = history()
    async with prometheus_serving(prometheus, ClusterClock(hand)) as url:
        source = PrometheusSource(url, SystemClock())
        yield source
        await source.aclose()


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[MetricsSource]:
    hand, prometheus = history()
    samples = folder / "samples.om"
    samples.write_text("".join(prometheus.openmetrics(hand.cluster.now)))
    backfill(samples, folder / "data")
    with running_prometheus(folder) as url:
        source = PrometheusSource(url, SystemClock())
        yield source
        await source.aclose()


@asynccontextmanager
async def real_with_marks(folder: Path) -> AsyncIterator[MetricsSource]:
    """The same samples with their stale marks, which only remote write can bring in."""
    hand, prometheus = history()
    with running_prometheus(folder, "", "--web.enable-remote-write-receiver") as url:
        assert write(url, prometheus.samples(hand.cluster.now)) > SAMPLES_MIN
        source = PrometheusSource(url, SystemClock())
        yield source
        await source.aclose()


everywhere = pytest.mark.parametrize(
    "environment", [sim, http, pytest.param(real, marks=pytest.mark.lab)]
)
