"""The tool ``traces``: what passed through a workload that the inventory knows, or one trace whole; redacted and quoted.

A service is known by the name of its Deployment. Source: OpenTelemetry, semantic conventions, ``service.name``
in Kubernetes.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from opsagent.model.entity import Entity, Kind
from opsagent.model.trace import FoundTrace, Span, Trace, TraceAnswer, TraceSearch
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case, TraceArchive
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted_lines
from opsagent.tools.arguments import Arguments, Name, Namespace, parsed, shown, spec, unknown

TRACES_MAX = 20
MINUTES_AGO_MAX = 7 * 24 * 60
MINUTES_MAX = 24 * 60
MILLISECONDS_MAX = 600_000
DEPTH_SHOWN_MAX = 12
MILLISECOND = dt.timedelta(milliseconds=1)


class TraceArguments(Arguments):
    """Find traces in which a span of a Deployment took part, failed or slow ones if asked for; or, with a trace_id, show that trace with all its spans."""

    namespace: Namespace
    name: Name
    trace_id: Annotated[
        str, Field(pattern=r"^([0-9a-f]{1,32})?$", description="as a search showed it; else empty")
    ]
    failed_only: bool
    milliseconds_min: Annotated[int, Field(ge=0, le=MILLISECONDS_MAX)]
    minutes_ago: Annotated[
        int, Field(ge=1, le=MINUTES_AGO_MAX, description="where the period begins")
    ]
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MAX, description="how long the period is")]
    traces: Annotated[int, Field(ge=1, le=TRACES_MAX)]


class Traces:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory, archive: TraceArchive) -> None:
        self.spec = spec("traces", TraceArguments)
        self._inventory = inventory
        self._archive = archive

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return traces in short, or one whole."""
        wanted = parsed(TraceArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = Entity(Kind.DEPLOYMENT, wanted.namespace, wanted.name)
        if entity not in self._inventory.known(Kind.DEPLOYMENT):
            return unknown(entity)
        if wanted.trace_id:
            return shown("\n".join(_whole(await self._archive.trace(wanted.trace_id))))
        start = case.now - dt.timedelta(minutes=wanted.minutes_ago)
        search = TraceSearch(
            service=wanted.name,
            start=start,
            end=min(case.now, start + dt.timedelta(minutes=wanted.minutes)),
            is_error=wanted.failed_only,
            duration_min=wanted.milliseconds_min * MILLISECOND,
            traces_max=wanted.traces,
        )
        return shown("\n".join(_found(search, await self._archive.search(search))))


def _found(search: TraceSearch, answer: TraceAnswer) -> Iterator[str]:
    span = f"{search.start:%m-%d %H:%M:%S} to {search.end:%m-%d %H:%M:%S}"
    order = ", newest first" if answer.traces else ""
    yield f"{len(answer.traces)} traces through the service {search.service} from {span}{order}."
    yield from _missing(answer.warnings)
    if answer.traces:
        yield quoted_lines(map(_short, answer.traces))


def _short(trace: FoundTrace) -> str:
    begun = f"{trace.started_at:%m-%d %H:%M:%S}"
    return f"{begun} {trace.trace_id} {_milliseconds(trace.duration)} {trace.service}: {trace.name}"


def _whole(trace: Trace) -> Iterator[str]:
    failed = [each for each in trace.spans if each.is_error]
    yield f"Trace {trace.trace_id} has {len(trace.spans)} spans; {len(failed)} of them failed."
    yield from _missing(trace.warnings)
    if failed:
        yield f"Those that failed, earliest first:\n{quoted_lines(map(_failed, failed))}"
    if trace.spans:
        yield f"All, each below its parent, when it began and how long it took:\n{_tree(trace)}"


def _missing(warnings: Sequence[str]) -> Iterator[str]:
    if warnings:
        yield f"Some may be missing:\n{quoted_lines(warnings)}"


def _failed(span: Span) -> str:
    parts = (f"{span.service}: {span.name}", span.message, *span.attributes)
    return "; ".join(filter(None, parts))


def _tree(trace: Trace) -> str:
    begun = trace.spans[0].started_at
    return quoted_lines(
        f"{'  ' * min(depth, DEPTH_SHOWN_MAX)}+{_milliseconds(each.started_at - begun)}"
        f" {_milliseconds(each.duration)} {each.service} {each.kind}: {each.name}"
        for depth, each in _walk(trace.spans)
    )


def _walk(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Yield each span once, behind its parent; one whose parent is not there, or that is its own, is a root."""
    ids = {each.span_id for each in spans}
    children: Mapping[str, list[Span]] = defaultdict(list)
    for each in spans:
        children[each.parent_id if each.parent_id in ids else ""].append(each)
    seen: set[int] = set()
    # Behind the roots stand all spans: whoever hangs in a ring is not lost.
    waiting = [(0, each) for each in (*children[""], *spans)][::-1]
    while waiting:
        depth, span = waiting.pop()
        if id(span) in seen:
            continue
        seen.add(id(span))
        yield depth, span
        waiting += [(depth + 1, each) for each in reversed(children[span.span_id])]


def _milliseconds(duration: dt.timedelta) -> str:
    return f"{duration / MILLISECOND:.0f} ms"
