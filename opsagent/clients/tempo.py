"""``ports.TraceArchive`` on a Grafana Tempo.

A service is known by its ``service.name``. Source: grafana.com/docs/tempo, "Tempo HTTP API" and "TraceQL".
"""

import asyncio
import datetime as dt
import math
from collections.abc import Sequence

from opsagent.clients.archive import Reply, ask, unknown_form, whole
from opsagent.clients.archive_query import Address, check_span, literal
from opsagent.clients.rest import RestReader
from opsagent.clients.tempo_wire import (
    MILLISECOND,
    TRACE_ID,
    SearchBody,
    TraceBody,
    found_trace,
    spans,
)
from opsagent.model.trace import NO_TIME, Trace, TraceAnswer, TraceSearch
from opsagent.ports import Terminal

SECTION = "trace_archive"
SEARCH = "/api/search"
TRACES = "/api/traces/"
SPAN_MAX = dt.timedelta(days=7)  # Source: Tempo's own limit, query_frontend.search.max_duration
TRACES_MAX = 100
SPANS_MAX = 500
SERVICE_CHARACTERS_MAX = 200


def traceql(search: TraceSearch) -> str:
    """Return the search in TraceQL.

    Raises:
        Terminal: it makes no sense.
    """
    check_span(search.start, search.end, SPAN_MAX)
    if not 1 <= search.traces_max <= TRACES_MAX:
        raise Terminal(f"traces_max: give 1 to {TRACES_MAX}, not {search.traces_max}")
    if not (0 if search.is_call else 1) <= len(search.service) <= SERVICE_CHARACTERS_MAX:
        raise Terminal(f"service: give 1 to {SERVICE_CHARACTERS_MAX} characters")
    terms = ["(kind = server || kind = consumer)"] if search.is_call else []
    if search.service:
        terms.append(f"resource.service.name = {literal(search.service)}")
    if search.is_error:
        terms.append("status = error")
    if search.duration_min > NO_TIME:
        terms.append(f"duration >= {search.duration_min // MILLISECOND}ms")
    caller = "{ kind = client || kind = producer } > " if search.is_call else ""
    return f"{caller}{{ {' && '.join(terms)} }}"


class TempoArchive:
    """One Tempo, read by ``rest`` if that is given."""

    def __init__(self, address: Address, rest: RestReader | None = None) -> None:
        self._rest = rest or RestReader(
            SECTION,
            address.url,
            token_file=address.token_file,
            ca_file=address.ca_file,
            headers={"accept": "application/json"}
            | ({"x-scope-orgid": address.tenant} if address.tenant else {}),
        )

    async def search(self, search: TraceSearch) -> TraceAnswer:
        """Return traces in short.

        Raises:
            Transient, Terminal: see ``ports.TraceArchive``.
        """
        parameters = {
            "q": traceql(search),
            "start": str(int(search.start.timestamp())),
            "end": str(math.ceil(search.end.timestamp())),  # whole seconds, none left out
            "limit": str(search.traces_max + 1),  # one more tells whether there are more
            "spss": "1",
        }
        reply = await ask(self._rest, SEARCH, parameters)
        return await asyncio.to_thread(self._answer, reply, search)

    async def trace(self, trace_id: str) -> Trace:
        """Return one trace.

        Raises:
            Transient, Terminal, NotFound: see ``ports.TraceArchive``.
        """
        if not TRACE_ID.fullmatch(trace_id):
            raise Terminal("trace_id: give up to 32 hexadecimal digits")
        name = trace_id.lower()
        reply = await ask(self._rest, TRACES + name, {}, missing=f"trace {name}")
        return await asyncio.to_thread(self._trace, reply, name)

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()

    def _answer(self, reply: Reply, search: TraceSearch) -> TraceAnswer:
        body = whole(self._rest, reply, SearchBody)
        rows = [found_trace(raw) for raw in body.traces]
        found = [each for each in rows if each is not None]
        warnings = [*reply.warnings, *_unread(self._rest, rows, "traces")]
        if body.metrics.completed_jobs < body.metrics.total_jobs:
            warnings.append("the search ended before all of the store was seen")
        if len(found) > search.traces_max:
            warnings.append(f"there are more traces than these {search.traces_max}")
        found.sort(key=lambda each: each.started_at, reverse=True)
        return TraceAnswer(tuple(found[: search.traces_max]), tuple(warnings))

    def _trace(self, reply: Reply, name: str) -> Trace:
        body = whole(self._rest, reply, TraceBody)
        if body.batches is None and body.resource_spans is None:
            raise unknown_form(self._rest)
        rows = list(spans(body))
        found = [each for each in rows if each is not None]
        warnings = [*reply.warnings, *_unread(self._rest, rows, "spans")]
        if len(found) > SPANS_MAX:
            warnings.append(
                f"{SPANS_MAX} of its {len(found)} spans: those that failed, then the earliest"
            )
            found.sort(key=lambda each: (not each.is_error, each.started_at))
        kept = sorted(found[:SPANS_MAX], key=lambda each: each.started_at)
        return Trace(name.zfill(32), tuple(kept), tuple(warnings))


def _unread(rest: RestReader, rows: Sequence[object], what: str) -> list[str]:
    """Return how many rows could not be read, in words if any; none at all is an answer that is none."""
    missing = sum(each is None for each in rows)
    if rows and missing == len(rows):
        raise unknown_form(rest)
    return [f"{missing} {what} could not be read"] if missing else []
