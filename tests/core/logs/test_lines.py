"""What is known of a line holds for all that are alike: an intake that has read much says what a fresh one says."""

import datetime as dt
import random
import re

import pytest
from hypothesis import example, given, strategies as st

from opsagent.model.log import LogEntry
from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.lines import LineMemo
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.reading import read
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.words import alike
from tests.core.test_secrets import texts
from tests.corpus.generate import everything

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def entries(*lines: str) -> list[LogEntry]:
    """Return the entries of lines, each a record of its own, taken in by one intake."""
    intake = LogIntake(scrubber := Scrubber(), Miner(scrubber))
    found = []
    for line in lines:
        found += intake.feed(f"2026-01-05T00:00:00Z {line}\n".encode(errors="replace"), NOW)
        found += intake.flush(NOW)
    return found


def otherwise(text: str, rng: random.Random) -> str:
    """Return ``text`` with other digits, and other letters in its ids as long as they are alike."""
    ids = re.compile("[0-9a-f-]{9,}")
    other = ids.sub(lambda found: "".join(rng.choices("0a-f9", k=len(found[0]))), text)
    text = other if alike(other) == alike(text) else text
    return "".join(rng.choice("0123456789") if each in "0123456789" else each for each in text)


def as_said(entry: LogEntry) -> tuple[object, ...]:
    return entry.at, entry.stream, entry.severity, entry.template, entry.text


HEADS = [
    "",
    "2026-01-05 00:00:00,000 INFO [pool-1] ",
    "I0105 00:00:00.000000 1 a.go:1] ",
    '{"level":30,"msg":"x","n":1}',
    '{"level":"info","msg":"a 1","id":"0af7651916cd43dd8448eb211c80319c"} ',
    '{"level":"info","msg":"a 1","id": "0af7651916cd43dd8448eb211c80319c","x":"a=0af7651916cd43dd "}',
    'INFO: "a":"0af7651916cd43dd8448eb211c80319c" ',
    "level=info n=1 msg=",
    "<13>Jan  5 00:00:00 h p[1]: ",
    "id=0af7651916cd43dd8448eb211c80319c ",
]


@given(st.sampled_from(HEADS), texts, st.randoms(use_true_random=False))
@example('{"level":10,"msg":"x"}', "", random.Random(1))
def test_other_digits_and_ids_are_read_as_if_for_the_first_time(
    head: str, text: str, rng: random.Random
) -> None:
    first = f"{head}{text}".replace("\n", " ")
    other = otherwise(first, rng)
    warm, cold = entries(first, other), entries(other)
    assert [as_said(each) for each in warm[-len(cold) :]] == [as_said(each) for each in cold]


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ('{"level":30,"msg":"x"}', '{"level":50,"msg":"x"}'),
        ('{"a":{"level":30},"severity":30}', '{"a":{"level":30},"severity":50}'),
        ('{"a":{"level":30},"level":30}', '{"a":{"level":30},"level":50}'),
        ('{"Level":30,"a":{"level":30}}', '{"Level":50,"a":{"level":30}}'),
        ('{"level":30,"level":30,"msg":"x"}', '{"level":30,"level":50,"msg":"x"}'),
        ('{"a":{"level":30},"level" :30}', '{"a":{"level":30},"level" :50}'),
        ('{"level":100,"msg":"x"}', '{"level":500,"msg":"x"}'),
        ('{"level":3,"msg":"x"}', '{"level":5,"msg":"x"}'),
        ('{"a-":1e001,"b":"x"}', '{"a-":9e999,"b":"x"}'),
        ('{"n":10,"level":"warn","msg":"x"}', '{"n":01,"level":"warn","msg":"x"}'),
        ('{"n":01,"level":"warn","msg":"x"}', '{"n":10,"level":"warn","msg":"x"}'),
        ('{"msg":"\\u0041"}', '{"msg":"\\u0042"}'),
        ('{"k1":"a b","k2":"c d"}', '{"k2":"a b","k1":"c d"}'),
        ("level=info k1=a k2=b", "level=info k2=a k1=b"),
        ("a id=0af7651916cd43dd ok", "a id=b7ad6b7169203331 ok"),
        ("login token=abc1", "login token=abc2"),
        ("token", "token"),
        ("using AKIA0123456789ABCDEF now", "using AKIA9876543210ABCDEF now"),
    ],
)
def test_where_a_digit_makes_a_difference_it_does(first: str, other: str) -> None:
    (_, warm), (cold,) = entries(first, other), entries(other)
    assert as_said(warm) == as_said(cold)


def test_the_corpus_is_said_as_if_each_line_were_the_first() -> None:
    lines = [line.raw for line in everything(seed=8, count=40) if "\n" not in line.raw]
    scrubber = Scrubber()
    for _ in range(2):
        for line in lines:
            warm, cold = LogIntake(scrubber, Miner(scrubber)), entries(line)
            again = warm.feed(f"2026-01-05T00:00:00Z {line}\n".encode(), NOW) + warm.flush(NOW)
            assert again == cold


def test_what_comes_again_is_known_and_what_does_not_is_forgotten() -> None:
    shape = Scrubber().scrubbed("x")[1]
    memo = LineMemo(generation_bytes_max=206 * 1000)

    def knows(text: str) -> bool:
        return memo.find(alike(text), text) is not None

    for number in range(3 * 1000):
        text = "".join(chr(97 + int(digit)) for digit in f"{number:06d}")
        memo.remember(alike(text), text, read(text), shape)
        assert knows("aaaaaa"), "it comes again and again"
    assert knows(text)
    assert not knows("aaaaab")


def test_a_line_with_a_secret_is_not_remembered() -> None:
    scrubber = Scrubber()
    intake = LogIntake(scrubber, Miner(scrubber))
    lines = ["login token=abc", '{"msg":"x","password":"abc"}', "GET http://u:abc@h/"]
    intake.feed("".join(f"2026-01-05T00:00:00Z {line}\n" for line in lines).encode(), NOW)
    intake.close(NOW)
    assert [each for each in lines if scrubber.lines.find(alike(each), each) is not None] == []
