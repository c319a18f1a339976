"""The real node is a node like any other, and its pods see nothing but themselves and the machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.fixture import Lab
from tests.lab.image import CRASH_LINE
from tests.lab.node import RealNode
from tests.lab.programs import LabError, wait_until

pytestmark = pytest.mark.lab


def pod(name: str, image: str, **spec: object) -> Mapping[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "web", "image": image}],
            **spec,
        },
    }


REAL = {"nodeSelector": {"type": "real"}, "tolerations": [{"key": "type", "value": "real"}]}


@dataclass(frozen=True)
class Pods:
    """One healthy pod and one that crashes, running on the real node, and one that nothing ties to it."""

    lab: Lab
    namespace: str

    def kubectl(self, *arguments: str) -> str:
        return self.lab.cluster.kubectl("-n", self.namespace, *arguments)

    def get(self, name: str) -> Any:
        return json.loads(self.kubectl("get", "pod", name, "-o", "json"))

    def status(self, name: str) -> Any:
        """Return the status of the container, {} while it has none."""
        return next(iter(self.get(name)["status"].get("containerStatuses", ())), {})


@pytest.fixture(scope="module")
def pods(lab: Lab, real_node: RealNode) -> Pods:
    assert real_node.name in lab.cluster.kubectl("get", "nodes", "-o", "name")
    pods = Pods(lab, lab.fresh_namespace())
    items = [
        pod("healthy", "shop/web:v1", **REAL),
        pod("crashing", "shop/web:v2-crash", **REAL),
        pod("missing", "shop/web:v2-missing", **REAL),
        pod("anywhere", "shop/web:v1"),
    ]
    made = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    lab.cluster.kubectl("-n", pods.namespace, "create", "-f", "-", stdin=made)
    for name in ("healthy", "anywhere"):
        pods.kubectl("wait", "pod", name, "--for=condition=Ready", "--timeout=60s")
    return pods


def test_only_pods_that_mean_it_come_to_the_real_node(pods: Pods, real_node: RealNode):
    assert pods.get("healthy")["spec"]["nodeName"] == real_node.name
    assert pods.get("anywhere")["spec"]["nodeName"] != real_node.name


def test_a_container_runs_commands_and_its_log_can_be_read(pods: Pods):
    assert pods.kubectl("exec", "healthy", "--", "echo", "hello") == "hello\n"
    wait_until(
        lambda: "GET /orders 200" in pods.kubectl("logs", "healthy"), "a line", timeout_seconds=20
    )


def test_a_crash_loop_keeps_the_words_of_the_container_before(pods: Pods):
    def loops() -> bool:
        status = pods.status("crashing")
        return (
            status.get("restartCount", 0) >= 1
            and status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        )

    wait_until(loops, "CrashLoopBackOff", timeout_seconds=60)
    assert pods.status("crashing")["lastState"]["terminated"]["exitCode"] == 3
    assert CRASH_LINE in pods.kubectl("logs", "crashing", "--previous")


def test_an_image_that_is_not_here_is_looked_for_on_loopback_only(pods: Pods):
    def is_refused() -> bool:
        waiting = pods.status("missing").get("state", {}).get("waiting", {})
        return waiting.get("reason") == "ErrImagePull" and "not found" in waiting["message"]

    wait_until(is_refused, "ErrImagePull", timeout_seconds=60)
    assert "HEAD /v2/shop/web/manifests/v2-missing" in registry_log(pods)


def registry_log(pods: Pods) -> str:
    return (pods.lab.cluster.state / "logs" / "registry.log").read_text()


def test_a_pod_has_no_way_out(pods: Pods, real_node: RealNode):
    network = real_node.address.removesuffix(".1")
    routes = pods.kubectl("exec", "healthy", "--", "ip", "route").splitlines()
    assert [route.split()[0] for route in routes] == [f"{network}.0/24"]
    with pytest.raises(LabError, match="Network is unreachable"):
        pods.kubectl("exec", "healthy", "--", "ping", "-c1", "-W1", "192.0.2.1")


def test_its_measurements_can_be_read_through_the_api_server(pods: Pods, real_node: RealNode):
    path = f"/api/v1/nodes/{real_node.name}/proxy/metrics/cadvisor"
    wanted = 'container_memory_working_set_bytes{container="web",id="/opsagent'
    wait_until(
        lambda: wanted in pods.lab.cluster.kubectl("get", "--raw", path),
        "a container's memory",
        timeout_seconds=60,
    )
