"""A whole API object with every field kept and nothing secret in it: what recordings are made of."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from opsagent.model.canonical import JsonValue, canonical
from opsagent.signals.redaction import TEXT_LENGTH_MAX
from opsagent.signals.redaction_tree import DEPTH_MAX, TOO_DEEP, redact_tree
from tests.fakes import wire

KEY = b"k" * 32
CANARY = "canary-Tr0ub4dor"  # looks like nothing: only its place can give it away
TOKEN = "ghp_" + "planted" * 4 + "123456"  # in pieces, so that no scanner takes this for a leak

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
trees = st.dictionaries(st.text(max_size=10), values, max_size=4)


def redacted(tree: dict[str, Any], key: bytes = KEY) -> Any:
    return redact_tree(tree, key)


def container(**fields: JsonValue) -> dict[str, Any]:
    return wire.pod(spec={"containers": [{"name": "web", "image": "shop/web:v1", **fields}]})


def first_container(tree: dict[str, Any]) -> Any:
    return redacted(tree)["spec"]["containers"][0]


PLACES: dict[str, JsonValue] = {
    "an environment variable": {"env": [{"name": "DB_PASSWORD", "value": CANARY}]},
    "an innocent environment variable": {"env": [{"name": "GREETING", "value": CANARY}]},
    "a header of a probe": {
        "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "X-Auth", "value": CANARY}]}}
    },
    "an argument": {"args": ["--user", "shop", "--pass", CANARY]},
    "an argument with its flag": {"args": [f"--pass={CANARY}"]},
    "a short flag with its value": {"args": [f"-p{CANARY}"]},
    "a shell's script": {"command": ["/bin/sh", "-c", f"mysql -u shop {CANARY}"]},
    "a hook's command": {"lifecycle": {"preStop": {"exec": {"command": ["kill", CANARY]}}}},
}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_secret_that_looks_like_nothing_is_hashed_by_its_place_in_a_container(place: str) -> None:
    fields = PLACES[place]
    assert isinstance(fields, dict)
    assert CANARY not in json.dumps(redacted(container(**fields)))


OBJECTS: dict[str, dict[str, JsonValue]] = {
    "an annotation": {"kind": "Pod", "metadata": {"annotations": {"vault.example/x": CANARY}}},
    "the applied configuration": {
        "kind": "Deployment",
        "metadata": {
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": f'{{"x":"{CANARY}"}}'
            }
        },
    },
    "an annotation of a template": {
        "kind": "Deployment",
        "spec": {"template": {"metadata": {"annotations": {"x": CANARY}}}},
    },
    "a ConfigMap": {"kind": "ConfigMap", "data": {"app.ini": CANARY}},
    "a driver's attributes": {
        "kind": "Pod",
        "spec": {"volumes": [{"csi": {"volumeAttributes": {"x": CANARY}}}]},
    },
    "a flexible volume's options": {
        "kind": "Pod",
        "spec": {"volumes": [{"flexVolume": {"options": {"x": CANARY}}}]},
    },
    "a message": {"kind": "Event", "message": f"login failed: password={CANARY}"},
}


@pytest.mark.parametrize("place", sorted(OBJECTS))
def test_a_secret_that_looks_like_nothing_is_hashed_by_its_place_in_an_object(place: str) -> None:
    assert CANARY not in json.dumps(redacted(OBJECTS[place]))


@settings(max_examples=50)
@given(tree=trees, where=st.sampled_from(["key", "value", "item"]))
def test_a_token_of_a_known_form_is_masked_wherever_it_stands(
    tree: dict[str, JsonValue], where: str
) -> None:
    planted = {
        "key": tree | {f"{TOKEN}": 1},
        "value": tree | {"note": f"see {TOKEN}"},
        "item": tree | {"notes": ["x", {"deep": [TOKEN]}]},
    }[where]
    assert TOKEN not in json.dumps(redacted(planted))


@settings(max_examples=50)
@given(tree=trees)
def test_redacting_twice_changes_nothing_more(tree: dict[str, JsonValue]) -> None:
    once = redacted(tree)
    assert canonical(redacted(once)) == canonical(once)


def test_what_root_causes_are_joined_by_stays_readable() -> None:
    found = first_container(
        container(
            env=[
                {"name": "DATABASE_HOST", "value": "postgres.shop.svc"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}},
            ],
            args=["--db-host", "postgres:5432", "--upstream-url=http://cart.shop:80"],
            command=["/bin/server", "--verbose"],
        )
    )
    assert found["env"][0] == {"name": "DATABASE_HOST", "value": "postgres.shop.svc"}
    assert found["env"][1]["valueFrom"] == {"secretKeyRef": {"name": "db", "key": "p"}}
    assert found["args"] == ["--db-host", "postgres:5432", "--upstream-url=http://cart.shop:80"]
    assert found["command"] == ["/bin/server", "--verbose"]


def test_an_image_is_never_taken_for_a_secret() -> None:
    assert first_container(container())["image"] == "shop/web:v1"
    tree = {"image": "registry.example/token:v2", "imageID": "docker://x@sha256:0a"}
    assert redacted(tree) == tree
    assert TOKEN not in json.dumps(redacted({"image": f"not an image: {TOKEN}"}))


def test_a_changed_value_shows_as_another_hash_and_the_key_decides_which() -> None:
    def of(value: str, key: bytes) -> Any:
        return redacted({"env": [{"name": "LEVEL", "value": value}]}, key)["env"][0]["value"]

    assert of("1", KEY) != of("2", KEY)
    assert of("1", KEY) == of("1", KEY)
    assert of("1", KEY) != of("1", b"o" * 32)


def test_what_the_store_keeps_of_annotations_stays() -> None:
    kept: dict[str, JsonValue] = {
        "deployment.kubernetes.io/revision": "3",
        "kubernetes.io/change-cause": "deploy 1.2",
        "opsagent.io/action-id": "act_1",
        "driver/nested": {"x": 1},
    }
    assert redacted({"metadata": {"annotations": kept}})["metadata"]["annotations"] == kept


def test_every_field_of_an_object_is_still_there() -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(item) for name, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else None

    for whole in (wire.pod(), wire.deployment(), wire.event()):
        assert shape(redacted(whole)) == shape(whole)


def test_long_and_deep_values_are_cut() -> None:
    nested: dict[str, JsonValue] = {"leaf": TOKEN}
    for _ in range(DEPTH_MAX + 10):
        nested = {"inner": nested}
    assert TOO_DEEP in json.dumps(redacted(nested))
    assert len(redacted({"message": "x" * 9000})["message"]) == TEXT_LENGTH_MAX


def test_a_command_line_that_is_no_texts_is_still_harmless() -> None:
    found = redacted({"args": [{"password": CANARY}, 5, None]})
    assert CANARY not in json.dumps(found)
    assert len(found["args"]) == 3
