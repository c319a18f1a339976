"""What happens in the cluster is measured, fires, and is told; the past can be written."""

import asyncio
import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.fakes.http_server import HttpServer, Reply, Request, serve
from tests.lab.fixture import Lab
from tests.lab.node import RealNode
from tests.lab.programs import LabError, wait_until
from tests.lab.telemetry import Telemetry

pytestmark = pytest.mark.lab

PATIENCE_SECONDS = 90


def ask(telemetry: Telemetry, expression: str, **more: str) -> list[Any]:
    """Return the series that an expression gives, over a range if there is one."""
    kind = "query_range" if "start" in more else "query"
    query = urlencode({"query": expression, **more})
    url = f"{telemetry.prometheus_url}/api/v1/{kind}?{query}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def eventually(telemetry: Telemetry, expression: str) -> list[Any]:
    """Wait until an expression gives something."""
    what = f"an answer to {expression}"
    wait_until(lambda: bool(ask(telemetry, expression)), what, timeout_seconds=PATIENCE_SECONDS)
    return ask(telemetry, expression)


def test_every_target_is_up_under_the_name_in_common_use(telemetry: Telemetry):
    jobs = ("alertmanager", "kube-state-metrics", "node-exporter", "prometheus")
    for job in jobs:
        eventually(telemetry, f'up{{job="{job}"}} == 1')
    assert ask(telemetry, "up == 0") == []


def test_the_kubelet_is_found_whichever_came_first(telemetry: Telemetry, real_node: RealNode):
    for path in ("/metrics", "/metrics/cadvisor"):
        up = eventually(telemetry, f'up{{job="kubelet", metrics_path="{path}"}} == 1')
        assert [series["metric"]["node"] for series in up] == [real_node.name]
    eventually(telemetry, 'container_memory_working_set_bytes{id="/"} > 0')
    eventually(telemetry, 'node_memory_MemAvailable_bytes{node="real-1"} > 0')


async def received(server: HttpServer, status: str, namespace: str) -> dict[str, Any]:
    """Return the first body of that status about the namespace; other tests break things in theirs."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for request in server.requests:
                body: dict[str, Any] = json.loads(request.body)
                if body["status"] == status and body["commonLabels"].get("namespace") == namespace:
                    return body
            await asyncio.sleep(0.2)


@pytest.mark.timeout(240, func_only=True)
async def test_a_crash_loop_is_told_to_the_webhook_and_so_is_its_end(
    lab: Lab, telemetry: Telemetry
):
    async def take(_request: Request) -> Reply:
        return Reply()

    namespace = lab.fresh_namespace()
    kubectl = lab.cluster.kubectl
    async with serve(take) as server:
        telemetry.send_alerts_to(f"{server.url}/alerts")
        create = ("create", "deployment", "web", "--image=shop/web:v1-crash")
        await asyncio.to_thread(kubectl, "-n", namespace, *create)
        firing = await received(server, "firing", namespace)
        await asyncio.to_thread(kubectl, "delete", "namespace", namespace)
        resolved = await received(server, "resolved", namespace)
        telemetry.send_alerts_to("")
    assert {request.target for request in server.requests} == {"/alerts"}
    assert firing["commonLabels"]["namespace"] == namespace
    names = {alert["labels"]["alertname"] for alert in firing["alerts"]}
    assert names <= {"KubePodCrashLooping", "KubeDeploymentReplicasMismatch"}
    assert resolved["commonLabels"]["namespace"] == namespace
    assert firing["alerts"][0]["generatorURL"].startswith("http://127.0.0.1:")


def test_days_of_the_past_are_written_in_seconds(telemetry: Telemetry):
    end = int(time.time()) - 3 * 3600  # noqa: TID251 - Prometheus goes by the machine's clock
    start = end - 5 * 86_400
    samples = [f'lab_past{{pod="web-1"}} {at % 7} {at}' for at in range(start, end, 60)]
    telemetry.backfill("\n".join(["# TYPE lab_past gauge", *samples, "# EOF\n"]))
    (series,) = ask(telemetry, "lab_past", start=str(start), end=str(end - 60), step="600")
    assert len(series["values"]) == 5 * 144
    assert series["metric"] == {"__name__": "lab_past", "pod": "web-1"}
    eventually(telemetry, 'up{job="kube-state-metrics"} == 1')  # and the present goes on


def test_a_past_that_is_no_openmetrics_is_refused_and_the_present_goes_on(telemetry: Telemetry):
    with pytest.raises(LabError, match="promtool takes no such past"):
        telemetry.backfill("lab_past yesterday\n")
    eventually(telemetry, 'up{job="prometheus"} == 1')
