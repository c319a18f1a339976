"""Every named expression means the same on a simulated and on a real Prometheus, on the same samples."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricTemplate
from opsagent.ports import MetricsSource, Terminal
from tests.contracts.metrics.environment import (
    Environment,
    everywhere,
    history,
    http,
    real_with_marks,
    sim,
)
from tests.contracts.metrics.history import LENGTH_SECONDS, questions
from tests.edge.sim.hand import PODS
from tests.fakes.virtual_time import EPOCH

WEB = MetricArguments(namespace="shop", deployment="web")
MOMENTS = [EPOCH + dt.timedelta(seconds=61.7 * step) for step in range(26)]


def at(seconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=seconds)


def values(answer: MetricAnswer, *names: str) -> Mapping[tuple[str, ...], float]:
    return {
        tuple(series.labels[name] for name in names): series.points[0].value
        for series in answer.series
    }


async def one(source: MetricsSource, template: MetricTemplate, seconds: float, **more: object):
    asked = {"namespace": "shop", "deployment": "web"} | more
    return await source.query(template, MetricArguments(**asked), at(seconds))


@everywhere
async def test_the_story_is_told_by_the_numbers(environment: Environment, tmp_path: Path) -> None:
    async with environment(tmp_path) as source:
        window = dt.timedelta(minutes=2)
        quiet = await one(source, MetricTemplate.CONTAINER_RESTARTS, 299.3, window=window)
        assert set(values(quiet, "pod").values()) == {0.0}
        assert len(quiet.series) == 3
        looping = await one(source, MetricTemplate.CONTAINER_RESTARTS, 400.9, window=window)
        assert max(values(looping, "pod").values()) >= 2
        ready = await one(source, MetricTemplate.DEPLOYMENT_REPLICAS_READY, 400.9)
        assert values(ready, "deployment") == {("web",): 3.0}
        unavailable = await one(
            source, MetricTemplate.DEPLOYMENT_REPLICAS_UNAVAILABLE, 400.9, deployment=""
        )
        assert values(unavailable, "deployment") == {("web",): 1, ("cart",): 0, ("batch",): 0}
        pods = await one(source, MetricTemplate.PODS_READY, 400.9)
        assert values(pods) == {(): 3.0}
        memory = await one(source, MetricTemplate.CONTAINER_MEMORY_LIMIT_RATIO, 61.7)
        assert values(memory, "container") == {("web",): 0.375}
        throttled = await one(
            source,
            MetricTemplate.CONTAINER_CPU_THROTTLED_RATIO,
            299.3,
            deployment="batch",
            window=window,
        )
        assert list(values(throttled).values()) == pytest.approx([0.5], abs=0.01)
        age = await one(source, MetricTemplate.DEPLOYMENT_SAMPLE_AGE_SECONDS, 61.7)
        assert list(values(age).values()) == pytest.approx([1.7], abs=1e-3)
        node = MetricArguments(node="node-1")
        answer = await source.query(MetricTemplate.NODE_READY, node, at(61.7))
        assert values(answer, "node") == {("node-1",): 1.0}
        up = await source.query(MetricTemplate.TARGETS_UP_RATIO, MetricArguments(), at(61.7))
        assert set(values(up, "job").values()) == {1.0}
        assert len(up.series) == 3


@everywhere
async def test_one_container_and_one_node_by_name(environment: Environment, tmp_path: Path) -> None:
    hand, _ = history()
    (pod,) = (item["metadata"]["name"] for item in hand.items(PODS, labelSelector="app=batch"))
    about = {"namespace": "shop", "pod": pod, "container": "batch"}
    async with environment(tmp_path) as source:
        arguments = MetricArguments(**about)
        memory = await source.query(MetricTemplate.CONTAINER_MEMORY_BYTES, arguments, at(299.3))
        assert values(memory, "container") == {("batch",): 48 * 2**20}
        arguments = MetricArguments(**about, window=dt.timedelta(minutes=2))
        cpu = await source.query(MetricTemplate.CONTAINER_CPU_CORES, arguments, at(299.3))
        assert values(cpu, "pod") == {(pod,): pytest.approx(0.25)}
        node = MetricArguments(node="node-1")
        free = await source.query(MetricTemplate.NODE_MEMORY_AVAILABLE_RATIO, node, at(299.3))
        assert values(free) == {(): pytest.approx(0.965, abs=0.003)}
        nowhere = MetricArguments(node="nowhere")
        answer = await source.query(MetricTemplate.NODE_MEMORY_AVAILABLE_RATIO, nowhere, at(299.3))
        assert answer == MetricAnswer()


@everywhere
async def test_what_nothing_matches_is_empty_and_whole(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        answer = await one(source, MetricTemplate.DEPLOYMENT_REPLICAS_READY, 61.7, deployment="x")
        assert answer == MetricAnswer()
        assert not answer.is_partial
        before = await one(source, MetricTemplate.DEPLOYMENT_REPLICAS_READY, -3600)
        assert before.series == ()


@everywhere
async def test_a_sample_is_seen_for_five_minutes(environment: Environment, tmp_path: Path) -> None:
    async with environment(tmp_path) as source:
        end = 1500.0  # the last scrape
        template = MetricTemplate.DEPLOYMENT_REPLICAS_READY
        assert (await one(source, template, end + 299)).series
        assert not (await one(source, template, end + 301)).series


@everywhere
async def test_a_range_has_a_point_a_step_and_gaps_where_nothing_was(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        answer = await source.query_range(
            MetricTemplate.DEPLOYMENT_REPLICAS_READY,
            WEB,
            start=at(-59.1),
            end=at(240.9),
            step=dt.timedelta(seconds=60),
        )
        (series,) = answer.series
        assert [point.at for point in series.points] == [at(0), at(60), at(120), at(180), at(240)]
        assert {point.value for point in series.points} == {3.0}


@everywhere
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (MetricArguments(namespace="shop"), "takes deployment, namespace"),
        (MetricArguments(namespace="shop", deployment="web", node="n"), "takes deployment"),
        (MetricArguments(namespace="shop", deployment='x"} or up{a="'), "not a Kubernetes name"),
        (MetricArguments(namespace="shop", deployment="x" * 254), "not a Kubernetes name"),
    ],
)
async def test_arguments_that_do_not_fit_never_reach_the_server(
    environment: Environment, tmp_path: Path, arguments: MetricArguments, words: str
) -> None:
    async with environment(tmp_path) as source:
        with pytest.raises(Terminal, match=words):
            await source.query(MetricTemplate.DEPLOYMENT_REPLICAS_READY, arguments, at(0))


@everywhere
async def test_too_many_points_are_refused(environment: Environment, tmp_path: Path) -> None:
    async with environment(tmp_path) as source:
        for step in (dt.timedelta(seconds=1), dt.timedelta(milliseconds=10)):
            with pytest.raises(Terminal, match="points"):
                await source.query_range(
                    MetricTemplate.DEPLOYMENT_REPLICAS_READY,
                    WEB,
                    start=at(0),
                    end=at(11_000),
                    step=step,
                )


def same(one: MetricAnswer, other: MetricAnswer) -> bool:
    """Compare labels, instants and values; NaN is like NaN."""
    if [each.labels for each in one.series] != [each.labels for each in other.series]:
        return False
    for mine, theirs in zip(one.series, other.series, strict=True):
        if [p.at for p in mine.points] != [p.at for p in theirs.points]:
            return False
        for a, b in zip(mine.points, theirs.points, strict=True):
            is_nan = math.isnan(a.value) and math.isnan(b.value)
            if not is_nan and not math.isclose(a.value, b.value, rel_tol=1e-9, abs_tol=1e-6):
                return False
    return True


@pytest.mark.lab
@pytest.mark.timeout(300)  # a few thousand questions over HTTP
@pytest.mark.parametrize("face", [sim, http])
async def test_every_answer_is_the_same_as_the_real_one(face: Environment, tmp_path: Path) -> None:
    hand, _ = history()
    whole = {"start": at(-30), "end": at(LENGTH_SECONDS + 330), "step": dt.timedelta(seconds=7)}
    seen: Counter[MetricTemplate] = Counter()
    async with face(tmp_path) as simulated, real_with_marks(tmp_path) as prometheus:
        for template, arguments in questions(hand):
            for moment in MOMENTS:
                mine = await simulated.query(template, arguments, moment)
                theirs = await prometheus.query(template, arguments, moment)
                assert same(mine, theirs), (template, arguments, moment, mine, theirs)
                seen[template] += len(theirs.series)
            mine = await simulated.query_range(template, arguments, **whole)
            theirs = await prometheus.query_range(template, arguments, **whole)
            assert same(mine, theirs), (template, arguments, mine, theirs)
            seen[template] += sum(len(each.points) for each in theirs.series)
    assert min(seen[template] for template in MetricTemplate) > 100, seen
