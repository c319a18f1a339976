"""Who may do what: refusals, and the two reviews by which others ask."""

from typing import Any

from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import deployment, lease, manifest

SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def token_review(world: World, token: str) -> Any:
    created = await world.admin.create(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        },
    )
    return created["status"]


async def may_approve(world: World, token: str) -> bool:
    user = (await token_review(world, token))["user"]
    attributes = {
        "namespace": "shop",
        "verb": "approve",
        "group": "opsagent.io",
        "resource": "actionrequests",
    }
    review = await world.admin.create(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user["username"],
                "groups": user["groups"],
                "resourceAttributes": attributes,
            },
        },
    )
    return review["status"]["allowed"] is True


@everywhere
async def test_a_valid_token_names_its_owner(world: World) -> None:
    status = await token_review(world, world.alice_token)
    assert status["authenticated"] is True
    assert "alice" in status["user"]["username"]
    assert "system:authenticated" in status["user"]["groups"]


@everywhere
async def test_an_invalid_token_names_nobody(world: World) -> None:
    status = await token_review(world, "not-a-token")
    assert not status.get("authenticated")
    assert not status["user"].get("username")


@everywhere
async def test_an_access_review_says_who_may_approve(world: World) -> None:
    assert await may_approve(world, world.alice_token)
    assert not await may_approve(world, world.bob_token)


async def may(world: World, verb: str, resource: str, group: str = "", namespace: str = "") -> bool:
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = await world.reader.create(
        SELF_REVIEWS,
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    return review["status"]["allowed"] is True


@everywhere
async def test_everybody_may_ask_what_they_may_do_themselves(world: World) -> None:
    assert await may(world, "watch", "pods")
    assert await may(world, "list", "deployments", "apps", world.namespace)
    assert not await may(world, "patch", "deployments", "apps", world.namespace)
    assert not await may(world, "list", "secrets")


@everywhere
async def test_a_self_review_must_name_a_resource(world: World) -> None:
    status, refusal = await world.reader.send("POST", SELF_REVIEWS, {"spec": {}})
    assert (status, refusal.get("reason")) == (422, "Invalid")


@everywhere
async def test_a_reader_may_read_and_not_write(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    path = world.path("deployments", "web")
    assert (await world.reader.get(path))["metadata"]["name"] == "web"
    for status, refusal in (
        await world.reader.patch(path, {"spec": {"replicas": 1}}),
        await world.reader.send("DELETE", path),
        await world.reader.send("POST", world.path("leases"), lease("a")),
        await world.reader.apply(path, manifest(replicas=1), "reader"),
        await world.reader.send("PUT", path + "/scale", {"spec": {"replicas": 1}}),
        await world.reader.send("POST", world.path("pods", "web-1") + "/eviction", {}),
    ):
        assert (status, refusal["kind"], refusal.get("reason")) == (403, "Status", "Forbidden")


@everywhere
async def test_a_refused_dry_run_is_a_refusal_too(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    path = world.path("deployments", "web")
    status, _ = await world.reader.patch(path, {"spec": {"replicas": 1}}, dryRun="All")
    assert status == 403
