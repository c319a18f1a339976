"""The named bulk selections: which series each one is, as matchers; the only place where they are written down.

A selection is the names of its metrics and, where its series have a namespace, the namespaces that opsagent looks
at. Metric and label names are those of kube-state-metrics, cAdvisor (by the kubelet) and node-exporter. The same
matchers make a PromQL selector and a question of remote read.

Refuses namespaces that are no Kubernetes names: no text of anybody's can become an expression.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from opsagent.model.series import Labels, Selection
from opsagent.ports import Terminal

_PART = re.compile(r'([a-z_]+)(!=|=~|=)"([^"]*)"')
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # Source: RFC 1123 label


class Comparison(Enum):
    """How a matcher compares. The value is its number in remote read's protobuf, the name its sign in PromQL."""

    EQUAL = 0
    NOT_EQUAL = 1
    MATCHES = 2

    @property
    def sign(self) -> str:
        """How PromQL writes it."""
        return {0: "=", 1: "!=", 2: "=~"}[self.value]


_BY_SIGN = {each.sign: each for each in Comparison}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; one that a series lacks is the empty text."""

    label: str
    comparison: Comparison
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether a series with ``labels`` is meant."""
        text = labels.get(self.label, "")
        if self.comparison is Comparison.MATCHES:
            return _pattern(self.value).fullmatch(text) is not None
        return (text == self.value) is (self.comparison is Comparison.EQUAL)


# cAdvisor also reports the pod's own cgroup and, on some runtimes, its sandbox.
_REAL = (
    Matcher("container", Comparison.NOT_EQUAL, ""),
    Matcher("container", Comparison.NOT_EQUAL, "POD"),
)
_METRICS: Mapping[Selection, tuple[str, ...]] = {
    Selection.CONTAINER_CPU: ("container_cpu_usage_seconds_total",),
    Selection.CONTAINER_THROTTLING: (
        "container_cpu_cfs_periods_total",
        "container_cpu_cfs_throttled_periods_total",
    ),
    Selection.CONTAINER_MEMORY: ("container_memory_working_set_bytes",),
    Selection.CONTAINER_RESTARTS: ("kube_pod_container_status_restarts_total",),
    Selection.DEPLOYMENT_REPLICAS: (
        "kube_deployment_status_replicas_ready",
        "kube_deployment_status_replicas_unavailable",
    ),
    Selection.NODE_MEMORY: ("node_memory_MemAvailable_bytes",),
    Selection.TARGETS_UP: ("up",),
}
_OF_CADVISOR = frozenset(
    {Selection.CONTAINER_CPU, Selection.CONTAINER_THROTTLING, Selection.CONTAINER_MEMORY}
)
_EVERYWHERE = frozenset({Selection.NODE_MEMORY, Selection.TARGETS_UP})


def matchers(selection: Selection, namespaces: Sequence[str] = ()) -> tuple[Matcher, ...]:
    """Return what every series of ``selection`` fulfils, and no other does. No namespaces: all of them.

    Raises:
        Terminal: one of the namespaces is no name of one.
    """
    for name in namespaces:
        if not _NAMESPACE.fullmatch(name):
            raise Terminal(f"not a namespace: {name[:63]!r}")
    found = [_one_of("__name__", _METRICS[selection])]
    if namespaces and selection not in _EVERYWHERE:
        found.append(_one_of("namespace", namespaces))
    return (*found, *(_REAL if selection in _OF_CADVISOR else ()))


def selector(wanted: Sequence[Matcher]) -> str:
    """Return the matchers as PromQL. Nothing in them needs to be escaped."""
    return (
        "{" + ",".join(f'{each.label}{each.comparison.sign}"{each.value}"' for each in wanted) + "}"
    )


def recognise(text: str) -> tuple[Matcher, ...] | None:
    """Return the matchers whose selector ``text`` is, to the letter; None if it is none of a selection."""
    found = tuple(
        Matcher(label, _BY_SIGN[sign], value) for label, sign, value in _PART.findall(text)
    )
    return found if is_known(found) and selector(found) == text else None


def is_known(wanted: Sequence[Matcher]) -> bool:
    """Return whether these are the matchers of a selection."""
    texts = [each.value for each in wanted if each.label == "namespace"]
    namespaces = texts[0].split("|") if texts else ()
    if not all(map(_NAMESPACE.fullmatch, namespaces)):
        return False
    return any(matchers(each, namespaces) == tuple(wanted) for each in Selection)


def selects(wanted: Sequence[Matcher], labels: Labels) -> bool:
    """Return whether a series is one of those that the matchers mean."""
    named = dict(labels)
    return all(each.holds(named) for each in wanted)


def _one_of(label: str, values: Sequence[str]) -> Matcher:
    if len(values) == 1:
        return Matcher(label, Comparison.EQUAL, values[0])
    return Matcher(label, Comparison.MATCHES, "|".join(values))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
