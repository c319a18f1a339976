"""The tool ``metrics``: a named measure of the incident's own workload over the last minutes, as findings.

Theory of operation. A measure is one of a few words; each is one of the named expressions, about the Deployment of
the incident, its pods or the nodes that these run on, by names that the inventory has. So no text of a model becomes
part of an expression, and nothing else of the cluster can be asked about. What comes back is a line a series, not
the numbers. Labels are the source's words, so they stand in quotation.

It stands among the tools also without a source, because a changed list of tools invalidates the whole prefix cache
of a server, and because a model that is told "not configured" stops asking.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from opsagent.incidents.words import clock, count, span as wide
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Pod, entity_of
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricTemplate
from opsagent.model.transcript import ToolResult
from opsagent.model.workload import Workload
from opsagent.ports import Case, MetricsSource
from opsagent.signals.quotation import quoted
from opsagent.tools.arguments import Reference, parsed, shown, spec
from opsagent.tools.findings import Span, Unit, finding, subject

NOT_CONFIGURED = "No metrics source is configured: nothing is known about any metric."
MINUTES_MAX = 24 * 60
STEP_SECONDS_MIN = 15
POINTS_MAX = 1440  # a day by minutes
QUESTIONS_MAX = 8
SERIES_MAX = 12
RATE_WINDOW = dt.timedelta(minutes=4)  # four scrapes of a minute


class MeasureArguments(Reference):
    """Read one named measure of the incident's Deployment, one of its pods or one of their nodes over the last minutes."""

    measure: Literal[
        "cpu",
        "cpu_throttled",
        "memory",
        "memory_of_limit",
        "restarts",
        "ready_replicas",
        "node_memory_available",
    ]
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MAX)]


@dataclass(frozen=True, slots=True)
class _Measure:
    """One measure.

    Attributes:
        about: what one question is about; of a Deployment's ``pods``, or of the ``deployment`` as a whole.
        unit: of its numbers.
        window: of a rate; zero where there is none.
    """

    template: MetricTemplate
    about: Literal["container", "pods", "deployment", "node"]
    unit: Unit
    window: dt.timedelta = dt.timedelta(0)


RESTARTS = "restarts"  # counted over the whole time, by one question that is no range
_MEASURES: Mapping[str, _Measure] = {
    "cpu": _Measure(MetricTemplate.CONTAINER_CPU_CORES, "container", Unit("cores"), RATE_WINDOW),
    "cpu_throttled": _Measure(
        MetricTemplate.CONTAINER_CPU_THROTTLED_RATIO, "pods", Unit("of its periods"), RATE_WINDOW
    ),
    "memory": _Measure(
        MetricTemplate.CONTAINER_MEMORY_BYTES, "container", Unit("MiB", size=2.0**20)
    ),
    "memory_of_limit": _Measure(
        MetricTemplate.CONTAINER_MEMORY_LIMIT_RATIO, "pods", Unit("of its limit")
    ),
    RESTARTS: _Measure(MetricTemplate.CONTAINER_RESTARTS, "pods", Unit("")),
    "ready_replicas": _Measure(
        MetricTemplate.DEPLOYMENT_REPLICAS_READY, "deployment", Unit("replicas")
    ),
    "node_memory_available": _Measure(
        MetricTemplate.NODE_MEMORY_AVAILABLE_RATIO, "node", Unit("of its memory")
    ),
}
_OF_KIND: Mapping[Kind, frozenset[str]] = {
    Kind.DEPLOYMENT: frozenset({"container", "pods", "deployment", "node"}),
    Kind.POD: frozenset({"container", "pods"}),
    Kind.NODE: frozenset({"node"}),
}


