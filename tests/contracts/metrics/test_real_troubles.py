"""What only a real Prometheus can show: that its refusals, warnings and scrapes look as the simulated one's do."""

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.prometheus import PrometheusSource
from opsagent.clients.prometheus_wire import warnings_of
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricTemplate
from opsagent.ports import MetricsSource, Terminal, Transient
from opsagent.runtime.clock import SystemClock
from opsagent.sim.prometheus import Prometheus
from opsagent.sim.prometheus_server import prometheus_serving
from tests.contracts.metrics.environment import ClusterClock, history
from tests.edge.sim.hand import DEPLOYMENTS, Hand
from tests.lab.remote_write import write
from tests.lab.telemetry_binaries import prometheus as running_prometheus

pytestmark = pytest.mark.lab

WEB = MetricArguments(namespace="shop", deployment="web")
NOBODY = MetricArguments(namespace="shop", deployment="nobody")
READY = MetricTemplate.DEPLOYMENT_REPLICAS_READY
BROKEN_STORE = """
remote_read:
  - url: http://127.0.0.1:9/read
    read_recent: true
"""
RULES = """
groups:
  - name: shop
    rules:
      - alert: Always
        expr: vector(1)
      - record: twice
        expr: label_replace(vector(1), "a", "1", "", "") * on () (vector(1) or label_replace(vector(1), "a", "1", "", ""))
"""


def get(url: str, path: str, **query: str) -> tuple[int, bytes]:
    asked = f"{url}{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def shape(value: Any) -> Any:
    """Return the keys and types of a JSON value; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items()) if key != "metric"}
    if isinstance(value, list):
        return [shape(item) for item in value[:2]]
    return "number" if isinstance(value, int | float) else type(value).__name__


async def eventually(source: MetricsSource, is_good: Any, seconds: float = 30) -> None:
    clock = SystemClock()
    async with asyncio.timeout(seconds):
        while not is_good(await source.query(READY, WEB, clock.now())):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def test_refusals_look_alike_and_are_understood(tmp_path: Path) -> None:
    hand, simulated = history()
    with running_prometheus(tmp_path, "", "--web.enable-remote-write-receiver") as url:
        write(url, simulated.samples(hand.cluster.now))
        status, body = get(url, "/api/v1/query", query="up(")
        mine = simulated.handle("/api/v1/query", {"query": "up("}, hand.cluster.now)
        assert (mine.status, shape(json.loads(mine.body))) == (status, shape(json.loads(body)))
        assert status == 400
        with pytest.raises(Terminal, match="400"):
            warnings_of(status, body)
        ambiguous = "up * on () group_left () up"
        status, body = get(url, "/api/v1/query", query=ambiguous, time="1767571260")
        assert status == 422
        with pytest.raises(Terminal, match="many-to-many"):
            warnings_of(status, body)
        status, body = get(url, "/api/v1/query", query="up", timeout="0.000001")
        assert status == 503
        with pytest.raises(Transient, match="503"):
            warnings_of(status, body)
        assert get(url, "/api/v2/query")[0] == 404


def test_good_answers_look_alike(tmp_path: Path) -> None:
    hand, simulated = history()
    text = "avg by (job) (up)"
    instant = {"query": text, "time": "1767571260.5"}
    ranged = {"query": text, "start": "1767571260", "end": "1767571290", "step": "15"}
    with running_prometheus(tmp_path, "", "--web.enable-remote-write-receiver") as url:
        write(url, simulated.samples(hand.cluster.now))
        for path, query in (
            ("/api/v1/query", instant),
            ("/api/v1/query_range", ranged),
            ("/api/v1/rules", {}),
        ):
            status, body = get(url, path, **query)
            mine = simulated.handle(path, query, hand.cluster.now)
            assert mine.status == status == 200
            assert shape(json.loads(mine.body)) == shape(json.loads(body)), path
        _, body = get(url, "/api/v1/status/buildinfo")
        mine = simulated.handle("/api/v1/status/buildinfo", {}, hand.cluster.now)
        assert json.loads(mine.body)["data"].keys() <= json.loads(body)["data"].keys()


async def test_a_store_that_is_away_makes_the_answer_partial(tmp_path: Path) -> None:
    hand, simulated = history()
    options = "--web.enable-remote-write-receiver"
    with running_prometheus(tmp_path, BROKEN_STORE, options) as url:
        write(url, simulated.samples(hand.cluster.now))
        source = PrometheusSource(url, SystemClock())
        answer = await source.query(READY, WEB, hand.cluster.now)
        assert answer.is_partial
        assert "remote_read" in answer.warnings[0] or "connection refused" in answer.warnings[0]
        assert answer.series[0].points[0].value == 3.0
        with pytest.raises(Transient, match="partial"):
            await source.query(READY, NOBODY, hand.cluster.now)
        await source.aclose()


async def test_what_it_scrapes_from_the_simulated_targets_comes_and_goes(tmp_path: Path) -> None:
    hand = Hand()
    simulated = Prometheus(hand.cluster)
    async with prometheus_serving(simulated, ClusterClock(hand)) as target:
        config = {
            "scrape_configs": [
                {
                    "job_name": "sim",
                    "scrape_interval": "1s",
                    "honor_labels": True,
                    "static_configs": [{"targets": [target.removeprefix("http://")]}],
                }
            ]
        }
        with running_prometheus(tmp_path, json.dumps(config)) as url:
            source = PrometheusSource(url, SystemClock())
            await eventually(source, lambda answer: bool(answer.series))
            hand.send("DELETE", f"{DEPLOYMENTS}/web")
            hand.wait(1)
            await eventually(source, lambda answer: answer == MetricAnswer())
            await source.aclose()


async def test_its_rules_are_counted(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": ["rules.yml"]}
    with running_prometheus(tmp_path, json.dumps(config)) as url:
        source = PrometheusSource(url, SystemClock())
        async with asyncio.timeout(30):
            while not (health := await source.health()).rules_failing:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        assert health.rules_failing == ("twice",)
        assert health.alerts_firing == 1
        assert health.version.startswith("2.")
        await source.aclose()
