"""One container's log, from chunks of bytes to entries that are safe to keep: the way through this package.

Theory of operation. ``feed`` takes bytes as they come and returns the entries that they complete; a record
stays open until the next line, so the owner calls ``flush`` when the log has been silent for a second or
ends. Everything in an entry went through redaction as one text, because a key is printed over many lines.

A line that was read before, but for its digits and ids, is not read again (see ``lines``). Most lines are such ones, and
records by themselves: a chunk is made alike as a whole, each of its lines looked up, and those that are known become
entries at once, run by run. The lines between two runs go the long way, and so does what is not a chunk of
whole lines with stamps of one form. The last line of a run is held until it is known what follows it: ``_held`` if it
was known, else the joiner holds it, never both.

What gets a template is the message of the first line. Behind a stack trace's it is followed by its last cause,
so that one failure has one template however deep it happened.

A line that arrives again after a reconnect is not known here: the source compares stamps.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import TypeAlias

from opsagent.model.log import LogEntry, LogSeverity
from opsagent.signals.logs.framing import Framed, Framer, Line
from opsagent.signals.logs.joining import Joiner, Record
from opsagent.signals.logs.lines import Known
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.reading import Reading, read
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.templates import Template
from opsagent.signals.logs.words import alike, alike_each
from opsagent.signals.secrets import scrub

_CAUSE = re.compile(
    r"(?:\s*Caused by: )?((?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error|Throwable)\b.*)"
)
# A record of one line: when, stream, text, the text made alike, what is known of it.
_Heard: TypeAlias = tuple[dt.datetime, str, str, bytes, Known | None]

# As ``LogEntry._make``, without a call of Python's for each.
_entry: Callable[[tuple[dt.datetime, str, LogSeverity, str, str, str, bool, int]], LogEntry] = (
    partial(tuple.__new__, LogEntry)
)


class LogIntake:
    """The entries of one log. One owner.

    Args:
        scrubber: shared by all logs that the owner reads.
        miner: of this log, or shared by the logs of one workload.
        has_stamps: whether each line begins with the API server's stamp, see ``Framer``.
    """

    def __init__(self, scrubber: Scrubber, miner: Miner, *, has_stamps: bool = True) -> None:
        self._scrubber = scrubber
        self._miner = miner
        self._framer = Framer(has_stamps=has_stamps)
        self._joiner = Joiner()
        self._held: _Heard | None = None

    @property
    def framed(self) -> Framed:
        """What went through so far."""
        return self._framer.framed

    def feed(self, chunk: bytes, now: dt.datetime) -> list[LogEntry]:
        """Take bytes that arrived at ``now``; return the entries that they complete, oldest first."""
        parted = self._framer.parted(chunk)
        if parted is None:
            return self._spelled_out(self._framer.feed(chunk), now)
        lines, texts, alikes = parted.lines, parted.texts, parted.alikes
        found, others = self._scrubber.lines.find_each(alikes, texts)
        heard = [*zip(parted.ats, repeat(""), texts, alikes, found)]
        entries: list[LogEntry] = []
        begin = 0
        for run in [*others, range(len(lines), len(lines))]:
            entries += self._singles(heard[begin : run.start], lines[begin : run.start], now)
            entries += self._spelled_out(self._framer.each(lines[run.start : run.stop]), now)
            begin = run.stop
        return entries

    def flush(self, now: dt.datetime) -> list[LogEntry]:
        """Return the entries of the records that are still open: the log is silent."""
        held, self._held = self._held, None
        said = [] if held is None else self._said([held], now)
        return said + self._entries(self._joiner.flush(), now)

    def close(self, now: dt.datetime) -> list[LogEntry]:
        """Return all that is left at the log's end, an unfinished line too."""
        return self._spelled_out(self._framer.close(), now) + self.flush(now)

    def _singles(self, run: list[_Heard], lines: list[str], now: dt.datetime) -> list[LogEntry]:
        """Return the entries that single lines complete; ``lines`` are the same as they came."""
        if not run:
            return []
        ended = self._joiner.end() if self._held is None else []
        if ended is None:
            return self._spelled_out(self._framer.each(lines), now)
        if self._held is not None:
            run.insert(0, self._held)
        self._held = run.pop()
        return self._entries(ended, now) + self._said(run, now)

    def _spelled_out(self, lines: list[Line], now: dt.datetime) -> list[LogEntry]:
        """Return the entries that any lines complete."""
        if lines and self._held is not None:
            lines = [Line(*self._held[:3]), *lines]
            self._held = None
        return self._entries(self._joiner.feed(lines), now)

    def _entries(self, records: Sequence[Record], now: dt.datetime) -> list[LogEntry]:
        """Return an entry for each record."""
        entries: list[LogEntry] = []
        for record, line in zip(records, alike_each([each[2][0] for each in records]), strict=True):
            at, stream, (text, *others), _ = record
            if at is None or others:
                entries.append(self._read(record, line, now))
            else:
                entries += self._said([(at, stream, text, line, None)], now)
        return entries

    def _said(self, lines: Sequence[_Heard], now: dt.datetime) -> list[LogEntry]:
        """Return the entries of records of one line. Most are known: they are dealt with here, at the cost of few calls."""
        find, seen = self._scrubber.lines.find, self._miner.seen
        entries = []
        for at, stream, text, line, found in lines:
            known = found or find(line, text)  # it may have come just before
            template = None if known is None else seen(known[1])
            if known is None or template is None:
                entries.append(self._read(Record(at, stream, (text,)), line, now))
            else:
                made = at, stream, known[0], template.id, template.text, text, False, 0
                entries.append(_entry(made))
        return entries

    def _read(self, record: Record, line: bytes, now: dt.datetime) -> LogEntry:
        """Return the entry of a record that has to be read; ``line`` is its first one, made alike."""
        reading = read(record.lines[0])
        if len(record.lines) == 1:
            template, text = self._mined(record.lines[0], line, reading)
        else:
            template, text = self._mined_trace(record.lines, reading)
        at, is_new = record.at or reading.at(now) or now, template.count == 1
        made = at, record.stream, reading.severity, template.id, template.text, text, is_new
        return _entry((*made, record.dropped))

    def _mined(self, text: str, line: bytes, reading: Reading) -> tuple[Template, str]:
        """Return the template of one line, and the line without secrets; remember it if there are none."""
        scrubber, message = self._scrubber, reading.message
        head, tail = _parted(text, line, message)
        shape = scrubber.shape_if_harmless(tail)
        if shape is None:
            return self._miner.mine(message)[0], scrub(text)
        if not scrubber.is_harmless(head):
            return self._miner.take(shape, message), scrub(text)
        scrubber.lines.remember(line, text, reading, shape)
        return self._miner.take(shape, message), text

    def _mined_trace(self, lines: tuple[str, ...], reading: Reading) -> tuple[Template, str]:
        text = "\n".join(lines)
        template, _ = self._miner.mine(_message(reading.message, lines))
        return template, text if self._scrubber.is_harmless(alike(text)) else scrub(text)


def _parted(text: str, line: bytes, message: str) -> tuple[bytes, bytes]:
    """Return what has to be looked through beside the message, and the message, both made alike.

    A message that ends its line, and begins with a word, need not be looked through again.
    """
    at = len(text) - len(message)
    if text.endswith(message) and (at == 0 or text[at - 1].isspace()):
        at = at if text.isascii() else len(line) - len(message.encode(errors="replace"))
        return line[:at], line[at:]
    return line, alike(message)


def _message(message: str, lines: tuple[str, ...]) -> str:
    """Return the message that gets a template: of a trace, with its last cause behind."""
    causes = [found[1] for found in map(_CAUSE.match, lines[1:]) if found is not None]
    return f"{message} {causes[-1]}" if causes else message
