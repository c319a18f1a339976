"""What a log says once it is read, redacted and mined."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from opsagent.model.entity import Entity


class LogSeverity(StrEnum):
    """OpenTelemetry's severities by their short names."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"
    UNKNOWN = "unknown"


class LogEntry(NamedTuple):
    """One record without secrets; a stack trace is one record, its lines joined by newlines.

    ``at`` is the runtime's stamp, else the program's own, else when it arrived. ``template_id`` and ``template`` name the
    message as it was understood when the entry was made; the miner knows what became of it since.
    """

    at: dt.datetime
    stream: str
    severity: LogSeverity
    template_id: str
    template: str
    text: str
    is_new: bool  # the first line of its template
    dropped_lines: int = 0


@dataclass(frozen=True, slots=True, order=True)
class LogOrigin:
    """Whose log it is: one container of one pod."""

    pod: Entity
    container: str


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as the raw store gives it back. ``pointer`` is ``log:<day>.<row>``, e.g. ``log:2026-11-24.17``."""

    pointer: str
    origin: LogOrigin
    at: dt.datetime
    stream: str
    severity: LogSeverity
    template_id: str
    text: str
