"""The store: gapless versions, a history that can be walked back, and what has left it is gone."""

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opsagent.sim.errors import StatusError
from opsagent.sim.ownership import Write
from opsagent.sim.resources import LEASES, NAMESPACES, PODS, REPLICA_SETS
from opsagent.sim.store import ObjectStore
from tests.fakes.virtual_time import EPOCH

WRITE = Write("test", EPOCH)


def lease(name: str, holder: str = "a") -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "x"}, "spec": {"holderIdentity": holder}}


def store(history_max: int = 100) -> ObjectStore:
    made = ObjectStore("seed", history_max)
    made.create(NAMESPACES, {"metadata": {"name": "x"}}, WRITE)
    return made


@given(st.lists(st.tuples(st.sampled_from(["put", "del"]), st.sampled_from("abc")), max_size=30))
def test_history_gives_every_past_state_back(steps: list[tuple[str, str]]) -> None:
    made = store()
    states = {made.version: made.objects(LEASES)}
    for number, (step, name) in enumerate(steps):
        known = made.find(LEASES, "x", name)
        if step == "put" and known is None:
            made.create(LEASES, lease(name), WRITE)
        elif step == "put" and known is not None:
            changed = known | {"spec": {"holderIdentity": str(number)}}
            made.update(LEASES, changed, WRITE)
        elif known is not None:
            made.remove(LEASES, known, EPOCH)
        states[made.version] = made.objects(LEASES)
    for version, items in states.items():
        assert made.list_at(LEASES, version) == items


def test_each_write_is_the_next_version_and_a_changeless_one_is_none() -> None:
    made = store()
    before = made.version
    item = made.create(LEASES, lease("a"), WRITE)
    assert made.update(LEASES, item, WRITE) is item
    assert made.version == before + 1


def test_a_dry_run_takes_no_version() -> None:
    made = store()
    before = made.version
    item = made.create(LEASES, lease("a"), Write("test", EPOCH, is_dry_run=True))
    assert item["metadata"]["uid"]
    assert "resourceVersion" not in item["metadata"]
    assert (made.version, made.find(LEASES, "x", "a")) == (before, None)


def test_history_is_bounded() -> None:
    made = store(history_max=5)
    for number in range(20):
        made.create(LEASES, lease(f"l{number}"), WRITE)
    recent = list(made.since(made.version - 5))
    assert [entry.version for entry in recent] == list(range(made.version - 4, made.version + 1))
    with pytest.raises(StatusError, match="too old"):
        list(made.since(1))


def test_compaction_leaves_the_present_version_usable() -> None:
    made = store()
    made.create(LEASES, lease("a"), WRITE)
    made.compact()
    assert list(made.since(made.version)) == []
    with pytest.raises(StatusError) as refused:
        list(made.since(made.version - 1))
    assert refused.value.code == 410


def test_stored_objects_are_never_changed_in_place() -> None:
    made = store()
    first = made.create(LEASES, lease("a"), WRITE)
    copied = {**first, "metadata": dict(first["metadata"])}
    made.update(LEASES, first | {"spec": {"holderIdentity": "b"}}, WRITE)
    assert first == copied


def test_owned_objects_are_found_by_their_owners_uid() -> None:
    made = store()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u1"}
    pod = {
        "metadata": {
            "name": "p",
            "namespace": "x",
            "ownerReferences": [owner | {"controller": True}],
        },
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    created = made.create(PODS, pod, WRITE)
    assert made.owned_by(PODS, "u1") == [created]
    assert made.owned_by(REPLICA_SETS, "u1") == []
    made.remove(PODS, created, EPOCH)
    assert made.owned_by(PODS, "u1") == []


def test_a_name_can_be_generated() -> None:
    made = store()
    items = [
        made.create(LEASES, {"metadata": {"generateName": "l-", "namespace": "x"}}, WRITE)
        for _ in range(2)
    ]
    names = [item["metadata"]["name"] for item in items]
    assert len(set(names)) == 2
    assert all(name.startswith("l-") and len(name) == 7 for name in names)


def test_a_namespace_must_exist() -> None:
    with pytest.raises(StatusError) as refused:
        store().create(LEASES, {"metadata": {"name": "a", "namespace": "nowhere"}}, WRITE)
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_an_object_needs_a_name() -> None:
    with pytest.raises(StatusError) as refused:
        store().create(LEASES, {"metadata": {"namespace": "x"}}, WRITE)
    assert refused.value.code == 422


def test_the_first_deletion_mark_stays() -> None:
    made = store()
    item = made.create(LEASES, lease("a"), WRITE)
    marked = made.mark_deleting(LEASES, item, 30, EPOCH)
    again = made.mark_deleting(LEASES, marked, 30, EPOCH + dt.timedelta(seconds=9))
    assert again is marked
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-05T00:00:30Z"
