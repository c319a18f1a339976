"""Pods on their nodes: back-off, readiness, logs, Events, ends; and where the scheduler puts them."""

from typing import Any

import pytest

from opsagent.sim import Fault, ImageBehaviour, ImageRegistry, fault_patch, shop, template_patch
from tests.edge.sim.hand import EVENTS, NODES, PODS, WEB, Hand
from tests.fakes.virtual_time import EPOCH

CRASHING = "shop/web:v2-crash"
MISSING = "shop/web:v2-missing"


def container(pod: Any) -> Any:
    return pod["status"]["containerStatuses"][0]


def with_image(behaviour: ImageBehaviour) -> Hand:
    """The shop, with a rollout of ``web`` to an image that behaves so."""
    registry = ImageRegistry({"shop/new:1": behaviour}, frozenset({"shop/web", "shop/cart"}))
    hand = Hand(shop(EPOCH, registry=registry))
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/new:1"}))
    return hand


def test_crashes_back_off_ten_seconds_doubling_to_five_minutes() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.CRASH_LOOP))
    waits = []
    for _ in range(1500):
        hand.wait(1)
        waiting = container(hand.new_pod(CRASHING))["state"].get("waiting", {})
        message = waiting.get("message", "").partition(" restarting")[0]
        if message and message not in waits:
            waits.append(message)
    assert waits == [f"back-off {text}" for text in ("10s", "20s", "40s", "1m20s", "2m40s", "5m0s")]


def test_the_first_restart_is_immediate() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.CRASH_LOOP))
    hand.wait(6)
    status = container(hand.new_pod(CRASHING))
    assert status["restartCount"] == 1
    assert "running" in status["state"]
    assert status["lastState"]["terminated"]["reason"] == "Error"


def test_ten_quiet_minutes_forgive() -> None:
    hand = with_image(ImageBehaviour(exit_code=3, exits_after_seconds=700))
    hand.wait(705 + 3 * 705)
    (pod, *_) = (p for p in hand.items(PODS) if p["spec"]["containers"][0]["image"] == "shop/new:1")
    assert container(pod)["restartCount"] >= 3
    assert "CrashLoopBackOff" not in hand.reasons(pod["metadata"]["name"])
    assert "BackOff" not in hand.reasons(pod["metadata"]["name"])


def test_a_container_that_ends_well_is_restarted_too() -> None:
    hand = with_image(ImageBehaviour(exit_code=0, ready_after_seconds=None))
    hand.wait(12)
    status = container(hand.new_pod("shop/new:1"))
    assert status["lastState"]["terminated"]["reason"] == "Completed"
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_memory_below_the_limit_or_without_one_kills_nothing() -> None:
    hungry = ImageBehaviour(memory_bytes=10**9, exits_after_seconds=0.5)
    hand = with_image(hungry)
    hand.wait(30)
    assert container(hand.new_pod("shop/new:1"))["lastState"]["terminated"]["exitCode"] == 137
    hand.patch(
        WEB, template_patch({"name": "web", "resources": {"limits": None, "requests": None}})
    )
    hand.wait(60)
    assert hand.get(WEB)["status"]["updatedReplicas"] == 3
    assert hand.items(PODS, labelSelector="app=web")[0]["status"]["qosClass"] == "BestEffort"


@pytest.mark.parametrize(
    ("limits", "expected"), [({"cpu": "100m", "memory": "64Mi"}, "Guaranteed"), ({}, "Burstable")]
)
def test_the_quality_of_service_follows_the_resources(
    limits: dict[str, str], expected: str
) -> None:
    hand = Hand()
    resources = {"limits": limits | {"memory": "64Mi"}}
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/web:v2", "resources": resources}))
    hand.wait(30)
    pods = hand.items(PODS, labelSelector="app=web")
    assert {pod["status"]["qosClass"] for pod in pods} == {expected}


def test_a_late_pod_is_reported_unhealthy_until_it_is_ready() -> None:
    hand = with_image(ImageBehaviour(ready_after_seconds=12))
    hand.wait(10)
    pod = hand.new_pod("shop/new:1")
    assert not container(pod)["ready"]
    hand.wait(8)
    pod = hand.get(f"{PODS}/{pod['metadata']['name']}")
    assert container(pod)["ready"]
    assert hand.reasons(pod["metadata"]["name"])["Unhealthy"] == 3
    ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    assert ready == {
        "PodScheduled": "True",
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
    }


