"""One container's log, from chunks of bytes to entries that are safe to keep: the way through this package.

Theory of operation. ``feed`` takes bytes as they come and returns the entries that they complete; a record
stays open until the next line, so the owner calls ``flush`` when the log has been silent for a second or
ends. Everything in an entry went through redaction as one text, because a key is printed over many lines.

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
from opsagent.signals.logs.reading import read
from opsagent.signals.logs.scrubbing import Scrubber
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
        records = (self._joiner.feed(line) for line in lines)
        return [self._entry(record, now) for record in records if record is not None]

    def _entry(self, record: Record, now: dt.datetime) -> LogEntry:
        reading = read(record.lines[0])
        template, message = self._miner.mine(_message(reading.message, record.lines))
        return LogEntry(
            record.at or reading.at(now) or now,
            record.stream,
            reading.severity,
            template.id,
            template.text,
            self._text(record.lines, reading.message, message),
            template.count == 1,
            record.dropped,
        )

    def _text(self, lines: tuple[str, ...], raw_message: str, message: str) -> str:
        """Return the record without secrets; a message that ends its line need not be looked through again."""
        text = "\n".join(lines)
        head = text[: len(text) - len(raw_message)]
        is_tail = len(lines) == 1 and head[-1:].isspace() and text.endswith(raw_message)
        if is_tail and self._scrubber.is_harmless(head):
            return head + message
        return text if self._scrubber.is_harmless(text) else scrub(text)


def _message(message: str, lines: tuple[str, ...]) -> str:
    """Return the message that gets a template: of a trace, with its last cause behind."""
    causes = [found[1] for found in map(_CAUSE.match, lines[1:]) if found is not None]
    return f"{message} {causes[-1]}" if causes else message
