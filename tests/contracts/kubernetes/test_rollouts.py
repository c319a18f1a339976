"""Rollouts, good and bad: what a reader sees of them on any cluster, and how an undo heals."""

from collections.abc import Callable
from typing import Any

from opsagent.sim import Fault, fault_patch, template_patch
from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import (
    condition,
    is_rolled_out,
    replica_sets,
    revision,
    rolled_out,
    running_web,
)


async def roll_out(world: World, patch: object) -> None:
    status, answer = await world.admin.patch(world.path("deployments", "web"), patch)
    assert status == 200, answer


async def pod_of_revision(
    world: World, number: str, is_wanted: Callable[[Any], bool], what: str
) -> Any:
    """Wait for a pod of the ReplicaSet of revision ``number`` that looks as wanted."""

    async def look() -> Any:
        sets = await world.admin.get(world.path("replicasets"))
        uids = {one["metadata"]["uid"] for one in sets["items"] if revision(one) == number}
        pods = await world.admin.get(world.path("pods"))
        for pod in pods["items"]:
            (owner,) = pod["metadata"]["ownerReferences"]
            if owner["uid"] in uids and is_wanted(pod):
                return pod
        return None

    return await world.eventually(look, what)


def container_status(pod: Any) -> Any:
    statuses = pod["status"].get("containerStatuses", [])
    return statuses[0] if statuses else {"state": {}, "lastState": {}, "ready": False}


def waiting_reason(pod: Any) -> str:
    return container_status(pod)["state"].get("waiting", {}).get("reason", "")


async def stuck(world: World) -> Any:
    """Wait until the rollout has missed its deadline."""

    async def look() -> Any:
        item = await world.admin.get(world.path("deployments", "web"))
        found = condition(item, "Progressing")
        return item if found.get("reason") == "ProgressDeadlineExceeded" else None

    return await world.eventually(look, "Progressing is False: ProgressDeadlineExceeded")


async def events_about(world: World, uid: str, reason: str) -> list[Any]:
    """Wait for Events of ``reason`` about the object with ``uid``."""

    async def look() -> list[Any]:
        found = await world.admin.get(
            world.path("events"), fieldSelector=f"involvedObject.uid={uid},reason={reason}"
        )
        items: list[Any] = found["items"]
        return items

    found: list[Any] = await world.eventually(look, f"an Event {reason}")
    return found


