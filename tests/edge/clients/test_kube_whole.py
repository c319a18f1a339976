"""Whole objects beside decoded ones: found by name and version, forgotten with the next page."""

import json
from typing import Any

import pytest

from opsagent.clients.kube_whole import WholeObjects
from opsagent.clients.kube_wire import decode_object
from opsagent.model.entity import Kind
from tests.fakes import wire


def decoded(tree: Any) -> Any:
    return decode_object(Kind.POD, json.dumps(tree).encode())


def test_an_item_of_a_list_gets_its_kind_back() -> None:
    pod = wire.pod("a")
    bare = {key: value for key, value in pod.items() if key not in ("kind", "apiVersion")}
    whole = WholeObjects()
    whole.tap(json.dumps({"kind": "PodList", "items": [bare, wire.pod("b")]}).encode())
    assert whole.whole(decoded(pod)) == pod


def test_a_line_of_a_watch_takes_the_place_of_what_was_before() -> None:
    whole = WholeObjects()
    whole.tap(json.dumps({"items": [wire.pod("a")]}).encode())
    whole.tap(json.dumps({"type": "ADDED", "object": wire.pod("b")}).encode())
    assert whole.whole(decoded(wire.pod("b"))) == wire.pod("b")
    assert "spec" not in whole.whole(decoded(wire.pod("a")))


def test_what_the_server_does_not_show_now_keeps_its_identity_alone() -> None:
    found = WholeObjects().whole(decoded(wire.pod("a")))
    identity = {"namespace": "shop", "name": "a", "uid": "uid-a", "resourceVersion": "7"}
    assert found == {"kind": "Pod", "apiVersion": "v1", "metadata": identity}


def test_another_version_of_the_object_is_not_taken_for_it() -> None:
    newer = wire.pod("a")
    newer["metadata"]["resourceVersion"] = "8"
    whole = WholeObjects()
    whole.tap(json.dumps({"object": newer}).encode())
    assert "spec" not in whole.whole(decoded(wire.pod("a")))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"items": [1e999]}', b"[" * 100_000])
def test_what_is_no_json_is_counted(content: bytes) -> None:
    whole = WholeObjects()
    whole.tap(content)
    assert whole.unreadable_total == 1


@pytest.mark.parametrize(
    "content", [[], 5, {}, {"items": None}, {"items": [5, {}]}, {"object": {"metadata": []}}]
)
def test_other_json_holds_no_object(content: object) -> None:
    whole = WholeObjects()
    whole.tap(json.dumps(content).encode())
    assert whole.unreadable_total == 0
    assert "spec" not in whole.whole(decoded(wire.pod("a")))
