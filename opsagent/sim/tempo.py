"""A Tempo in a box: ``/api/search`` by TraceQL and ``/api/traces/<id>``, as far as the product asks them.

Its wire form is that of the published API documentation, ids in base64 and zeros left out as its users have met
them; there is none here to hold it against. Source: grafana.com/docs/tempo, "Tempo HTTP API", "TraceQL".
"""

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opsagent.ports import KubeAnswer
from opsagent.sim.archive import STRING, unix_nanoseconds, unquoted
from opsagent.sim.values import Obj, encode

_CALLER = "{ kind = client || kind = producer } > "
_CALLED = "(kind = server || kind = consumer)"
_TERM = rf"resource\.service\.name = ({STRING})|(status = error)|duration >= (\d+)ms|{re.escape(_CALLED)}"
_QUERY = re.compile(rf"(?:{re.escape(_CALLER)})?\{{ (?:{_TERM})(?: && (?:{_TERM}))* \}}")
_SECOND, _MILLISECOND = 10**9, 10**6
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class SimSpan:
    """One span as a service reports it; ids are hexadecimal."""

    trace_id: str
    span_id: str
    service: str
    name: str
    at: dt.datetime
    duration: dt.timedelta
    parent_id: str = ""
    is_error: bool = False
    message: str = ""
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    exception: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""  # empty: client if it has a parent, else server
    resource: Mapping[str, str] = field(default_factory=dict)  # besides service.name

    @property
    def said_kind(self) -> str:
        """The kind as it is told."""
        return self.kind or ("client" if self.parent_id else "server")


@dataclass(frozen=True, slots=True)
class _Asked:
    service: str | None  # None: any
    is_error: bool
    nanoseconds_min: int
    is_call: bool


class Tempo:
    """See the module's docstring. ``jobs_missing``: of the next searches, how many parts they do not see."""

    def __init__(self) -> None:
        self.jobs_missing = 0
        self._traces: dict[tuple[str, str], list[SimSpan]] = {}

    def put(self, span: SimSpan, tenant: str = "") -> None:
        """Take one span in."""
        self._traces.setdefault((tenant, span.trace_id.zfill(32)), []).append(span)

    def handle(
        self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> KubeAnswer:
        """Answer one GET."""
        tenant = headers.get("x-scope-orgid", "")
        if path == "/api/search":
            return self._search(parameters, tenant)
        if not path.startswith("/api/traces/"):
            return KubeAnswer(404, b"404 page not found\n")
        spans = self._traces.get((tenant, path.rpartition("/")[2].zfill(32)))
        if spans is None:
            return KubeAnswer(404, b"trace not found\n")
        return KubeAnswer(200, encode({"batches": _batches(spans)}), _JSON)

    def _search(self, parameters: Mapping[str, str], tenant: str) -> KubeAnswer:
        try:
            asked = _parsed(parameters.get("q", ""))
            start, end, limit = (int(parameters[name]) for name in ("start", "end", "limit"))
        except ValueError as error:
            return KubeAnswer(400, f"invalid TraceQL query: {error}\n".encode())
        found = [
            _in_short(spans)
            for (owner, _), spans in self._traces.items()
            if owner == tenant
            and any(
                _fits(each, spans, asked)
                and start * _SECOND <= unix_nanoseconds(each.at) < end * _SECOND
                for each in spans
            )
        ]
        metrics = {"completedJobs": 8 - self.jobs_missing, "totalJobs": 8}
        return KubeAnswer(200, encode({"traces": found[:limit], "metrics": metrics}), _JSON)


def _parsed(query: str) -> _Asked:
    is_call = query.startswith(_CALLER)
    terms = query.removeprefix(_CALLER)
    if _QUERY.fullmatch(query) is None or is_call != terms.startswith("{ " + _CALLED):
        raise ValueError("parse error: syntax error: unexpected end of query")
    service, is_error, duration_min = None, False, 0
    for name, failed, milliseconds in re.findall(_TERM, terms):
        service = unquoted(name) if name else service
        is_error = is_error or bool(failed)
        duration_min = int(milliseconds) * _MILLISECOND if milliseconds else duration_min
    return _Asked(service, is_error, duration_min, is_call)


def _fits(span: SimSpan, spans: Sequence[SimSpan], asked: _Asked) -> bool:
    return (
        asked.service in (None, span.service)
        and (span.is_error or not asked.is_error)
        and _nanoseconds(span.duration) >= asked.nanoseconds_min
        and (not asked.is_call or _is_call(span, spans))
    )


def _is_call(span: SimSpan, spans: Sequence[SimSpan]) -> bool:
    return span.said_kind in ("server", "consumer") and any(
        each.span_id == span.parent_id and each.said_kind in ("client", "producer")
        for each in spans
    )


def _in_short(spans: Sequence[SimSpan]) -> Obj:
    root = next((each for each in spans if not each.parent_id), None)
    start = min(unix_nanoseconds(each.at) for each in spans)
    end = max(unix_nanoseconds(each.at) + _nanoseconds(each.duration) for each in spans)
    short = {
        "traceID": spans[0].trace_id.lstrip("0"),
        "rootServiceName": root.service if root else "<root span not yet received>",
        "rootTraceName": root.name if root else "",
        "startTimeUnixNano": str(start),
        "durationMs": (end - start) // _MILLISECOND,
    }
    return {key: value for key, value in short.items() if value}  # as protobuf leaves out zeros


def _batches(spans: Sequence[SimSpan]) -> list[Obj]:
    batches: dict[bytes, Obj] = {}
    for each in spans:
        resource: Obj = {"attributes": _pairs({"service.name": each.service, **each.resource})}
        empty: Obj = {"resource": resource, "scopeSpans": [{"scope": {}, "spans": []}]}
        batches.setdefault(encode(resource), empty)["scopeSpans"][0]["spans"].append(_otlp(each))
    return [*batches.values()]


def _otlp(span: SimSpan) -> Obj:
    start = unix_nanoseconds(span.at)
    shown: Obj = {
        "traceId": _base64(span.trace_id.zfill(32)),
        "spanId": _base64(span.span_id),
        "parentSpanId": _base64(span.parent_id),
        "name": span.name,
        "kind": f"SPAN_KIND_{span.said_kind.upper()}",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + _nanoseconds(span.duration)),
        "attributes": _pairs(span.attributes),
        "status": {"code": "STATUS_CODE_ERROR", "message": span.message} if span.is_error else {},
    }
    if span.exception:
        event = {"timeUnixNano": str(start), "name": "exception"}
        shown["events"] = [event | {"attributes": _pairs(span.exception)}]
    return shown


def _pairs(attributes: Mapping[str, str | int]) -> list[Obj]:
    return [
        {
            "key": key,
            "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)},
        }
        for key, value in attributes.items()
    ]


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _nanoseconds(duration: dt.timedelta) -> int:
    return duration // dt.timedelta(microseconds=1) * 1000
