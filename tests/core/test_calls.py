"""Who calls whom: what a trace says, whom it means in the inventory, how long it is known, and that text stays text."""

import datetime as dt
from dataclasses import replace

import pytest

from opsagent.model import kube
from opsagent.model.entity import Entity, Kind
from opsagent.model.signal import RowType
from opsagent.model.trace import Origin, Span
from opsagent.signals import calls as calls_module
from opsagent.signals.calls import AGE_SECONDS_MAX, KnownCalls, calls_in, origin_named
from opsagent.signals.inventory import Inventory
from tests.fakes.hostile import MARKUP, STEERING
from tests.fakes.joined_shop import SHOP, a_pod, owner
from tests.fakes.objects import meta, row
from tests.fakes.virtual_time import EPOCH

WEB, CART = (Entity(Kind.DEPLOYMENT, "shop", name) for name in ("web", "cart"))
OTHERS = (
    kube.Deployment(meta("cart", namespace="staging", uid="c2")),
    kube.Deployment(meta("stock", uid="s")),
    kube.StatefulSet(meta("stock", uid="s2")),
    kube.StatefulSet(meta("ledger", namespace="bank", uid="d")),
    a_pod("alone-1"),
    a_pod("rolled-1", owner=owner("Rollout", "rolled")),
)


def inventory(*items: kube.KubeObject) -> Inventory:
    made = Inventory()
    for number, item in enumerate((*SHOP, *OTHERS, *items), 1):
        made.apply(row(number, item, row_type=RowType.ADDED))
    return made


def span(number: int, parent: int, origin: Origin, kind: str = "server") -> Span:
    names = (f"{number:016x}", f"{parent:016x}" if parent else "")
    return Span(*names, origin, "GET /", kind, EPOCH, dt.timedelta(seconds=1))


def service(name: str, namespace: str = "", group: str = "") -> Origin:
    return Origin(name, group, namespace)


def named(namespace: str, **names: str) -> Origin:
    kinds = {"deployment": Kind.DEPLOYMENT, "pod": Kind.POD, "set": Kind.REPLICA_SET}
    return Origin("?", "", namespace, tuple((kinds[key], name) for key, name in names.items()))


A, B, C = service("a"), service("b"), service("c")


def test_a_call_is_a_span_that_answers_a_parent_of_somebody_else() -> None:
    told = (
        span(1, 0, A),
        span(2, 1, A, "client"),
        span(3, 2, B),  # a calls b
        span(4, 3, B, "producer"),
        span(5, 4, C, "consumer"),  # b sends to c
        span(6, 2, B),  # once more
        span(7, 2, C, "internal"),  # of another's, but answers nobody
        span(8, 99, C),  # nobody knows whom
        span(9, 9, C),  # itself
    )
    assert calls_in(told) == {(A, B), (B, C)}
    assert calls_in(()) == set()


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        (named("shop", deployment="web"), WEB),
        (named("shop", pod="web-1-a"), WEB),
        (named("shop", set="web-1"), WEB),
        (named("shop", deployment="gone", pod="web-1-a"), WEB),
        (named("shop", pod="alone-1"), Entity(Kind.POD, "shop", "alone-1")),
        (
            named("shop", pod="rolled-1"),
            Entity(Kind.POD, "shop", "rolled-1"),
        ),  # by what is not read
        (named("bank", deployment="web"), None),
        (named("", pod="web-1-a"), None),
        (service("web"), WEB),
        (service("ledger"), Entity(Kind.STATEFUL_SET, "bank", "ledger")),
        (service("ledger", group="prod"), Entity(Kind.STATEFUL_SET, "bank", "ledger")),
        (service("ledger", namespace="shop"), None),
        (service("cart"), None),  # there are two
        (service("cart", namespace="shop"), CART),
        (service("cart", group="shop"), CART),
        (service("cart.shop"), CART),
        (service("stock", namespace="shop"), Entity(Kind.DEPLOYMENT, "shop", "stock")),
        (service("nobody"), None),
        (service(""), None),
    ],
)
def test_whom_an_origin_means(origin: Origin, meant: Entity | None) -> None:
    known = KnownCalls(inventory(kube.Deployment(meta("front", uid="f"))))
    front = Entity(Kind.DEPLOYMENT, "shop", "front")
    assert known.learn([(service("front"), origin)], 0.0) == (
        () if meant is None else ((front, meant),)
    )
    assert known.unmapped_total == (meant is None)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("apps/v1/Deployment/shop/cart", named("shop", deployment="cart")),
        ("Deployment/shop/cart", named("shop", deployment="cart")),
        ("v1/Pod/shop/cart-0", named("shop", pod="cart-0")),
        ("shop/cart", service("cart", namespace="shop")),
        ("cart", service("cart")),
        ("", service("")),
        ("example.com/v1/Rollout/shop/cart", service("cart", namespace="shop")),
        ("///", service("")),
    ],
)
def test_how_a_recording_names_the_ends_of_a_call(text: str, origin: Origin) -> None:
    assert replace(origin_named(text), service="") == replace(origin, service="")
    assert origin.named or origin_named(text) == origin


def test_nobody_calls_itself() -> None:
    known = KnownCalls(inventory())
    assert known.learn([(service("web"), named("shop", pod="web-1-a"))], 0.0) == ()
    assert known.unmapped_total == 0


def test_a_call_is_known_for_a_day_after_it_was_last_seen_and_while_both_ends_are_there() -> None:
    shop = inventory()
    known = KnownCalls(shop)
    to_cart, to_ledger = (service("web"), service("cart.shop")), (service("web"), service("ledger"))
    assert len(known.learn([to_cart, to_ledger], 0.0)) == 2
    assert len(known.learn([to_cart], 100.0)) == 2
    assert known.learn([], AGE_SECONDS_MAX + 50.0) == ((WEB, CART),)
    cart = next(item for item in SHOP if kube.entity_of(item) == CART)
    shop.apply(row(100, cart, row_type=RowType.DELETED))
    assert known.learn([], AGE_SECONDS_MAX + 60.0) == ()
    assert len(known) == 0


def test_when_all_places_are_taken_those_who_have_one_keep_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "CALLS_MAX", 1)
    known = KnownCalls(inventory())
    first, second = (service("web"), service("ledger")), (service("ledger"), service("web"))
    known.learn([first], 0.0)
    assert [callee.name for _, callee in known.learn([first, second, second], 1.0)] == ["ledger"]
    assert known.dropped_total == 1


def test_no_text_of_a_trace_becomes_a_name() -> None:
    texts = (*MARKUP, *STEERING)
    origins = [service(text, text, text) for text in texts]
    origins += [
        Origin(text, "", "shop", ((Kind.POD, text), (Kind.DEPLOYMENT, text))) for text in texts
    ]
    known = KnownCalls(inventory())
    assert known.learn([(service("web"), each) for each in origins], 0.0) == ()
    assert known.unmapped_total == len(set(origins))
