"""Which Services an address can mean; most texts mean none."""

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.addresses import services


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("redis", ["shop/redis"]),
        ("redis:6379", ["shop/redis"]),
        ("http://payments.bank.svc:8080", ["bank/payments"]),
        ("http://payments.bank.svc:8080/hmac:0123456789abcdef", ["bank/payments"]),
        ("payments.bank.svc.cluster.local", ["bank/payments"]),
        ("payments.bank.svc.example.org.:8080", ["bank/payments"]),
        ("payments.bank", ["bank/payments"]),
        ("kafka-0.kafka.queue.svc.cluster.local:9092", ["queue/kafka"]),
        ("kafka-0.kafka", ["kafka/kafka-0", "shop/kafka"]),
        ("kafka-0.kafka.queue", ["queue/kafka"]),
        ("svc.shop.svc", ["shop/svc"]),
        ("postgres://db", ["shop/db"]),
        ("api.example.com", []),
        ("https://api.example.com/v1", []),
        ("hmac:0123456789abcdef", []),
        ("10.0.0.1:80", []),
        ("5432", []),
        ("[fd00::1]:80", []),
        ("Redis", []),
        ("a..svc", []),
        ("..svc", []),
        ("", []),
    ],
)
def test_what_an_address_can_mean_in_the_shop(value: str, meant: list[str]) -> None:
    assert [f"{v.namespace}/{v.name}" for v in services(value, "shop")] == meant


def test_to_somebody_without_a_namespace_a_short_name_means_nothing() -> None:
    assert list(services("https://hook", "")) == []
    assert len(list(services("https://hook.tools.svc", ""))) == 1


@given(st.text("a-0.:/svc\n", max_size=400))
def test_no_text_breaks_it_or_means_many(value: str) -> None:
    assert len(list(services(value, "shop"))) <= 2
