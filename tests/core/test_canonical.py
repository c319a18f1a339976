"""One value has one form: whatever order it was made in, wherever it is read, and nothing that has no form passes."""

import datetime as dt
import json
from dataclasses import dataclass
from enum import Enum, StrEnum

import pytest
from hypothesis import given, strategies as st

from opsagent.model.canonical import (
    CROCKFORD,
    canonical,
    content_id,
    digest,
    instant,
    ordered_id,
    plain,
)
from tests.fakes.incidents import PLAIN

EPOCH = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
trees = st.recursive(
    scalars | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


class Colour(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


@dataclass(frozen=True)
class Point:
    y: int
    x: Colour


@given(trees)
def test_the_form_is_json_of_the_same_value(tree: object) -> None:
    assert json.loads(canonical(tree)) == tree


@given(st.dictionaries(st.text("abc"), st.integers()), st.randoms())
def test_the_order_of_keys_leaves_no_trace(tree: dict, random: object) -> None:
    items = list(tree.items())
    random.shuffle(items)  # type: ignore[attr-defined] # hypothesis' own
    assert canonical(dict(items)) == canonical(tree)


def test_the_form_is_dense_sorted_and_utf_8() -> None:
    assert canonical({"b": [1, None, True], "a": "é ☃"}) == '{"a":"é ☃","b":[1,null,true]}'.encode()


def test_model_values_become_plain_ones() -> None:
    value = {Colour.RED: (Point(2, Colour.RED), Number.ONE, dt.datetime(2026, 1, 5, tzinfo=dt.UTC))}
    assert plain(value) == {"red": [{"y": 2, "x": "red"}, 1, "2026-01-05T00:00:00.000000Z"]}


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j, [dt.timedelta(1)], {"a": {3}}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical form for "):
        canonical(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_numbers_that_json_does_not_know_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(value)


@pytest.mark.parametrize("hours", [-11, 0, 5.5, 14])
def test_an_instant_is_the_same_in_every_zone(hours: float) -> None:
    zone = dt.timezone(dt.timedelta(hours=hours))
    assert instant(EPOCH.astimezone(zone)) == "2026-01-05T00:00:00.000000Z"


def test_an_id_is_the_head_of_the_digest() -> None:
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert content_id("pln", {}) == "pln_44136fa355b3678a"
    assert content_id("pln", PLAIN) != content_id("pln", [PLAIN])


@given(
    st.datetimes(min_value=dt.datetime(1971, 1, 1), max_value=dt.datetime(2200, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(min_value=1, max_value=10**9),
    st.text(max_size=3),
    st.text(max_size=3),
)
def test_ordered_ids_sort_by_their_instant(
    at: dt.datetime, later_ms: int, one: str, other: str
) -> None:
    first = at.replace(tzinfo=dt.UTC)
    second = first + dt.timedelta(milliseconds=later_ms + 1)
    assert ordered_id("inc", first, one) < ordered_id("inc", second, other)


def test_an_ordered_id_has_the_layout_of_a_ulid() -> None:
    made = ordered_id("inc", EPOCH, "shop/web")
    prefix, _, ulid = made.partition("_")
    assert (prefix, len(ulid)) == ("inc", 26)
    assert set(ulid) <= set(CROCKFORD)
    number = 0
    for letter in ulid:
        number = number * 32 + CROCKFORD.index(letter)
    assert number >> 80 == int(EPOCH.timestamp() * 1000)
    assert f"{number % (1 << 80):020x}" == digest("shop/web")[:20]


def test_an_ordered_id_depends_on_instant_and_value_alone() -> None:
    made = ordered_id("inc", EPOCH, "shop/web")
    assert ordered_id("inc", EPOCH, "shop/web") == made
    assert ordered_id("inc", EPOCH, "shop/api") != made
