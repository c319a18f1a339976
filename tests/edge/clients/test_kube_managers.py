"""Who owns which fields, as managedFields tell it."""

import json

import msgspec
import pytest

from opsagent.clients.kube_managers import BYTES_MAX, MANAGERS_MAX, OWNS_MAX, owned
from opsagent.clients.kube_struct import ManagedField

TEMPLATE = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    "f:spec": {
        "f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}, "f:name": {}}},
        "f:volumes": {},
    },
}


def entry(fields: object, subresource: str | None = None) -> ManagedField:
    raw = msgspec.Raw(json.dumps(fields, separators=(",", ":")).encode())
    return ManagedField("m", "Update", None, subresource, raw)


def test_one_manager_owns_all_in_a_few_words() -> None:
    fields = {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:template": TEMPLATE}}
    assert owned([entry(fields)]) == (("metadata", "spec"),)


def test_several_are_told_apart_by_the_shortest_paths() -> None:
    helm = entry({"f:spec": {"f:template": TEMPLATE, "f:selector": {}}})
    scaler = entry({"f:spec": {"f:replicas": {}}}, "scale")
    image = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}
    setter = entry({"f:spec": image, "f:data": {"f:key": {}}})
    assert owned([helm, scaler, setter]) == (
        (
            "spec.selector",
            "spec.template.metadata",
            "spec.template.spec.containers.image",
            "spec.template.spec.containers.name",
            "spec.template.spec.volumes",
        ),
        ("spec.replicas",),
        ("data", "spec.template.spec.containers.image"),
    )


def test_status_is_not_looked_at() -> None:
    found = owned([entry({"f:status": {"f:phase": {}}}, "status"), entry({"f:spec": {"f:x": {}}})])
    assert found == ((), ("spec",))


@pytest.mark.parametrize("fields", [None, 5, [], {"f:spec": 5}, {"k:{}": {}}, {".": {}}])
def test_what_is_no_set_of_fields_owns_nothing(fields: object) -> None:
    assert owned([entry(fields)]) == ((),)


def test_too_much_owns_nothing_and_depth_has_an_end() -> None:
    assert owned([]) == ()
    many = [entry({f"f:{number}": {}}) for number in range(MANAGERS_MAX + 1)]
    assert owned(many) == ((),) * len(many)
    assert owned([entry({f"f:{'x' * BYTES_MAX}": {}})]) == ((),)
    deep: object = {}
    for _ in range(50):
        deep = {"f:a": deep}
    (paths,) = owned([entry({"f:x": {}, "f:deep": deep}), entry({"f:deep": deep})])[1:]
    assert paths == (".".join(["deep", *"a" * 7]),)
    wide = {f"f:{number:03d}": {"f:a": {}} for number in range(99)}
    assert len(owned([entry(wide), entry({"f:spec": {}})])[0]) == OWNS_MAX
