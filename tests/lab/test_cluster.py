"""The cluster is what the tests take it for: its faults, its identities, its audit log, its end."""

import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.audit import entries, service_account, writes
from tests.lab.cluster import down, load, up
from tests.lab.fixture import Lab
from tests.lab.identities import Rule, create_identity
from tests.lab.programs import LabError, is_alive, wait_until
from tests.lab.stages import CRASH, MISSING, OOM, SLOW

pytestmark = pytest.mark.lab

STUCK = "-stuck"


def deployment(name: str, image: str, cpu: str = "100m") -> Mapping[str, object]:
    container = {"name": "web", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "progressDeadlineSeconds": 20,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container, {"name": "side", "image": "shop/side:v1"}]},
            },
        },
    }


@dataclass(frozen=True)
class Shop:
    """Five healthy Deployments that were each given one bad template."""

    lab: Lab
    namespace: str

    def get(self, *arguments: str) -> Any:
        return json.loads(
            self.lab.cluster.kubectl("get", "-n", self.namespace, *arguments, "-o", "json")
        )

    def pods(self, fault: str) -> list[Any]:
        """Return the pods of the bad revision."""
        items = self.get("pods", "-l", f"app=web{fault}")["items"]
        return [each for each in items if "v1" not in each["spec"]["containers"][0]["image"]]

    def containers(self, fault: str, name: str = "web") -> list[Any]:
        """Return the status of the container of that name of each bad pod that has one yet."""
        statuses = [pod["status"].get("containerStatuses", ()) for pod in self.pods(fault)]
        return [each for pod in statuses for each in pod if each["name"] == name]

    def progressing(self, fault: str) -> Any:
        conditions = self.get("deployment", f"web{fault}")["status"]["conditions"]
        return next(each for each in conditions if each["type"] == "Progressing")


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Shop:
    shop = Shop(lab, lab.fresh_namespace())
    kubectl = lab.cluster.kubectl
    for fault in (CRASH, OOM, MISSING, SLOW, STUCK):
        healthy = deployment(f"web{fault}", "shop/web:v1")
        kubectl("apply", "-n", shop.namespace, "-f", "-", stdin=json.dumps(healthy))
    for fault in (CRASH, OOM, MISSING, SLOW, STUCK):
        name = f"deployment/web{fault}"
        kubectl("rollout", "status", "-n", shop.namespace, name, "--timeout=30s")
        bad = deployment(f"web{fault}", f"shop/web:v2{fault}", "64" if fault == STUCK else "100m")
        kubectl("apply", "-n", shop.namespace, "-f", "-", stdin=json.dumps(bad))
    return shop


