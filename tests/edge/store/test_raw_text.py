"""Whatever texts say, they come back from their streams."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from opsagent.store.raw_block import clean
from opsagent.store.raw_text import ID_LENGTH_MIN, Stripped, Texts, joined, stripped, whole

Way = Callable[[bytearray], Stripped]
WAYS = pytest.mark.parametrize("way", [stripped, whole])
# Ids, almost ids, digits of other scripts, characters of one to four bytes, a lone surrogate, what JSON is made of.
LIKE_LOGS = st.text(
    '0123456789abcdef-gAF \n\0\x7f\u00e9\u0663\U0001d7d8\ud800="{}\xff\xfe', max_size=60
)
TEXTS = st.lists(LIKE_LOGS | st.text(st.characters(), max_size=30), min_size=1, max_size=12)


def read(texts: list[str], way: Way) -> list[str]:
    held = Texts(way(joined(texts)))
    return [held[place] for place in range(len(texts))]


@WAYS
@given(texts=TEXTS)
def test_any_texts_come_back(way: Way, texts: list[str]) -> None:
    assert read(texts, way) == [clean(text) for text in texts]


@WAYS
@pytest.mark.parametrize(
    "texts",
    [
        [""],
        ["", "", ""],
        ["0"],
        ["\0" * 100, "0" * 100, "-" * 100, "/" * 100, "10.20.30.40/2026-01-05"],
        ["f" * (2 * 10**6), "7" * 10**6, "\u00b5" * 10**6],
        ["only \u00ff and \u00fe of Latin 1"],
        ["\ud800 in one", "0123456789abcdef0123 in the other"],
    ],
)
def test_so_do_empty_huge_and_odd_ones(way: Way, texts: list[str]) -> None:
    assert read(texts, way) == [clean(text) for text in texts]


@given(
    st.integers(0, 40), st.integers(ID_LENGTH_MIN, 80), st.sampled_from(["", "-", "g", " \u00b5"])
)
def test_an_id_is_taken_out_wherever_it_stands(before: int, length: int, behind: str) -> None:
    rng = random.Random(length)
    value = "".join(rng.choices("0123456789abcdef", k=length))
    parts = stripped(joined([f"{'x' * before}{value}{behind}"]))
    assert parts.ids.hex()[:length] == value
    assert parts.digits == b""


@pytest.mark.parametrize("word", ["2026-01-05", "1767571203441", "deadbeef", "feedface-cafe-5"])
def test_what_is_shorter_is_no_id(word: str) -> None:
    for before in range(8):
        parts = stripped(joined([f"{'x' * before}{word} end"]))
        assert parts.ids == b""
        digits = "".join(filter(str.isdecimal, word))
        assert parts.digits.hex()[: len(digits)] == digits


def test_lines_that_differ_in_digits_and_ids_alone_have_one_skeleton() -> None:
    lines = ["took 315 ms trace=4bf92f3577b34da6a3ce929d0e0e4736", "took 999 ms trace=" + "a" * 32]
    skeletons = {stripped(joined([line])).skeleton for line in lines}
    assert len(skeletons) == 1


def test_streams_that_do_not_belong_together_are_refused() -> None:
    parts = stripped(joined(["took 315 ms", "took 31 ms"]))
    with pytest.raises(ValueError, match="cannot assign"):
        Texts(parts._replace(digits=parts.digits[:1]))[0]
    with pytest.raises(ValueError, match="fewer texts"):
        Texts(parts)[3]
