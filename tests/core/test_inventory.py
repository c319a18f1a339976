"""The inventory joins live objects whatever order they come in, remembers what changed, and forgets what is gone."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.model.canonical import canonical
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import ConfigMap, KubeObject, Node, OwnerRef, Service, entity_of
from opsagent.model.signal import ChangeType, RawRow, RowType
from opsagent.model.topology import Presence, TopologySize, Vertex
from opsagent.model.workload import Workload
from opsagent.signals.inventory import CHANGES_MAX, DIARY_MAX, EVENTS_MAX, UNHEEDED, Inventory
from tests.fakes.objects import (
    WEB,
    after,
    containers,
    crash_looping,
    deployment,
    event,
    meta,
    pod,
    replica_set,
    rolling,
    rollout_change,
    row,
    rows,
    synced,
    workload,
    written,
)

CRASHED = rolling([crash_looping(after(20))])
BACK_OFF = event(CRASHED.pods[-1], "BackOff", "back-off", at=after(21))
FAILED_CREATE = event(CRASHED.replica_sets[0], "FailedCreate", "quota", at=after(5))
WORLD = replace(CRASHED, events=(BACK_OFF, FAILED_CREATE), changes=())


def folded(listed: tuple[RawRow, ...] | list[RawRow]) -> Inventory:
    """Return an inventory after ``listed``."""
    inventory = Inventory()
    for each in listed:
        inventory.apply(each)
    return inventory


def joined(inventory: Inventory, entity: Entity = WEB) -> Workload:
    """Return the workload, which must exist."""
    found = inventory.workload(entity)
    assert found is not None
    return found


def without_changes(found: Workload) -> Workload:
    return replace(found, changes=(), pointers={})


def test_a_listed_deployment_is_joined_with_what_it_owns() -> None:
    inventory = folded(rows(WORLD))
    found = joined(inventory)
    assert without_changes(found) == replace(WORLD, pointers={})
    assert found.pointers[WEB] == "raw:1"
    items: list[KubeObject] = [found.deployment, *found.replica_sets, *found.pods, *found.events]
    assert set(found.pointers) == {entity_of(item) for item in items}
    assert inventory.workloads() == (WEB,)


@given(st.permutations(rows(WORLD)))
def test_the_order_of_arrival_does_not_matter(shuffled: list[RawRow]) -> None:
    assert canonical(joined(folded(shuffled))) == canonical(joined(folded(rows(WORLD))))


def test_what_a_row_concerns_is_found_through_its_owners() -> None:
    inventory = folded(rows(WORLD))
    items: tuple[KubeObject, ...] = (
        WORLD.deployment,
        WORLD.replica_sets[0],
        WORLD.pods[0],
        BACK_OFF,
        FAILED_CREATE,
    )
    for item in items:
        assert inventory.concerned(row(9, item)) == {WEB}
        assert inventory.workload_of(entity_of(item)) == WEB


def test_what_belongs_to_no_deployment_concerns_none() -> None:
    inventory = folded(rows(WORLD))
    stranger = replica_set(deployment(), 7)
    strangers: tuple[KubeObject, ...] = (
        Node(meta("node-1", namespace="")),
        pod(stranger),
        replace(WORLD.pods[0], meta=meta("bare")),
        replace(stranger, meta=meta("lone")),
        replace(stranger, meta=meta("argo", owner=OwnerRef("Rollout", "web", "uid-r"))),
        event(Node(meta("node-1", namespace="")), "NodeNotReady", at=after(1)),
    )
    for item in strangers:
        assert inventory.concerned(row(9, item)) == set()
    assert inventory.concerned(synced(9, Kind.POD)) == set()
    assert inventory.workload_of(Entity(Kind.POD, "shop", "nobody")) is None
    assert inventory.workload(Entity(Kind.DEPLOYMENT, "shop", "nobody")) is None


def test_forged_owners_lead_neither_round_in_circles_nor_into_another_namespace() -> None:
    first = replace(WORLD.pods[0], meta=meta("a", owner=OwnerRef("Pod", "b", "uid-b")))
    second = replace(WORLD.pods[0], meta=meta("b", owner=OwnerRef("Pod", "a", "uid-a")))
    about = event(BACK_OFF, "Echo", at=after(1))
    foreign = pod(replica_set(WORLD.deployment, 2))
    foreign = replace(foreign, meta=replace(foreign.meta, namespace="elsewhere", uid="uid-x"))
    forged: list[KubeObject] = [first, second, about, foreign]
    inventory = folded([*rows(WORLD), *(row(50 + n, i) for n, i in enumerate(forged))])
    assert inventory.concerned(row(9, first)) == set()
    assert inventory.concerned(row(9, about)) == set()
    assert joined(inventory).pods == WORLD.pods


def test_changes_are_returned_once_and_remembered_newest_first() -> None:
    inventory = folded(rows(WORLD))
    known = len(joined(inventory).changes)
    v3 = written(
        WORLD.deployment,
        "kubectl",
        after(60),
        containers=containers("shop/web:v3"),
        replicas_desired=5,
    )
    found = inventory.apply(row(30, v3, row_type=RowType.MODIFIED, at=after(61)))
    assert [each.type for each in found] == [ChangeType.ROLLOUT, ChangeType.SCALE]
    assert inventory.apply(row(31, v3, row_type=RowType.MODIFIED, at=after(62))) == ()
    remembered = joined(inventory).changes
    assert set(remembered[:2]) == set(found)
    assert len(remembered) == known + 2
    assert all(each.pointer == "raw:30" for each in found)


def test_the_first_sight_of_a_deployment_is_its_birth_not_a_rollout() -> None:
    inventory = Inventory()
    (created,) = inventory.apply(row(1, WORLD.deployment))
    assert created.type is ChangeType.CREATED
    assert created.at == WORLD.deployment.meta.created_at


def test_a_deleted_deployment_is_told_and_forgotten() -> None:
    inventory = folded(rows(WORLD))
    (deleted,) = inventory.apply(row(40, WORLD.deployment, row_type=RowType.DELETED, at=after(90)))
    assert deleted.type is ChangeType.DELETED
    assert inventory.workload(WEB) is None
    assert inventory.workloads() == ()
    inventory.apply(row(41, WORLD.deployment))
    assert [each.type for each in joined(inventory).changes] == [ChangeType.CREATED]


def test_a_late_word_about_an_earlier_life_changes_nothing() -> None:
    inventory = folded(rows(WORLD))
    earlier = replace(WORLD.deployment, meta=replace(WORLD.deployment.meta, uid="uid-old"))
    assert inventory.apply(row(40, earlier, row_type=RowType.DELETED)) == ()
    never = replace(WORLD.pods[0], meta=meta("never"))
    assert inventory.apply(row(41, never, row_type=RowType.DELETED)) == ()
    assert without_changes(joined(inventory)) == replace(WORLD, pointers={})


def test_a_recreated_deployment_takes_nothing_over_from_its_earlier_life() -> None:
    inventory = folded(rows(WORLD))
    reborn = replace(WORLD.deployment, meta=replace(WORLD.deployment.meta, uid="uid-new"))
    found = inventory.apply(row(40, reborn, at=after(90)))
    assert [each.type for each in found] == [ChangeType.DELETED, ChangeType.CREATED]
    assert joined(inventory).replica_sets == ()


def test_a_pod_that_moves_to_another_owner_leaves_the_first() -> None:
    inventory = folded(rows(WORLD))
    adopted = replace(
        WORLD.pods[0],
        meta=replace(WORLD.pods[0].meta, owner=OwnerRef("ReplicaSet", "x", "uid-x")),
    )
    inventory.apply(row(40, adopted, row_type=RowType.MODIFIED))
    assert adopted.meta.name not in {each.meta.name for each in joined(inventory).pods}


def test_events_and_changes_of_one_workload_are_bounded_newest_first() -> None:
    about = WORLD.pods[0]
    events = [
        replace(event(about, f"R{n}", at=after(n)), meta=meta(f"e{n}"))
        for n in range(EVENTS_MAX + 20)
    ]
    undated = replace(event(about, "Undated", at=after(0)), last_at=None, first_at=None)
    inventory = folded(
        [*rows(CRASHED), *(row(50 + n, e) for n, e in enumerate([undated, *events]))]
    )
    kept = joined(inventory).events
    assert kept == tuple(reversed(events[-EVENTS_MAX:]))
    item = WORLD.deployment
    for number in range(CHANGES_MAX + 5):
        item = written(item, "hpa", after(100 + number), replicas_desired=10 + number)
        inventory.apply(row(200 + number, item, at=after(100 + number)))
    scales = joined(inventory).changes
    assert len(scales) == CHANGES_MAX
    assert scales[0].new == str(10 + CHANGES_MAX + 4)


def newer(item: KubeObject, **fields: Any) -> RawRow:
    """Return a row of a later version of ``item`` with other metadata."""
    about = replace(item.meta, resource_version="99", annotations={"seen": "again"}, **fields)
    return row(40, replace(item, meta=about), row_type=RowType.MODIFIED)


@pytest.mark.parametrize("item", [*WORLD.pods, *WORLD.replica_sets, WORLD.deployment, BACK_OFF])
def test_a_version_that_says_nothing_new_takes_the_place_of_the_one_before(
    item: KubeObject,
) -> None:
    renewed, applied = folded(rows(WORLD)), folded(rows(WORLD))
    news = newer(item)
    assert renewed.renew(news)
    assert applied.apply(news) == ()
    assert canonical(joined(renewed)) == canonical(joined(applied))
    for inventory in (renewed, applied):
        assert inventory.known(news.kind)[entity_of(item)] is news.item
        assert inventory.topology.item(Vertex.of(entity_of(item))) in (news.item, None)


@pytest.mark.parametrize("item", [WORLD.pods[0], WORLD.deployment, BACK_OFF])
def test_every_difference_but_those_that_nobody_heeds_is_news(item: KubeObject) -> None:
    inventory = folded(rows(WORLD))
    for each in fields(item):
        if each.name != "meta":
            bent: dict[str, Any] = {each.name: "bent"}
            assert not inventory.renew(row(40, replace(item, **bent), row_type=RowType.MODIFIED))
    for name in {each.name for each in fields(item.meta)} - UNHEEDED:
        assert not inventory.renew(newer(item, **{name: "bent"}))


def test_only_a_new_version_of_what_is_there_renews() -> None:
    inventory = folded(rows(WORLD))
    known = WORLD.pods[0]
    assert not inventory.renew(row(40, known, row_type=RowType.ADDED))
    assert not inventory.renew(row(41, known, row_type=RowType.DELETED))
    assert not inventory.renew(synced(42, Kind.POD))
    assert not Inventory().renew(newer(known))


def test_a_restored_inventory_goes_on_as_if_nothing_had_happened() -> None:
    listed = rows(WORLD)
    live = folded(listed)
    v3 = written(WORLD.deployment, "kubectl", after(60), containers=containers("shop/web:v3"))
    v3 = replace(v3, replicas_desired=7)
    found = live.apply(row(30, v3, row_type=RowType.MODIFIED, at=after(61)))
    born = [each for each in joined(live).changes if each not in found]
    newest = [*(each for each in listed if each.kind is not Kind.DEPLOYMENT), row(30, v3)]
    gone = row(12, WORLD.deployment, row_type=RowType.DELETED)
    for known in ([*born, *found], [*reversed(found), *born]):
        restored = Inventory()
        restored.restore([gone, *newest], known)
        assert canonical(joined(restored)) == canonical(joined(live))
        assert restored.apply(row(31, v3, row_type=RowType.MODIFIED)) == ()


def test_a_restore_takes_over_the_newest_row_and_no_changes_of_what_is_gone() -> None:
    inventory = Inventory()
    newer = replace(WORLD.deployment, replicas_desired=9)
    inventory.restore([row(1, WORLD.deployment), row(2, newer)], [rollout_change()])
    assert joined(inventory).deployment.replicas_desired == 9
    assert joined(inventory).changes == (rollout_change(),)
    empty = Inventory()
    empty.restore([], [rollout_change()])
    empty.apply(row(3, WORLD.deployment))
    assert [each.type for each in joined(empty).changes] == [ChangeType.CREATED]


def test_known_gives_the_reflector_the_live_objects_of_a_kind() -> None:
    inventory = folded(rows(WORLD))
    assert inventory.known(Kind.POD) == {entity_of(each): each for each in WORLD.pods}
    assert inventory.known(Kind.NODE) == {}


@given(
    st.permutations([*WORLD.pods, *WORLD.replica_sets, WORLD.deployment, BACK_OFF, FAILED_CREATE])
)
def test_when_everything_is_deleted_nothing_is_left(order: list[KubeObject]) -> None:
    inventory = folded(rows(WORLD))
    for number, item in enumerate(order):
        inventory.apply(row(100 + number, item, row_type=RowType.DELETED))
    left = vars(inventory) | {"topology": inventory.topology.size()}
    assert left == vars(Inventory()) | {"topology": TopologySize(0, 0, 0)}


def test_what_hangs_together_follows_the_rows_from_before_a_restart_on() -> None:
    inventory = Inventory()
    inventory.restore(rows(WORLD), ())
    web, pod_of_web = Vertex.of(WEB), Vertex.of(entity_of(WORLD.pods[0]))
    assert inventory.topology.distance(web, pod_of_web, 2) == 2
    node = Vertex(Kind.NODE, "", WORLD.pods[0].node_name)
    assert inventory.topology.presence(node) is Presence.UNKNOWN
    inventory.apply(synced(50, Kind.NODE))
    assert inventory.topology.dangling() == (node,)
    inventory.apply(row(51, WORLD.pods[0], row_type=RowType.DELETED))
    assert inventory.topology.distance(web, pod_of_web, 2) is None


def test_the_newest_replica_set_comes_first() -> None:
    owner = deployment()
    sets = [replica_set(owner, revision) for revision in (2, 9, 10)]
    inventory = folded(rows(workload(owner, sets)))
    assert [each.revision for each in joined(inventory).replica_sets] == [10, 9, 2]


def test_changes_of_every_kind_are_told_and_remembered_while_the_object_lives() -> None:
    inventory = Inventory()
    old = Service(meta("web"), selector={"app": "web"})
    new = replace(old, selector={"app": "wbe"})
    (created,) = inventory.apply(row(1, old))
    (edited,) = inventory.apply(row(2, new, at=after(1)))
    assert (created.type, edited.type, edited.path) == (
        ChangeType.CREATED,
        ChangeType.EDIT,
        "spec.selector[app]",
    )
    assert inventory.changes(entity_of(new)) == (edited, created)
    (deleted,) = inventory.apply(row(3, new, row_type=RowType.DELETED, at=after(2)))
    assert deleted.type is ChangeType.DELETED
    assert inventory.changes(entity_of(new)) == ()


def diary(number: int) -> ConfigMap:
    """Return a ConfigMap as a program leaves it behind that writes its state into it."""
    return ConfigMap(meta("status", resource_version=str(number)), {"status": f"hmac:{number}"})


def test_an_object_that_is_written_all_the_time_is_told_so_many_times_an_hour() -> None:
    inventory = Inventory()
    told = [
        inventory.apply(row(number, diary(number), at=after(60 * number)))
        for number in range(1, 61)
    ]
    assert sum(map(len, told)) == 1 + DIARY_MAX
    assert inventory.diary_total == 59 - DIARY_MAX
    late = inventory.apply(row(99, diary(99), at=after(3 * 3600)))
    assert [each.path for each in late] == ["data[status]"]
    other = replace(diary(100), digests={"status": "hmac:99", "level": "hmac:1"})
    assert [each.path for each in inventory.apply(row(100, other, at=after(3 * 3600)))] == [
        "data[level]"
    ]
