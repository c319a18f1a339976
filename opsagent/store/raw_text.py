"""Many texts as three streams of bytes that each compress as well as they can: their skeleton, digits and ids.

Theory of operation. Lines of one template differ in numbers and ids, and a compressor that meets those in the middle
of a line has to begin anew behind each. So they are taken out: in the skeleton every decimal digit is a zero and every
character of an id one and the same byte, and lines of a template have become alike. What was taken stands in the order
of the text, two characters a byte: digits in one stream, and ids, which nothing compresses, in another.

An id is a run of ``ID_LENGTH_MIN`` or more of ``0`` to ``9``, ``a`` to ``f`` and marks, which stay in the skeleton:
dashes, and full stops and slashes because they stand between dash and zero, where one comparison is saved.
What ends a text and what stands for an id are bytes that UTF-8 does not have, so nothing has to be escaped and no
lengths are kept. A lone surrogate, which UTF-8 has no bytes for, comes back as a question mark.

Each step is one pass of C over all texts, the passes over every byte being the cheap ones. Of a text that is read back
only its own bytes are put together; what was taken out before it is counted.
"""

from binascii import hexlify, unhexlify
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

ID_LENGTH_MIN = 16  # longer than 13 digits of Unix milliseconds and 10 characters of a date; at least 15, see _runs

Bytes: TypeAlias = NDArray[np.uint8]
Places: TypeAlias = NDArray[np.signedinteger[Any]]

_END = 0xFF
_OF_ID = 0xFE
_ZERO = ord("0")
_DIGITS = 10
_MARKS_AND_DIGITS = 3 + _DIGITS  # "-", ".", "/", which stand in front of zero
_LETTERS = 6  # a to f
_ALL_ONES = 0xFF
# Of a byte, how many of its highest bits are ones before the first zero, and of its lowest ones.
_ONES_ABOVE = np.array([8 - (code ^ 0xFF).bit_length() for code in range(256)])
_ONES_BELOW = np.array([(~code & code + 1).bit_length() - 1 for code in range(256)])


Buffer: TypeAlias = bytes | memoryview
Pause: TypeAlias = Callable[[], None]


class Stripped(NamedTuple):
    """Texts without what differs, and that."""

    skeleton: Buffer
    digits: Buffer
    ids: Buffer


def go_on() -> None:
    """Make no pause."""


def joined(texts: Sequence[str]) -> bytearray:
    """Return texts in UTF-8, each with its end."""
    end = bytearray([_END])
    with suppress(UnicodeEncodeError):
        return end.join([*map(str.encode, texts), b""])
    return end.join([*(text.encode(errors="replace") for text in texts), b""])


def whole(text: bytearray) -> Stripped:
    """Return joined texts as :class:`Texts` takes them, with nothing taken out."""
    return Stripped(bytes(text), b"", b"")


def stripped(text: bytearray, pause: Pause = go_on) -> Stripped:
    """Return joined texts as :class:`Texts` takes them. ``text`` is spoilt; ``pause`` is called between steps."""
    skeleton = np.frombuffer(text, "u1")
    in_ids = _within(*_runs(_may_be_id(skeleton), ID_LENGTH_MIN))
    pause()
    characters = skeleton[in_ids]
    is_nibble = characters >= _ZERO  # no mark
    nibbles = characters[is_nibble].tobytes()
    skeleton[in_ids[is_nibble]] = _OF_ID
    pause()
    values = skeleton - _ZERO
    is_digit = values < _DIGITS
    digits = skeleton[np.flatnonzero(is_digit)].tobytes()
    values *= is_digit
    skeleton -= values
    pause()
    return Stripped(skeleton.tobytes(), _packed(digits), _packed(nibbles))


class Texts:
    """Texts that were joined, by their places. Raises ValueError where what was taken out is not all there."""

    def __init__(self, parts: Stripped) -> None:
        self._parts = parts
        self._bytes = np.frombuffer(parts.skeleton, "u1")
        self._ends = np.flatnonzero(self._bytes == _END)

    @property
    def size(self) -> int:
        """How many bytes they are together."""
        return len(self._bytes)

    def __getitem__(self, place: int) -> str:
        """Return one text."""
        if place >= len(self._ends):
            raise ValueError("fewer texts than entries")
        begin = int(self._ends[place - 1]) + 1 if place else 0
        text = self._bytes[begin : self._ends[place]].copy()
        if self._parts.digits:
            self._put_back(text, _ZERO, self._parts.digits, begin)
        self._put_back(text, _OF_ID, self._parts.ids, begin)
        return text.tobytes().decode()

    def _put_back(self, text: Bytes, mark: int, packed: Buffer, begin: int) -> None:
        """Fill in what was taken out of the text at ``begin`` wherever it has the mark."""
        marks = text == mark
        if count := int(np.count_nonzero(marks)):
            first = int(np.count_nonzero(self._bytes[:begin] == mark))
            found = hexlify(packed[first // 2 : (first + count + 1) // 2])
            text[marks] = np.frombuffer(found, "u1")[first % 2 : first % 2 + count]


def _packed(characters: bytes) -> bytes:
    """Return hexadecimal characters two a byte; there is one more at the end if they are odd."""
    return unhexlify(characters + b"0" * (len(characters) % 2))


def _may_be_id(text: Bytes) -> NDArray[np.bool_]:
    """Return which characters an id may have."""
    offsets = text - ord("-")
    may = offsets < _MARKS_AND_DIGITS
    offsets -= ord("a") - ord("-")
    may |= offsets < _LETTERS
    return may


def _runs(flags: NDArray[np.bool_], length_min: int) -> tuple[Places, Places]:
    """Return where runs of at least ``length_min`` true flags begin, and where they end."""
    # One of 15 or more, wherever it begins, has eight in a row at a multiple of eight: a byte of the flags' bits that is
    # all ones. Few bytes are, so what is left to do, to find how far the ones go on at both sides, is little.
    packed = np.zeros(len(flags) // 8 + 3, "u1")
    packed[1 : 1 + (len(flags) + 7) // 8] = np.packbits(flags)
    is_all = packed == _ALL_ONES
    edges = np.flatnonzero(is_all[1:] != is_all[:-1])
    below, above = edges[::2], edges[1::2]
    begins = below * 8 - _ONES_BELOW[packed[below]]
    ends = above * 8 + _ONES_ABOVE[packed[above + 1]]
    is_long = ends - begins >= length_min
    return begins[is_long], ends[is_long]


def _within(begins: Places, ends: Places) -> Places:
    """Return every place from each begin to before its end."""
    lengths = ends - begins
    steps = np.ones(lengths.sum(), "i8")
    if len(steps):
        steps[0] = begins[0]
        steps[np.cumsum(lengths[:-1])] = begins[1:] - ends[:-1] + 1
    return np.cumsum(steps, out=steps)
