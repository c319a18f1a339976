"""A page with an object that is too deep for any decoder: the others are read, and it is counted."""

import json

import pytest
from hypothesis import given, strategies as st

from opsagent.clients.kube_split import split
from opsagent.clients.kube_wire import Malformed, decode_list
from opsagent.model.entity import Kind
from tests.fakes import wire

DEEP = b"[" * 50_000 + b"]" * 50_000
values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{},:\n', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def page(*items: bytes, before: bytes = b'"kind":"PodList","metadata":{"resourceVersion":"7"},') -> bytes:  # fmt: skip
    return b"{" + before + b'"items":[' + b",".join(items) + b"]}"


def test_the_deep_one_costs_itself_alone() -> None:
    deep = b'{"metadata":{"name":"deep"},"x":' + DEEP + b"}"
    good = [json.dumps(wire.pod(name)).encode() for name in ("a", "b")]
    told = decode_list(Kind.POD, page(good[0], deep, good[1]))
    assert [each.meta.name for each in told.items] == ["a", "b"]
    assert told.malformed == 1
    assert told.resource_version == "7"


@pytest.mark.parametrize(
    "content",
    [
        DEEP,
        page(before=b'"x":' + DEEP + b","),
        page(before=b'"metadata":{"x":' + DEEP + b"},"),
        b'{"kind":"items","x":' + DEEP + b"}",
        page(DEEP)[:60_000],
        b'{"items":[' + b"[" * 50_000,
    ],
)
def test_a_page_that_is_too_deep_elsewhere_is_none(content: bytes) -> None:
    with pytest.raises(Malformed):
        decode_list(Kind.POD, content)


@given(st.lists(values, max_size=4), st.integers(0, 2))
def test_any_items_are_cut_out_as_they_are(items: list[object], indent: int) -> None:
    content = json.dumps(
        {"kind": "items", "a": [1], "items": items, "z": {}}, indent=indent
    ).encode()
    whole, parts = split(content)
    assert [json.loads(part) for part in parts] == items
    assert json.loads(whole) == {"kind": "items", "a": [1], "items": [], "z": {}}
