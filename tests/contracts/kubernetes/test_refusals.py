"""Refusals by table: what is asked, and with which status and reason every API server says no."""

from dataclasses import dataclass, field
from typing import Any

from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import deployment, lease, manifest

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True)
class Case:
    """One request of the admin. ``path`` may hold ``{namespace}``."""

    status: int
    reason: str
    method: str
    path: str
    item: Any = None
    content_type: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)


APPS = "/apis/apps/v1/namespaces/{namespace}/deployments"
PODS = "/api/v1/namespaces/{namespace}/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def patch(
    status: int, reason: str, change: Any, content_type: str = MERGE_PATCH, **query: str
) -> Case:
    return Case(status, reason, "PATCH", f"{APPS}/web", change, content_type, query)


def container(**fields: object) -> dict[str, object]:
    spec = {"containers": [{"name": "web", "image": "shop/web:v1", **fields}]}
    return {"spec": {"template": {"spec": spec}}}


async def refused(world: World, cases: list[Case]) -> None:
    """Send every case, then compare all at once: one look at the difference tells the most."""
    answers = []
    for case in cases:
        path = case.path.format(namespace=world.namespace)
        status, answer = await world.admin.send(
            case.method, path, case.item, case.content_type, **case.query
        )
        answers.append((case.method, path, case.item, status, answer.get("reason")))
    assert answers == [
        (
            case.method,
            case.path.format(namespace=world.namespace),
            case.item,
            case.status,
            case.reason,
        )
        for case in cases
    ]


