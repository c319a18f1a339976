"""One text of a log line -> its text without secrets and its shape, remembered at four levels.

Theory of operation. Many lines repeat whole, most but for digits and ids; most of the rest differ in words that
repeat, or in words that mask to the same. So a text is looked up whole, then with its digits and ids made alike;
else its words are looked up one by one (see ``words``) and the masked words, joined, are looked up for their
shape. Only a text with a suspicious word is searched for secrets as a whole, and if one was found, it is not
remembered.

All memos are bounded and shared by every log that one owner reads; they change the cost of an answer,
never the answer. Not safe to share between threads.
"""

from typing import TypeAlias

from opsagent.signals.logs.lines import LineMemo
from opsagent.signals.logs.shapes import Shape, shape_of
from opsagent.signals.logs.words import HOLDS, NAMES, WordMemo, alike, is_id
from opsagent.signals.secrets import scrub

TEXTS_MAX = 4096  # of at most TEXT_LENGTH_MAX bytes: 2 MiB at the most, twice
TEXT_LENGTH_MAX = 512
PIECES_MAX = 16_384  # of at most PIECE_LENGTH_MAX bytes: 3 MiB at the most
PIECE_LENGTH_MAX = 128
SHAPES_MAX = 16_384

Scrubbed: TypeAlias = tuple[str, Shape]  # the text without secrets, and its shape

_NAMED = (NAMES + b" :", NAMES + b" =")


class Scrubber:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._words = WordMemo()
        self._repeated: dict[str, Scrubbed] = {}
        self._texts: dict[bytes, Shape] = {}
        self._harmless: set[bytes] = set()
        self._shapes: dict[bytes, Shape] = {}
        self.lines = LineMemo()

    def scrubbed(self, text: str) -> Scrubbed:
        """Return ``text`` without secrets, and its shape."""
        known = self._repeated.get(text)
        if known is not None:
            return known
        shape = self.shape_if_harmless(alike(text))
        clean = text if shape is not None else scrub(text)
        answer = clean, shape or self._shape(self._words.signature(alike(clean)))
        if clean == text and len(text) <= TEXT_LENGTH_MAX:
            if len(self._repeated) >= TEXTS_MAX:
                self._repeated.clear()
            self._repeated[text] = answer
        return answer

    def shape_if_harmless(self, text: bytes) -> Shape | None:
        """Return the shape of a text that was made ``alike``; None if it has to be searched for secrets."""
        shape = self._texts.get(text)
        if shape is not None:
            return shape
        signature = self._words.signature(text)
        if _is_suspicious(signature):
            return None
        shape = self._shape(signature)
        if len(text) <= TEXT_LENGTH_MAX:
            if len(self._texts) >= TEXTS_MAX:
                self._texts.clear()
            self._texts[text] = shape
        return shape

    def is_harmless(self, text: bytes) -> bool:
        """Tell whether no secret stands in a text that was made ``alike``, and none that it names may stand behind it.

        What stands between quotation marks is judged by itself: the names and values of JSON are few, its lines
        are one long word each. It errs on the safe side.
        """
        if b"://" in text and b"@" in text:
            return False  # there a quotation mark may be part of what is looked for
        pieces = text.split(b'"')
        return self._harmless.issuperset(pieces) or all(
            map(self._is_harmless, set(pieces) - self._harmless)
        )

    def _is_harmless(self, piece: bytes) -> bool:
        """Judge a piece, and remember it unless it is long; one that is not harmless is judged anew each time."""
        signature = self._words.signature(piece)
        if _is_suspicious(signature) or signature.endswith(NAMES):
            return False
        if len(piece) <= PIECE_LENGTH_MAX and not is_id(piece):
            if len(self._harmless) >= PIECES_MAX:
                self._harmless.clear()
            self._harmless.add(piece)
        return True

    def _shape(self, signature: bytes) -> Shape:
        shape = self._shapes.get(signature)
        if shape is None:
            shape = shape_of(signature)
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            self._shapes[signature] = shape
        return shape


def _is_suspicious(signature: bytes) -> bool:
    """Tell whether masked words hold a secret, or name one and go on with a colon or an equals sign."""
    return HOLDS in signature or (NAMES in signature and any(map(signature.__contains__, _NAMED)))
