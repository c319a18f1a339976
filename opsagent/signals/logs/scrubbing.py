"""One text of a log line -> its text without secrets and its shape, remembered at three levels.

Theory of operation. Most lines repeat whole, most of the rest differ in words that repeat, or in words that
mask to the same. So a text is looked up whole; else its words are looked up one by one (see ``words``) and
the masked words, joined, are looked up for their shape. Only a text with a suspicious word is searched for
secrets as a whole, and such a text, if one was found, is not remembered.

All memos are bounded and shared by every log that one owner reads; they change the cost of an answer,
never the answer. Not safe to share between threads.
"""

from typing import TypeAlias

from opsagent.signals.logs.shapes import Shape, shape_of
from opsagent.signals.logs.words import HOLDS, NAMES, WordMemo
from opsagent.signals.secrets import scrub

TEXTS_MAX = 4096  # of at most TEXT_LENGTH_MAX characters: 2 MiB at the most
TEXT_LENGTH_MAX = 512
SHAPES_MAX = 16_384

Scrubbed: TypeAlias = tuple[str, Shape]  # the text without secrets, and its shape

_NAMED = (NAMES + b" :", NAMES + b" =")


class Scrubber:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._words = WordMemo()
        self._texts: dict[str, Scrubbed] = {}
        self._shapes: dict[bytes, Shape] = {}

    def scrubbed(self, text: str) -> Scrubbed:
        """Return ``text`` without secrets, and its shape."""
        known = self._texts.get(text)
        if known is not None:
            return known
        signature = self._words.signature(text)
        if HOLDS in signature or (NAMES in signature and any(map(signature.__contains__, _NAMED))):
            clean = scrub(text)
            if clean != text:
                return clean, self._shape(self._words.signature(clean))
        answer = text, self._shape(signature)
        if len(text) <= TEXT_LENGTH_MAX:
            if len(self._texts) >= TEXTS_MAX:
                self._texts.clear()
            self._texts[text] = answer
        return answer

    def is_harmless(self, text: str) -> bool:
        """Tell whether no secret stands in ``text`` and none that it names may stand behind it.

        Words that stand in quotation marks are judged by themselves: the names and values of JSON are few,
        its lines are one long word each.
        """
        if "://" in text and "@" in text:
            return scrub(text) == text  # there a quotation mark may be part of what is looked for
        signature = self._words.signature(text.replace('"', ' " '))
        return HOLDS not in signature and NAMES not in signature

    def _shape(self, signature: bytes) -> Shape:
        shape = self._shapes.get(signature)
        if shape is None:
            shape = shape_of(signature)
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            self._shapes[signature] = shape
        return shape
