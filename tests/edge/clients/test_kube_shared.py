"""Parts that many objects have alike are made once, and never the wrong one is given."""

import copy
import dataclasses
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from opsagent.clients import kube_shared_spec
from opsagent.clients.kube_convert_spec import containers, pod_spec
from opsagent.clients.kube_known import Known
from opsagent.clients.kube_shared_spec import spec_of
from opsagent.clients.kube_struct_pod import PodSpec
from opsagent.clients.kube_wire import decode_object
from opsagent.model import kube
from opsagent.model.entity import Kind
from opsagent.model.quick import quick
from tests.fakes import wire_kinds


def raw(content: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(content, separators=(",", ":")).encode())


def spec(token: str = "x2b9k", node: str | None = "n1", **more: Any) -> dict[str, Any]:
    """Return a spec in the order of the API server: volumes, containers, node."""
    volume = f"kube-api-access-{token}"
    mount = {"name": volume, "mountPath": "/var/run/secrets"}
    content = {
        "volumes": [{"name": volume, "projected": {}}],
        "containers": [{"name": "web", "image": "shop/web:v1", "volumeMounts": [mount]}],
    }
    return content | more | ({} if node is None else {"nodeName": node})


def expected_of(content: Any) -> tuple[str, kube_shared_spec.Spec]:
    item = msgspec.convert(content, PodSpec)
    return item.node_name or "", kube_shared_spec.Spec(containers(item.containers), pod_spec(item))


def test_pods_of_one_template_share_their_parts() -> None:
    node, one = spec_of(raw(spec("aaaaa", "n1")))
    other_node, other = spec_of(raw(spec("bbbbb", "n2")))
    assert (node, other_node) == ("n1", "n2")
    assert one.containers is other.containers
    assert one.rest is other.rest
    _, waiting = spec_of(raw(spec("ccccc", None)))
    assert waiting.containers == one.containers


def test_a_workload_that_reports_its_status_keeps_its_template() -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec(node=None)}
    first, second = (
        decode_object(
            Kind.DEPLOYMENT,
            json.dumps(
                {
                    "metadata": {"name": "web", "resourceVersion": str(ready)},
                    "spec": {"template": template},
                    "status": {"readyReplicas": ready},
                }
            ).encode(),
        )
        for ready in (1, 2)
    )
    assert isinstance(first, kube.Deployment)
    assert isinstance(second, kube.Deployment)
    assert first.replicas_ready != second.replicas_ready
    assert first.containers is second.containers
    assert first.template is second.template


def test_a_spec_without_anything_is_one() -> None:
    assert spec_of(raw({})) == ("", kube_shared_spec.Spec())
    assert spec_of(raw(None)) == ("", kube_shared_spec.Spec())


