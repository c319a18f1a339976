"""What a source that fails is told apart by: a partial answer is marked, and no failure looks like "nothing there"."""

import datetime as dt
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from opsagent.clients.prometheus import PrometheusSource
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricTemplate
from opsagent.ports import MetricsSource, Terminal, Transient
from opsagent.runtime.clock import SystemClock
from opsagent.sim import ImageRegistry, shop
from opsagent.sim.images import ImageBehaviour
from opsagent.sim.prometheus import Prometheus, SimMetrics
from opsagent.sim.prometheus_server import prometheus_serving
from opsagent.sim.shop import deployment
from tests.contracts.metrics.environment import ClusterClock
from tests.edge.sim.hand import DEPLOYMENTS, Hand
from tests.fakes.virtual_time import EPOCH

UP = (MetricTemplate.TARGETS_UP_RATIO, MetricArguments())
NOBODY = (
    MetricTemplate.DEPLOYMENT_REPLICAS_READY,
    MetricArguments(namespace="shop", deployment="nobody"),
)

Face = Callable[[Hand, Prometheus], AbstractAsyncContextManager[MetricsSource]]


@asynccontextmanager
async def sim(hand: Hand, prometheus: Prometheus) -> AsyncIterator[MetricsSource]:
    yield SimMetrics(prometheus, ClusterClock(hand))


@asynccontextmanager
async def http(hand: Hand, prometheus: Prometheus) -> AsyncIterator[MetricsSource]:
    async with prometheus_serving(prometheus, ClusterClock(hand)) as url:
        source = PrometheusSource(url, SystemClock())
        yield source
        await source.aclose()


faces = pytest.mark.parametrize("face", [sim, http])


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def prometheus(hand: Hand) -> Prometheus:
    return Prometheus(hand.cluster)


async def ask(source: MetricsSource, hand: Hand, question: tuple = UP) -> MetricAnswer:
    return await source.query(*question, hand.cluster.now)


@faces
async def test_a_partial_answer_says_so(face: Face, hand: Hand, prometheus: Prometheus) -> None:
    prometheus.warnings = ["store-1: context deadline exceeded\n"]
    async with face(hand, prometheus) as source:
        answer = await ask(source, hand)
        assert answer.is_partial
        assert answer.warnings == ("store-1: context deadline exceeded ",)
        assert len(answer.series) == 3
        ranged = await source.query_range(
            *UP, start=hand.cluster.now, end=hand.cluster.now, step=dt.timedelta(seconds=15)
        )
        assert ranged.is_partial
        prometheus.warnings = []
        assert not (await ask(source, hand)).is_partial


@faces
async def test_a_partial_answer_without_any_series_is_no_answer(
    face: Face, hand: Hand, prometheus: Prometheus
) -> None:
    async with face(hand, prometheus) as source:
        assert await ask(source, hand, NOBODY) == MetricAnswer()
        prometheus.warnings = ["store-1 is away"]
        with pytest.raises(Transient, match="store-1 is away"):
            await ask(source, hand, NOBODY)


@faces
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Terminal),
        (401, Terminal),
        (403, Terminal),
        (422, Terminal),
        (429, Transient),
        (500, Transient),
        (503, Transient),
    ],
)
async def test_a_refusal_is_an_error_and_the_next_question_is_answered(
    face: Face, hand: Hand, prometheus: Prometheus, status: int, error: type[Exception]
) -> None:
    prometheus.refusals.append(status)
    async with face(hand, prometheus) as source:
        with pytest.raises(error, match=str(status)):
            await ask(source, hand)
        assert len((await ask(source, hand)).series) == 3


@faces
async def test_what_left_no_longer_counts_after_the_next_scrape(
    face: Face, hand: Hand, prometheus: Prometheus
) -> None:
    web = MetricArguments(namespace="shop", deployment="web")
    async with face(hand, prometheus) as source:
        answer = await ask(source, hand, (MetricTemplate.DEPLOYMENT_REPLICAS_READY, web))
        assert answer.series
        hand.send("DELETE", f"{DEPLOYMENTS}/web")
        hand.wait(31)
        answer = await ask(source, hand, (MetricTemplate.DEPLOYMENT_REPLICAS_READY, web))
        assert answer == MetricAnswer()


@faces
async def test_a_target_that_does_not_answer_is_down_and_its_numbers_are_gone(
    face: Face, hand: Hand, prometheus: Prometheus
) -> None:
    web = MetricArguments(namespace="shop", deployment="web")
    prometheus.set_down("kube-state-metrics", is_down=True)
    hand.wait(16)
    async with face(hand, prometheus) as source:
        up = await ask(source, hand)
        assert {s.labels["job"]: s.points[0].value for s in up.series} == {
            "kube-state-metrics": 0.0,
            "kubelet": 1.0,
            "node-exporter": 1.0,
        }
        answer = await ask(source, hand, (MetricTemplate.DEPLOYMENT_REPLICAS_READY, web))
        assert answer.series == ()
        prometheus.set_down("kube-state-metrics", is_down=False)
        hand.wait(15)
        answer = await ask(source, hand, (MetricTemplate.DEPLOYMENT_REPLICAS_READY, web))
        assert answer.series


@faces
async def test_a_ratio_over_nothing_is_no_number_and_stays_in_the_answer(face: Face) -> None:
    registry = ImageRegistry(images={"shop/idle:v1": ImageBehaviour(memory_bytes=0)})
    hand = Hand(shop(EPOCH, registry=registry))
    prometheus = Prometheus(hand.cluster)
    idle = deployment("idle", "shop/idle:v1", 1)
    idle["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "0"}}
    hand.create(DEPLOYMENTS, idle)
    hand.wait(31)
    about = MetricArguments(namespace="shop", deployment="idle")
    async with face(hand, prometheus) as source:
        answer = await ask(source, hand, (MetricTemplate.CONTAINER_MEMORY_LIMIT_RATIO, about))
    (series,) = answer.series
    assert math.isnan(series.points[0].value)


@faces
async def test_health_names_the_version(face: Face, hand: Hand, prometheus: Prometheus) -> None:
    async with face(hand, prometheus) as source:
        health = await source.health()
        assert health.version == "2.42.0"
        assert health.rules_failing == ()
