"""What the writing client sends, byte for byte, and what it refuses to believe."""

import json
from typing import Any

import pytest

from opsagent.clients.kube_write import PAGES_MAX, KubeWriter
from opsagent.model.entity import Entity, Kind
from opsagent.ports import KubeAnswer, NotFound, Terminal, Transient
from tests.fakes.scripted_transport import ScriptedTransport, answer

CART = Entity(Kind.DEPLOYMENT, "shop", "cart")
PATH = "/apis/apps/v1/namespaces/shop/deployments/cart"
TEMPLATE = {"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [{"name": "web"}]}}
DEPLOYMENT = {
    "metadata": {"name": "cart", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
    "spec": {"replicas": 2, "template": TEMPLATE},
    "status": {"replicas": 2},
}


def replica_set(revision: str, **changes: Any) -> dict[str, Any]:
    owner = {"kind": "Deployment", "name": "cart", "uid": "u", "controller": True}
    labels = {"app": "cart", "pod-template-hash": "5d4"}
    return {
        "metadata": {
            "name": f"cart-{revision}",
            "ownerReferences": [owner],
            "annotations": {"deployment.kubernetes.io/revision": revision},
        },
        "spec": {"template": TEMPLATE | {"metadata": {"labels": labels}}},
    } | changes


def page(*items: object, token: str = "") -> object:
    return answer({"metadata": {"continue": token}, "items": list(items)})


async def test_one_patch_carries_the_precondition_the_template_and_the_mark():
    transport = ScriptedTransport(answer(DEPLOYMENT))
    for is_dry_run in (True, False):
        await KubeWriter(transport).replace_template(
            CART,
            template_json=json.dumps(TEMPLATE),
            resource_version="7",
            action_id="pln_1",
            is_dry_run=is_dry_run,
        )
    dry, real = transport.asked
    assert (dry.method, dry.path) == ("PATCH", PATH)
    assert dry.query == {"fieldManager": "opsagent-executor", "dryRun": "All"}
    assert real.query == {"fieldManager": "opsagent-executor"}
    assert (
        dry.body
        == real.body
        == [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "replace", "path": "/spec/template", "value": TEMPLATE},
            {"op": "add", "path": "/metadata/annotations/opsagent.io~1action-id", "value": "pln_1"},
        ]
    )


async def test_a_deployment_is_read_whole_and_in_canonical_form():
    raw = await KubeWriter(ScriptedTransport(answer(DEPLOYMENT))).read_deployment(CART)
    assert raw.decoded.meta.uid == "u"
    assert json.loads(raw.template_json) == TEMPLATE
    assert json.loads(raw.object_json) == DEPLOYMENT
    assert raw.template_json.startswith('{"metadata":{"labels"')


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": {}},
        {"metadata": {"name": "cart"}},
        {"metadata": {"name": "cart"}, "spec": {"template": {}}},
        {"metadata": {"name": "cart"}, "spec": {"replicas": "many", "template": TEMPLATE}},
        ["no", "object"],
        "text",
    ],
)
async def test_what_is_no_whole_deployment_is_refused(content):
    with pytest.raises(Terminal, match="shop/cart"):
        await KubeWriter(ScriptedTransport(answer(content))).read_deployment(CART)


async def test_a_name_that_is_none_never_becomes_a_path():
    transport = ScriptedTransport(answer(DEPLOYMENT))
    with pytest.raises(NotFound):
        await KubeWriter(transport).read_deployment(Entity(Kind.DEPLOYMENT, "shop", "../secrets/x"))
    assert transport.asked == []


async def test_the_revision_is_looked_for_on_every_page_among_what_is_owned():
    stranger = replica_set(
        "1", metadata={"annotations": {"deployment.kubernetes.io/revision": "1"}}
    )
    strange_owner = replica_set("1")
    strange_owner["metadata"] = strange_owner["metadata"] | {
        "ownerReferences": [{"uid": "u"}, "text", {"uid": "other", "controller": True}]
    }
    transport = ScriptedTransport(
        page(stranger, strange_owner, "text", replica_set("2"), token="next"),
        page(replica_set("1")),
    )
    template = await KubeWriter(transport).template_of_revision(CART, "u", 1)
    assert json.loads(template) == TEMPLATE
    assert [asked.query.get("continue") for asked in transport.asked] == [None, "next"]


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ([], NotFound),
        ([replica_set("1"), replica_set("1")], Terminal),
        ([replica_set("1", spec={})], Terminal),
        ([replica_set("1", spec={"template": None})], Terminal),
        ([replica_set("1", metadata="text")], NotFound),
    ],
)
async def test_a_revision_must_be_there_exactly_once(found, error):
    with pytest.raises(error, match="revision 1"):
        await KubeWriter(ScriptedTransport(page(*found))).template_of_revision(CART, "u", 1)


async def test_a_namespace_without_end_is_refused():
    transport = ScriptedTransport(page(token="again"))
    with pytest.raises(Terminal, match="more than 10000"):
        await KubeWriter(transport).template_of_revision(CART, "u", 1)
    assert len(transport.asked) == PAGES_MAX


@pytest.mark.parametrize("content", [b"<html>", b"[" * 100_000, b"[]"])
async def test_a_list_that_is_none_is_refused(content):
    with pytest.raises(Terminal, match=r"not (JSON|an object)"):
        await KubeWriter(ScriptedTransport(KubeAnswer(200, content))).template_of_revision(
            CART, "u", 1
        )


async def test_items_that_are_no_list_hold_no_revision():
    transport = ScriptedTransport(answer({"items": {"no": "list"}}))
    with pytest.raises(NotFound):
        await KubeWriter(transport).template_of_revision(CART, "u", 1)


async def test_connection_trouble_passes_through():
    with pytest.raises(Transient):
        await KubeWriter(ScriptedTransport(Transient("reset"))).read_deployment(CART)
