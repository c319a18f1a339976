"""The arithmetic of rolling updates, and what the Deployment controller makes of it."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.sim import Fault, fault_patch, rollout, template_patch
from tests.edge.sim.hand import DEPLOYMENTS, PODS, REPLICA_SETS, WEB, Hand


def deployment(replicas: int, surge: object, unavailable: object) -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"rollingUpdate": rolling}}}


def replica_set(name: str, replicas: int, available: int) -> dict[str, Any]:
    status = {"replicas": replicas, "availableReplicas": available}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas}, "status": status}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", rollout.Bounds(1, 0)),
        (10, "25%", "25%", rollout.Bounds(3, 2)),
        (4, 2, 1, rollout.Bounds(2, 1)),
        (4, 0, 0, rollout.Bounds(0, 1)),
        (0, "25%", "25%", rollout.Bounds(0, 1)),
    ],
)
def test_shares_round_towards_more_pods(
    replicas: int, surge: object, unavailable: object, expected: rollout.Bounds
) -> None:
    assert rollout.bounds(deployment(replicas, surge, unavailable)) == expected


@given(st.integers(1, 12), st.integers(0, 4), st.integers(0, 4), st.data())
def test_a_rollout_never_leaves_its_bounds_and_ends(
    goal: int, surge: int, unavailable: int, data: st.DataObject
) -> None:
    """Pods get ready in any order; available ones never fall below the floor, wanted never above the roof."""
    item = deployment(goal, surge, unavailable)
    limits = rollout.bounds(item)
    old, new = replica_set("old", goal, goal), replica_set("new", 0, 0)
    for _ in range(6 * goal + 6):
        size = rollout.new_size(item, new["spec"]["replicas"], rollout.wanted([old, new]))
        if size != new["spec"]["replicas"]:
            new = replica_set("new", size, new["status"]["availableReplicas"])
        else:
            for smaller in rollout.old_sizes(item, new, [old]).values():
                available = min(old["status"]["availableReplicas"], smaller)
                old = replica_set("old", smaller, available)
            waiting = new["spec"]["replicas"] - new["status"]["availableReplicas"]
            if waiting:
                ready = data.draw(st.integers(1, waiting))
                available = new["status"]["availableReplicas"] + ready
                new = replica_set("new", new["spec"]["replicas"], available)
        assert rollout.wanted([old, new]) <= goal + limits.surge
        available = rollout.counted([old, new], "availableReplicas")
        assert available >= min(goal, goal - limits.unavailable)
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, goal)


def test_broken_old_pods_go_first() -> None:
    item = deployment(3, 1, 1)
    broken, sound = replica_set("broken", 1, 0), replica_set("sound", 3, 3)
    assert rollout.old_sizes(item, replica_set("new", 0, 0), [broken, sound]) == {
        "broken": 0,
        "sound": 2,
    }


def test_a_scale_changes_pods_and_no_revision() -> None:
    hand = Hand()
    for replicas in (5, 2, 0, 3):
        hand.patch(WEB, {"spec": {"replicas": replicas}})
        hand.wait(30)
        web = hand.get(WEB)
        assert web["status"].get("availableReplicas", 0) == replicas
        assert len(hand.items(PODS, labelSelector="app=web")) == replicas
        assert rollout.revision_of(web) == 1


def test_a_paused_deployment_does_not_roll_out_until_resumed() -> None:
    hand = Hand()
    hand.patch(WEB, {"spec": {"paused": True}})
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/web:v2"}))
    hand.wait(60)
    web = hand.get(WEB)
    (progressing,) = (c for c in web["status"]["conditions"] if c["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("Unknown", "DeploymentPaused")
    assert len(hand.items(REPLICA_SETS, labelSelector="app=web")) == 1
    hand.patch(WEB, {"spec": {"paused": False}})
    hand.wait(60)
    assert rollout.revision_of(hand.get(WEB)) == 2
    assert hand.get(WEB)["status"]["updatedReplicas"] == 3


def test_only_so_many_old_replica_sets_are_kept() -> None:
    hand = Hand()
    hand.patch(WEB, {"spec": {"revisionHistoryLimit": 2}})
    for number in range(2, 7):
        hand.patch(WEB, template_patch({"name": "web", "image": f"shop/web:v{number}"}))
        hand.wait(60)
    kept = hand.items(REPLICA_SETS, labelSelector="app=web")
    assert sorted(rollout.revision_of(item) for item in kept) == [4, 5, 6]


def test_annotations_of_a_deployment_reach_its_replica_set() -> None:
    hand = Hand()
    hand.patch(WEB, {"metadata": {"annotations": {"opsagent.io/action-id": "act_1"}}})
    hand.wait(1)
    (owned,) = hand.items(REPLICA_SETS, labelSelector="app=web")
    assert owned["metadata"]["annotations"]["opsagent.io/action-id"] == "act_1"
    assert rollout.revision_of(hand.get(WEB)) == 1, "an annotation starts no rollout"


def test_ready_pods_count_as_available_after_their_patience() -> None:
    hand = Hand()
    patch = template_patch({"name": "web", "image": "shop/web:v2"})
    patch["spec"]["minReadySeconds"] = 15
    hand.patch(WEB, patch)
    hand.wait(8)
    status = hand.get(WEB)["status"]
    assert status["readyReplicas"] > status["availableReplicas"]
    hand.wait(120)
    assert hand.get(WEB)["status"]["availableReplicas"] == 3


def test_a_deployment_takes_what_it_owns_with_it() -> None:
    hand = Hand()
    assert hand.send("DELETE", WEB)[0] == 200
    hand.wait(5)
    assert hand.items(REPLICA_SETS, labelSelector="app=web") == []
    assert hand.items(PODS, labelSelector="app=web") == []
    assert len(hand.items(PODS)) == 2, "the neighbour lives on"


def test_a_bad_rollout_leaves_the_old_pods_serving() -> None:
    """With surge 1 and no pod allowed to miss, exactly one pod of the new revision is tried."""
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.NEVER_READY))
    hand.wait(300)
    status = hand.get(WEB)["status"]
    assert (status["availableReplicas"], status["updatedReplicas"], status["replicas"]) == (3, 1, 4)
    (cart,) = (item for item in hand.items(DEPLOYMENTS) if item["metadata"]["name"] == "cart")
    assert cart["status"]["availableReplicas"] == 2


def test_a_new_rollout_over_a_stuck_one_takes_its_place() -> None:
    hand = Hand()
    hand.patch(WEB, fault_patch(Fault.MISSING_IMAGE))
    hand.wait(60)
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/web:v3"}))
    hand.wait(60)
    web = hand.get(WEB)
    assert (rollout.revision_of(web), web["status"]["updatedReplicas"]) == (3, 3)
    sizes = {
        rollout.revision_of(item): item["spec"]["replicas"]
        for item in hand.items(REPLICA_SETS, labelSelector="app=web")
    }
    assert sizes == {1: 0, 2: 0, 3: 3}