@everywhere
async def test_patches_are_refused_before_anything_is_written(world: World) -> None:
    web = await world.admin.create(world.path("deployments"), deployment(world))
    two = [{"name": "web", "image": "a"}, {"name": "web", "image": "b"}]
    await refused(
        world,
        [
            patch(415, "UnsupportedMediaType", {}, "application/json"),
            patch(422, "Invalid", {"spec": {"replicas": 1}}, dryRun="Some"),
            patch(422, "Invalid", {"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
            patch(422, "Invalid", {"spec": {"template": {"spec": {"containers": []}}}}),
            patch(422, "Invalid", {"spec": {"template": {"spec": {"containers": two}}}}),
            patch(422, "Invalid", container(image="")),
            patch(422, "Invalid", container(resources={"requests": {"cpu": "lots"}})),
            patch(422, "Invalid", {"metadata": {"uid": "another"}}),
            patch(400, "BadRequest", {"metadata": {"name": "another"}}),
            patch(400, "BadRequest", {"metadata": None}),
            patch(422, "Invalid", {"metadata": 7}),
            patch(422, "Invalid", {"spec": None}),
            patch(422, "Invalid", {"spec": {"template": None}}),
            patch(422, "Invalid", [{"op": "remove", "path": "/metadata/labels/none"}], JSON_PATCH),
            patch(
                422,
                "Invalid",
                [{"op": "replace", "path": "/spec/template", "value": 7}],
                JSON_PATCH,
            ),
            patch(
                422,
                "Invalid",
                [{"op": "replace", "path": "/spec/template/spec/containers", "value": {"a": "b"}}],
                JSON_PATCH,
            ),
            Case(404, "NotFound", "PATCH", f"{APPS}/none", {}, MERGE_PATCH),
        ],
    )
    now = await world.admin.get(world.path("deployments", "web"))
    assert now["spec"] == web["spec"]


@everywhere
async def test_applies_are_refused(world: World) -> None:
    """Whose field it is comes before whether the value is possible; force is for applies alone."""
    await world.admin.create(world.path("deployments"), deployment(world))

    def apply(status: int, reason: str, change: Any, **query: str) -> Case:
        return patch(status, reason, change, APPLY_PATCH, **{"fieldManager": "alice"} | query)

    owned = manifest() | {"metadata": {"name": "web", "managedFields": [{"manager": "bob"}]}}
    await refused(
        world,
        [
            apply(422, "Invalid", manifest(), fieldManager=""),
            apply(409, "Conflict", manifest(replicas=-1)),
            apply(422, "Invalid", manifest(replicas=-1), force="true"),
            apply(400, "BadRequest", manifest() | {"metadata": {"name": "another"}}),
            apply(400, "BadRequest", {"metadata": {"name": "web"}}),
            apply(400, "BadRequest", owned),
            apply(400, "BadRequest", "no object"),
            patch(422, "Invalid", {"spec": {"replicas": 1}}, force="true"),
        ],
    )


@everywhere
async def test_creates_are_refused(world: World) -> None:
    await world.admin.create(world.path("deployments"), deployment(world))
    web = deployment(world)
    nameless = web | {"metadata": {}}
    elsewhere = web | {"metadata": {"name": "web", "namespace": "elsewhere"}}
    await refused(
        world,
        [
            Case(409, "AlreadyExists", "POST", APPS, web),
            Case(422, "Invalid", "POST", APPS, nameless),
            Case(422, "Invalid", "POST", APPS, web | {"metadata": {"name": "x"}, "spec": {}}),
            Case(400, "BadRequest", "POST", APPS, elsewhere),
            Case(400, "BadRequest", "POST", APPS, {"apiVersion": "v1", "kind": "Pod"}),
            Case(400, "BadRequest", "POST", APPS, "no object"),
            Case(404, "NotFound", "POST", "/apis/apps/v1/namespaces/none/deployments", web),
        ],
    )


@everywhere
async def test_deletes_are_refused_for_another_life_of_the_object(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))

    def only_if(**preconditions: str) -> dict[str, Any]:
        return {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}

    await refused(
        world,
        [
            Case(409, "Conflict", "DELETE", f"{LEASES}/a", only_if(uid="another")),
            Case(409, "Conflict", "DELETE", f"{LEASES}/a", only_if(resourceVersion="1")),
            Case(404, "NotFound", "DELETE", f"{LEASES}/none"),
        ],
    )


@everywhere
async def test_leases_are_refused(world: World) -> None:
    held = await world.admin.create(world.path("leases"), lease("a"))
    stale = held | {"metadata": held["metadata"] | {"resourceVersion": "1"}}
    endless = held | {"spec": {"leaseDurationSeconds": 0}}
    await refused(
        world,
        [
            Case(409, "Conflict", "PUT", f"{LEASES}/a", stale),
            Case(422, "Invalid", "PUT", f"{LEASES}/a", endless),
            Case(400, "BadRequest", "PUT", f"{LEASES}/a", lease("b")),
        ],
    )


@everywhere
async def test_an_update_of_a_lease_that_is_not_there_creates_it(world: World) -> None:
    """Unless the writer means the life of it that is over."""
    gone = await world.admin.create(world.path("leases"), lease("a"))
    await world.admin.send("DELETE", world.path("leases", "a"))
    await refused(world, [Case(409, "Conflict", "PUT", f"{LEASES}/a", gone)])
    status, created = await world.admin.send("PUT", world.path("leases", "a"), lease("a"))
    assert (status, created["kind"]) == (201, "Lease")
    assert created["metadata"]["uid"] != gone["metadata"]["uid"]


@everywhere
async def test_lists_and_logs_are_refused(world: World) -> None:
    list_of = {"method": "GET", "path": PODS}
    await refused(
        world,
        [
            Case(400, "BadRequest", **list_of, query={"limit": "1", "continue": "x!"}),
            Case(400, "BadRequest", **list_of, query={"limit": "many"}),
            Case(400, "BadRequest", **list_of, query={"labelSelector": "=("}),
            Case(400, "BadRequest", **list_of, query={"fieldSelector": "spec.none=1"}),
            Case(504, "Timeout", **list_of, query={"resourceVersion": str(10**9)}),
            Case(404, "NotFound", "GET", f"{PODS}/none/log"),
        ],
    )


@everywhere
async def test_what_is_not_served_is_refused(world: World) -> None:
    await refused(
        world,
        [
            Case(405, "MethodNotAllowed", "PUT", APPS, {}),
            Case(405, "MethodNotAllowed", "POST", f"{APPS}/web", {}),
            Case(405, "MethodNotAllowed", "GET", TOKEN_REVIEWS),
            Case(400, "BadRequest", "POST", TOKEN_REVIEWS, {"spec": {}}),
            Case(422, "Invalid", "POST", ACCESS_REVIEWS, {"spec": {"resourceAttributes": {}}}),
        ],
    )


@everywhere
async def test_who_may_not_ask_does_not_learn_what_is_served(world: World) -> None:
    """Rights are judged before the path is looked up."""
    for path in ("/api/v1/namespaces/shop/secrets", "/apis/none.example/v1/things", "/none"):
        status, refusal = await world.reader.send("GET", path)
        assert (status, refusal.get("reason")) == (403, "Forbidden")


@everywhere
async def test_a_watch_from_the_future_waits_in_silence(world: World) -> None:
    """No refusal: after a restored backup the versions of before are still to come."""
    await world.admin.create(world.path("leases"), lease("a"))
    events = await world.admin.watched(world.path("leases"), 1, resourceVersion=str(10**9))
    assert events == []