@pytest.mark.parametrize("content", [5, [], {"containers": {}}, {"nodeName": 5}])
def test_what_is_no_spec_is_refused(content: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        spec_of(raw(content))


ODD = {
    "the node's name elsewhere": {"containers": [], "x": {"nodeName": "n2"}},
    "the node's name twice": {"affinity": {"nodeName": "n2"}, "nodeName": "n1"},
    "behind it another": {"nodeName": "n1", "x": {"nodeName": "n2"}},
    "no text for a name": {"nodeName": None, "x": {"nodeName": "n2"}},
    "a quotation mark in the node's name": {"nodeName": 'n"1'},
    "a token in a value": spec() | {"containers": [
        {"name": "web", "env": [{"name": "A", "value": "kube-api-access-x2b9k"}]}]},
    "a token of another name": spec() | {"volumes": [
        {"name": "kube-api-access-x2b9k"}, {"name": "kube-api-access-other"}]},
    "a longer name": spec() | {"volumes": [
        {"name": "kube-api-access-x2b9k"}, {"name": "kube-api-access-x2b9k2"}]},
    "sorted keys": dict(sorted(spec().items())),
}  # fmt: skip


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_names_in_odd_places_mislead_nobody(content: dict[str, Any]) -> None:
    for mark in ("x2b9k", "zzzzz"):
        changed = json.loads(json.dumps(content).replace("x2b9k", mark).replace("n2", f"n{mark}"))
        for _ in range(3):
            assert spec_of(raw(changed), "odd-") == expected_of(changed)
        assert spec_of(raw(changed)) == expected_of(changed)


def test_a_spec_that_came_twice_is_known_without_its_normal_form() -> None:
    origin = "known-without-"
    spec_of(raw(spec("aaaaa", "n1")), origin)
    _, second = spec_of(raw(spec("bbbbb", "n2")), origin)
    kube_shared_spec._known.clear()
    node, third = spec_of(raw(spec("ccccc", "node-3")), origin)
    assert node == "node-3"
    assert third is second
    assert not kube_shared_spec._known


MARKS = ("bbbbb", "", "b-b", 'b"b', "b\\", 'b\\"', 'b","x":"', "\n", "é", "b" * 300)


@pytest.mark.parametrize("token", MARKS)
@pytest.mark.parametrize("node", [*MARKS, None])
def test_names_between_the_parts_of_a_template_mislead_nobody(token: str, node: str | None) -> None:
    for _ in range(2):
        spec_of(raw(spec()), "mislead-")
    changed = spec(token, node)
    assert spec_of(raw(changed), "mislead-") == expected_of(changed)


@pytest.mark.parametrize(
    ("old", "new"), [("x2b9k", "x\\"), ("x2b9k", 'x"'), ('"n1"', '"n1\\"'), ('"n1"', '"')]
)
def test_a_template_takes_only_whole_names(old: str, new: str) -> None:
    content = json.dumps(spec(), separators=(",", ":"))
    for _ in range(2):
        spec_of(msgspec.Raw(content.encode()), "whole-")
    template = kube_shared_spec._families["whole-"].template
    assert template is not None
    assert template.node_in(content.encode()) == "n1"
    assert template.node_in(content.replace(old, new).encode()) is None


def test_other_specs_of_the_same_origin_are_their_own() -> None:
    other = spec(schedulerName="other")
    behind, too = ({**spec(), "schedulerName": name} for name in ("one", "two"))
    unbound = spec(node=None)
    bare = {"containers": [{"name": "web"}], "nodeName": "n1"}
    twice = [content for content in (spec(), unbound, bare, behind) for _ in range(3)]
    for content in (*twice, other, too, behind, spec(), unbound, bare):
        assert spec_of(raw(content), "others-") == expected_of(content)


NAMES = st.sampled_from(["n1", "n2", 'q"', "kube-api-access-", "kube-api-access-aaaaa", "é"])
LEAVES = NAMES | st.none()
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "volumes": st.lists(st.builds(lambda name: {"name": name}, NAMES), max_size=2),
        "containers": st.lists(
            st.builds(
                lambda name, value: {
                    "name": "web",
                    "volumeMounts": [{"name": name}],
                    "env": [{"name": "A", "value": value}],
                },
                NAMES,
                LEAVES,
            ),
            max_size=2,
        ),
        "nodeSelector": st.dictionaries(NAMES | st.just("nodeName"), NAMES, max_size=2),
        "nodeName": LEAVES,
    },
)


@given(PLACES)
def test_what_is_shared_is_what_would_have_been_made(content: dict[str, Any]) -> None:
    expected = expected_of(content)
    assert spec_of(raw(content)) == expected
    assert spec_of(raw(content)) == expected


@given(
    PLACES, st.lists(st.dictionaries(st.sampled_from(["aaaaa", "n1", "q"]), st.text()), max_size=3)
)
def test_what_a_template_gives_is_what_would_have_been_made(
    content: dict[str, Any], changes: list[dict[str, str]]
) -> None:
    for change in ({}, {}, *changes):
        text = json.dumps(content)
        for old, new in change.items():
            text = text.replace(old, json.dumps(new)[1:-1])
        changed = json.loads(text)
        assert spec_of(raw(changed), "web-") == expected_of(changed)


def test_a_table_keeps_what_is_small_and_begins_anew_when_it_is_full() -> None:
    made: list[bytes] = []

    def make(content: bytes) -> int:
        made.append(content)
        return len(content)

    known = Known(make, entries_max=2, bytes_max=3)
    assert [known[content] for content in (b"a", b"a", b"bb", b"large", b"large")] == [
        1,
        1,
        2,
        5,
        5,
    ]
    assert made == [b"a", b"bb", b"large", b"large"]
    assert known[b"c"] == 1
    assert list(known) == [b"c"]


def test_labels_of_many_objects_are_one_map() -> None:
    items = [
        decode_object(
            Kind.POD, json.dumps(wire_kinds.everything()[-1] | {"metadata": meta}).encode()
        )
        for meta in (
            {"name": "a", "labels": {"app": "web"}},
            {"name": "b", "labels": {"app": "web"}},
        )
    ]
    assert items[0].meta.labels is items[1].meta.labels


def test_a_quick_value_is_like_any_other() -> None:
    make = quick(kube.Condition)
    value, other = make("Ready", "True"), kube.Condition("Ready", "True")
    assert type(value) is kube.Condition
    assert value == other
    assert hash(value) == hash(other)
    assert repr(value) == repr(other)
    assert copy.copy(value) == other
    assert dataclasses.replace(value, status="False") == kube.Condition("Ready", "False")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.status = "False"  # type: ignore[misc] # that is the question
    assert quick(kube.EnvVar)("LOG_LEVEL", "info") == kube.EnvVar("LOG_LEVEL", "info")
    metas = [quick(kube.ObjectMeta)("a", "b", "c", "d") for _ in range(2)]
    assert metas[0] == kube.ObjectMeta("a", "b", "c", "d")
    assert metas[0].labels is not metas[1].labels
