"""Lines -> records: a stack trace, or a key that is printed over many lines, is one record.

A line goes on with the record before it if it is indented, or if it is one of the lines that runtimes print
between indented ones: causes and notes (JVM, .NET), the end of a Python traceback and what links two of
them, goroutines (Go), the error that Node prints after the source. What begins with a time stamp never does.

A record is held until the next line shows that it ended, or the owner lets go (``flush``) because the log
fell silent. Bounds: ``LINES_MAX`` lines and ``CHARACTERS_MAX`` characters are kept of a record, then only lines that
name a cause, up to twice as many; all others are counted in ``dropped``.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from opsagent.signals.logs.framing import Line, is_framed_as_it_is

LINES_MAX = 64
CHARACTERS_MAX = 32_768

# What a line that begins a record begins with: a date, a syslog date, an object. Nothing of a trace does.
_BEGINS = re.compile(
    r"[\[<]?\d{2,4}[-/:.]\d\d|\{|\[[A-Z0-9]|[A-Z][a-z]{2} [ \d]\d \d\d:|[IWEF]\d{4} "
)
_EXCEPTION = r"(?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error|Throwable|Failure|Interrupt|Exit)"
_CAUSE = re.compile(
    rf"\s*(?:Caused by|Suppressed|Wrapped by): |(?:Unhandled exception[.:] )?{_EXCEPTION}(?::|$)| ---> "
)
_TRACE = re.compile(
    r"During handling of the above exception|The above exception was the direct cause"
    r"|Traceback \(most recent call last\)|\s*--- End of |Exception in thread |\.\.\. \d+ (?:more|common frames)"
    rf"|{_CAUSE.pattern}"
)
_GO_OPENS = ("panic: ", "fatal error: ", "goroutine ", "SIGABRT: ", "SIGQUIT: ", "SIGSEGV: ")
_GO = re.compile(
    r"goroutine \d+ |\[signal |created by |exit status |\s+panic: |[\w./*()\[\]-]{1,256}\([^()]{0,256}\)$|\t|$"
)
_KEY_OPENS, _KEY_ENDS = "-----BEGIN ", "-----END "
_KEY = re.compile(r"[A-Za-z0-9+/=]{1,128}$|[A-Z][\w-]{1,32}: |$")


class Record(NamedTuple):
    """One line with what belongs to it. ``lines`` is at least 1; ``dropped`` of the record's lines were not kept."""

    at: dt.datetime | None
    stream: str
    lines: tuple[str, ...]
    dropped: int = 0


# As ``Record._make``, without a call of Python's for each.
_single: Callable[[tuple[dt.datetime | None, str, tuple[str], int]], Record] = partial(
    tuple.__new__, Record
)


class _Open:
    """A record of several lines, or of a key, that may go on."""

    __slots__ = ("at", "dropped", "is_key", "lines", "size")

    def __init__(self, line: Line) -> None:
        text = line.text
        self.at = line.at
        self.lines = [text]
        self.size = len(text)
        self.dropped = 0
        self.is_key = _opens_key(text)


@dataclass(slots=True)
class Joiner:
    """The records of one log; its streams apart. One owner.

    Most records are one line: such a one is held as it is, until another line turns out to go on with it.
    """

    _open: dict[str, Line | _Open] = field(default_factory=dict)

    def feed(self, lines: Iterable[Line]) -> list[Record]:
        """Take lines; return the records that they end."""
        records, held_by = [], self._open
        for line in lines:
            stream, text = line[1], line[2]
            held = held_by.get(stream)
            if isinstance(held, Line):
                at, _, before = held
                if (_KEY_OPENS not in before or not _opens_key(before)) and (
                    _BEGINS.match(text) or not _goes_on(before, text, is_single=True)
                ):
                    held_by[stream] = line
                    records.append(_single((at, stream, (before,), 0)))
                    continue
                held = held_by[stream] = _Open(held)
            if held is not None and _goes_on_with(held, text):
                _extend(held, text)
                continue
            held_by[stream] = line
            if held is not None:
                records.append(_record(stream, held))
        return records

    def end(self) -> list[Record] | None:
        """Return the record that a line of the API server ends which ``is_single``; None if that may go on with a key."""
        held = self._open.get("")
        if held is None:
            return []
        if held.is_key if isinstance(held, _Open) else _opens_key(held.text):
            return None
        del self._open[""]
        return [_record("", held)]

    def flush(self) -> tuple[Record, ...]:
        """Return the open records, by stream, and forget them."""
        records = tuple(_record(stream, self._open[stream]) for stream in sorted(self._open))
        self._open.clear()
        return records


def _goes_on_with(held: _Open, text: str) -> bool:
    return _key_goes_on(held, text) if held.is_key else _trace_goes_on(held, text)


def _record(stream: str, held: Line | _Open) -> Record:
    if isinstance(held, Line):
        return Record(held.at, stream, (held.text,))
    return Record(held.at, stream, tuple(held.lines), held.dropped)


def is_single(text: str) -> bool:
    """Tell whether a text of ``Parted`` is a line as it is, goes on with no record but a key, and opens no key."""
    if not text or text[0].isspace() or _opens_key(text):
        return False
    may_go_on = not _BEGINS.match(text) and (_GO.match(text) or _TRACE.match(text))
    return not may_go_on and is_framed_as_it_is(text)


def _opens_key(text: str) -> bool:
    return _KEY_OPENS in text and _KEY_ENDS not in text


def _trace_goes_on(held: _Open, text: str) -> bool:
    return not _BEGINS.match(text) and _goes_on(held.lines[0], text, is_single=len(held.lines) == 1)


def _goes_on(first: str, text: str, *, is_single: bool) -> bool:
    """Tell whether ``text`` goes on with the record that ``first`` begins."""
    if not text or text.isspace():
        return not is_single or _is_trace(first)
    if text[0] in " \t":
        return True
    if first.startswith(_GO_OPENS):
        return _GO.match(text) is not None
    return _TRACE.match(text) is not None


def _is_trace(first: str) -> bool:
    return first.startswith(_GO_OPENS) or _TRACE.match(first) is not None


def _key_goes_on(held: _Open, text: str) -> bool:
    if _KEY_ENDS in text:
        held.is_key = False
        return True
    held.is_key = _KEY.match(text) is not None
    return held.is_key


def _extend(held: _Open, text: str) -> None:
    is_open = len(held.lines) < LINES_MAX or (
        len(held.lines) < 2 * LINES_MAX and _CAUSE.match(text) is not None
    )
    if is_open and held.size + len(text) <= CHARACTERS_MAX:
        held.lines.append(text)
        held.size += len(text)
    else:
        held.dropped += 1
