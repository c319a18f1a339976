"""What an archive of traces is asked, and what it answers. Words are OpenTelemetry's."""

import datetime as dt
from dataclasses import dataclass

from opsagent.model.entity import Kind

NO_TIME = dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """Traces from ``start`` to ``end`` with a span of ``service`` that failed, if ``is_error``, and took ``duration_min`` or longer.

    If ``is_call``, that span answers one of another process, and ``service`` may be empty for any.
    """

    service: str
    start: dt.datetime
    end: dt.datetime
    is_error: bool = False
    duration_min: dt.timedelta = NO_TIME
    traces_max: int = 20
    is_call: bool = False


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


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Whose span it is, as it says itself. What is not said is empty.

    Attributes:
        service: ``service.name``.
        group: ``service.namespace``, which may be a namespace of Kubernetes or something else.
        namespace: ``k8s.namespace.name``.
        named: what the other ``k8s.*.name`` say, workloads before the pod.
    """

    service: str = ""
    group: str = ""
    namespace: str = ""
    named: tuple[tuple[Kind, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """One span, redacted. Ids are 16 hexadecimal digits; ``parent_id`` is empty for a root.

    ``attributes`` are texts ``key=value``, those of an exception first, bounded in number and length.
    """

    span_id: str
    parent_id: str
    origin: Origin
    name: str
    kind: str
    started_at: dt.datetime
    duration: dt.timedelta
    is_error: bool = False
    message: str = ""
    attributes: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """The name of its service."""
        return self.origin.service


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
