"""What an archive of traces is asked, and what it answers. Words are OpenTelemetry's."""

import datetime as dt
from dataclasses import dataclass

NO_TIME = dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """Traces from ``start`` to ``end`` with a span of ``service`` that failed, if ``is_error``, and took ``duration_min`` or longer."""

    service: str
    start: dt.datetime
    end: dt.datetime
    is_error: bool = False
    duration_min: dt.timedelta = NO_TIME
    traces_max: int = 20


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """A trace in short. ``trace_id``: 32 hexadecimal digits; service and name are those of its root span."""

    trace_id: str
    service: str
    name: str
    started_at: dt.datetime
    duration: dt.timedelta


@dataclass(frozen=True, slots=True)
class TraceAnswer:
    """Traces, newest first. ``warnings`` say why some may be missing."""

    traces: tuple[FoundTrace, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.warnings)


@dataclass(frozen=True, slots=True)
class Span:
    """One span, redacted. Ids are 16 hexadecimal digits; ``parent_id`` is empty for a root.

    ``attributes`` are texts ``key=value``, those of an exception first, bounded in number and length.
    """

    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    started_at: dt.datetime
    duration: dt.timedelta
    is_error: bool = False
    message: str = ""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: its spans, earliest first. ``warnings`` say why some may be missing."""

    trace_id: str
    spans: tuple[Span, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.warnings)
