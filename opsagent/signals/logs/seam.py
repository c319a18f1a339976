"""One log over many connections: what comes again at a seam is recognised, line by line, and left out.

Theory of operation. A connection breaks anywhere, and the next one can only be asked for whole seconds. So it
is asked for the second before that of the newest line (the two streams of a container are stamped apart,
and a line may be written behind a slightly younger one), and what comes again is told by its stamp and its
text: of each line of these two seconds a key is kept, and on the next connection each key leaves out one line,
so that equal lines of one nanosecond are counted and not confused. Lines that were skipped for their number
have no keys: all up to the last one's stamp count as dealt with.

A line is judged when it has ended, or by its first ``HEAD_BYTES``: no more of it is held, and ``framing`` keeps
no more of it either. A line that is unfinished when its connection breaks is forgotten, because it comes
again whole.

Each connection has to show the line that was taken last, before any that is new. One that does not is *torn*:
it shows another file, since the log was rotated or the container started anew. Nothing of it is taken then; the
owner looks for the line in the log of the life before, and then begins another file. Lines are missing if it
is not there either (``is_joined``), or others come first (``has_skipped_ahead``).

Bounds: ``HEAD_BYTES`` and ``KEYS_MAX`` keys of 8 bytes a second. It is exact as long as no more lines than that
bear one second; beyond, as long as stamps never go back. If a node's clock is put back by more than
``_SETBACK_SECONDS``, lines may come twice, rather than not at all until it has caught up.

Each line must begin with a stamp; one without is the server's word, not the container's: counted, not taken.

Mostly nothing comes again and stamps do not go back: then the lines of a chunk are taken together (``_taken_whole``),
and only those of its last two seconds get keys. What is kept is the same as if each had been looked at.
"""

import datetime as dt
from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from opsagent.signals.logs.framing import LINE_BYTES_MAX, Parted, part

HEAD_BYTES = LINE_BYTES_MAX + 64  # with the longest stamp
KEYS_MAX = 65_536  # of one second: 512 KiB
OVERLAP = dt.timedelta(seconds=1)
_SETBACK_SECONDS = 10  # a stamp so far behind means that the node's clock was put back
_DAY_AND_TIME = 19  # characters of a stamp down to its second
_STAMP_MAX = 36  # 2026-01-05T00:00:00.123456789+01:00 and a blank

_Stamp: TypeAlias = tuple[int, bytes]  # second since 1970, nine digits of its fraction
_NEVER: _Stamp = (0, b"")


class _Fate(Enum):
    """What becomes of the line that has not ended yet."""

    OPEN = "open"  # not judged: it is held
    TAKEN = "taken"  # its head went on, the rest follows as it comes
    LEFT_OUT = "left_out"


@dataclass(slots=True)
class SeamCounters:
    """What happened. ``seams`` were joined: known lines came again; these ``repeated_lines`` were left out."""

    seams: int = 0
    repeated_lines: int = 0
    skipped_lines: int = 0
    unstamped_lines: int = 0


