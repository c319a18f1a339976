"""Lines that were read before, but for their digits and ids: what was found out about one holds for all.

Theory of operation. A program says the same few things with other numbers in them. So a line of its own record is
made ``alike`` and looked up whole; one that is known needs neither reading nor masking nor a search for secrets:
it keeps its text, and has the severity and the shape of the first one. What is known depends on nothing but the
line made alike:

- no pattern of ``reading`` asks which digit stands somewhere, and a line that is made alike keeps its length;
- a level that is a number stands beside the line (``_level``); one whose reading depends on another number
  (``Reading.is_by_number``) is not remembered, nor is one that has to be searched for secrets;
- whether digits make a number of JSON (``1``, not ``01``) is asked anew.

Two generations: when the young one is full it becomes the old one, whose lines are forgotten unless they come
again. Shared by every log that one owner reads. Not safe to share between threads.
"""

from typing import TypeAlias

import msgspec

from opsagent.model.log import LogSeverity
from opsagent.signals.logs.reading import Format, Reading
from opsagent.signals.logs.shapes import Shape

GENERATION_BYTES_MAX = 12 * 1024 * 1024  # of one, about 32,000 usual lines
LENGTH_MAX = 512
# Beside a line itself: its object's head, a place in the table, what is known.
_OVERHEAD_BYTES = 200

Known: TypeAlias = tuple[LogSeverity, Shape]

_LEVEL = '"level":'
_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)  # checks, and makes nothing of it


class LineMemo:
    """See the module's docstring."""

    def __init__(self, generation_bytes_max: int = GENERATION_BYTES_MAX) -> None:
        self._generation_bytes_max = self._room_bytes = generation_bytes_max
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}

    def find(self, alike: bytes, text: str) -> Known | None:
        """Return what is known of a line, made alike and as it came."""
        is_json = text[:1] == "{"
        if is_json:
            alike += _level(text)
        known = self._young.get(alike)
        if known is None:
            known = self._old.get(alike)
            if known is None:
                return None
            self._keep(alike, known)
        return None if is_json and not _is_json(text) else known

    def remember(self, alike: bytes, text: str, reading: Reading, shape: Shape) -> None:
        """Remember a harmless line, if what was read depends on nothing but the line made alike, and its level."""
        is_broken_json = reading.format is Format.PLAIN and alike[:1] == b"{"
        level = _level(text) if reading.format is Format.JSON else b""
        is_by_number = reading.is_by_number or (
            reading.level is not None and str(reading.level).encode() != level
        )
        if not (is_by_number or is_broken_json or len(alike) > LENGTH_MAX):
            self._keep(alike + level, (reading.severity, shape))

    def _keep(self, alike: bytes, known: Known) -> None:
        self._room_bytes -= len(alike) + _OVERHEAD_BYTES
        if self._room_bytes < 0:
            self._old, self._young = self._young, {}
            self._room_bytes = self._generation_bytes_max
        self._young[alike] = known


def _level(text: str) -> bytes:
    """Return the two digits behind the only ``"level":`` of a JSON text, empty if they are not there."""
    at = text.find(_LEVEL)
    digits = text[at + len(_LEVEL) : at + len(_LEVEL) + 2] if at >= 0 else ""
    return digits.encode() if digits.isdigit() and text.count(_LEVEL[:-1]) == 1 else b""


def _is_json(text: str) -> bool:
    try:
        _ANY_JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
