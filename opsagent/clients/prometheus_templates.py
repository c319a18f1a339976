"""The named Prometheus expressions: the only PromQL in the daemon.

Each is one text with places ``<namespace>`` and so on. A name that goes into one must be a name that
Kubernetes gives, so that there is nothing in it to escape and no text of anybody's can become an
expression. Metric and label names are those of kube-state-metrics, cAdvisor (by the kubelet) and
node-exporter. Every expression ends in an aggregation, because a restarted exporter is scraped under
another ``instance`` for a while and would otherwise count twice.

Refuses arguments that a template does not take, and the lack of one that it does.
"""

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache

from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.ports import Terminal

WINDOW_MAX = dt.timedelta(days=30)
NAME_CHARACTERS_MAX = 253  # Source: DNS subdomain, RFC 1123, as Kubernetes names are
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_PLACE = re.compile(r"<([a-z]+)>")
_SECONDS_DIGITS_MAX = 7

# The pods of a Deployment, each 1: by owner, since names of others may begin alike.
_OF_DEPLOYMENT = """
* on (namespace, pod) group_left ()
max by (namespace, pod) (
  label_replace(
    kube_pod_owner{namespace="<namespace>", owner_kind="ReplicaSet"},
    "replicaset", "$1", "owner_name", "(.*)"
  )
  * on (namespace, replicaset) group_left ()
  max by (namespace, replicaset) (
    kube_replicaset_owner{namespace="<namespace>", owner_kind="Deployment", owner_name="<deployment>"}
  )
)"""
# cAdvisor also reports the pod's own cgroup and, on some runtimes, its sandbox.
_REAL = 'namespace="<namespace>", container!="", container!="POD"'
_ONE = 'namespace="<namespace>", pod="<pod>", container="<container>"'

_TEXTS: Mapping[MetricTemplate, str] = {
    # Not increase(): that extrapolates, and restarts are whole. One sample shows no rise and no rest.
    MetricTemplate.CONTAINER_RESTARTS: """
(
  max by (namespace, pod, container) (
    max_over_time(kube_pod_container_status_restarts_total{namespace="<namespace>"}[<window>])
  )
  - min by (namespace, pod, container) (
    min_over_time(kube_pod_container_status_restarts_total{namespace="<namespace>"}[<window>])
  )
  and sum by (namespace, pod, container) (
    count_over_time(kube_pod_container_status_restarts_total{namespace="<namespace>"}[<window>])
  ) > 1
)"""
    + _OF_DEPLOYMENT,
    MetricTemplate.CONTAINER_MEMORY_BYTES: f"""
max by (namespace, pod, container) (container_memory_working_set_bytes{{{_ONE}}})""",
    MetricTemplate.CONTAINER_MEMORY_LIMIT_RATIO: f"""
max by (namespace, pod, container) (container_memory_working_set_bytes{{{_REAL}}})
/ max by (namespace, pod, container) (
  kube_pod_container_resource_limits{{namespace="<namespace>", resource="memory"}}
)"""
    + _OF_DEPLOYMENT,
    MetricTemplate.CONTAINER_CPU_CORES: f"""
sum by (namespace, pod, container) (
  rate(container_cpu_usage_seconds_total{{{_ONE}}}[<window>])
)""",
    MetricTemplate.CONTAINER_CPU_THROTTLED_RATIO: f"""
sum by (namespace, pod, container) (
  increase(container_cpu_cfs_throttled_periods_total{{{_REAL}}}[<window>])
)
/ sum by (namespace, pod, container) (
  increase(container_cpu_cfs_periods_total{{{_REAL}}}[<window>])
)"""
    + _OF_DEPLOYMENT,
    MetricTemplate.PODS_READY: """
sum by (namespace) (
  max by (namespace, pod) (kube_pod_status_ready{namespace="<namespace>", condition="true"})"""
    + _OF_DEPLOYMENT
    + "\n)",
    MetricTemplate.DEPLOYMENT_REPLICAS_READY: """
max by (namespace, deployment) (
  kube_deployment_status_replicas_ready{namespace="<namespace>", deployment="<deployment>"}
)""",
    MetricTemplate.DEPLOYMENT_REPLICAS_UNAVAILABLE: """
max by (namespace, deployment) (
  kube_deployment_status_replicas_unavailable{namespace="<namespace>"}
)""",
    MetricTemplate.DEPLOYMENT_SAMPLE_AGE_SECONDS: """
time() - max by (namespace, deployment) (
  timestamp(
    kube_deployment_status_replicas_ready{namespace="<namespace>", deployment="<deployment>"}
  )
)""",
    MetricTemplate.NODE_READY: """
max by (node) (kube_node_status_condition{node="<node>", condition="Ready", status="true"})""",
    # Some installations put the node's name on instance, others on node.
    MetricTemplate.NODE_MEMORY_AVAILABLE_RATIO: """
min(
  node_memory_MemAvailable_bytes{instance="<node>"} / node_memory_MemTotal_bytes{instance="<node>"}
  or node_memory_MemAvailable_bytes{node="<node>"} / node_memory_MemTotal_bytes{node="<node>"}
)""",
    MetricTemplate.TARGETS_UP_RATIO: """
avg by (job) (up)""",
}


