"""The history of rollouts: revisions on the objects, old templates kept up to a limit, undone and told by cause."""

from typing import Any

from opsagent.sim import template_patch
from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import (
    condition,
    deployment,
    replica_sets,
    revision,
    rolled_out,
)

ANNOTATIONS = "deployment.kubernetes.io/"
CAUSE = "kubernetes.io/change-cause"


async def started(world: World, **spec: object) -> Any:
    """Run web with other fields in its spec."""
    item = deployment(world)
    item["spec"] |= spec
    await world.admin.create(world.path("deployments"), item)
    return await rolled_out(world)


async def rolled(world: World, tag: str, cause: str = "") -> Any:
    """Roll out another image, wait until it runs, and return the Deployment."""
    patch: dict[str, Any] = template_patch({"name": "web", "image": f"shop/web:{tag}"})
    if cause:
        patch["metadata"] = {"annotations": {CAUSE: cause}}
    status, answer = await world.admin.patch(world.path("deployments", "web"), patch)
    assert status == 200, answer
    return await rolled_out(world)


async def history(world: World) -> dict[str, str]:
    """Return the revision of every image that is remembered."""
    sets = await replica_sets(world)
    return {image.removeprefix("shop/web:"): revision(one) for image, one in sets.items()}


def note(item: Any, name: str) -> str:
    return item["metadata"]["annotations"].get(ANNOTATIONS + name, "")


@everywhere
async def test_a_replica_set_says_how_many_pods_its_deployment_wants(world: World) -> None:
    """Wanted, and at most during a rollout: 3 and a quarter of them, rounded up."""
    await started(world)
    (first,) = (await replica_sets(world)).values()
    assert (note(first, "desired-replicas"), note(first, "max-replicas")) == ("3", "4")
    await world.admin.patch(world.path("deployments", "web"), {"spec": {"replicas": 5}})
    await rolled_out(world)
    (first,) = (await replica_sets(world)).values()
    assert (note(first, "desired-replicas"), note(first, "max-replicas")) == ("5", "7")


@everywhere
async def test_a_template_that_comes_back_is_the_newest_and_remembers_its_revisions(
    world: World,
) -> None:
    """Back and forth twice: two ReplicaSets, and each keeps the numbers that it had."""
    await started(world)
    uids = set()
    for tag, number in (("v2", "2"), ("v1", "3"), ("v2", "4"), ("v1", "5")):
        web = await rolled(world, tag)
        assert revision(web) == number
        assert (await history(world))[tag] == number
        uids |= {one["metadata"]["uid"] for one in (await replica_sets(world)).values()}
    assert len(uids) == 2
    sets = await replica_sets(world)
    assert await history(world) == {"v1": "5", "v2": "4"}
    assert note(sets["shop/web:v1"], "revision-history") == "1,3"
    assert note(sets["shop/web:v2"], "revision-history") == "2"
    assert note(await world.admin.get(world.path("deployments", "web")), "revision-history") == ""


@everywhere
async def test_the_controller_notes_the_revision_and_raises_no_generation(world: World) -> None:
    """It writes annotation and status in one; a generation is what others asked for."""
    web = await started(world)
    assert (web["metadata"]["generation"], revision(web)) == (1, "1")
    web = await rolled(world, "v2")
    assert (web["metadata"]["generation"], revision(web)) == (2, "2")
    (entry,) = (
        entry
        for entry in web["metadata"]["managedFields"]
        if entry["manager"] == "kube-controller-manager"
    )
    assert entry["subresource"] == "status"
    assert f"f:{ANNOTATIONS}revision" in entry["fieldsV1"]["f:metadata"]["f:annotations"]


@everywhere
async def test_a_change_without_a_new_template_is_no_revision(world: World) -> None:
    await started(world)
    await world.admin.patch(world.path("deployments", "web"), {"spec": {"replicas": 2}})
    web = await rolled_out(world)
    assert (revision(web), await history(world)) == ("1", {"v1": "1"})


@everywhere
async def test_old_revisions_are_kept_up_to_the_limit(world: World) -> None:
    """The running one is not counted; who lowers the limit forgets at once."""
    await started(world, revisionHistoryLimit=2)
    for tag in ("v2", "v3", "v4"):
        await rolled(world, tag)

    async def remembers(expected: dict[str, str]) -> None:
        async def look() -> bool:
            return await history(world) == expected

        await world.eventually(look, f"a history of {expected}")

    await remembers({"v2": "2", "v3": "3", "v4": "4"})
    path = world.path("deployments", "web")
    await world.admin.patch(path, {"spec": {"revisionHistoryLimit": 0}})
    await remembers({"v4": "4"})


@everywhere
async def test_a_revision_that_was_forgotten_comes_back_as_a_new_one(world: World) -> None:
    await started(world, revisionHistoryLimit=0)
    await rolled(world, "v2")
    web = await rolled(world, "v1")
    (only,) = (await replica_sets(world)).values()
    assert (revision(web), revision(only)) == ("3", "3")
    assert note(only, "revision-history") == ""


@everywhere
async def test_a_revision_keeps_the_cause_that_it_was_given(world: World) -> None:
    await started(world)
    await rolled(world, "v2", cause="a new release")
    await rolled(world, "v3", cause="a newer one")
    sets = await replica_sets(world)
    causes = {image: one["metadata"]["annotations"].get(CAUSE) for image, one in sets.items()}
    assert causes == {
        "shop/web:v1": None,
        "shop/web:v2": "a new release",
        "shop/web:v3": "a newer one",
    }


@everywhere
async def test_a_paused_deployment_rolls_out_when_it_is_resumed(world: World) -> None:
    await started(world)
    path = world.path("deployments", "web")
    patch = template_patch({"name": "web", "image": "shop/web:v2"})
    patch["spec"]["paused"] = True
    await world.admin.patch(path, patch)

    async def paused() -> Any:
        web = await world.admin.get(path)
        is_seen = web["status"]["observedGeneration"] == web["metadata"]["generation"]
        return web if is_seen else None

    web = await world.eventually(paused, "the controller has seen the pause")
    said = condition(web, "Progressing")
    assert (said["status"], said["reason"]) == ("Unknown", "DeploymentPaused")
    assert (revision(web), await history(world)) == ("1", {"v1": "1"})
    assert (web["status"]["readyReplicas"], web["status"].get("updatedReplicas", 0)) == (3, 0)
    await world.admin.patch(path, {"spec": {"paused": False}})
    web = await rolled_out(world)
    assert (revision(web), await history(world)) == ("2", {"v1": "1", "v2": "2"})