@pytest.mark.parametrize(
    ("fault", "exit_code", "reason"), [(CRASH, 1, "Error"), (OOM, 137, "OOMKilled")]
)
def test_a_container_that_ends_loops_and_remembers_its_end(
    shop: Shop, fault: str, exit_code: int, reason: str
):
    def loops() -> bool:
        return any(
            each["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
            and each["restartCount"] >= 2
            and each["lastState"]["terminated"]["exitCode"] == exit_code
            and each["lastState"]["terminated"]["reason"] == reason
            for each in shop.containers(fault)
        )

    wait_until(loops, f"a crash loop of {fault}", timeout_seconds=40)
    assert {each["restartCount"] for each in shop.containers(fault, "side")} == {0}


def test_an_image_that_is_missing_is_pulled_in_vain(shop: Shop):
    seen: set[str] = set()

    def both() -> bool:
        for each in shop.containers(MISSING):
            seen.add(each["state"]["waiting"]["reason"])
        return seen == {"ErrImagePull", "ImagePullBackOff"}

    wait_until(both, "both reasons", timeout_seconds=40)
    assert {pod["status"]["phase"] for pod in shop.pods(MISSING)} == {"Pending"}


def test_a_slow_container_runs_but_is_never_ready(shop: Shop):
    wait_until(
        lambda: shop.progressing(SLOW)["reason"] == "ProgressDeadlineExceeded",
        "the deadline",
        timeout_seconds=60,
    )
    (container,) = shop.containers(SLOW)
    assert "running" in container["state"]
    assert not container["ready"]


def test_a_pod_that_fits_nowhere_sticks_the_rollout(shop: Shop):
    wait_until(
        lambda: shop.progressing(STUCK)["reason"] == "ProgressDeadlineExceeded",
        "the deadline",
        timeout_seconds=60,
    )
    (pod,) = shop.pods(STUCK)
    (scheduled,) = pod["status"]["conditions"]
    assert (scheduled["type"], scheduled["reason"]) == ("PodScheduled", "Unschedulable")


def test_the_old_image_heals(lab: Lab):
    namespace, kubectl = lab.fresh_namespace(), lab.cluster.kubectl
    for image in ("shop/web:v1", "shop/web:v2-slow"):
        bad = json.dumps(deployment("web", image))
        kubectl("apply", "-n", namespace, "-f", "-", stdin=bad)
    kubectl("rollout", "undo", "-n", namespace, "deployment/web")
    kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=30s")


def test_logs_are_served(shop: Shop):
    def logs(*flags: str) -> str:
        (pod,) = shop.pods(SLOW)
        name = pod["metadata"]["name"]
        command = ("logs", "-n", shop.namespace, name, "-c", "web", *flags)
        return shop.lab.cluster.kubectl(*command, identity="opsagent")

    wait_until(lambda: bool(shop.containers(SLOW)), "a container", timeout_seconds=20)
    assert "pods.log" in logs()
    assert "pods-previous.log" in logs("--previous")


@pytest.mark.parametrize(
    ("identity", "verb", "resource", "namespace", "is_allowed"),
    [
        ("opsagent", "list", "pods", "shop", True),
        ("opsagent", "get", "pods/log", "shop", True),
        ("opsagent", "watch", "events", "", True),
        ("opsagent", "get", "secrets", "shop", False),
        ("opsagent", "patch", "deployments.apps", "shop", False),
        ("opsagent", "update", "leases.coordination.k8s.io", "opsagent", True),
        ("opsagent", "update", "leases.coordination.k8s.io", "shop", False),
        ("opsagent-executor", "patch", "deployments.apps", "shop", True),
        ("opsagent-executor", "patch", "deployments.apps", "default", False),
        ("opsagent-executor", "delete", "pods", "shop", False),
        ("opsagent-executor", "create", "tokenreviews.authentication.k8s.io", "", True),
        ("alice", "approve", "actionrequests.opsagent.io", "shop", True),
        ("alice", "approve", "actionrequests.opsagent.io", "default", False),
        ("alice", "patch", "deployments.apps", "shop", False),
        ("bob", "approve", "actionrequests.opsagent.io", "shop", False),
    ],
)
def test_each_identity_may_do_its_part_and_no_more(
    lab: Lab, identity: str, verb: str, resource: str, namespace: str, is_allowed: bool
):
    home = {"alice": "people", "bob": "people"}.get(identity, "opsagent")
    kind, _, group = resource.partition(".")
    kind, _, subresource = kind.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": service_account(home, identity),
            "resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": kind,
                "subresource": subresource,
                "namespace": namespace,
            },
        },
    }
    answer = lab.cluster.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    assert json.loads(answer)["status"]["allowed"] is is_allowed


def test_a_made_identity_has_the_rights_it_was_given(lab: Lab):
    namespace = lab.fresh_namespace()
    rules = [Rule("", ("configmaps",), ("list",))]
    path = create_identity(lab.cluster, namespace, "clerk", rules)
    assert lab.cluster.kubectl("get", "configmaps", "-n", namespace, identity=path.name)
    with pytest.raises(LabError, match="forbidden"):
        lab.cluster.kubectl("get", "pods", "-n", namespace, identity=path.name)


def test_the_audit_log_tells_a_write_from_a_dry_run(lab: Lab):
    executor = service_account("opsagent", "opsagent-executor")
    namespace = lab.fresh_namespace()
    body = json.dumps(deployment("web", "shop/web:v1"))
    lab.cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=body)

    def annotate(*flags: str) -> None:
        command = ("annotate", "-n", namespace, "deployment/web", "who=me", *flags)
        lab.cluster.kubectl(*command, identity="opsagent-executor")

    def about_web() -> list[bool]:
        ours = [each for each in entries(lab.audit_log) if each.username == executor]
        return [each.is_dry_run for each in ours if each.namespace == namespace]

    annotate("--dry-run=server")
    annotate()
    wait_until(lambda: len(about_web()) == 2, "both entries", timeout_seconds=5)
    assert about_web() == [True, False]
    ours = [each for each in writes(lab.audit_log, {executor}) if each.namespace == namespace]
    assert [(each.verb, each.resource, each.name) for each in ours] == [
        ("patch", "deployments", "web")
    ]


def test_a_second_lab_runs_beside_the_first_and_goes_without_a_trace(lab: Lab, tmp_path: Path):
    second = up(tmp_path / "second")
    assert second.server != lab.cluster.server
    assert load(second.state) == second
    down(second.state)
    assert not any(map(is_alive, second.processes))
    assert load(second.state) is None
    assert all(map(is_alive, lab.cluster.processes))


def test_its_certificates_satisfy_a_strict_client(lab: Lab):
    context = ssl.create_default_context(cafile=str(lab.cluster.state / "pki" / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    host, _, port = lab.cluster.server.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        assert secure.version() == "TLSv1.3"
