"""Lines that were read before, but for their digits and ids: what was found out about one holds for all.

Theory of operation. A program says the same few things with other numbers in them. So a line of its own record is
made ``alike`` and looked up whole; one that is known needs neither reading nor masking nor a search for secrets:
it keeps its text, and has the severity and the shape of the first one. What is known depends on nothing but the
line made alike:

- no pattern of ``reading``, ``framing`` or ``joining`` asks which digit stands somewhere, or which letter in an id, and
  a line that is made alike keeps its length;
- a level that is a number keeps its digits; a line whose reading depends on another number
  (``Reading.is_by_number``) is not remembered, nor is one that has to be searched for secrets;
- whether digits make a number of JSON (``1``, not ``01``) is asked anew.

Of most lines it is known, too, that they are records by themselves whatever line came before, a key aside: those
``find_each`` tells of, and then a line of a chunk needs neither ``framing`` nor ``joining``.

Two generations: when the young one is full it becomes the old one, whose lines are forgotten unless they come
again. Shared by every log that one owner reads. Not safe to share between threads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from opsagent.model.log import LogSeverity
from opsagent.signals.logs.joining import is_single
from opsagent.signals.logs.reading import Format, Reading
from opsagent.signals.logs.shapes import Shape

GENERATION_BYTES_MAX = 12 * 1024 * 1024  # of one, about 32,000 usual lines
LENGTH_MAX = 512
# Beside a line itself: its object's head, a place in the table, what is known.
_OVERHEAD_BYTES = 224

_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)  # checks, and makes nothing of it


class Known(NamedTuple):
    """What is known of a line. ``is_single``: it is a record by itself; ``is_json``: as long as it is JSON."""

    severity: LogSeverity
    shape: Shape
    is_single: bool
    is_json: bool


class LineMemo:
    """See the module's docstring."""

    def __init__(self, generation_bytes_max: int = GENERATION_BYTES_MAX) -> None:
        self._generation_bytes_max = self._room_bytes = generation_bytes_max
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._singles: set[bytes] = set()  # that were judged last, and mostly are remembered next

    def find(self, alike: bytes, text: str) -> Known | None:
        """Return what is known of a line, made alike and as it came."""
        known = self._young.get(alike)
        if known is None:
            known = self._old.get(alike)
            if known is None:
                return None
            self._keep(alike, known)
        return None if known.is_json and not _is_json(text) else known

    def find_each(
        self, alikes: Sequence[bytes], texts: Sequence[str]
    ) -> tuple[list[Known | None], list[range]]:
        """Return what is known of each of these lines, and where those stand that may be no records by themselves."""
        found = [*map(self._young.get, alikes)]
        others: list[range] = []
        self._singles.clear()
        for at, known in enumerate(found):
            if known is not None and known.is_single and not known.is_json:
                continue
            now_known = found[at] = self.find(alikes[at], texts[at])
            if now_known is None and is_single(texts[at]):
                self._singles.add(alikes[at])
            elif now_known is None or not now_known.is_single:
                begin = others.pop().start if others and others[-1].stop == at else at
                others.append(range(begin, at + 1))
        return found, others

    def remember(self, alike: bytes, text: str, reading: Reading, shape: Shape) -> None:
        """Remember a harmless line, if what was read depends on nothing but the line made alike."""
        if not reading.is_by_number and len(alike) <= LENGTH_MAX:
            is_json = reading.format is Format.JSON
            is_alone = alike in self._singles or is_single(text)
            self._keep(alike, Known(reading.severity, shape, is_alone, is_json))

    def _keep(self, alike: bytes, known: Known) -> None:
        self._room_bytes -= len(alike) + _OVERHEAD_BYTES
        if self._room_bytes < 0:
            self._old, self._young = self._young, {}
            self._room_bytes = self._generation_bytes_max
        self._young[alike] = known


def _is_json(text: str) -> bool:
    try:
        _ANY_JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
