"""The small languages of the API: quantities, selectors, paths, patches, times, names."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.sim.errors import StatusError
from opsagent.sim.ownership import Write, managed_fields
from opsagent.sim.patching import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, patched
from opsagent.sim.quantities import parse_quantity
from opsagent.sim.resources import NODES, PODS, STORED, route
from opsagent.sim.selection import selection
from opsagent.sim.timers import Timers
from opsagent.sim.values import encode, micro_stamp, parse_stamp, safe_name, stamp, uid_of
from tests.fakes.virtual_time import EPOCH


@pytest.mark.parametrize(
    ("text", "number"),
    [("64", 64), ("100m", 0.1), ("128Mi", 2**27), ("1.5Gi", 1.5 * 2**30), ("2k", 2000)],
)
def test_quantities(text: str, number: float) -> None:
    assert parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "a lot", "-1", "5Q", "1,5"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        parse_quantity(text)


def test_times_are_read_back_as_they_were_written() -> None:
    at = EPOCH + dt.timedelta(seconds=1, microseconds=500)
    assert stamp(at) == "2026-01-05T00:00:01Z"
    assert parse_stamp(micro_stamp(at)) == at


def test_names_and_uids_depend_on_their_parts_alone() -> None:
    assert safe_name(5, "a", "b") == safe_name(5, "a", "b") != safe_name(5, "ab", "")
    assert len(uid_of("a")) == 36
    assert uid_of("a") != uid_of("b")


@pytest.mark.parametrize(
    ("selector", "is_meant"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app", True),
        ("!app", False),
        ("app in (cart, web),tier notin (back)", True),
        ("app notin (web)", False),
        ("app=cart", False),
    ],
)
def test_label_selectors(selector: str, is_meant: bool) -> None:
    wanted = selection(PODS, "", {"labelSelector": selector})
    assert wanted.matches({"metadata": {"name": "p", "labels": {"app": "web"}}}) is is_meant


def test_field_selectors_know_what_the_kind_offers() -> None:
    pod = {"metadata": {"name": "p", "namespace": "x"}, "spec": {"nodeName": "n1"}, "status": {}}
    assert selection(PODS, "x", {"fieldSelector": "spec.nodeName=n1"}).matches(pod)
    assert not selection(PODS, "y", {"fieldSelector": "spec.nodeName=n1"}).matches(pod)
    assert selection(PODS, "", {"fieldSelector": "status.phase!=Running"}).matches(pod)
    node = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    assert selection(NODES, "", {"fieldSelector": "spec.unschedulable=true"}).matches(node)


@pytest.mark.parametrize(
    "query",
    [
        {"labelSelector": "a b c"},
        {"fieldSelector": "spec.nodeName"},
        {"fieldSelector": "spec.hostNetwork=true"},
    ],
)
def test_selectors_that_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(StatusError) as refused:
        selection(PODS, "", query)
    assert refused.value.code == 400


def test_every_resource_is_found_by_its_paths() -> None:
    for resource in STORED:
        prefix = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
        inner = "/namespaces/x" if resource.is_namespaced else ""
        place = route(f"{prefix}{inner}/{resource.plural}/one")
        assert place is not None
        assert (place.resource, place.name) == (resource, "one")
        everywhere = route(f"{prefix}/{resource.plural}")
        assert everywhere is not None
        assert everywhere.namespace == ""


def test_a_namespaces_own_path_is_not_mistaken_for_what_is_in_it() -> None:
    place = route("/api/v1/namespaces/shop/status")
    assert place is not None
    assert (place.resource.kind, place.name, place.subresource) == ("Namespace", "shop", "status")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/metrics",
        "/api/v1/secrets",
        "/apis/apps/v2/deployments",
        "/api/v1/namespaces/x/nodes",
        "/api/v1/pods/one",
        "/api/v1/namespaces/x/pods/one/exec",
        "/api/v1/namespaces/x/pods/one/log/more",
    ],
)
def test_paths_that_nothing_is_served_at(path: str) -> None:
    assert route(path) is None


def json_patched(item: dict[str, Any], *operations: object) -> Any:
    return patched(item, encode({"o": list(operations)})[5:-1], JSON_PATCH)


def test_json_patch_edits_maps_and_lists() -> None:
    item = {"a": {"b/c": 1}, "l": [1, 2]}
    assert json_patched(
        item,
        {"op": "add", "path": "/a/d", "value": {"x": 1}},
        {"op": "replace", "path": "/a/b~1c", "value": 2},
        {"op": "add", "path": "/l/-", "value": 9},
        {"op": "add", "path": "/l/0", "value": 0},
        {"op": "test", "path": "/l/1", "value": 1},
        {"op": "replace", "path": "/l/1", "value": 7},
        {"op": "remove", "path": "/l/2"},
    ) == {"a": {"b/c": 2, "d": {"x": 1}}, "l": [0, 7, 9]}
    assert item == {"a": {"b/c": 1}, "l": [1, 2]}


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "replace", "path": "/none", "value": 1}, 422),
        ({"op": "remove", "path": "/l/7"}, 422),
        ({"op": "remove", "path": "/l/x"}, 422),
        ({"op": "add", "path": "/a/b/c", "value": 1}, 422),
        ({"op": "test", "path": "/a", "value": 2}, 422),
        ({"op": "move", "path": "/a", "from": "/l"}, 422),
        ({"op": "replace", "path": "", "value": {}}, 400),
        ("remove everything", 400),
    ],
)
def test_json_patches_that_do_not_apply(operation: object, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        json_patched({"a": 1, "l": [1]}, operation)
    assert refused.value.code == code


def test_merge_patch_follows_its_standard() -> None:
    """RFC 7386: null deletes, lists are replaced."""
    item = {"a": {"b": 1, "c": 2}, "containers": [{"name": "x"}]}
    patch = {"a": {"b": None, "d": 3}, "containers": [{"name": "y"}], "e": {"f": None, "g": 1}}
    assert patched(item, encode(patch), MERGE_PATCH) == {
        "a": {"c": 2, "d": 3},
        "containers": [{"name": "y"}],
        "e": {"g": 1},
    }


def test_strategic_merge_joins_named_lists() -> None:
    item = {"containers": [{"name": "x", "image": "1", "args": ["a"]}, {"name": "y"}]}
    patch = {"containers": [{"name": "x", "image": "2", "args": ["b"]}, {"name": "z"}]}
    assert patched(item, encode(patch), STRATEGIC_PATCH) == {
        "containers": [{"name": "x", "image": "2", "args": ["b"]}, {"name": "y"}, {"name": "z"}]
    }


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", MERGE_PATCH, 400),
        (b"[]", MERGE_PATCH, 400),
        (b"{}", JSON_PATCH, 400),
        (b"{}", "application/apply-patch+yaml", 415),
        (b'{"$patch": "delete"}', STRATEGIC_PATCH, 400),
        (b'{"containers": [{"image": "i"}]}', STRATEGIC_PATCH, 400),
        (b'{"containers": ["i"]}', STRATEGIC_PATCH, 400),
    ],
)
def test_patches_that_cannot_be_read(body: bytes, content_type: str, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        patched({}, body, content_type)
    assert refused.value.code == code


KEYS = st.sampled_from("abcd")
OBJECTS = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


def leaves(fields: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, inner in fields.items():
        found |= leaves(inner, (*path, name)) if inner else {(*path, name)}
    return found


@given(st.dictionaries(KEYS, OBJECTS, max_size=3), st.dictionaries(KEYS, OBJECTS, max_size=3))
def test_a_field_has_one_owner_the_last_to_change_it(one: Any, other: Any) -> None:
    base = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    first = base | {"spec": one}
    fields = managed_fields(None, first, Write("a", EPOCH))
    first["metadata"] = {"name": "x", "managedFields": fields}
    second = first | {"spec": other}
    entries = {
        entry["manager"]: leaves(entry["fieldsV1"])
        for entry in managed_fields(first, second, Write("b", EPOCH))
    }
    assert not entries.get("a", set()) & entries.get("b", set())
    if one == other:
        assert entries.get("b", set()) == set()


def test_timers_fire_in_order_and_once() -> None:
    timers = Timers()
    later = EPOCH + dt.timedelta(seconds=5)
    timers.set(("a", "", ""), later)
    timers.set(("b", "", ""), EPOCH)
    timers.sooner(("a", "", ""), later + dt.timedelta(seconds=1))
    timers.sooner(("b", "", ""), EPOCH - dt.timedelta(seconds=1))
    assert timers.next_due() == EPOCH - dt.timedelta(seconds=1)
    assert timers.pop(EPOCH) == (EPOCH - dt.timedelta(seconds=1), ("b", "", ""))
    assert timers.pop(EPOCH) is None
    assert timers.pop(later) == (later, ("a", "", ""))
    assert (timers.next_due(), timers.pop(later)) == (None, None)
