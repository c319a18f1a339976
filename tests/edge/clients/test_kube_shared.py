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
from opsagent.clients.kube_quick import quick
from opsagent.clients.kube_shared_spec import spec_of
from opsagent.clients.kube_struct_pod import PodSpec
from opsagent.clients.kube_wire import decode_object
from opsagent.model import kube
from opsagent.model.entity import Kind
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


def test_pods_of_one_template_share_their_parts() -> None:
    node, one = spec_of(raw(spec("aaaaa", "n1")))
    other_node, other = spec_of(raw(spec("bbbbb", "n2")))
    assert (node, other_node) == ("n1", "n2")
    assert one.containers is other.containers
    assert one.rest is other.rest
    _, waiting = spec_of(raw(spec("ccccc", None)))
    assert waiting.containers == one.containers


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
        item = msgspec.convert(changed, PodSpec)
        found = spec_of(raw(changed))
        assert found == (
            item.node_name or "",
            kube_shared_spec.Spec(containers(item.containers), pod_spec(item)),
        )


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
    item = msgspec.convert(content, PodSpec)
    expected = (
        item.node_name or "",
        kube_shared_spec.Spec(containers(item.containers), pod_spec(item)),
    )
    assert spec_of(raw(content)) == expected
    assert spec_of(raw(content)) == expected


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
    metas = [quick(kube.ObjectMeta)("a", "b", "c", "d") for _ in range(2)]
    assert metas[0] == kube.ObjectMeta("a", "b", "c", "d")
    assert metas[0].labels is not metas[1].labels
