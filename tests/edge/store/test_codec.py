"""Objects are written lean, and come back whole."""

import json

import pytest

from opsagent.clients.kube_wire import decode_object
from opsagent.model import kube
from opsagent.model.entity import Kind
from opsagent.store import codec
from opsagent.store.codec import object_codec
from tests.fakes import wire_kinds
from tests.fakes.objects import meta


@pytest.mark.parametrize("content", wire_kinds.everything(), ids=lambda each: each["kind"])
def test_what_is_left_out_comes_back(content: dict[str, object]) -> None:
    kind = Kind(str(content["kind"]))
    for whole in (content, {"metadata": {"name": "x"}}):
        item = decode_object(kind, json.dumps(whole).encode())
        text = object_codec(kind).encode(item)
        assert object_codec(kind).decode(text) == item
        assert object_codec(kind).encode(item) == text


def test_defaults_are_left_out_also_within_shared_parts() -> None:
    web = kube.Container("web", "shop/web:v1", command=("web",))
    item = kube.Pod(meta("a"), containers=(web,), spec=kube.PodSpec(service_account="web"))
    tree = json.loads(object_codec(Kind.POD).encode(item))
    assert tree["containers"] == [{"name": "web", "image": "shop/web:v1", "command": ["web"]}]
    assert tree["spec"] == {"service_account": "web"}
    assert set(tree) == {"meta", "containers", "spec"}


def test_an_empty_text_is_not_nothing() -> None:
    none, unsaid = (kube.PersistentVolumeClaim(meta("c"), value) for value in ("", None))
    texts = object_codec(Kind.PERSISTENT_VOLUME_CLAIM)
    assert [texts.decode(texts.encode(each)).storage_class for each in (none, unsaid)] == ["", None]  # type: ignore[union-attr] # claims


def test_only_so_many_parts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "PARTS_MAX", 2)
    texts = codec.ObjectCodec(kube.Pod)
    pods = [kube.Pod(meta("a"), containers=(kube.Container(str(n), "x"),)) for n in range(5)]
    assert [texts.decode(texts.encode(pod)) for pod in pods] == pods
    assert len(texts._known) <= 2
