"""What every API server promises about single objects: versions, conflicts, patches, dry runs, refusals."""

from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import deployment, lease, replica_sets


def image_patch(image: str) -> dict[str, object]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


@everywhere
async def test_a_new_object_gets_an_identity(world: World) -> None:
    created = await world.admin.create(world.path("leases"), lease("a"))
    meta = created["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"]
    assert meta["resourceVersion"]
    assert await world.admin.get(world.path("leases", "a")) == created


@everywhere
async def test_a_name_is_given_once(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    status, refusal = await world.admin.send("POST", world.path("leases"), lease("a"))
    assert (status, refusal.get("reason")) == (409, "AlreadyExists")


@everywhere
async def test_what_is_not_there_is_not_found(world: World) -> None:
    status, refusal = await world.admin.send("GET", world.path("deployments", "none"))
    assert (status, refusal["kind"], refusal.get("reason")) == (404, "Status", "NotFound")
    status, refusal = await world.admin.send("GET", world.path("pods", "none") + "/log")
    assert (status, refusal.get("reason")) == (404, "NotFound")


@everywhere
async def test_a_lease_is_updated_by_whoever_read_it_last(world: World) -> None:
    """Two candidates read the same Lease; the second to write has lost."""
    seen = await world.admin.create(world.path("leases"), lease("leader", holder=""))
    mine = seen | {"spec": seen["spec"] | {"holderIdentity": "first"}}
    status, held = await world.admin.send("PUT", world.path("leases", "leader"), mine)
    assert (status, held["spec"]["holderIdentity"]) == (200, "first")
    late = seen | {"spec": seen["spec"] | {"holderIdentity": "second"}}
    status, refusal = await world.admin.send("PUT", world.path("leases", "leader"), late)
    assert (status, refusal.get("reason")) == (409, "Conflict")
    now = await world.admin.get(world.path("leases", "leader"))
    assert now["spec"]["holderIdentity"] == "first"


@everywhere
async def test_a_lease_update_without_a_version_is_refused(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    status, refusal = await world.admin.send("PUT", world.path("leases", "a"), lease("a", "b"))
    assert (status, refusal.get("reason")) == (422, "Invalid")


@everywhere
async def test_a_json_patch_can_demand_the_version_it_was_made_for(world: World) -> None:
    path = world.path("leases", "a")
    seen = await world.admin.create(world.path("leases"), lease("a"))
    version = seen["metadata"]["resourceVersion"]

    def claim(holder: str) -> list[dict[str, str]]:
        return [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec/holderIdentity", "value": holder},
        ]

    status, changed = await world.admin.patch(path, claim("b"))
    assert status == 200
    assert changed["metadata"]["resourceVersion"] != version
    status, refusal = await world.admin.patch(path, claim("c"))
    assert (status, refusal.get("reason")) == (409, "Conflict")
    assert (await world.admin.get(path))["spec"]["holderIdentity"] == "b"


@everywhere
async def test_a_json_patch_whose_test_fails_changes_nothing(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    patch = [
        {"op": "test", "path": "/spec/holderIdentity", "value": "somebody"},
        {"op": "replace", "path": "/spec/holderIdentity", "value": "b"},
    ]
    status, _ = await world.admin.patch(world.path("leases", "a"), patch)
    assert status == 422
    now = await world.admin.get(world.path("leases", "a"))
    assert now["spec"]["holderIdentity"] == "a"


@everywhere
async def test_a_patch_that_changes_nothing_makes_no_version(world: World) -> None:
    seen = await world.admin.create(world.path("leases"), lease("a"))
    patch = [{"op": "replace", "path": "/spec/holderIdentity", "value": "a"}]
    _, same = await world.admin.patch(world.path("leases", "a"), patch)
    assert same["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]


@everywhere
async def test_a_strategic_patch_finds_the_container_by_name(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    _, changed = await world.admin.patch(
        world.path("deployments", "web"), image_patch("shop/web:v2")
    )
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "shop/web:v2"
    assert container["resources"]["limits"] == {"memory": "128Mi"}


@everywhere
async def test_a_dry_run_answers_and_stores_nothing(world: World) -> None:
    path = world.path("deployments", "web")
    await world.admin.create(world.path("deployments"), deployment(world))
    patch = image_patch("shop/web:v2")
    status, answer = await world.admin.patch(path, patch, dryRun="All")
    assert status == 200
    (container,) = answer["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "shop/web:v2"
    now = await world.admin.get(path)
    (container,) = now["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "shop/web:v1"
    assert "shop/web:v2" not in await replica_sets(world)


@everywhere
async def test_a_dry_run_refuses_what_the_write_would_refuse(world: World) -> None:
    path = world.path("deployments", "web")
    await world.admin.create(world.path("deployments"), deployment(world))
    status, refusal = await world.admin.patch(path, {"spec": {"replicas": -1}}, dryRun="All")
    assert (status, refusal.get("reason")) == (422, "Invalid")


@everywhere
async def test_a_write_names_its_manager_and_its_time(world: World) -> None:
    path = world.path("deployments", "web")
    await world.admin.create(world.path("deployments"), deployment(world))
    patch = image_patch("shop/web:v2")
    _, changed = await world.admin.patch(path, patch, fieldManager="somebody")
    entries = {entry["manager"]: entry for entry in changed["metadata"]["managedFields"]}
    entry = entries["somebody"]
    assert (entry["operation"], entry["apiVersion"]) == ("Update", "apps/v1")
    assert entry["time"]
    fields = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert fields['k:{"name":"web"}'] == {"f:image": {}}


@everywhere
async def test_a_deployments_generation_rises_with_spec_and_annotations(world: World) -> None:
    path = world.path("deployments", "web")
    created = await world.admin.create(world.path("deployments"), deployment(world))
    assert created["metadata"]["generation"] == 1
    _, scaled = await world.admin.patch(path, {"spec": {"replicas": 2}})
    annotation = {"metadata": {"annotations": {"example.com/note": "x"}}}
    _, noted = await world.admin.patch(path, annotation)
    assert noted["metadata"]["generation"] > scaled["metadata"]["generation"]


@everywhere
async def test_a_deleted_object_is_gone(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    status, _ = await world.admin.send("DELETE", world.path("leases", "a"))
    assert status == 200
    status, _ = await world.admin.send("GET", world.path("leases", "a"))
    assert status == 404


@everywhere
async def test_the_server_says_that_it_is_ready_and_what_it_is(world: World) -> None:
    status, text = await world.admin.send("GET", "/readyz")
    assert (status, text) == (200, "ok")
    assert (await world.admin.get("/version"))["major"] == "1"