def expression(template: MetricTemplate, arguments: MetricArguments) -> str:
    """Return the PromQL text of ``template`` about ``arguments``.

    Raises:
        Terminal: an argument is missing, is not taken, is no Kubernetes name, or the window is not
            between 1 s and 30 days.
    """
    given = _given(arguments)
    taken = places(template)
    if given.keys() != taken:
        wanted = ", ".join(sorted(taken)) or "no argument"
        raise Terminal(f"{template.value} takes {wanted}, not {', '.join(sorted(given)) or 'none'}")
    return _PLACE.sub(lambda place: given[place[1]], _text(template))


def places(template: MetricTemplate) -> frozenset[str]:
    """Return the names of the arguments that ``template`` takes."""
    return frozenset(_PLACE.findall(_text(template)))


def recognise(text: str) -> tuple[MetricTemplate, MetricArguments] | None:
    """Return the template and arguments whose expression ``text`` is, to the letter; None if it is none."""
    for template in MetricTemplate:
        found = _pattern(template).fullmatch(text)
        if found is not None:
            values = found.groupdict()
            seconds = int(values.pop("window", "0s").removesuffix("s"))
            return template, MetricArguments(**values, window=dt.timedelta(seconds=seconds))
    return None


def _text(template: MetricTemplate) -> str:
    return _TEXTS[template].strip()


def _given(arguments: MetricArguments) -> dict[str, str]:
    """Return the arguments that are not empty, as they stand in a text."""
    names = {
        "namespace": arguments.namespace,
        "deployment": arguments.deployment,
        "pod": arguments.pod,
        "container": arguments.container,
        "node": arguments.node,
    }
    given = {key: name for key, name in names.items() if name}
    for key, name in given.items():
        if len(name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
            raise Terminal(f"{key}: not a Kubernetes name: {name[:NAME_CHARACTERS_MAX]!r}")
    if arguments.window:
        seconds = int(arguments.window.total_seconds())
        if not 1 <= seconds <= WINDOW_MAX.total_seconds():
            raise Terminal(f"window: give 1 s to {WINDOW_MAX.days} days, not {arguments.window}")
        given["window"] = f"{seconds}s"
    return given


@cache
def _pattern(template: MetricTemplate) -> re.Pattern[str]:
    """Return what matches every expression of ``template``; a place that comes again must say the same."""
    seen: set[str] = set()
    parts: list[str] = []
    for index, part in enumerate(_PLACE.split(_text(template))):
        if index % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            form = rf"[0-9]{{1,{_SECONDS_DIGITS_MAX}}}s" if part == "window" else _NAME.pattern
            parts.append(f"(?P<{part}>{form})")
    return re.compile("".join(parts))