def test_an_image_that_appears_is_pulled_at_the_next_try() -> None:
    images = {"shop/new:1": ImageBehaviour(is_pullable=False)}
    registry = ImageRegistry(images, frozenset({"shop/web", "shop/cart"}))
    hand = Hand(shop(EPOCH, registry=registry))
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/new:1"}))
    hand.wait(60)
    images["shop/new:1"] = ImageBehaviour()
    hand.wait(120)
    assert hand.get(WEB)["status"]["updatedReplicas"] == 3


def test_an_image_of_an_unknown_repository_cannot_be_pulled() -> None:
    hand = Hand()
    hand.patch(WEB, template_patch({"name": "web", "image": "elsewhere/web:v1"}))
    hand.wait(3)
    assert (
        container(hand.new_pod("elsewhere/web:v1"))["state"]["waiting"]["reason"] == "ErrImagePull"
    )


def test_a_pulled_image_stays_on_its_node() -> None:
    hand = Hand()
    name = hand.items(PODS, labelSelector="app=web")[0]["metadata"]["name"]
    hand.send("DELETE", f"{PODS}/{name}")
    hand.wait(1.5)
    statuses = [container(pod) for pod in hand.items(PODS, labelSelector="app=web")]
    assert all("running" in status["state"] for status in statuses)


def log(hand: Hand, pod: Any, **query: str) -> tuple[int, Any]:
    return hand.send("GET", f"{PODS}/{pod['metadata']['name']}/log", **query)


def test_logs_of_now_and_of_before() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.CRASH_LOOP))
    hand.wait(2)
    pod = hand.new_pod(CRASHING)
    lines = ["starting", "fatal: cannot parse configuration: unknown key"]
    assert log(hand, pod) == (200, "\n".join(lines) + "\n")
    assert log(hand, pod, previous="true")[0] == 400
    hand.wait(10)
    assert log(hand, pod, previous="true") == (200, "\n".join(lines) + "\n")
    assert log(hand, pod, tailLines="1") == (200, lines[1] + "\n")
    assert log(hand, pod, tailLines="0") == (200, "")
    assert log(hand, pod, limitBytes="5") == (200, "start")
    status, text = log(hand, pod, timestamps="true", container="web")
    assert status == 200
    assert text.splitlines()[0].endswith("Z starting")


def test_logs_that_are_not_there() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.MISSING_IMAGE))
    hand.wait(0.5)
    status, refusal = log(hand, hand.new_pod(MISSING))
    assert (status, refusal["message"].rpartition(": ")[2]) == (400, "ContainerCreating")
    hand.wait(10)
    pod = hand.new_pod(MISSING)
    status, refusal = log(hand, pod)
    assert status == 400
    assert refusal["message"].endswith("waiting to start: trying and failing to pull image")
    assert log(hand, pod, container="other")[0] == 400
    assert log(hand, pod, tailLines="all")[0] == 400
    assert log(hand, pod, sinceTime="yesterday")[0] == 400
    assert log(hand, pod, sinceTime="2026-01-05T00:00:00")[0] == 400


def test_a_pod_without_a_node_has_an_empty_log() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.STUCK_ROLLOUT))
    hand.wait(5)
    assert log(hand, hand.new_pod("shop/web:v2")) == (200, "")


def test_a_pod_of_two_containers_asks_which() -> None:
    hand = Hand()
    sidecar = {"name": "side", "image": "shop/cart:v1"}
    hand.patch(WEB, template_patch(sidecar))
    hand.wait(60)
    pod = hand.items(PODS, labelSelector="app=web")[0]
    assert [status["name"] for status in pod["status"]["containerStatuses"]] == ["web", "side"]
    status, refusal = log(hand, pod)
    assert (status, refusal["message"]) == (
        400,
        "a container name must be specified, choose one of: [web side]",
    )
    assert log(hand, pod, container="side")[0] == 200


def test_a_deleted_pod_is_stopped_before_it_goes() -> None:
    hand = Hand()
    name = hand.items(PODS, labelSelector="app=web")[0]["metadata"]["name"]
    status, pod = hand.send("DELETE", f"{PODS}/{name}")
    assert (status, pod["metadata"]["deletionGracePeriodSeconds"]) == (200, 30)
    assert hand.get(f"{PODS}/{name}")["metadata"]["deletionTimestamp"]
    hand.wait(3)
    assert hand.send("GET", f"{PODS}/{name}")[0] == 404
    assert hand.reasons(name)["Killing"] == 1
    again = hand.items(PODS, labelSelector="app=web")[0]["metadata"]["name"]
    assert hand.send("DELETE", f"{PODS}/{again}", {"gracePeriodSeconds": 0})[0] == 200
    assert hand.send("GET", f"{PODS}/{again}")[0] == 404


