"""What outside text may put on a screen: only what can be seen there."""

from itertools import product

import pytest
from hypothesis import given, strategies as st

from opsagent.model.printable import REPLACEMENT, printable
from opsagent.terminal import safe
from tests.fakes.hostile import STEERING, STEERING_CHARACTERS


@pytest.mark.parametrize("text", STEERING)
def test_steering_characters_become_a_sign_of_their_own(text: str) -> None:
    seen = printable(text)
    assert len(seen) == len(text)
    assert not STEERING_CHARACTERS & set(seen)
    seen.encode()  # no half of a surrogate pair is left


def test_what_can_be_seen_stays() -> None:
    text = "plain ünïcode ✓ 日本 עברית 🙂 e\u0301"
    assert printable(text) == text


def test_line_breaks_stay_where_they_are_wanted() -> None:
    assert printable("a\n\tb\r", kept="\n\t") == f"a\n\tb{REPLACEMENT}"
    assert printable("a\n\tb") == f"a{REPLACEMENT}{REPLACEMENT}b"


def test_no_pair_of_bytes_gets_an_escape_through() -> None:
    pairs = "".join(chr(a) + chr(b) for a, b in product(range(256), repeat=2))
    assert len(pairs) == 2 * 65_536
    for shown in (printable(pairs), printable(pairs, kept="\n\t"), safe(pairs, len(pairs))):
        assert len(shown) == len(pairs)
        assert not STEERING_CHARACTERS & set(shown)


@given(st.text())
def test_any_text_becomes_printable_of_the_same_length(text: str) -> None:
    seen = printable(text)
    assert seen.isprintable()
    assert len(seen) == len(text)
    assert printable(seen) == seen
