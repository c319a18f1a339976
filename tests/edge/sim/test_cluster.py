"""The cluster as a whole: deterministic, indifferent to how time is cut, free of charge when quiet."""

import datetime as dt
import json
import time

import pytest

from opsagent.sim import Cluster, Fault, Request, fault_patch, shop
from opsagent.sim.values import encode
from tests.edge.sim.hand import DEPLOYMENTS, PODS, WEB, Hand
from tests.fakes.virtual_time import EPOCH


def state(cluster: Cluster) -> bytes:
    """Return everything that the API shows, as bytes."""
    plurals = ("namespaces", "nodes", "pods", "events", "replicasets", "deployments", "leases")
    return encode({plural: [*cluster.store._items[plural].values()] for plural in plurals})


@pytest.mark.parametrize("fault", list(Fault))
def test_the_same_requests_give_the_same_bytes_however_time_is_cut(fault: Fault) -> None:
    coarse, fine = Hand(shop(EPOCH)), Hand(shop(EPOCH))
    for hand, step in ((coarse, 600.0), (fine, 1.0)):
        hand.patch(WEB, fault_patch(fault))
        for _ in range(int(600 / step)):
            hand.wait(step)
    assert state(coarse.cluster) == state(fine.cluster)


def test_another_seed_gives_other_names() -> None:
    names = [
        {pod["metadata"]["name"] for pod in Hand(shop(EPOCH, seed=seed)).items(PODS)}
        for seed in ("a", "b")
    ]
    assert not names[0] & names[1]


def test_the_shop_is_healthy_and_an_hour_old() -> None:
    hand = Hand()
    assert hand.cluster.now == EPOCH
    sizes = {
        item["metadata"]["name"]: item["status"]["availableReplicas"]
        for item in hand.items(DEPLOYMENTS)
    }
    assert sizes == {"web": 3, "cart": 2}
    web = hand.get(WEB)
    assert web["metadata"]["creationTimestamp"] == "2026-01-04T23:00:00Z"
    assert {c["type"]: c["status"] for c in web["status"]["conditions"]} == {
        "Available": "True",
        "Progressing": "True",
    }


def test_three_quiet_days_write_heartbeats_and_nothing_else() -> None:
    hand = Hand()
    before = hand.cluster.store.version
    began = time.process_time()
    hand.wait(3 * 86400)
    assert hand.cluster.store.version - before < 3 * 3 * 288 + 50
    assert time.process_time() - began < 10


def test_time_moves_from_event_to_event() -> None:
    hand = Hand()
    due = hand.cluster.next_due()
    assert due is not None
    assert due > hand.cluster.now
    hand.patch(WEB, {"spec": {"replicas": 4}})
    soon = hand.cluster.next_due()
    assert soon is not None
    assert soon - hand.cluster.now <= dt.timedelta(seconds=0.05)


def test_an_answer_does_not_wait_for_its_consequences() -> None:
    """Controllers react a moment later, as in life: the answer shows the old status."""
    hand = Hand()
    web = hand.patch(WEB, {"spec": {"replicas": 4}})
    assert (web["spec"]["replicas"], web["status"]["replicas"]) == (4, 3)
    assert web["status"]["observedGeneration"] < web["metadata"]["generation"]


def test_subscribers_hear_of_changes_until_they_leave() -> None:
    hand = Hand()
    heard: list[int] = []
    leave = hand.cluster.subscribe(lambda: heard.append(1))
    hand.patch(WEB, {"spec": {"replicas": 4}})
    assert heard == [1]
    leave()
    leave()
    hand.patch(WEB, {"spec": {"replicas": 3}})
    assert heard == [1]


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_is_a_change_of_the_spec_alone(fault: Fault) -> None:
    patch = fault_patch(fault, container="cart", image="shop/cart:v2")
    assert list(patch) == ["spec"]
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "cart"
    assert container["image"].startswith("shop/cart:v2")
    assert set(container) <= {"name", "image", "resources"}


def test_unknown_paths_and_empty_clusters_do_no_harm() -> None:
    cluster = shop(EPOCH)
    request = Request("GET", "/nowhere", token=cluster.access.token("admin"))
    answer = cluster.handle(request, EPOCH)
    assert json.loads(answer.body)["code"] == 404  # type: ignore[union-attr]
