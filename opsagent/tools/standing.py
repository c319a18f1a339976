"""How a thing of the topology stands now, in a few words from its own status. Pure; others wrote some of the words."""

from collections.abc import Iterable
from functools import singledispatch

from opsagent.model import kube
from opsagent.model.topology import SECRET, EdgeType, Presence, Vertex
from opsagent.signals.topology import Topology


def standing(topology: Topology, vertex: Vertex) -> str:
    """Return e.g. ``2 of 3 ready``, ``absent`` or ``there``."""
    item = topology.item(vertex)
    if item is None:
        return _without_item(topology, vertex)
    if isinstance(item, kube.Service):
        slices = [topology.item(each) for each in topology.sources(EdgeType.BACKS, vertex)]
        words = _endpoints(each for each in slices if isinstance(each, kube.EndpointSlice))
    else:
        words = _words(item)
    return words if item.meta.deleted_at is None else f"{words}, being deleted"


def _without_item(topology: Topology, vertex: Vertex) -> str:
    if vertex.kind == SECRET:
        return "never looked at"
    is_absent = topology.presence(vertex) is Presence.ABSENT
    return "absent" if is_absent else "unknown: not watched"


def _endpoints(slices: Iterable[kube.EndpointSlice]) -> str:
    endpoints = [endpoint for each in slices for endpoint in each.endpoints]
    ready = sum(each.is_ready for each in endpoints)
    return f"{ready} of {len(endpoints)} endpoints ready" if endpoints else "no endpoints"


@singledispatch
def _words(_: kube.KubeObject) -> str:
    return "there"


@_words.register
def _replicas(item: kube.Deployment | kube.ReplicaSet | kube.StatefulSet | kube.DaemonSet) -> str:
    return f"{item.replicas_ready} of {item.replicas_desired} ready"


@_words.register
def _pod(item: kube.Pod) -> str:
    statuses = item.container_statuses
    ready = sum(each.is_ready for each in statuses)
    words = f"{item.phase} {item.reason}".strip() or "no phase"
    restarts = sum(each.restart_count for each in statuses)
    return f"{words}, {ready} of {len(item.containers)} containers ready, {restarts} restarts"


@_words.register
def _node(item: kube.Node) -> str:
    ready = next((each for each in item.conditions if each.type == "Ready"), None)
    is_ready = ready is not None and ready.status == "True"
    cordoned = ", unschedulable" if item.is_unschedulable else ""
    return f"{'ready' if is_ready else 'not ready'}{cordoned}"


@_words.register
def _slice(item: kube.EndpointSlice) -> str:
    return _endpoints([item])


@_words.register
def _storage(item: kube.PersistentVolumeClaim | kube.PersistentVolume) -> str:
    return item.phase or "no phase"


@_words.register
def _autoscaler(item: kube.HorizontalPodAutoscaler) -> str:
    return f"{item.replicas} replicas, between {item.replicas_min} and {item.replicas_max}"


@_words.register
def _budget(item: kube.PodDisruptionBudget) -> str:
    return f"{item.healthy} healthy, {item.healthy_desired} wanted"


@_words.register
def _job(item: kube.Job) -> str:
    suspended = ", suspended" if item.is_suspended else ""
    return f"{item.active} active, {item.succeeded} succeeded, {item.failed} failed{suspended}"


@_words.register
def _cron_job(item: kube.CronJob) -> str:
    return "suspended" if item.is_suspended else f"{len(item.active)} active"
