"""Bytes of a log as they arrive -> its lines, however they were cut up on the way.

A line comes as the API server sends it with time stamps (``2026-01-05T00:00:00.1Z text``), as a container
runtime writes it (``2026-01-05T00:00:00.1Z stdout F text``, where ``P`` marks a part that the next line of
the stream continues), or bare. What is longer than ``LINE_BYTES_MAX`` is cut, and the last word before the
cut with it: half a secret has no known format. What is not text is named by its size. Both are counted.

One pass over the bytes; held are at most one line and one unfinished line a stream.
Source of the format: the container runtime interface's log format in the kubelet.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import NamedTuple

from opsagent.signals.logs.words import made_alike

LINE_BYTES_MAX = 16_384  # what runtimes write before they begin a new part
_HELD_BYTES_MAX = LINE_BYTES_MAX + 64  # with the longest prefix
_CUT_BACK = 512  # characters in which the last word must begin, else they all go
_CONTROL_SHARE_MAX = 0.1  # of control and undecodable characters in a text

_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_PREFIX = re.compile(rf"({_STAMP}) (?:(stdout|stderr) ([FP])(?::\w*)? )?".encode())
_API_PREFIX = re.compile(rf"{_STAMP} ".encode())
_STREAMS = ("stdout ", "stderr ")
_NOT_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1a\\x1c-\\x1f\\x7f\ufffd]")
_UNDECODABLE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """One line. ``at`` is the runtime's stamp, None if there was none; ``stream`` is empty if unknown."""

    at: dt.datetime | None
    stream: str
    text: str


class Parted(bytes):
    """Whole lines behind stamps of one form, none of them framed yet.

    ``lines`` are the same as texts, what cannot be decoded as surrogates; ``ats`` their stamps; ``texts`` what stands
    behind; ``alikes`` that as ``words`` makes it.
    """

    lines: list[str]
    ats: list[dt.datetime]
    texts: list[str]
    alikes: list[bytes]


def part(chunk: bytes) -> Parted | None:
    """Return ``chunk`` in parts; None if it is anything else than whole lines behind stamps of one form."""
    prefix = _API_PREFIX.match(chunk)
    if prefix is None or chunk[-1:] != b"\n":
        return None
    parted = Parted(chunk)
    # A newline and a stamp made alike stand nowhere but where a line begins.
    _, *parted.alikes = made_alike(b"\n" + chunk[:-1]).split(b"\n" + made_alike(prefix[0]))
    parted.lines = chunk.decode(errors="surrogateescape").split("\n")[:-1]
    if len(parted.alikes) != len(parted.lines):
        return None
    end = prefix.end()
    try:
        parted.ats = [*map(dt.datetime.fromisoformat, [line[: end - 1] for line in parted.lines])]
    except ValueError:  # the 31st of February
        return None
    parted.texts = [line[end:] for line in parted.lines]
    return parted


@dataclass(slots=True)
class Framed:
    """What went through, in lines and bytes."""

    lines: int = 0
    bytes: int = 0
    cut_lines: int = 0
    cut_bytes: int = 0
    binary_lines: int = 0
    binary_bytes: int = 0


