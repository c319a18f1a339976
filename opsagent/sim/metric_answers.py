"""What each named expression comes to, by the rules of PromQL, for exactly those expressions.

No parser and no general engine: one function a template, which reads like its text. That these agree
with a real Prometheus on the same samples is what the contract suite of metrics is for.
Source of rate and increase: extrapolatedRate in promql/functions.go of Prometheus 2.42.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.sim.tsdb import Labels, Tsdb, Window

Vector: TypeAlias = dict[Labels, float]
Fold: TypeAlias = Callable[[Sequence[float]], float]

_POD = ("namespace", "pod")
_CONTAINER = (*_POD, "container")
_DEPLOYMENT = ("namespace", "deployment")
_THRESHOLD = (
    1.1  # Source: of the average distance between samples, up to which a gap is extrapolated
)


def answer(template: MetricTemplate, arguments: MetricArguments, db: Tsdb, stamp: int) -> Vector:
    """Return labels -> value of ``template`` at ``stamp``, Unix ms."""
    return _ANSWERS[template](_Look(arguments, db, stamp))


class _Look:
    """One evaluation: the database at one stamp about one set of arguments."""

    def __init__(self, arguments: MetricArguments, db: Tsdb, stamp: int) -> None:
        self._db = db
        self.stamp = stamp
        self.node = arguments.node
        self.window_ms = int(arguments.window.total_seconds()) * 1000
        self.in_namespace = {"namespace": arguments.namespace}
        self.in_deployment = self.in_namespace | {"deployment": arguments.deployment}
        one = {"pod": arguments.pod, "container": arguments.container}
        self.in_container = self.in_namespace | one

    def now(self, metric: str, **where: str) -> Iterator[tuple[Labels, float]]:
        """Yield what an instant selector selects."""
        for labels, _, value in self._db.instant(metric, self.stamp, where):
            yield labels, value

    def stamps(self, metric: str, **where: str) -> Iterator[tuple[Labels, float]]:
        """Yield timestamp(), in seconds."""
        for labels, at, _ in self._db.instant(metric, self.stamp, where):
            yield labels, at / 1000

    def over(
        self, fold: Callable[[Window], float | None], metric: str, **where: str
    ) -> Iterator[tuple[Labels, float]]:
        """Yield a function of each window; None is no value."""
        for labels, found in self._db.window(metric, self.stamp, self.window_ms, where):
            value = fold(found)
            if value is not None:
                yield labels, value

    def increase(self, window: Window) -> float | None:
        """Return by how much a counter grew, extrapolated to the window."""
        return _increase(window, self.stamp - self.window_ms, self.stamp)

    def rate(self, window: Window) -> float | None:
        """Return how fast a counter grew in a second."""
        grown = self.increase(window)
        return None if grown is None else grown / (self.window_ms / 1000)

    def of_deployment(self, vector: Vector) -> Vector:
        """Return what belongs to a pod of the Deployment."""
        owner = {"owner_kind": "Deployment", "owner_name": self.in_deployment["deployment"]}
        found = self.now("kube_replicaset_owner", **self.in_namespace, **owner)
        sets = {dict(labels)["replicaset"] for labels, _ in found}
        found = self.now("kube_pod_owner", **self.in_namespace, owner_kind="ReplicaSet")
        named = [dict(labels) for labels, _ in found]
        pods = {each["pod"] for each in named if each["owner_name"] in sets}
        return {key: value for key, value in vector.items() if dict(key)["pod"] in pods}


def _by(names: Iterable[str], fold: Fold, pairs: Iterable[tuple[Labels, float]]) -> Vector:
    """Return ``fold by (names) (...)``."""
    wanted = frozenset(names)
    groups: dict[Labels, list[float]] = {}
    for labels, value in pairs:
        key = tuple((name, text) for name, text in labels if name in wanted)
        groups.setdefault(key, []).append(value)
    return {key: fold(values) for key, values in groups.items()}


def _over(top: Vector, bottom: Vector) -> Vector:
    """Return ``top / bottom``, matched on all labels, by the rules of IEEE 754."""
    return {key: _divided(top[key], bottom[key]) for key in top if key in bottom}


def _divided(top: float, bottom: float) -> float:
    if bottom:
        return top / bottom
    return math.nan if top == 0 or math.isnan(top) else math.copysign(math.inf, top)


def _increase(window: Window, start: int, end: int) -> float | None:
    if len(window) < 2:  # noqa: PLR2004 - a difference needs two
        return None
    (first_at, first), (last_at, last) = window[0], window[-1]
    values = [value for _, value in window]
    grown = last - first + sum(a for a, b in pairwise(values) if b < a)
    to_start, to_end = (first_at - start) / 1000, (end - last_at) / 1000
    sampled = (last_at - first_at) / 1000
    average = sampled / (len(window) - 1)
    if grown > 0 and first >= 0:  # a counter does not come from below zero
        to_start = min(to_start, sampled * (first / grown))
    length = sampled
    for gap in (to_start, to_end):
        length += gap if gap < average * _THRESHOLD else average / 2
    return grown * (length / sampled)


def _restarts(look: _Look) -> Vector:
    metric, where = "kube_pod_container_status_restarts_total", look.in_namespace
    most = _by(_CONTAINER, max, look.over(lambda w: max(v for _, v in w), metric, **where))
    least = _by(_CONTAINER, min, look.over(lambda w: min(v for _, v in w), metric, **where))
    counts = _by(_CONTAINER, sum, look.over(lambda w: float(len(w)), metric, **where))
    rise = {key: value - least[key] for key, value in most.items() if counts[key] > 1}
    return look.of_deployment(rise)


def _memory(look: _Look) -> Vector:
    metric = "container_memory_working_set_bytes"
    return _by(_CONTAINER, max, look.now(metric, **look.in_container))


def _memory_ratio(look: _Look) -> Vector:
    used = look.now("container_memory_working_set_bytes", **look.in_namespace)
    limits = look.now("kube_pod_container_resource_limits", resource="memory", **look.in_namespace)
    ratio = _over(_by(_CONTAINER, max, used), _by(_CONTAINER, max, limits))
    return look.of_deployment(ratio)


def _cpu(look: _Look) -> Vector:
    used = look.over(look.rate, "container_cpu_usage_seconds_total", **look.in_container)
    return _by(_CONTAINER, math.fsum, used)


def _throttled(look: _Look) -> Vector:
    prefix, where = "container_cpu_cfs", look.in_namespace
    held = look.over(look.increase, f"{prefix}_throttled_periods_total", **where)
    all_periods = look.over(look.increase, f"{prefix}_periods_total", **where)
    ratio = _over(_by(_CONTAINER, math.fsum, held), _by(_CONTAINER, math.fsum, all_periods))
    return look.of_deployment(ratio)


def _pods_ready(look: _Look) -> Vector:
    ready = look.now("kube_pod_status_ready", condition="true", **look.in_namespace)
    return _by(["namespace"], math.fsum, look.of_deployment(_by(_POD, max, ready)).items())


def _replicas_ready(look: _Look) -> Vector:
    metric = "kube_deployment_status_replicas_ready"
    return _by(_DEPLOYMENT, max, look.now(metric, **look.in_deployment))


def _replicas_unavailable(look: _Look) -> Vector:
    metric = "kube_deployment_status_replicas_unavailable"
    return _by(_DEPLOYMENT, max, look.now(metric, **look.in_namespace))


def _age(look: _Look) -> Vector:
    metric = "kube_deployment_status_replicas_ready"
    newest = _by(_DEPLOYMENT, max, look.stamps(metric, **look.in_deployment))
    return {key: look.stamp / 1000 - at for key, at in newest.items()}


def _node_ready(look: _Look) -> Vector:
    where = {"node": look.node, "condition": "Ready", "status": "true"}
    return _by(["node"], max, look.now("kube_node_status_condition", **where))


def _node_memory(look: _Look) -> Vector:
    ratios: Vector = {}
    for label in ("node", "instance"):  # the left side of `or` wins
        where = {label: look.node}
        available = dict(look.now("node_memory_MemAvailable_bytes", **where))
        ratios |= _over(available, dict(look.now("node_memory_MemTotal_bytes", **where)))
    return _by([], min, ratios.items())


def _targets_up(look: _Look) -> Vector:
    return _by(["job"], lambda values: math.fsum(values) / len(values), look.now("up"))


_ANSWERS: Mapping[MetricTemplate, Callable[[_Look], Vector]] = {
    MetricTemplate.CONTAINER_RESTARTS: _restarts,
    MetricTemplate.CONTAINER_MEMORY_BYTES: _memory,
    MetricTemplate.CONTAINER_MEMORY_LIMIT_RATIO: _memory_ratio,
    MetricTemplate.CONTAINER_CPU_CORES: _cpu,
    MetricTemplate.CONTAINER_CPU_THROTTLED_RATIO: _throttled,
    MetricTemplate.PODS_READY: _pods_ready,
    MetricTemplate.DEPLOYMENT_REPLICAS_READY: _replicas_ready,
    MetricTemplate.DEPLOYMENT_REPLICAS_UNAVAILABLE: _replicas_unavailable,
    MetricTemplate.DEPLOYMENT_SAMPLE_AGE_SECONDS: _age,
    MetricTemplate.NODE_READY: _node_ready,
    MetricTemplate.NODE_MEMORY_AVAILABLE_RATIO: _node_memory,
    MetricTemplate.TARGETS_UP_RATIO: _targets_up,
}