@everywhere
async def test_a_deployment_gets_a_replica_set_with_the_first_revision(world: World) -> None:
    web = await running_web(world)
    assert revision(web) == "1"
    (owned,) = (await replica_sets(world)).values()
    (owner,) = owned["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (web["metadata"]["uid"], True)
    assert revision(owned) == "1"
    digest = owned["metadata"]["labels"]["pod-template-hash"]
    assert owned["metadata"]["name"] == f"web-{digest}"
    assert owned["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == digest
    assert owned["status"]["readyReplicas"] == 3


@everywhere
async def test_a_good_rollout_completes_with_the_next_revision(world: World) -> None:
    await running_web(world)
    await roll_out(world, template_patch({"name": "web", "image": "shop/web:v2"}))
    web = await rolled_out(world)
    assert revision(web) == "2"
    sets = await replica_sets(world)
    assert {image: revision(one) for image, one in sets.items()} == {
        "shop/web:v1": "1",
        "shop/web:v2": "2",
    }
    assert sets["shop/web:v1"]["spec"]["replicas"] == 0
    assert condition(web, "Available")["status"] == "True"
    messages = [
        event["message"]
        for event in await events_about(world, web["metadata"]["uid"], "ScalingReplicaSet")
    ]
    name = sets["shop/web:v2"]["metadata"]["name"]
    assert any(message.startswith(f"Scaled up replica set {name}") for message in messages)


@everywhere
async def test_a_deleted_pod_is_marked_then_gone_and_replaced(world: World) -> None:
    await running_web(world)
    pods = await world.admin.get(world.path("pods"))
    names = {pod["metadata"]["name"] for pod in pods["items"]}
    name = min(names)
    status, _ = await world.admin.send("DELETE", world.path("pods", name))
    assert status == 200

    async def look() -> bool:
        found = await world.admin.get(world.path("pods"))
        now = {pod["metadata"]["name"] for pod in found["items"]}
        return name not in now and len(now) == 3

    await world.eventually(look, "another pod takes its place")
    await rolled_out(world)
    *before, last = await world.admin.watched(
        world.path("pods"),
        2,
        resourceVersion=pods["metadata"]["resourceVersion"],
        fieldSelector=f"metadata.name={name}",
    )
    assert any("deletionTimestamp" in event["object"]["metadata"] for event in before)
    assert last["type"] == "DELETED"


@everywhere
async def test_a_running_pod_has_a_log(world: World) -> None:
    await running_web(world)
    pods = await world.admin.get(world.path("pods"), labelSelector="app=web")
    path = world.path("pods", pods["items"][0]["metadata"]["name"]) + "/log"
    status, text = await world.admin.send("GET", path, container="web", tailLines="2")
    assert status == 200
    assert 1 <= len(text.splitlines()) <= 2
    assert await world.admin.send("GET", path, container="web", tailLines="0") == (200, "")


@everywhere
async def test_a_crash_loop_shows_its_exit_code_and_counts_restarts(world: World) -> None:
    await running_web(world)
    await roll_out(world, fault_patch(Fault.CRASH_LOOP))
    pod = await pod_of_revision(
        world, "2", lambda pod: waiting_reason(pod) == "CrashLoopBackOff", "CrashLoopBackOff"
    )
    status = container_status(pod)
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["restartCount"] >= 1
    assert status["ready"] is False
    assert condition(pod, "Ready")["reason"] == "ContainersNotReady"
    assert await events_about(world, pod["metadata"]["uid"], "BackOff")


@everywhere
async def test_a_container_over_its_memory_limit_is_killed(world: World) -> None:
    await running_web(world)
    await roll_out(world, fault_patch(Fault.OOM_KILLED))

    def was_killed(pod: Any) -> bool:
        ended = container_status(pod)["lastState"].get("terminated", {})
        return (ended.get("reason"), ended.get("exitCode")) == ("OOMKilled", 137)

    await pod_of_revision(world, "2", was_killed, "OOMKilled")


@everywhere
async def test_a_missing_image_backs_off_and_misses_the_deadline(world: World) -> None:
    await running_web(world)
    await roll_out(world, fault_patch(Fault.MISSING_IMAGE))
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        pod = await pod_of_revision(
            world, "2", lambda pod, reason=reason: waiting_reason(pod) == reason, reason
        )
        assert pod["status"]["phase"] == "Pending"
    web = await stuck(world)
    assert web["status"]["updatedReplicas"] >= 1
    assert web["status"]["availableReplicas"] >= 2


@everywhere
async def test_a_container_that_never_gets_ready_misses_the_deadline(world: World) -> None:
    await running_web(world)
    await roll_out(world, fault_patch(Fault.NEVER_READY))
    await stuck(world)

    def runs_unready(pod: Any) -> bool:
        status = container_status(pod)
        return "running" in status["state"] and not status["ready"]

    pod = await pod_of_revision(world, "2", runs_unready, "a running container that is not ready")
    assert await events_about(world, pod["metadata"]["uid"], "Unhealthy")


@everywhere
async def test_a_request_that_no_node_can_hold_is_unschedulable(world: World) -> None:
    await running_web(world)
    await roll_out(world, fault_patch(Fault.STUCK_ROLLOUT))

    def is_unschedulable(pod: Any) -> bool:
        return condition(pod, "PodScheduled").get("reason") == "Unschedulable"

    pod = await pod_of_revision(world, "2", is_unschedulable, "PodScheduled is False")
    assert "Insufficient cpu" in condition(pod, "PodScheduled")["message"]
    assert not pod["spec"].get("nodeName")
    events = await events_about(world, pod["metadata"]["uid"], "FailedScheduling")
    assert events[0]["eventTime"] or events[0]["lastTimestamp"]
    await stuck(world)


@everywhere
async def test_an_undo_heals_and_takes_the_newest_revision(world: World) -> None:
    """The template of revision 1 comes back under its old ReplicaSet, as revision 3."""
    await running_web(world)
    await roll_out(world, fault_patch(Fault.MISSING_IMAGE))
    web = await stuck(world)
    first = (await replica_sets(world))["shop/web:v1"]
    template = first["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    version = web["metadata"]["resourceVersion"]
    patch = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]
    await roll_out(world, patch)
    web = await rolled_out(world)
    assert is_rolled_out(web)
    assert revision(web) == "3"
    sets = await replica_sets(world)
    assert len(sets) == 2
    assert revision(sets["shop/web:v1"]) == "3"
    assert sets["shop/web:v1"]["metadata"]["uid"] == first["metadata"]["uid"]
