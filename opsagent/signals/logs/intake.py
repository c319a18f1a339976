"""One container's log, from chunks of bytes to entries that are safe to keep: the way through this package.

Theory of operation. ``feed`` takes bytes as they come and returns the entries that they complete; a record
stays open until the next line, so the owner calls ``flush`` when the log has been silent for a second or
ends. Everything in an entry went through redaction as one text, because a key is printed over many lines.

A line that was read before, but for its digits and ids, is not read again (see ``lines``).

What gets a template is the message of the first line. Behind a stack trace's it is followed by its last cause,
so that one failure has one template however deep it happened.

A line that arrives again after a reconnect is not known here: the source compares stamps.
"""

import datetime as dt
import re
from collections.abc import Iterable

from opsagent.model.log import LogEntry
from opsagent.signals.logs.framing import Framed, Framer, Line
from opsagent.signals.logs.joining import Joiner, Record
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.reading import Reading, read
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.templates import Template
from opsagent.signals.logs.words import alike
from opsagent.signals.secrets import scrub

_CAUSE = re.compile(
    r"(?:\s*Caused by: )?((?:[\w$]+\.)*[A-Z][\w$]*(?:Exception|Error|Throwable)\b.*)"
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

    @property
    def framed(self) -> Framed:
        """What went through so far."""
        return self._framer.framed

    def feed(self, chunk: bytes, now: dt.datetime) -> list[LogEntry]:
        """Take bytes that arrived at ``now``; return the entries that they complete, oldest first."""
        return self._entries(self._framer.feed(chunk), now)

    def flush(self, now: dt.datetime) -> list[LogEntry]:
        """Return the entries of the records that are still open: the log is silent."""
        return [self._entry(record, now) for record in self._joiner.flush()]

    def close(self, now: dt.datetime) -> list[LogEntry]:
        """Return all that is left at the log's end, an unfinished line too."""
        return [*self._entries(self._framer.close(), now), *self.flush(now)]

    def _entries(self, lines: Iterable[Line], now: dt.datetime) -> list[LogEntry]:
        records = map(self._joiner.feed, lines)
        return [self._entry(record, now) for record in records if record is not None]

    def _entry(self, record: Record, now: dt.datetime) -> LogEntry:
        at, stream, lines, dropped = record
        text = lines[0]
        line = alike(text) if len(lines) == 1 else b""
        known = self._scrubber.lines.find(line, text) if line and at is not None else None
        template = None if known is None else self._miner.seen(known[1])
        if known is not None and template is not None:
            severity = known[0]
        else:
            reading = read(text)
            severity = reading.severity
            at = at or reading.at(now)
            if len(lines) == 1:
                template, text = self._mined(text, line, reading)
            else:
                template, text = self._mined_trace(lines, reading)
        return LogEntry(
            at or now,
            stream,
            severity,
            template.id,
            template.text,
            text,
            template.count == 1,
            dropped,
        )

    def _mined(self, text: str, line: bytes, reading: Reading) -> tuple[Template, str]:
        """Return the template of one line, and the line without secrets; remember it if there are none."""
        scrubber, message = self._scrubber, reading.message
        head, tail = _parted(text, line, message)
        shape = scrubber.shape_if_harmless(tail)
        if shape is None:
            return self._miner.mine(message)[0], scrub(text)
        if not scrubber.is_harmless(head):
            return self._miner.take(shape, message), scrub(text)
        scrubber.lines.remember(line, reading, shape)
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
