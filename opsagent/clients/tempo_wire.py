"""Tempo's answers in values of ours.

A trace comes as OTLP in JSON, but for two habits of Tempo: its spans stand under ``batches`` (newer ones say
``resourceSpans``), and ids are base64 (hexadecimal by OTLP's own rule). Both are read. A row in no known form
is None. Everything in a span is somebody's text: it is redacted and cut here.
Source: grafana.com/docs/tempo, "Tempo HTTP API"; opentelemetry.io, "OTLP specification", JSON encoding.
"""

import base64
import datetime as dt
import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from opsagent.clients.archive import instant, row
from opsagent.model.entity import Kind
from opsagent.model.printable import printable
from opsagent.model.trace import FoundTrace, Origin, Span
from opsagent.signals.redaction import redact_text
from opsagent.signals.secrets import MARK, Suspicion, suspicion

TRACE_ID = re.compile(r"[0-9a-fA-F]{1,32}")
ATTRIBUTES_MAX = 16  # of one span
CHARACTERS_MAX = 200  # of a name, a message, an attribute
MILLISECOND = dt.timedelta(milliseconds=1)

_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")
_SPAN_ID_BYTES = 8
# Source: opentelemetry-proto, SpanKind and StatusCode; as numbers and by name.
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_ERRORS = frozenset({"2", "STATUS_CODE_ERROR"})
# Source: OpenTelemetry, semantic conventions, resource attributes of Kubernetes.
_NAMED = {
    "k8s.cronjob.name": Kind.CRON_JOB,
    "k8s.deployment.name": Kind.DEPLOYMENT,
    "k8s.statefulset.name": Kind.STATEFUL_SET,
    "k8s.daemonset.name": Kind.DAEMON_SET,
    "k8s.job.name": Kind.JOB,
    "k8s.replicaset.name": Kind.REPLICA_SET,
    "k8s.pod.name": Kind.POD,
}
_ORIGIN = frozenset({"service.name", "service.namespace", "k8s.namespace.name", *_NAMED})
Code: TypeAlias = int | str


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    int_value: int | None = None
    double_value: float | None = None
    bool_value: bool | None = None


class _Pair(msgspec.Struct):
    key: str
    value: _Value = msgspec.field(default_factory=_Value)


class _Event(msgspec.Struct):
    name: str = ""
    attributes: list[_Pair] = []


class _Status(msgspec.Struct):
    code: Code = 0
    message: str = ""


class _Span(msgspec.Struct, rename="camel"):
    span_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    parent_span_id: str = ""
    name: str = ""
    kind: Code = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status = msgspec.field(default_factory=_Status)


class _Scope(msgspec.Struct):
    spans: list[msgspec.Raw] = []


class _Resource(msgspec.Struct):
    attributes: list[_Pair] = []


class _Batch(msgspec.Struct, rename="camel"):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_Scope] = []


class TraceBody(msgspec.Struct, rename="camel"):
    """What ``GET /api/traces/<id>`` answers; one of the two is there."""

    batches: list[_Batch] | None = None
    resource_spans: list[_Batch] | None = None


class _Found(msgspec.Struct, rename="camel"):
    trace_id: str = msgspec.field(name="traceID")
    start_time_unix_nano: int
    root_service_name: str = ""
    root_trace_name: str = ""
    duration_ms: int = 0


class _Metrics(msgspec.Struct, rename="camel"):
    completed_jobs: int = 0
    total_jobs: int = 0


class SearchBody(msgspec.Struct):
    """What ``GET /api/search`` answers."""

    traces: list[msgspec.Raw]
    metrics: _Metrics = msgspec.field(default_factory=_Metrics)


def found_trace(raw: msgspec.Raw) -> FoundTrace | None:
    """Return one row of a search."""
    found = row(raw, _Found)
    if found is None or not TRACE_ID.fullmatch(found.trace_id):
        return None
    try:
        started_at = instant(found.start_time_unix_nano)
        duration = found.duration_ms * MILLISECOND
    except OverflowError:
        return None
    return FoundTrace(
        found.trace_id.lower().zfill(32),  # it leaves out zeros at the beginning
        _short(found.root_service_name),
        _short(found.root_trace_name),
        started_at,
        duration,
    )


def spans(body: TraceBody) -> Iterator[Span | None]:
    """Yield every span of a trace."""
    for batch in body.batches or body.resource_spans or ():
        origin = _origin(batch.resource)
        for scope in batch.scope_spans:
            for raw in scope.spans:
                yield _span(origin, row(raw, _Span))


def _origin(resource: _Resource) -> Origin:
    said: dict[str, str] = {}
    for pair in resource.attributes:
        if pair.key in _ORIGIN:
            said.setdefault(pair.key, _short(_text(pair.value)))
    return Origin(
        service=said.get("service.name", ""),
        group=said.get("service.namespace", ""),
        namespace=said.get("k8s.namespace.name", ""),
        named=tuple((kind, said[key]) for key, kind in _NAMED.items() if said.get(key)),
    )


def _span(origin: Origin, span: _Span | None) -> Span | None:
    span_id = None if span is None else _id(span.span_id)
    if span is None or span_id is None:
        return None
    try:
        started_at = instant(span.start_time_unix_nano)
        duration = instant(span.end_time_unix_nano) - started_at
    except OverflowError:
        return None
    thrown = [
        pair for event in span.events if event.name == "exception" for pair in event.attributes
    ]
    return Span(
        span_id=span_id,
        parent_id=_id(span.parent_span_id) or "",
        origin=origin,
        name=_short(span.name),
        kind=_kind(span.kind),
        started_at=started_at,
        duration=duration,
        is_error=str(span.status.code) in _ERRORS,
        message=_short(span.status.message),
        attributes=tuple(map(_attribute, (thrown + span.attributes)[:ATTRIBUTES_MAX])),
    )


def _id(text: str) -> str | None:
    if _SPAN_ID.fullmatch(text):
        return text.lower()
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return found.hex() if len(found) == _SPAN_ID_BYTES else None


def _kind(code: Code) -> str:
    name = str(code).removeprefix("SPAN_KIND_").lower()
    if name.isdecimal():
        name = _KINDS[int(name)] if int(name) < len(_KINDS) else ""
    return name if name in _KINDS else "unspecified"


def _attribute(pair: _Pair) -> str:
    """Return ``key=value``; a value behind the name of a secret goes as a whole, spaces in it or not."""
    key = pair.key[:CHARACTERS_MAX]
    value = MARK if suspicion(f"{key}=") is not Suspicion.NONE else _text(pair.value)
    return _short(f"{key}={value}")


def _text(value: _Value) -> str:
    scalars = (value.string_value, value.int_value, value.double_value, value.bool_value)
    return next((str(each) for each in scalars if each is not None), "(not a scalar)")


def _short(text: str) -> str:
    return redact_text(printable(text[: 2 * CHARACTERS_MAX]))[:CHARACTERS_MAX]
