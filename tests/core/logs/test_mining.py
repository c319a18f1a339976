"""Templates do not depend on the order of the lines, are bounded whatever is printed, and lose no count."""

import random
import time

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.templates import BUCKET_MAX, SAMPLE_LENGTH_MAX, template_id


def mined(texts: list[str], templates_max: int = 512) -> Miner:
    miner = Miner(Scrubber(), templates_max)
    for text in texts:
        miner.mine(text)
    return miner


def counts(miner: Miner) -> dict[str, int]:
    return {each.text: each.count for each in miner.templates()}


def templates(*texts: str) -> list[str]:
    return sorted(each.text for each in mined(list(texts)).templates())


def test_lines_that_differ_in_numbers_are_one_message() -> None:
    assert templates("took 12 ms", "took 3.5 ms", "took 7 ms") == ["took <*> ms"]


def test_a_name_that_varies_is_a_variable_even_without_a_digit() -> None:
    assert templates(
        "Accepted password for alice from 10.0.0.1 port 22",
        "Accepted password for bob from 10.0.0.2 port 23",
    ) == ["Accepted password for <*> from <*> port <*>"]


def test_participles_tell_messages_apart() -> None:
    assert len(templates("session opened for user root", "session closed for user root")) == 2


def test_a_choice_between_a_few_words_is_kept_apart_until_it_has_many() -> None:
    hits = [f"cache {word} for key 12" for word in ("hit", "miss", "skip")]
    assert len(templates(*hits)) == 3
    assert templates(*hits, "cache fill for key 12") == ["cache <*> for key <*>"]


def test_the_reason_of_a_failure_varies() -> None:
    assert templates(
        "Failed to list pods: connection refused",
        "Failed to list pods: dial tcp 10.0.0.1:443: i/o timeout",
    ) == ["Failed to list pods <*>"]


def test_exceptions_are_named_and_what_they_say_varies() -> None:
    assert templates(
        "writeBlock blk_1 received java.io.IOException: Broken pipe",
        "writeBlock blk_2 received java.io.IOException: Connection reset by peer",
    ) == ["writeBlock <*> received java.io.IOException <*>"]


def test_quoted_texts_and_lists_are_one_value_however_long() -> None:
    assert templates('open "a b c" with [1, 2, 3]', 'open "d" with [4, 5]') == ["open <*> with <*>"]


def test_the_id_is_the_texts_and_the_same_everywhere() -> None:
    one, other = mined(["took 1 ms"]), mined(["took 2 ms", "unrelated"])
    (template,) = one.templates()
    assert template.id == template_id("took <*> ms") == "tpl_2ca1cb43c2874728"
    assert template.id in {each.id for each in other.templates()}


def test_a_template_that_grew_wider_has_another_id_and_takes_its_counts_along() -> None:
    miner = Miner(Scrubber())
    first, _ = miner.mine("Stopped worker alice after 3 jobs")
    before = first.id
    second, _ = miner.mine("Stopped worker bob after 4 jobs")
    assert first.latest() is second.latest()
    assert second.latest().id != before
    assert counts(miner) == {"Stopped worker <*> after <*> jobs": 2}


def test_a_sample_is_the_first_line_and_short() -> None:
    miner = mined(["took 1 ms", "took 2 ms", "a " * 1000])
    assert "took 1 ms" in {each.sample for each in miner.templates()}
    assert all(len(each.sample) <= SAMPLE_LENGTH_MAX for each in miner.templates())


VOCABULARY = (
    "user root alice opened closed for from hit miss shop/cart orders-db 10.0.0.1 7 key=3 key= - failed error: ab12"
    ' "a b" [x, (ok) GET'
)
words = st.sampled_from(VOCABULARY.split(" "))
lines = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=24)


@given(lines, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_makes_no_difference(texts: list[str], rng: random.Random) -> None:
    shuffled = rng.sample(texts, len(texts))
    assert counts(mined(texts)) == counts(mined(shuffled))


@given(st.integers(0, 2**32))
def test_neither_does_it_where_places_have_many_words(seed: int) -> None:
    rng = random.Random(seed)
    texts = [
        f"job {rng.choice('abcdefgh')} at {rng.choice('stuvwxyz')} of {rng.choice('klmnopq')} {rng.choice('xyz')}"
        for _ in range(30)
    ]
    assert counts(mined(texts)) == counts(mined(rng.sample(texts, len(texts))))


@given(lines, st.integers(1, 6))
def test_every_line_is_counted_once_whatever_was_folded(
    texts: list[str], templates_max: int
) -> None:
    miner = mined(texts, templates_max)
    assert miner.lines == len(texts)
    assert miner.overflow.count + sum(counts(miner).values()) == len(texts)
    assert len(miner.templates()) <= templates_max


def letters(rng: random.Random, length: int = 12) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=length))


def test_a_flood_of_lines_that_never_repeat_costs_a_bounded_amount() -> None:
    rng = random.Random(1)
    miner = mined(["the disk is full"] * 100, templates_max=128)
    began = time.process_time()
    for _ in range(20_000):
        miner.mine(" ".join(letters(rng) for _ in range(6)))
    spent = time.process_time() - began
    assert len(miner.templates()) <= 128
    assert miner.folded > 0
    assert counts(miner)["the disk is full"] == 100
    assert miner.overflow.count + sum(counts(miner).values()) == 20_100
    assert spent < 20  # 1 ms a line; some 60 us on a quiet machine


def test_a_message_comes_back_after_it_was_folded() -> None:
    rng = random.Random(2)
    miner = mined(["the disk is full"], templates_max=8)
    for _ in range(100):
        miner.mine(f"{letters(rng)} {letters(rng)}")
    assert "the disk is full" not in counts(miner)
    template, _ = miner.mine("the disk is full")
    assert template.text == "the disk is full"
    assert template.count == 1
    assert miner.overflow.count + sum(counts(miner).values()) == 102


def test_a_full_bucket_becomes_one_template() -> None:
    rng = random.Random(3)
    texts = [f"say {letters(rng)} {letters(rng)} {letters(rng)}" for _ in range(3 * BUCKET_MAX)]
    assert counts(mined(texts))["say <*> <*> <*>"] > 2 * BUCKET_MAX


@pytest.mark.parametrize(
    "unit", ["\"", "\\\"", "[", "{", "'", "<*>", "<*> ", ": ", "a=", "a:", "/", "//", "@", "1", "1:", "x "]
)  # fmt: skip
def test_no_text_is_slow_to_mine(unit: str) -> None:
    text = (unit * 16_384)[:16_384]
    began = time.process_time()
    mined([text])
    assert time.process_time() - began < 2.0