class Seam:
    """The new lines of one log, whatever comes again. One owner.

    Args:
        since: what is older is not asked for; None means the log's beginning.
    """

    def __init__(self, since: dt.datetime | None = None) -> None:
        self._first = since
        self.counters = SeamCounters()
        self.is_torn = False
        self.is_joined = True
        self.has_skipped_ahead = False
        self._may_tear = False
        self._newest = 0  # second of the newest line
        self._now = array("q")  # keys of that second
        self._before = array("q")  # keys of the second before
        self._expected: Counter[int] = Counter()  # keys of lines that will come again
        self._dealt_with = _NEVER  # every line up to it was taken or skipped
        self._last: int | _Stamp | None = (
            None  # the line that was taken or skipped last in this file
        )
        self._is_checking = False
        self._held = b""
        self._fate = _Fate.OPEN
        self._read, self._zone, self._second = b"none", b"", 0  # the stamp that was read last

    @property
    def since(self) -> dt.datetime | None:
        """From when on the next connection is to show the log, None for its beginning."""
        if not self._newest:
            return self._first
        at = dt.datetime.fromtimestamp(self._newest, dt.UTC) - OVERLAP
        return at if self._first is None else max(at, self._first)

    def begin_file(self) -> None:
        """Expect another file from now on: that of before is read, or gone."""
        self._last = None
        self.has_skipped_ahead = False

    def resume(self, *, may_tear: bool = True) -> bytes:
        """Begin with another connection, to ``since``; return what ends the line that was on its way.

        Args:
            may_tear: whether it has to show the line that was taken last; else what it shows is taken anyway.
        """
        ending = b"\n" if self._fate is _Fate.TAKEN else b""
        self._held, self._fate = b"", _Fate.OPEN
        self._expected.update(self._before)
        self._expected.update(self._now)
        self._now, self._before = array("q"), array("q")
        self.is_joined = self._last is None
        self._is_checking = bool(self._newest)
        self._may_tear = may_tear
        self.is_torn = False
        return ending

    def feed(self, chunk: bytes) -> bytes:
        """Return what is new in ``chunk``: whole lines, mostly ``Parted``, and long ones as they come."""
        if b"\n" not in chunk:
            return self._begun(chunk)
        chunk, self._held = self._held + chunk, b""
        end = chunk.rfind(b"\n") + 1
        whole = self._taken_whole(chunk[:end])
        if whole is not None:
            begun = self._begun(chunk[end:])
            return whole + begun if begun else whole
        *ended, rest = chunk.split(b"\n")
        new = bytearray()
        for piece in ended:
            if self._fate is _Fate.TAKEN or (self._fate is _Fate.OPEN and self._is_new(piece)):
                new += piece
                new += b"\n"
            self._fate = _Fate.OPEN
        new += self._begun(rest)
        return bytes(new)

    def _taken_whole(self, lines: bytes) -> Parted | None:
        """Take whole lines, if all bear stamps, none comes again and none is older than the one before; else None."""
        if self._is_checking or self.is_torn or self._fate is not _Fate.OPEN:
            return None
        parted = part(lines)
        if parted is None:
            return None
        ats = parted.ats
        if ats != sorted(ats):  # two streams are stamped apart
            ats = [at.replace(microsecond=0) for at in ats]
        if int(ats[0].timestamp()) < self._newest or ats != sorted(ats):
            return None
        self._keep_last(parted.lines, ats)
        return parted

    def _keep_last(self, lines: list[str], ats: list[dt.datetime]) -> None:
        """Keep the keys of the lines of the last two seconds; ``ats`` are the stamps of all, in order."""
        began = ats[-1].replace(microsecond=0)
        newest = int(began.timestamp())
        at = bisect_left(ats, began)
        before = bisect_left(ats, began - OVERLAP)
        last = [line.encode(errors="surrogateescape")[:HEAD_BYTES] for line in lines[before:]]
        keys = array("q", map(hash, last))
        if before < at:
            self._keep_many(newest - 1, keys[: at - before])
        self._keep_many(newest, keys[at - before :])
        self._last = keys[-1]
        if max(len(self._now), len(self._before)) > KEYS_MAX:
            self._forget(last[-1])

    def _keep_many(self, second: int, keys: "array[int]") -> None:
        if second > self._newest:
            self._turn(second)
        self._now += keys

    def skip(self, chunk: bytes) -> bytes:
        """Leave out the lines in ``chunk``, unread but counted; return what ends the line that was on its way."""
        ending = b""
        if self._fate is not _Fate.OPEN:
            ending = b"\n" if self._fate is _Fate.TAKEN else b""
            self._fate = _Fate.LEFT_OUT
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return ending
            self._fate = _Fate.OPEN
        chunk = self._held + chunk
        end = chunk.rfind(b"\n") + 1
        last = chunk.rfind(b"\n", 0, max(0, end - 1)) + 1
        self.counters.skipped_lines += chunk.count(b"\n")
        self._held = chunk[end:]
        if len(self._held) >= _STAMP_MAX:
            self.counters.skipped_lines += 1
            self._held, self._fate, last = b"", _Fate.LEFT_OUT, end
        is_any = bool(end) or self._fate is _Fate.LEFT_OUT
        if is_any and (stamp := self._stamp(chunk[last : last + _STAMP_MAX])) is not None:
            self._deal_with(stamp)
            self._last = stamp
        return ending

    def close(self) -> bytes:
        """Return what is left at the log's end: a line without its end."""
        line = self._held if self._fate is _Fate.OPEN else b""
        is_new = bool(line) and self._is_new(line)
        self._held, self._fate = b"", _Fate.OPEN
        return line if is_new else b""

    def latest(self, chunk: bytes) -> float | None:
        """Return the stamp of the last line that begins in ``chunk``, in seconds since 1970; None if none does."""
        start = chunk.rfind(b"\n", 0, max(0, len(chunk) - _STAMP_MAX)) + 1
        if start == 0 and (self._held or self._fate is not _Fate.OPEN):
            return None
        stamp, _, _ = chunk[start : start + _STAMP_MAX].partition(b" ")
        try:
            at = dt.datetime.fromisoformat(stamp.decode("ascii"))
        except ValueError:
            return None
        return None if at.tzinfo is None else at.timestamp()

    def _begun(self, rest: bytes) -> bytes:
        """Take in the beginning of a line, or more of it; return what of it is to go on at once."""
        if self._fate is _Fate.TAKEN:
            return rest
        if self._fate is _Fate.OPEN:
            self._held += rest
            if len(self._held) >= HEAD_BYTES:
                head, self._held = self._held, b""
                self._fate = _Fate.TAKEN if self._is_new(head) else _Fate.LEFT_OUT
                return head if self._fate is _Fate.TAKEN else b""
        return b""

    def _is_new(self, line: bytes) -> bool:
        if self.is_torn:
            return False
        second = self._second_of(line)
        if second is None:
            self.counters.unstamped_lines += bool(line)
            return False
        key = hash(line[:HEAD_BYTES])
        if self._is_checking and self._is_known(line, key):
            return False
        self._keep(second, key, line)
        if second >= self._newest - 1:
            self._last = key
        return True

    def _is_known(self, line: bytes, key: int) -> bool:
        """Tell whether a line came before, or is of a file that tears; what is known stands before all that is new."""
        stamp = self._stamp(line[:_STAMP_MAX])
        if self._expects(key) or (stamp is not None and stamp <= self._dealt_with):
            self.counters.repeated_lines += 1
            if not self.is_joined and self._last in (key, stamp):
                self.counters.seams += 1
                self.is_joined = True
            self._keep(self._second, key, line)
            return True
        self.is_torn = self._may_tear and not self.is_joined
        if not self.is_torn:
            self.has_skipped_ahead |= not self.is_joined
            self._is_checking = False
            self._now.extend(self._expected.elements())  # those of another file may be shown again
            self._expected.clear()
        return self.is_torn

    def _expects(self, key: int) -> bool:
        """Tell whether a line of this key is to come again, and strike it off."""
        left = self._expected.pop(key, 0)
        if left > 1:
            self._expected[key] = left - 1
        return left > 0

    def _keep(self, second: int, key: int, line: bytes) -> None:
        """Keep the key of a line as long as the line may come again."""
        if second > self._newest or second < self._newest - _SETBACK_SECONDS:
            self._turn(second)
        if second == self._newest:
            self._now.append(key)
        elif second == self._newest - 1:
            self._before.append(key)
        if len(self._now) > KEYS_MAX or len(self._before) > KEYS_MAX:
            self._forget(line)

    def _forget(self, line: bytes) -> None:
        """Let go of all keys: what comes up to the stamp of ``line``, the newest, counts as dealt with."""
        stamp = self._stamp(line[:_STAMP_MAX])
        assert stamp is not None, "its second was read"
        self._deal_with(stamp)
        self._now, self._before = array("q"), array("q")

    def _deal_with(self, stamp: _Stamp) -> None:
        """Count all lines up to ``stamp`` as taken or skipped."""
        self._dealt_with = max(self._dealt_with, stamp)
        if stamp[0] > self._newest:
            self._turn(stamp[0])

    def _turn(self, second: int) -> None:
        """Begin with another newest second."""
        self._before = self._now if second == self._newest + 1 else array("q")
        self._now = array("q")
        if second < self._newest:
            self._dealt_with = _NEVER
        self._newest = second

    def _second_of(self, line: bytes) -> int | None:
        """Return the second of a line's stamp since 1970; most lines have that of the line before."""
        end = line.find(b" ", _DAY_AND_TIME, _STAMP_MAX)
        stamp = line[:end] if end >= 0 else line[:_STAMP_MAX]
        return self._second_in(stamp[:_DAY_AND_TIME], b"Z" if stamp.endswith(b"Z") else stamp[-6:])

    def _second_in(self, day_and_time: bytes, zone: bytes) -> int | None:
        if day_and_time != self._read or zone != self._zone:
            try:
                at = dt.datetime.fromisoformat((day_and_time + zone).decode("ascii"))
            except ValueError:  # also what is not ASCII
                return None
            if at.tzinfo is None:
                return None
            self._read, self._zone = day_and_time, zone
            self._second = int(at.timestamp())
        return self._second

    def _stamp(self, head: bytes) -> _Stamp | None:
        second = self._second_of(head)
        if second is None:
            return None
        digits = head[_DAY_AND_TIME + 1 : _DAY_AND_TIME + 10]
        fraction = digits[: len(digits) - len(digits.lstrip(b"0123456789"))]
        return second, fraction.ljust(9, b"0")
