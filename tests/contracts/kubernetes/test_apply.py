"""Server-side apply: everybody says what they want, and the server keeps who wants what."""

from typing import Any

from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import manifest, rolled_out

IMAGE = '.spec.template.spec.containers[name="web"].image'
NOTE = "example.com/note"


def containing(image: str, **fields: object) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "web", "image": image, **fields}]}}


def whole(image: str = "shop/web:v1", **spec: object) -> dict[str, Any]:
    """Return what the owner of the whole Deployment applies."""
    template = {"metadata": {"labels": {"app": "web"}}, **containing(image)}
    return manifest(selector={"matchLabels": {"app": "web"}}, template=template, **spec)


def noted(note: str) -> dict[str, Any]:
    """Return what a manager applies who wants one annotation and nothing else."""
    item = manifest()
    del item["spec"]
    item["metadata"]["annotations"] = {NOTE: note}
    return item


def owned(item: Any, manager: str, operation: str = "Apply") -> Any:
    """Return the fields that a manager owns, {} if none."""
    found = {
        (entry["manager"], entry["operation"]): entry["fieldsV1"]
        for entry in item["metadata"]["managedFields"]
    }
    return found.get((manager, operation), {})


def image_of(item: Any) -> str:
    image: str = item["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


async def applied(world: World, item: object, manager: str, **query: str) -> Any:
    """Apply ``item``, which must work, and return what came of it."""
    path = world.path("deployments", "web")
    status, answer = await world.admin.apply(path, item, manager, **query)
    assert status in {200, 201}, answer
    return answer


async def refused(world: World, item: object, manager: str, **query: str) -> Any:
    """Apply ``item``, which must be a conflict, and return the refusal."""
    path = world.path("deployments", "web")
    status, refusal = await world.admin.apply(path, item, manager, **query)
    assert (status, refusal.get("reason")) == (409, "Conflict"), refusal
    return refusal


@everywhere
async def test_an_apply_creates_what_is_not_there_and_owns_what_it_names(world: World) -> None:
    path = world.path("deployments", "web")
    status, created = await world.admin.apply(path, whole(replicas=3), "alice")
    assert (status, created["kind"], created["metadata"]["generation"]) == (201, "Deployment", 1)
    assert created["spec"]["progressDeadlineSeconds"] == 600  # a default, which nobody owns
    (entry,) = created["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("alice", "Apply")
    assert (entry["apiVersion"], entry["fieldsType"]) == ("apps/v1", "FieldsV1")
    assert entry["time"]
    container = {".": {}, "f:name": {}, "f:image": {}}
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"web"}': container}},
            },
        }
    }


@everywhere
async def test_the_same_apply_again_changes_nothing(world: World) -> None:
    await applied(world, whole(replicas=1), "alice")
    before = await rolled_out(world)
    assert await applied(world, whole(replicas=1), "alice") == before


@everywhere
async def test_an_apply_leaves_alone_what_it_does_not_name(world: World) -> None:
    await applied(world, whole(replicas=3), "alice")
    after = await applied(world, manifest(minReadySeconds=1), "bob")
    assert owned(after, "bob") == {"f:spec": {"f:minReadySeconds": {}}}
    assert (after["spec"]["replicas"], image_of(after)) == (3, "shop/web:v1")
    assert after["spec"]["minReadySeconds"] == 1


@everywhere
async def test_wanting_otherwise_what_another_applied_is_a_conflict(world: World) -> None:
    """It names the owner and the field, also in a dry run, and nothing is written."""
    path = world.path("deployments", "web")
    await applied(world, whole(), "alice")
    for query in ({}, {"dryRun": "All"}):
        refusal = await refused(world, whole("shop/web:v2"), "bob", **query)
        assert refusal["message"] == (
            f'Apply failed with 1 conflict: conflict with "alice": {IMAGE}'
        )
        assert refusal["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": IMAGE}
        ]
    now = await world.admin.get(path)
    assert image_of(now) == "shop/web:v1"
    assert not owned(now, "bob")