class Framer:
    """The lines of one log. One owner.

    Args:
        has_stamps: whether the API server was asked for time stamps; else a stamp alone is the program's own,
            and only what a runtime writes is taken off.
    """

    def __init__(self, *, has_stamps: bool = True) -> None:
        self._has_stamps = has_stamps
        self.framed = Framed()
        self._held = bytearray()
        self._cut = 0  # bytes of the held line that went
        self._parts: dict[str, Line] = {}

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that ``chunk`` completes."""
        *ended, rest = chunk.split(b"\n")
        self.framed.bytes += len(chunk)
        self.framed.lines += len(ended)
        lines: list[Line | None] = []
        if ended and self._held:
            lines.append(self._line(*self._released(ended.pop(0))))
        lines.extend(map(self._line, ended))
        self._hold(rest)
        return [line for line in lines if line is not None]

    def parted(self, chunk: bytes) -> Parted | None:
        """Return ``chunk`` in parts, and count it; None if it is not whole lines behind stamps of one form."""
        if self._held or not self._has_stamps:
            return None
        parted = chunk if isinstance(chunk, Parted) else part(chunk)
        if parted is not None:
            self.framed.bytes += len(chunk)
            self.framed.lines += len(parted.lines)
        return parted

    def each(self, lines: list[str]) -> list[Line]:
        """Return the lines that parted ones complete."""
        framed = [self._line(line.encode(errors="surrogateescape")) for line in lines]
        return [line for line in framed if line is not None]

    def close(self) -> list[Line]:
        """Return what is left at the end of the log: a line without its end, parts without their last."""
        line = None
        if self._held:
            self.framed.lines += 1
            line = self._line(*self._released(b""))
        left = [*([] if line is None else [line]), *self._parts.values()]
        self._parts.clear()
        return left

    def _hold(self, piece: bytes) -> None:
        room = _HELD_BYTES_MAX - len(self._held)
        self._held += piece[:room]
        self._cut += max(0, len(piece) - room)

    def _released(self, piece: bytes) -> tuple[bytes, int]:
        """Return the held line that ``piece`` ends, and how many bytes of it went."""
        self._hold(piece)
        encoded, cut = bytes(self._held), self._cut
        self._held.clear()
        self._cut = 0
        return encoded, cut

    def _line(self, encoded: bytes, cut: int = 0) -> Line | None:
        """Return the line that these bytes are, None if it is a part of one."""
        prefix = _PREFIX.match(encoded)
        if prefix is None or not (self._has_stamps or prefix[3]):
            return Line(None, "", self._text(encoded, cut))
        stamp, stream, tag = prefix.groups()
        text = self._text(encoded[prefix.end() :], cut)
        if tag is None:
            return Line(_instant(stamp), "", text)
        return self._part(Line(_instant(stamp), stream.decode(), text), is_last=tag == b"F")

    def _part(self, line: Line, *, is_last: bool) -> Line | None:
        """Take in what a runtime wrote: a line, or a part of one; return the line if it is complete."""
        before = self._parts.pop(line.stream, None)
        if before is not None:
            line = Line(before.at, line.stream, self._shortened(before.text + line.text))
        if is_last:
            return line
        self._parts[line.stream] = line
        return None

    def _shortened(self, text: str) -> str:
        """Cut a line of several parts; only its beginning is kept, so parts cost no more than lines."""
        if len(text) <= LINE_BYTES_MAX:
            return text
        self.framed.cut_lines += 1
        self.framed.cut_bytes += len(text) - LINE_BYTES_MAX
        return without_last_word(text[:LINE_BYTES_MAX])

    def _text(self, encoded: bytes, cut: int) -> str:
        if len(encoded) > LINE_BYTES_MAX:
            cut += len(encoded) - LINE_BYTES_MAX
            encoded = encoded[:LINE_BYTES_MAX]
        text = encoded.decode(errors="replace")
        if not text.isprintable() or "\ufffd" in text:  # few lines; what follows is slower
            text = text.removesuffix("\r")
            if _is_binary(text):
                self.framed.binary_lines += 1
                self.framed.binary_bytes += len(encoded) + cut
                return f"(binary, {len(encoded) + cut} bytes)"
        if cut:
            self.framed.cut_lines += 1
            self.framed.cut_bytes += cut
            text = without_last_word(text)
        return text


def is_framed_as_it_is(text: str) -> bool:
    """Tell whether a text of ``Parted`` is the text of a line, as it stands there."""
    if len(text) > LINE_BYTES_MAX // 4 or text.startswith(_STREAMS):  # 4: of UTF-8
        return False
    if text.isprintable() and "\ufffd" not in text:
        return True
    return not (text.endswith("\r") or _UNDECODABLE.search(text) or _is_binary(text))


def _instant(stamp: bytes) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(stamp.decode())
    except ValueError:  # the 31st of February
        return None


def _is_binary(text: str) -> bool:
    return len(_NOT_TEXT.findall(text)) > _CONTROL_SHARE_MAX * len(text)


def without_last_word(text: str) -> str:
    """Return a text that was cut without the word that the cut went through, and with a mark."""
    kept = text[: max(text.rfind(" ", len(text) - _CUT_BACK), len(text) - _CUT_BACK)]
    return f"{kept} …"
