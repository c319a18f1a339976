"""What varies in a word, and that words are remembered within bounds, secrets never."""

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.logs.words import HOLDS, NAMES, WORDS_MAX, WordMemo, alike, alike_each, masked


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("started", "started"),
        ("don't", "don't"),
        ("I/O", "I/O"),
        ("java.io.IOException:", "java.io.IOException:"),
        ('"-"', '"-"'),
        ("12", "<*>"),
        ("-1.5.", "<*>."),
        ("10.0.0.1:8080", "<*>:<*>"),
        ("cart-7d9f8c-x2x4z", "<*>"),
        ("sshd[12]:", "sshd[<*>]:"),
        ("(uid=0)", "(uid=<*>)"),
        ("user=", "user=<*>"),
        ("a=b,c=d", "a=<*>,c=<*>"),
        ('pod="shop/cart"', "pod=<*>"),
        ("x=>y", "x=>y"),
        ("/var/lib/x", "<*>"),
        ("/cart?page=2", "<*>"),
        ("http://cart/x,", "<*>,"),
        ("http://cart:8080:", "<*>:"),
        ("/cart?page=x:", "<*>:"),
        ("alice@example.com:", "<*>:"),
        ("aa:bb:cc:dd:ee:0f", "<*>"),
        ("'x',", "<*>,"),
        ("cart.service:", "<*>.service:"),
        ("run-k8s.io-12.mount", "<*>.mount"),
        ("to.servicemesh", "to.servicemesh"),
        ('{"a":1}', '{"a":<*>}'),
    ],
)
def test_what_varies_is_shown_as_such(word: str, shown: str) -> None:
    assert masked(word) == shown


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("took 12.5ms, ok", b"took <*>, ok"),
        ("at 2026-01-05T00:00:00.123Z by 10.0.0.1", b"at <*> by <*>"),
        ("trace_id=4bf92f3577b34da6a3ce929d0e0e4736 seq=12", b"trace_id=<*> seq=<*>"),
        ("token : x", b"token" + NAMES + b" : x"),
        ("token=abc", HOLDS + b"token=<*>"),
        ("grüße an 世界", "grüße an 世界".encode()),
        ("a\x01b\x02", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}".encode()),
    ],
)
def test_lines_have_signatures(text: str, signature: bytes) -> None:
    memo = WordMemo()
    assert memo.signature(alike(text)) == signature
    assert memo.signature(alike(text)) == signature


words = st.lists(
    st.text("0aeyJ=_-.:/whsec", max_size=12)
    | st.sampled_from(
        [
            "=",
            " ",
            "token=",
            "whsec_=",
            "://u:p@",
            '"',
            "id=",
            "ya12.",
            "AKIA",
            "0x",
            '":"',
            '"level":',
        ]
    )
    | st.text("0123456789abcdef", min_size=8, max_size=40).map("={} ".format),
    max_size=8,
).map("".join)


@given(words)
def test_digits_and_ids_are_made_alike_and_no_answer_changes(text: str) -> None:
    assert WordMemo().signature(alike(text)) == WordMemo().signature(text.encode())
    assert alike(alike(text).decode()) == alike(text)


@given(st.lists(words))
def test_lines_made_alike_together_are_what_each_becomes_alone(texts: list[str]) -> None:
    assert alike_each(texts) == [*map(alike, texts)]


@given(st.lists(st.text(), max_size=6).map(" ".join))
def test_a_full_memory_makes_no_difference(text: str) -> None:
    memo = WordMemo()
    first = memo.signature(alike(text))
    memo.clear()
    assert memo.signature(alike(text)) == first


def test_the_memory_is_bounded_and_keeps_neither_secrets_nor_long_words() -> None:
    memo = WordMemo()
    memo.signature(alike(f"password=hunter {'x-' * 100}"))
    assert not memo
    for number in range(WORDS_MAX + 10):
        memo.signature("".join(chr(97 + int(digit)) for digit in f"{number:06d}").encode())
    assert len(memo) == 10
