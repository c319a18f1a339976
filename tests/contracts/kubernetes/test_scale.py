"""The scale subresource: the replicas of a Deployment as an object of their own."""

from typing import Any

from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import deployment, manifest, rolled_out, running_web

MERGE_PATCH = "application/merge-patch+json"


async def scale(world: World) -> Any:
    return await world.admin.get(world.path("deployments", "web") + "/scale")


async def patched(world: World, replicas: int, **query: str) -> tuple[int, Any]:
    path = world.path("deployments", "web") + "/scale"
    patch = {"spec": {"replicas": replicas}}
    return await world.admin.send("PATCH", path, patch, MERGE_PATCH, **query)


async def replaced(world: World, item: Any, **query: str) -> tuple[int, Any]:
    path = world.path("deployments", "web") + "/scale"
    return await world.admin.send("PUT", path, item, **query)


async def replicas(world: World) -> int:
    web = await world.admin.get(world.path("deployments", "web"))
    found: int = web["spec"]["replicas"]
    return found


def asking(item: Any, count: int, **meta: str) -> Any:
    """Return a Scale that asks for ``count``, with other metadata."""
    return item | {"metadata": item["metadata"] | meta, "spec": {"replicas": count}}


@everywhere
async def test_a_scale_shows_what_is_wanted_and_what_is_there(world: World) -> None:
    web = await running_web(world)
    shared = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    assert await scale(world) == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: web["metadata"][key] for key in shared},
        "spec": {"replicas": 3},
        "status": {"replicas": 3, "selector": "app=web"},
    }


@everywhere
async def test_a_patched_scale_is_a_scaled_deployment(world: World) -> None:
    before = await running_web(world)
    status, answer = await patched(world, 5)
    assert (status, answer["kind"], answer["spec"]) == (200, "Scale", {"replicas": 5})
    after = await rolled_out(world)
    assert after["status"]["readyReplicas"] == 5
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert after["spec"]["template"] == before["spec"]["template"]
    assert (await scale(world))["status"]["replicas"] == 5


@everywhere
async def test_a_scale_is_replaced_by_whoever_read_it_last(world: World) -> None:
    await running_web(world)
    seen = await scale(world)
    status, _ = await replaced(world, asking(seen, 2))
    assert status == 200
    for query in ({}, {"dryRun": "All"}):
        status, refusal = await replaced(world, asking(seen, 4), **query)
        assert (status, refusal.get("reason")) == (409, "Conflict")
        assert refusal["details"]["kind"] == "deployments"
    assert await replicas(world) == 2


@everywhere
async def test_a_scale_without_a_version_is_written_over_any(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    seen = await scale(world)
    del seen["metadata"]["resourceVersion"]
    for count in (2, 4):
        status, answer = await replaced(world, asking(seen, count))
        assert (status, answer["spec"]["replicas"]) == (200, count)
    status, refusal = await replaced(world, asking(seen, 5, uid="another"))
    assert (status, refusal.get("reason")) == (409, "Conflict")
    assert await replicas(world) == 4


@everywhere
async def test_a_dry_run_of_a_scale_stores_nothing(world: World) -> None:
    await running_web(world)
    seen = await scale(world)
    for status, answer in (
        await patched(world, 7, dryRun="All"),
        await replaced(world, asking(seen, 7), dryRun="All"),
    ):
        assert (status, answer["spec"]["replicas"]) == (200, 7)
        assert (answer["metadata"], answer["status"]) == (seen["metadata"], seen["status"])
    assert await scale(world) == seen


@everywhere
async def test_who_scales_owns_the_replicas_and_is_named_without_a_time(world: World) -> None:
    """So the next apply of another number is a conflict with the one who scaled."""
    path = world.path("deployments", "web")
    owner = manifest(**(deployment(world)["spec"]))
    await world.admin.apply(path, owner, "alice")
    await patched(world, 5, fieldManager="carol")
    web = await world.admin.get(path)
    (entry,) = (one for one in web["metadata"]["managedFields"] if one["manager"] == "carol")
    assert entry == {
        "manager": "carol",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
        "subresource": "scale",
    }
    status, refusal = await world.admin.apply(path, owner, "alice")
    assert (status, refusal.get("reason")) == (409, "Conflict")
    assert refusal["message"] == (
        'Apply failed with 1 conflict: conflict with "carol" with subresource "scale" using '
        "apps/v1: .spec.replicas"
    )


@everywhere
async def test_scales_are_refused(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    path = world.path("deployments", "web")
    seen, none = await scale(world), world.path("deployments", "none")
    whole = await world.admin.get(path)
    answers = [
        await patched(world, -1),
        await replaced(world, asking(seen, -1)),
        await replaced(world, asking(seen, 2, name="another")),
        await replaced(world, {"apiVersion": "autoscaling/v1", "kind": "Scale"}),
        await replaced(world, whole),
        await world.admin.send("GET", none + "/scale"),
        await world.admin.send("PATCH", none + "/scale", {"spec": {}}, MERGE_PATCH),
        await world.admin.send("POST", path + "/scale", seen),
        await world.admin.send("DELETE", path + "/scale"),
        await world.admin.send("DELETE", path + "/status"),
    ]
    assert [(status, answer.get("reason")) for status, answer in answers] == [
        (422, "Invalid"),
        (422, "Invalid"),
        (400, "BadRequest"),
        (400, "BadRequest"),
        (400, "BadRequest"),
        (404, "NotFound"),
        (404, "NotFound"),
        (405, "MethodNotAllowed"),
        (405, "MethodNotAllowed"),
        (405, "MethodNotAllowed"),
    ]
    assert answers[0][1]["message"] == (
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: '
        "must be greater than or equal to 0"
    )
    assert await replicas(world) == 3
