"""No regular expression is slow, whatever text it meets: its time grows with the text and not with its square.

Time is CPU time, and what is judged is a ratio of two lengths, so a slow machine makes no difference.
"""

import re
import time
from typing import TypeAlias

import pytest

from tests.architecture.patterns import WAYS, Found, attacks, factories, found, text_of

pytestmark = pytest.mark.flood

FIRST_LENGTHS = (
    24,
    300,
)  # what doubles with each letter shows at the first, or nothing would come back
FIRST_SECONDS_MAX = 0.05  # of these; a microsecond or two are usual
LENGTHS = (1000, 8000)
TIMES_MAX = 20.0  # of eight times the length; the square would be 64
UNSEEN_SECONDS = 0.004  # of the longer one; what is quadratic takes fifty times as long
SUSPECTS = 3

# Made of what it is given; each is given what we wrote ourselves.
FACTORIES = {
    "clients.prometheus_selections:_pattern": "of our own namespaces, which the settings check",
    "clients.prometheus_templates:_pattern": "of our own templates",
}
OUR_OWN_TEXT = {
    "clients.prometheus_selections:_PART": "reads back selectors that we wrote; others' are compared whole",
}


Use: TypeAlias = tuple[str, tuple[str, str, str]]


def seconds(one: Found, use: Use, length: int, times: int = 2) -> float:
    """Return the least CPU time of some."""
    way, attack = use
    text = text_of(one.pattern, attack, length)
    least = float("inf")
    for _ in range(times):
        began = time.process_time()
        WAYS[way](one.pattern, text)
        least = min(least, time.process_time() - began)
    return least


def is_slow(one: Found) -> tuple[Use, float] | None:
    """Return what makes it slow and how many times longer it takes; None if nothing does."""
    took = []
    for attack in attacks(one.pattern):
        for way in one.ways:
            for length in FIRST_LENGTHS:
                first = seconds(one, (way, attack), length, 1)
                # Once more: a collection of garbage may have come between.
                if first > FIRST_SECONDS_MAX < seconds(one, (way, attack), length):
                    return (way, attack), float("inf")
            took.append((first, (way, attack)))
    for _, use in sorted(took, reverse=True)[:SUSPECTS]:
        short = seconds(one, use, LENGTHS[0])
        if short > FIRST_SECONDS_MAX:  # no need to wait for the square of that
            return use, float("inf")
        long = seconds(one, use, LENGTHS[1])
        if long > UNSEEN_SECONDS and long > TIMES_MAX * short:
            short, long = (seconds(one, use, length, 5) for length in LENGTHS)
            if long > TIMES_MAX * short:
                return use, long / short
    return None


@pytest.mark.parametrize("name", sorted(found().keys() - OUR_OWN_TEXT.keys()))
def test_no_text_makes_a_pattern_slow(name: str) -> None:
    assert is_slow(found()[name]) is None


@pytest.mark.parametrize(
    ("source", "way"),
    [
        (r"(a+)+b", "match"),
        (r"a*a*a*b", "match"),
        (r"\[[^\[\]]*[\s,<][^\[\]]*\]", "sub"),
        (r"\s*x$", "search"),
        (r"([a-z_]+)=", "sub"),
    ],
)
def test_a_planted_slow_pattern_is_found(source: str, way: str) -> None:
    assert is_slow(Found("planted", re.compile(source), {way})) is not None


def test_all_patterns_are_looked_at() -> None:
    assert len(found()) > 80
    assert all(each.ways <= WAYS.keys() for each in found().values())
    assert factories() == FACTORIES.keys()
    assert found().keys() >= OUR_OWN_TEXT.keys()


def test_the_ratio_tells_a_line_from_a_square() -> None:
    times = LENGTHS[1] / LENGTHS[0]
    assert 2 * times < TIMES_MAX < times**2 / 2
