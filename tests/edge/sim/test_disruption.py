"""What of budgets and applies no contract can show: a controller that is behind, and what is not served."""

import pytest

from tests.edge.sim.hand import DEPLOYMENTS, PODS, WEB, Hand

BUDGETS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
APPLY = "application/apply-patch+yaml"


WEB_PODS = {"matchLabels": {"app": "web"}}


def budget(**spec: object) -> dict[str, object]:
    return {"metadata": {"name": "web"}, "spec": spec}


def test_an_eviction_waits_for_a_budget_that_is_not_counted_yet() -> None:
    hand = Hand()
    hand.create(BUDGETS, budget(selector=WEB_PODS, minAvailable=2))
    (name, *_) = (pod["metadata"]["name"] for pod in hand.items(PODS, labelSelector="app=web"))
    path, eviction = f"{PODS}/{name}/eviction", {"metadata": {"name": name}}
    answer = hand.raw("POST", path, eviction)
    assert (answer.status, answer.headers["retry-after"]) == (429, "10")
    assert b"still being processed" in answer.body
    hand.wait(1)
    status, _ = hand.send("POST", path, eviction)
    assert status == 201
    answer = hand.raw("POST", path, eviction)
    assert answer.status == 201  # it is going already
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("spec", "expected", "allowed"),
    [
        ({"minAvailable": 1}, 0, 0),
        ({"minAvailable": 1, "selector": {}}, 5, 4),  # web and cart
        ({"selector": WEB_PODS}, 0, 0),
        ({"selector": {"matchLabels": {"app": "none"}}, "maxUnavailable": "50%"}, 0, 0),
    ],
)
def test_a_budget_counts_what_its_selector_finds(
    spec: dict[str, object], expected: int, allowed: int
) -> None:
    hand = Hand()
    hand.create(BUDGETS, budget(**spec))
    hand.wait(1)
    status = hand.get(f"{BUDGETS}/web")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (expected, allowed)


def test_a_budget_that_is_gone_is_not_counted() -> None:
    hand = Hand()
    hand.create(BUDGETS, budget(selector={}, minAvailable=1))
    hand.send("DELETE", f"{BUDGETS}/web")
    hand.wait(1)
    assert hand.items(BUDGETS) == []


def test_expressions_in_the_selector_of_a_budget_are_not_served() -> None:
    expression = {"key": "app", "operator": "Exists"}
    status, refusal = Hand().send(
        "POST", BUDGETS, budget(selector={"matchExpressions": [expression]})
    )
    assert (status, refusal["reason"]) == (422, "Invalid")


def test_an_apply_may_be_written_in_yaml() -> None:
    hand = Hand()
    text = b"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, annotations: {a: b}}}"
    status, web = hand.send("PATCH", WEB, text, APPLY, fieldManager="me")
    assert (status, web["metadata"]["annotations"]["a"]) == (200, "b")
    status, refusal = hand.send("PATCH", WEB, b"{", APPLY, fieldManager="me")
    assert (status, refusal["reason"]) == (400, "BadRequest")


def test_an_apply_keeps_what_others_own_of_an_item_that_it_drops() -> None:
    """The item stays with what the others want of it."""
    hand = Hand()
    side = {"name": "side", "image": "shop/cart:v1"}
    item = hand.get(WEB)
    for key in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
        del item["metadata"][key]
    item["metadata"]["name"] = "other"
    item["spec"]["template"]["spec"]["containers"].append(side | {"command": ["a"]})
    path = f"{DEPLOYMENTS}/other"
    status, _ = hand.send("PATCH", path, item, APPLY, fieldManager="me")
    assert status == 201
    mine = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"}}
    theirs = mine | {"spec": {"template": {"spec": {"containers": [side]}}}}
    status, _ = hand.send("PATCH", path, theirs, APPLY, fieldManager="them")
    assert status == 200
    item["spec"]["template"]["spec"]["containers"].pop()
    status, left = hand.send("PATCH", path, item, APPLY, fieldManager="me")
    assert status == 200
    _, kept = left["spec"]["template"]["spec"]["containers"]
    assert (kept["name"], kept["image"]) == ("side", "shop/cart:v1")
    assert "command" not in kept
