"""The shape of a line: its words as a template shows them, and which of them tell messages apart.

Theory of operation. The masked words of a line (see ``words``) are put right where a variable spans
several of them: quoted texts, lists in brackets, runs of variables and the reason behind a failure each
become one ``<*>``, so that lines of one message have the same number of words. Each remaining word is
either *fixed* or *loose*:

- fixed: the first word and the first plain word, short function words, participles (opened, closed),
  punctuation, labels before a variable (``client: <*>``) and names of values (``user=<*>``). Lines that
  differ in one of these are two messages;
- loose: all others, and ``<*>`` itself. A name without a digit (a user, a service) is a loose word, but so
  is many a plain word: whether it varies shows only beside other lines, which is for ``mining``.

The shape is a function of the line alone. Work is bounded: 2,048 bytes and 40 words make it.
"""

import re
from dataclasses import dataclass

from opsagent.signals.logs.words import HOLDS, NAMES, WILD

SIGNATURE_LENGTH_MAX = 2048
WORDS_MAX = 40

_QUOTED = re.compile(r"(?<![\w\\])\"((?:[^\"\\]++|\\.)*+)(?:\"|$)")
_APOSTROPHES = re.compile(r"(?<!\w)'([^']*)'(?!\w)")
_BRACKETS = re.compile(r"\[[^\[\]\s,<]*[\s,<][^\[\]]*\]")
_BRACES = re.compile(r"\{[^{}]+\}")
_NESTED_MAX = 3
_RUN = re.compile(r"<\*>(?:[\s,:;./+-]*<\*>)+")
_FAILURE = re.compile(
    r"(?i)\b(?:fail(?:ed|ing|ure)?|error|unable|cannot|could not|couldn't|can't|unexpected|reject(?:ed|ing)?"
    r"|declined|refused|raised|threw|exception)\b"
)
_EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Exception|Error): ")
_SEAM = re.compile(
    r"(?<=[\w>])(?=[(\[{])|(?<=[A-Za-z_])(?=:<)"
)  # a value ends, what belongs to it begins
_HEAD_WORDS_MIN = 3  # of a failure, before a colon that introduces the reason

# They say how the words around them relate, so they are never a value. English, as logs are.
_FUNCTION = (
    "a an the of for from to in into on onto at by with without within via per as than and or nor but if while"
    " when after before until since because due is are was were be been has have had not no did does do will"
    " would can could should must may it its this that these there up down off out over under true false yes"
)
_FUNCTION_WORDS = frozenset(_FUNCTION.split())
_PARTICIPLE_LENGTH_MIN = 5  # "opened", not "fred"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """``words`` as a template shows them; ``key`` has the fixed ones, None in place of the loose."""

    words: tuple[str, ...]
    key: tuple[str | None, ...]


def shape_of(signature: bytes) -> Shape:
    """Return the shape of a line's masked words, joined by blanks, marks and all."""
    clean = signature[:SIGNATURE_LENGTH_MAX].translate(None, HOLDS + NAMES)
    words = _words(clean.decode(errors="ignore"))
    return Shape(words, key_of(words))


def key_of(words: tuple[str, ...]) -> tuple[str | None, ...]:
    """Return the fixed words, None in place of the loose ones."""
    behind = (*words[1:], WILD)
    lead = next((i for i, word in enumerate(words) if _is_lead(i, word, behind[i])), 0)
    return tuple(
        word if (i in (0, lead) and WILD not in word) or _is_fixed(word, behind[i]) else None
        for i, word in enumerate(words)
    )


def _words(text: str) -> tuple[str, ...]:
    text = _SEAM.sub(" ", text)
    if '"' in text:
        text = _QUOTED.sub(_without_value, text)
    if "'" in text:
        text = _APOSTROPHES.sub(_without_value, text)
    if "{" in text:
        for _ in range(_NESTED_MAX):
            text = _BRACES.sub(WILD, text)
    if "[" in text:
        for _ in range(_NESTED_MAX):
            text = _BRACKETS.sub(WILD, text)
    text = _RUN.sub(WILD, _without_reason(text))
    words = text.split()
    if len(words) > WORDS_MAX:
        words[WORDS_MAX - 1 :] = [WILD]
    return tuple(words)


def _without_value(quoted: re.Match[str]) -> str:
    return WILD if any(map(str.isalnum, quoted[1])) else quoted[0]


def _without_reason(text: str) -> str:
    """Cut what stands behind the first colon of a failure: ``failed to list pods <*>``."""
    named = _EXCEPTION.search(text)
    at = text.find(": ")
    while at >= 0 and (named is None or at < named.start()):
        head = text[:at]
        if len(head.split()) >= _HEAD_WORDS_MIN and _FAILURE.search(head):
            return f"{head} {WILD}"
        at = text.find(": ", at + 2)
    return text if named is None else f"{text[: named.end() - 2]} {WILD}"


def _is_lead(place: int, word: str, behind: str) -> bool:
    """Tell whether a sentence begins here: elsewhere than at the head, one word alone may be a name."""
    return word.rstrip(":,.").isalpha() and (place == 0 or WILD not in behind)


def _is_fixed(word: str, behind: str) -> bool:
    if WILD in word:
        return any(map(str.isalpha, word))
    bare = word.strip("()[],.;:\"'").lower()
    if not bare or "=" in word or (word[-1] == ":" and WILD in behind and bare.isalpha()):
        return True
    return bare in _FUNCTION_WORDS or (
        bare.endswith("ed") and len(bare) >= _PARTICIPLE_LENGTH_MIN and bare.isalpha()
    )
