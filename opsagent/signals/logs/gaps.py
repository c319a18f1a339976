"""What is told in place of lines that were not read, so that a log with a gap does not look like one without."""

import datetime as dt

from opsagent.model.log import LogEntry, LogSeverity
from opsagent.signals.logs.templates import template_id

SKIPPED = "(<*> lines, <*> bytes were not read: more than may be read in a second)"
MISSING = (
    "(lines may be missing here: what the log held before was gone when it could be read again)"
)


def skipped(lines: int, size: int, at: dt.datetime) -> LogEntry:
    """Return what stands for ``lines`` lines, ``size`` bytes together, that were left out for their number."""
    text = SKIPPED.replace("<*>", "{}").format(lines, size)
    return _entry(SKIPPED, text, at, lines)


def missing(at: dt.datetime) -> LogEntry:
    """Return what stands for nobody knows how many lines: the log was rotated, or another life began and ended."""
    return _entry(MISSING, MISSING, at, 0)


def _entry(template: str, text: str, at: dt.datetime, lines: int) -> LogEntry:
    return LogEntry(
        at, "", LogSeverity.WARN, template_id(template), template, text, is_new=False, dropped_lines=lines
    )  # fmt: skip