class Metrics:
    """``ports.Tool``. Without a ``source`` it says so."""

    def __init__(self, source: MetricsSource | None) -> None:
        self.spec = spec("metrics", MeasureArguments)
        self._source = source

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return a line a series."""
        wanted = parsed(MeasureArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        if self._source is None:
            return ToolResult(NOT_CONFIGURED)
        questions = _questions(wanted, case.workload)
        if isinstance(questions, str):
            return ToolResult(questions, is_error=True)
        told = _Told(wanted, _span(wanted.minutes, case.now))
        for about in questions[:QUESTIONS_MAX]:
            told.answers.append((about, await self._ask(told, about)))
        return shown("\n".join(_lines(told, len(questions) - len(told.answers))))

    async def _ask(self, told: "_Told", about: MetricArguments) -> MetricAnswer:
        assert self._source is not None
        template, span = _MEASURES[told.wanted.measure].template, told.span
        if told.wanted.measure == RESTARTS:
            whole = replace(about, window=span.end - span.start)
            return await self._source.query(template, whole, span.end)
        return await self._source.query_range(
            template, about, start=span.start, end=span.end, step=span.step
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What was asked for, and what came of it."""

    wanted: MeasureArguments
    span: Span
    answers: list[tuple[MetricArguments, MetricAnswer]] = field(default_factory=list)


def _questions(wanted: MeasureArguments, workload: Workload) -> Sequence[MetricArguments] | str:
    """Return what is to be asked, or why nothing is."""
    own, entity = entity_of(workload.deployment), wanted.entity
    measure = _MEASURES[wanted.measure]
    if measure.about not in _OF_KIND.get(entity.kind, ()):
        return f"{wanted.measure} is no measure of a {entity.kind.value}: ask about {own}."
    pods = [pod for pod in workload.pods if entity in (own, entity_of(pod), _node_of(pod))]
    if entity != own and not pods:
        return f"Only {own}, its pods and their nodes can be measured in this incident."
    if measure.about in ("pods", "deployment"):
        return [MetricArguments(own.namespace, own.name, window=measure.window)]
    if measure.about == "node":
        nodes = dict.fromkeys(pod.node_name for pod in pods if pod.node_name)
        return [MetricArguments(node=name) for name in nodes]
    pods.sort(key=lambda pod: (_is_ready(pod), pod.meta.name))
    return [
        MetricArguments(
            own.namespace, pod=pod.meta.name, container=each.name, window=measure.window
        )
        for pod in pods
        for each in pod.containers
    ]


def _lines(told: _Told, unasked: int) -> Iterator[str]:
    wanted, span = told.wanted, told.span
    is_count = wanted.measure == RESTARTS
    how = "counted" if is_count else f"looked at each {wide(span.step)}"
    yield f"{wanted.measure} of {wanted.entity} from {clock(span.start)} to {clock(span.end)}, {how}:"
    found = [
        (about, series)
        for about, answer in told.answers
        for series in answer.series
        if wanted.entity.kind is not Kind.POD or series.labels.get("pod") == wanted.name
    ]
    unit = _MEASURES[wanted.measure].unit
    for about, series in found[:SERIES_MAX]:
        words = unit.shown(series.points[-1].value) if is_count else finding(series, unit, span)
        yield quoted(f"{subject(series) or f'node {about.node}'}: {words}")
    if not found:
        yield "nothing is known of it in this time"
    if len(found) > SERIES_MAX:
        yield f"and {len(found) - SERIES_MAX} more series"
    if unasked:
        yield f"{count(unasked, 'more question')} would be too many: name a pod or a node"
    for warning in dict.fromkeys(text for _, answer in told.answers for text in answer.warnings):
        yield quoted(f"partial, something may be missing: {warning}")


def _span(minutes: int, now: dt.datetime) -> Span:
    """Return when to look: the source takes whole seconds, and sees at most its number of points."""
    seconds = minutes * 60
    end = now.replace(microsecond=0)
    step = max(STEP_SECONDS_MIN, seconds // POINTS_MAX)
    return Span(end - dt.timedelta(seconds=seconds), end, dt.timedelta(seconds=step))


def _is_ready(pod: Pod) -> bool:
    return bool(pod.container_statuses) and all(each.is_ready for each in pod.container_statuses)


def _node_of(pod: Pod) -> Entity:
    return Entity(Kind.NODE, "", pod.node_name)