def test_repeated_events_are_counted_and_floods_are_cut() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.NEVER_READY))
    hand.wait(1800)
    pod = hand.new_pod("shop/web:v2-slow")
    (unhealthy,) = (
        event
        for event in hand.items(EVENTS)
        if event["reason"] == "Unhealthy"
        and event["involvedObject"]["uid"] == pod["metadata"]["uid"]
    )
    assert 20 < unhealthy["count"] < 40, "of 360: a burst of 25, then one each 300 s"
    assert unhealthy["firstTimestamp"] < unhealthy["lastTimestamp"]
    assert unhealthy["source"] == {"component": "kubelet", "host": pod["spec"]["nodeName"]}
    assert unhealthy["involvedObject"]["fieldPath"] == "spec.containers{web}"
    assert hand.cluster.events_suppressed_total > 300


def test_events_are_gone_after_an_hour() -> None:
    hand = Hand()
    hand.patch(WEB, {"spec": {"replicas": 4}})
    hand.wait(60)
    assert hand.reasons("web")["SuccessfulCreate"] == 1
    hand.wait(3600)
    assert hand.items(EVENTS) == []


def test_the_scheduler_repeats_itself_as_a_series() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.STUCK_ROLLOUT))
    hand.wait(700)
    (failed,) = (event for event in hand.items(EVENTS) if event["reason"] == "FailedScheduling")
    assert failed["message"] == "0/3 nodes are available: 3 Insufficient cpu."
    assert (failed["series"]["count"], failed["lastTimestamp"]) == (3, None)
    assert failed["eventTime"] < failed["series"]["lastObservedTime"]


def test_a_pod_that_waits_is_placed_as_soon_as_a_node_can_hold_it() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.STUCK_ROLLOUT))
    hand.wait(5)
    pod = hand.new_pod("shop/web:v2")
    assert "nodeName" not in pod["spec"]
    size = {"cpu": "128", "memory": "32Gi", "pods": "110"}
    hand.create(NODES, {"metadata": {"name": "big"}, "spec": {}, "status": {"allocatable": size}})
    hand.wait(5)
    assert hand.get(f"{PODS}/{pod['metadata']['name']}")["spec"]["nodeName"] == "big"


def excuse(hand: Hand) -> str:
    """Return why a pod of ``web`` waits."""
    hand.wait(5)
    pod = hand.new_pod("shop/web:v2")
    (scheduled,) = (c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
    return str(scheduled.get("message", ""))


def roll_out(hand: Hand, **spec: object) -> None:
    patch = template_patch({"name": "web", "image": "shop/web:v2"})
    patch["spec"]["template"]["spec"] |= spec
    hand.patch(WEB, patch)


def test_a_selector_that_no_node_has() -> None:
    hand = Hand()
    roll_out(hand, nodeSelector={"disk": "fast"})
    assert "3 node(s) didn't match Pod's node affinity/selector" in excuse(hand)


def test_cordoned_and_unready_nodes_get_no_pods() -> None:
    hand = Hand()
    hand.wait(1)  # the heartbeat of this moment would make the node ready again
    hand.patch(f"{NODES}/node-1", {"spec": {"unschedulable": True}})
    node = hand.get(f"{NODES}/node-2")
    node["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert hand.send("PUT", f"{NODES}/node-2/status", node)[0] == 200
    node = hand.get(f"{NODES}/node-3")
    node["status"]["allocatable"]["pods"] = "1"
    assert hand.send("PUT", f"{NODES}/node-3/status", node)[0] == 200
    roll_out(hand)
    assert excuse(hand) == (
        "0/3 nodes are available: 1 Too many pods, 1 node(s) were not ready, "
        "1 node(s) were unschedulable."
    )
    hand.patch(f"{NODES}/node-1", {"spec": {"unschedulable": False}})
    hand.wait(60)
    assert hand.get(WEB)["status"]["updatedReplicas"] == 3


def test_without_nodes_nothing_is_placed() -> None:
    hand = Hand()
    for number in (1, 2, 3):
        assert hand.send("DELETE", f"{NODES}/node-{number}")[0] == 200
    roll_out(hand)
    assert excuse(hand) == "no nodes available to schedule pods"


def test_nodes_say_that_they_live_every_five_minutes() -> None:
    hand = Hand()
    before = hand.get(f"{NODES}/node-1")["status"]["conditions"]
    hand.wait(300)
    after = hand.get(f"{NODES}/node-1")["status"]["conditions"]
    for old, new in zip(before, after, strict=True):
        assert new["lastHeartbeatTime"] > old["lastHeartbeatTime"]
        assert new["lastTransitionTime"] == old["lastTransitionTime"]
    assert {c["type"]: c["status"] for c in after}["Ready"] == "True"
