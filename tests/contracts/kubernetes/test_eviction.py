"""Evictions under a PodDisruptionBudget: what its controller computes, and what the server lets go."""

from typing import Any

from opsagent.sim import Fault, fault_patch
from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import budget, condition, running_web

TOO_MANY = "Cannot evict pod as it would violate the pod's disruption budget."


async def counted(world: World, **wanted: int) -> Any:
    """Wait until the budget ``web`` is counted with these numbers, and return it."""

    async def look() -> Any:
        item = await world.admin.get(world.path("poddisruptionbudgets", "web"))
        status = item["status"]
        is_current = status.get("observedGeneration") == item["metadata"]["generation"]
        numbers = {name: status[name] for name in wanted}
        return item if is_current and numbers == wanted else None

    return await world.eventually(look, f"a budget with {wanted}")


async def under(world: World, **bound: object) -> Any:
    """Run web with 3 pods under a budget, and return the budget once it counts them."""
    await running_web(world)
    await world.admin.create(world.path("poddisruptionbudgets"), budget(**bound))
    return await counted(world, currentHealthy=3)


async def pods(world: World) -> list[Any]:
    """Return the pods of web that are not going."""
    found = await world.admin.get(world.path("pods"), labelSelector="app=web")
    return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]


async def evicted(world: World, name: str, query: str = "", **options: object) -> tuple[int, Any]:
    """Ask for the eviction of a pod; ``query`` is the value of dryRun."""
    eviction: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": world.namespace},
    }
    if options:
        eviction["deleteOptions"] = options
    path = world.path("pods", name) + "/eviction"
    return await world.admin.send("POST", path, eviction, **({"dryRun": query} if query else {}))


async def is_there(world: World, name: str) -> bool:
    return name in {pod["metadata"]["name"] for pod in await pods(world)}


@everywhere
async def test_a_budget_is_counted_by_its_controller(world: World) -> None:
    """Shares are rounded up: 34 % of 3 pods are 2."""
    await running_web(world)
    path = world.path("poddisruptionbudgets", "web")
    created = await world.admin.create(world.path("poddisruptionbudgets"), budget(minAvailable=2))
    assert created["status"] == {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    }
    for spec, allowed, desired in (
        ({"minAvailable": 2}, 1, 2),
        ({"minAvailable": "50%"}, 1, 2),
        ({"minAvailable": "100%"}, 0, 3),
        ({"minAvailable": 5}, 0, 5),
        ({"maxUnavailable": 1}, 1, 2),
        ({"maxUnavailable": "34%"}, 2, 1),
        ({"maxUnavailable": 5}, 3, 0),
    ):
        bounds = {"minAvailable": None, "maxUnavailable": None} | spec
        status, answer = await world.admin.send(
            "PATCH", path, {"spec": bounds}, "application/merge-patch+json"
        )
        assert status == 200, answer
        item = await counted(
            world,
            disruptionsAllowed=allowed,
            desiredHealthy=desired,
            currentHealthy=3,
            expectedPods=3,
        )
        said = condition(item, "DisruptionAllowed")
        expected = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        assert (said["status"], said["reason"]) == expected
        assert said["observedGeneration"] == item["metadata"]["generation"]
        assert said["lastTransitionTime"]


@everywhere
async def test_a_budget_follows_the_number_that_is_wanted(world: World) -> None:
    await under(world, maxUnavailable="50%")
    await counted(world, disruptionsAllowed=2, desiredHealthy=1, expectedPods=3)
    await world.admin.patch(world.path("deployments", "web"), {"spec": {"replicas": 5}})
    await counted(world, disruptionsAllowed=3, desiredHealthy=2, currentHealthy=5, expectedPods=5)


@everywhere
async def test_an_allowed_eviction_takes_the_pod_away(world: World) -> None:
    """The pod says why it goes, and its controller replaces it; then the budget allows one again."""
    await under(world, minAvailable=2)
    listed = await world.admin.get(world.path("pods"))
    name = listed["items"][0]["metadata"]["name"]
    status, answer = await evicted(world, name)
    assert (status, answer["kind"], answer["status"]) == (201, "Status", "Success")
    told = await world.admin.watched(
        world.path("pods"),
        3,
        resourceVersion=listed["metadata"]["resourceVersion"],
        fieldSelector=f"metadata.name={name}",
    )
    said = condition(told[0]["object"], "DisruptionTarget")
    assert (said["status"], said["reason"]) == ("True", "EvictionByEvictionAPI")
    *before, last = told
    assert any("deletionTimestamp" in event["object"]["metadata"] for event in before)
    assert last["type"] == "DELETED"
    assert not await is_there(world, name)
    await counted(world, disruptionsAllowed=1, currentHealthy=3)
    assert len(await pods(world)) == 3