@everywhere
async def test_conflicts_with_several_owners_are_all_named(world: World) -> None:
    """Who wrote by update is named with the version that they wrote in."""
    path = world.path("deployments", "web")
    await applied(world, whole(), "alice")
    await world.admin.patch(path, {"metadata": {"annotations": {NOTE: "x"}}}, fieldManager="carol")
    wanted = whole("shop/web:v2") | {"metadata": noted("y")["metadata"]}
    refusal = await refused(world, wanted, "bob")
    assert refusal["message"] == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n'
        f"- {IMAGE}\n"
        'conflicts with "carol" using apps/v1:\n'
        f"- .metadata.annotations.{NOTE}"
    )


@everywhere
async def test_a_forced_apply_takes_over_what_it_names(world: World) -> None:
    await applied(world, whole(), "alice")
    taken = await applied(world, whole("shop/web:v2"), "bob", force="true")
    assert image_of(taken) == "shop/web:v2"
    assert taken["metadata"]["generation"] == 2
    template = owned(taken, "alice")["f:spec"]["f:template"]
    container = template["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container == {".": {}, "f:name": {}}
    refusal = await refused(world, whole(), "alice")
    assert refusal["details"]["causes"][0]["message"] == 'conflict with "bob"'


@everywhere
async def test_an_update_takes_over_without_asking(world: World) -> None:
    """Only applies are asked whose field it is; the one who applied finds out at the next apply."""
    path = world.path("deployments", "web")
    await applied(world, whole(), "alice")
    patch = {"spec": {"template": containing("shop/web:v2")}}
    _, updated = await world.admin.patch(path, patch, fieldManager="carol")
    assert image_of(updated) == "shop/web:v2"
    assert owned(updated, "carol", "Update")
    refusal = await refused(world, whole(), "alice")
    assert refusal["details"]["causes"][0]["message"] == 'conflict with "carol" using apps/v1'


@everywhere
async def test_what_its_sole_owner_applies_no_more_is_removed(world: World) -> None:
    """What has a default falls back to it."""
    item = whole(replicas=3) | {"metadata": noted("x")["metadata"]}
    item["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "shop/cart:v1"})
    before = await applied(world, item, "alice")
    assert len(before["spec"]["template"]["spec"]["containers"]) == 2
    after = await applied(world, whole(), "alice")
    assert NOTE not in after["metadata"].get("annotations", {})
    assert after["spec"]["replicas"] == 1
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "web"
    assert "f:replicas" not in owned(after, "alice")["f:spec"]
    assert after["metadata"]["generation"] == 2


@everywhere
async def test_what_another_wants_too_stays_until_nobody_does(world: World) -> None:
    await applied(world, whole() | {"metadata": noted("x")["metadata"]}, "alice")
    both = await applied(world, noted("x"), "bob")
    mine = {"f:metadata": {"f:annotations": {f"f:{NOTE}": {}}}}
    assert owned(both, "bob") == mine
    assert owned(both, "alice")["f:metadata"] == mine["f:metadata"]
    shared = await applied(world, whole(), "alice")
    assert shared["metadata"]["annotations"][NOTE] == "x"
    nobodys = noted("x")
    del nobodys["metadata"]["annotations"]
    after = await applied(world, nobodys, "bob")
    assert NOTE not in after["metadata"].get("annotations", {})


@everywhere
async def test_a_dry_run_of_an_apply_stores_nothing(world: World) -> None:
    path = world.path("deployments", "web")
    created = await applied(world, whole(), "alice", dryRun="All")
    assert image_of(created) == "shop/web:v1"
    status, _ = await world.admin.send("GET", path)
    assert status == 404
    await applied(world, whole(), "alice")
    changed = await applied(world, whole("shop/web:v2"), "alice", dryRun="All")
    assert image_of(changed) == "shop/web:v2"
    assert image_of(await world.admin.get(path)) == "shop/web:v1"


@everywhere
async def test_an_apply_can_demand_the_version_it_was_made_for(world: World) -> None:
    await applied(world, whole(), "alice")
    stale = whole("shop/web:v2")
    stale["metadata"]["resourceVersion"] = "1"
    refusal = await refused(world, stale, "alice", force="true")
    assert "the object has been modified" in refusal["message"]
