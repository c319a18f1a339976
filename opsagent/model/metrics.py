"""Numbers over time: the named questions that may be asked, what they take, what comes back.

A question is a member of ``MetricTemplate``, never a text: its expression is kept in one file of
``clients``. Labels of an answer are those that the question names, nothing else.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class MetricTemplate(StrEnum):
    """Every question. In brackets: the arguments it takes, all of them and no others; then the labels of the answer."""

    CONTAINER_RESTARTS = "container_restarts"
    """[namespace, deployment, window] How often each container of its pods restarted in the window, if that holds two samples; by pod, container."""
    CONTAINER_MEMORY_BYTES = "container_memory_bytes"
    """[namespace, pod, container] The working set, which the limit is held against; by pod, container."""
    CONTAINER_MEMORY_LIMIT_RATIO = "container_memory_limit_ratio"
    """[namespace, deployment] Working set over limit, for containers that have one; by pod, container."""
    CONTAINER_CPU_CORES = "container_cpu_cores"
    """[namespace, pod, container, window] Cores used on average; by pod, container."""
    CONTAINER_CPU_THROTTLED_RATIO = "container_cpu_throttled_ratio"
    """[namespace, deployment, window] Share of periods in which the limit held it back; by pod, container."""
    PODS_READY = "pods_ready"
    """[namespace, deployment] How many of its pods are ready; no series if it has none."""
    DEPLOYMENT_REPLICAS_READY = "deployment_replicas_ready"
    """[namespace, deployment] Ready replicas as its status says; by deployment."""
    DEPLOYMENT_REPLICAS_UNAVAILABLE = "deployment_replicas_unavailable"
    """[namespace] Unavailable replicas of every Deployment; by deployment."""
    DEPLOYMENT_SAMPLE_AGE_SECONDS = "deployment_sample_age_seconds"
    """[namespace, deployment] How old the newest sample of its status is; by deployment."""
    NODE_READY = "node_ready"
    """[node] 1 while the node is Ready, else 0; by node."""
    NODE_MEMORY_AVAILABLE_RATIO = "node_memory_available_ratio"
    """[node] Memory that could still be given out, over all of it; no label."""
    TARGETS_UP_RATIO = "targets_up_ratio"
    """[] Share of each job's targets that the last scrape reached; by job."""


@dataclass(frozen=True, slots=True)
class MetricArguments:
    """What a question is about. Names are Kubernetes names; what a template does not take stays empty."""

    namespace: str = ""
    deployment: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    window: dt.timedelta = dt.timedelta(0)


@dataclass(frozen=True, slots=True)
class Point:
    """One value. It may be NaN or infinite, as a ratio over nothing is."""

    at: dt.datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an answer: points oldest first, at least one. Gaps are points that are not there."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class MetricAnswer:
    """An answer, sorted by labels. No series at all means that nothing matches, and that is certain.

    ``warnings`` are the server's words on what is missing (untrusted text, cut). An answer that has any
    is partial: what it shows is there, what it does not show may be there too.
    """

    series: tuple[Series, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.warnings)


@dataclass(frozen=True, slots=True)
class MetricsHealth:
    """What a source says of itself. ``rules_failing``: names of rules that it could not evaluate, bounded."""

    version: str
    alerts_firing: int = 0
    rules_failing: tuple[str, ...] = ()