@everywhere
async def test_an_eviction_that_the_budget_does_not_allow_is_refused(world: World) -> None:
    """Also as a dry run; the cause tells the numbers."""
    await under(world, minAvailable=3)
    name = (await pods(world))[0]["metadata"]["name"]
    for query in ("", "All"):
        status, refusal = await evicted(world, name, query)
        assert (status, refusal.get("reason")) == (429, "TooManyRequests")
        assert refusal["message"] == TOO_MANY
        assert refusal["details"]["causes"] == [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget web needs 3 healthy pods and has 3 currently",
            }
        ]
    assert await is_there(world, name)


@everywhere
async def test_a_delete_asks_no_budget(world: World) -> None:
    await under(world, minAvailable=3)
    name = (await pods(world))[0]["metadata"]["name"]
    status, _ = await world.admin.send("DELETE", world.path("pods", name))
    assert status == 200
    assert not await is_there(world, name)


@everywhere
async def test_a_dry_run_of_an_eviction_evicts_nothing(world: World) -> None:
    """Asked for in the query or in the body, it also takes nothing from the budget."""
    before = await under(world, minAvailable=2)
    name = (await pods(world))[0]["metadata"]["name"]
    for query, options in (("All", {}), ("", {"dryRun": ["All"]})):
        status, answer = await evicted(world, name, query, **options)
        assert (status, answer["status"]) == (201, "Success")
    assert await is_there(world, name)
    after = await world.admin.get(world.path("poddisruptionbudgets", "web"))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@everywhere
async def test_without_a_budget_every_eviction_is_allowed(world: World) -> None:
    await running_web(world)
    for pod in await pods(world):
        status, _ = await evicted(world, pod["metadata"]["name"])
        assert status == 201


@everywhere
async def test_a_pod_that_is_not_ready_goes_while_enough_others_are(world: World) -> None:
    """It is not counted, so it is not missed."""
    await under(world, maxUnavailable=0)
    patch = fault_patch(Fault.NEVER_READY)
    await world.admin.patch(world.path("deployments", "web"), patch)

    async def unready() -> Any:
        for pod in await pods(world):
            image = pod["spec"]["containers"][0]["image"]
            if image == "shop/web:v2-slow" and pod["status"]["phase"] == "Running":
                return pod
        return None

    pod = await world.eventually(unready, "a running pod that is not ready")
    await counted(world, disruptionsAllowed=0, currentHealthy=3, desiredHealthy=3)
    status, answer = await evicted(world, pod["metadata"]["name"])
    assert (status, answer["status"]) == (201, "Success")


@everywhere
async def test_a_pod_that_does_not_run_yet_asks_no_budget(world: World) -> None:
    await under(world, maxUnavailable=0)
    await world.admin.patch(world.path("deployments", "web"), fault_patch(Fault.STUCK_ROLLOUT))

    async def pending() -> Any:
        return [pod for pod in await pods(world) if pod["status"]["phase"] == "Pending"]

    for pod in await world.eventually(pending, "a pending pod"):
        status, _ = await evicted(world, pod["metadata"]["name"])
        assert status == 201


@everywhere
async def test_evictions_are_refused(world: World) -> None:
    await under(world, minAvailable=0)
    name = (await pods(world))[0]["metadata"]["name"]
    path = world.path("pods", name) + "/eviction"
    await world.admin.create(
        world.path("poddisruptionbudgets"),
        budget("other", minAvailable=0) | {"spec": {"minAvailable": 0}},
    )
    wrong = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "another"}}
    answers = [
        await evicted(world, "none"),
        await world.admin.send("POST", path, wrong),
        await world.admin.send("POST", path, {}),
        await evicted(world, name, preconditions={"uid": "another"}),
        await world.admin.send("GET", path),
        await world.admin.send("DELETE", path),
    ]
    assert [(status, answer.get("reason")) for status, answer in answers] == [
        (404, "NotFound"),
        (400, "BadRequest"),
        (400, "BadRequest"),
        (409, "Conflict"),
        (405, "MethodNotAllowed"),
        (405, "MethodNotAllowed"),
    ]
    assert await is_there(world, name)


@everywhere
async def test_a_pod_with_two_budgets_cannot_be_evicted(world: World) -> None:
    await under(world, minAvailable=0)
    await world.admin.create(world.path("poddisruptionbudgets"), budget("two", minAvailable=0))
    name = (await pods(world))[0]["metadata"]["name"]

    async def refusal() -> Any:
        status, answer = await evicted(world, name, "All")
        return answer if status == 500 else None

    answer = await world.eventually(refusal, "the server knows both")
    assert "more than one PodDisruptionBudget" in answer["message"]


@everywhere
async def test_budgets_are_refused(world: World) -> None:
    for bound in (
        {"minAvailable": 1, "maxUnavailable": 1},
        {"minAvailable": -1},
        {"minAvailable": "x"},
    ):
        status, refusal = await world.admin.send(
            "POST", world.path("poddisruptionbudgets"), budget(**bound)
        )
        assert (status, refusal.get("reason")) == (422, "Invalid")
