"""What the exporters of a cluster would show at one instant: kube-state-metrics, the kubelets' cAdvisor, node-exporter.

A pure function of the objects as they were then and of how their images behave. Only metrics that a
named expression asks for are here, under the names, labels and units that the exporters give them.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opsagent.sim.conditions import condition
from opsagent.sim.images import HEALTHY, ImageBehaviour
from opsagent.sim.quantities import parse_quantity
from opsagent.sim.resources import DEPLOYMENTS, NODES, PODS, REPLICA_SETS
from opsagent.sim.tsdb import Sample, sample
from opsagent.sim.values import Obj, parse_stamp

STATE_METRICS = "kube-state-metrics"
KUBELET = "kubelet"
NODE_EXPORTER = "node-exporter"
JOBS = (STATE_METRICS, KUBELET, NODE_EXPORTER)
SYSTEM_BYTES = 2**30  # what a node uses for itself
PERIOD_SECONDS = 0.1  # Source: cpu.cfs_period_us, 100 ms

FindImage = Callable[[str], ImageBehaviour | None]


@dataclass(frozen=True, slots=True)
class Scene:
    """The objects by plural name, as they were at ``at``."""

    at: dt.datetime
    objects: Mapping[str, Sequence[Obj]]
    find_image: FindImage


def exposed(scene: Scene, jobs_down: Iterable[str] = ()) -> Iterator[Sample]:
    """Yield everything that one scrape of all targets finds; targets of ``jobs_down`` do not answer."""
    down = set(jobs_down)
    by_job = {
        STATE_METRICS: (_state_metrics, ["kube-state-metrics:8080"]),
        KUBELET: (_cadvisor, _node_names(scene)),
        NODE_EXPORTER: (_node_exporter, _node_names(scene)),
    }
    for job, (metrics, instances) in by_job.items():
        for instance in instances:
            yield sample("up", float(job not in down), job=job, instance=instance)
        if job not in down:
            yield from metrics(scene)


def _node_names(scene: Scene) -> list[str]:
    return [node["metadata"]["name"] for node in scene.objects[NODES.plural]]


def _state_metrics(scene: Scene) -> Iterator[Sample]:
    target = {"job": STATE_METRICS, "instance": "kube-state-metrics:8080"}
    for node in scene.objects[NODES.plural]:
        yield from _of_node(node, target)
    for deployment in scene.objects[DEPLOYMENTS.plural]:
        yield from _of_deployment(deployment, target)
    for replica_set in scene.objects[REPLICA_SETS.plural]:
        meta = replica_set["metadata"]
        names = {"namespace": meta["namespace"], "replicaset": meta["name"]} | target
        yield sample("kube_replicaset_owner", 1.0, **names, **_owner(meta))
    for pod in scene.objects[PODS.plural]:
        yield from _of_pod(pod, target)


def _of_node(node: Obj, target: dict[str, str]) -> Iterator[Sample]:
    ready = condition(node["status"].get("conditions", []), "Ready")
    word = "unknown" if ready is None else ready["status"].lower()
    name = {"node": node["metadata"]["name"]} | target
    for status in ("true", "false", "unknown"):
        value = float(status == word)
        yield sample("kube_node_status_condition", value, condition="Ready", status=status, **name)


def _of_deployment(deployment: Obj, target: dict[str, str]) -> Iterator[Sample]:
    meta, status = deployment["metadata"], deployment.get("status", {})
    names = {"namespace": meta["namespace"], "deployment": meta["name"]} | target
    for metric, field in (
        ("kube_deployment_status_replicas_ready", "readyReplicas"),
        ("kube_deployment_status_replicas_unavailable", "unavailableReplicas"),
    ):
        yield sample(metric, float(status.get(field, 0)), **names)


def _of_pod(pod: Obj, target: dict[str, str]) -> Iterator[Sample]:
    meta, status = pod["metadata"], pod["status"]
    names = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"]} | target
    yield sample("kube_pod_owner", 1.0, **names, **_owner(meta))
    ready = condition(status.get("conditions", []), "Ready")
    if ready is not None:
        for word in ("true", "false", "unknown"):
            value = float(ready["status"].lower() == word)
            yield sample("kube_pod_status_ready", value, condition=word, **names)
    for each in status.get("containerStatuses", ()):
        count = float(each["restartCount"])
        yield sample(
            "kube_pod_container_status_restarts_total", count, container=each["name"], **names
        )
    for each in pod["spec"]["containers"]:
        limit = _limit(each, "memory")
        if limit is not None:
            more = {"container": each["name"], "node": pod["spec"].get("nodeName", "")}
            metric = "kube_pod_container_resource_limits"
            yield sample(metric, limit, resource="memory", unit="byte", **more, **names)


def _owner(meta: Obj) -> dict[str, str]:
    owners = [each for each in meta.get("ownerReferences", ()) if each.get("controller")]
    if not owners:
        return {"owner_kind": "<none>", "owner_name": "<none>", "owner_is_controller": "<none>"}
    kind, name = owners[0]["kind"], owners[0]["name"]
    return {"owner_kind": kind, "owner_name": name, "owner_is_controller": "true"}


def _limit(container: Obj, resource: str) -> float | None:
    text = container.get("resources", {}).get("limits", {}).get(resource)
    return None if text is None else parse_quantity(str(text))


def _running(scene: Scene, pod: Obj) -> Iterator[tuple[Obj, ImageBehaviour, float]]:
    """Yield spec, behaviour and seconds since the start of each running container."""
    specs = {each["name"]: each for each in pod["spec"]["containers"]}
    for status in pod["status"].get("containerStatuses", ()):
        running = status["state"].get("running")
        if running is not None:
            spec = specs[status["name"]]
            behaviour = scene.find_image(spec["image"]) or HEALTHY
            age = (scene.at - parse_stamp(running["startedAt"])).total_seconds()
            yield spec, behaviour, max(0.0, age)


def _cadvisor(scene: Scene) -> Iterator[Sample]:
    for pod in scene.objects[PODS.plural]:
        meta, node = pod["metadata"], pod["spec"].get("nodeName", "")
        for spec, behaviour, age in _running(scene, pod):
            names = {
                "job": KUBELET,
                "instance": node,
                "namespace": meta["namespace"],
                "pod": meta["name"],
                "container": spec["name"],
                "image": spec["image"],
            }
            used = _memory(spec, behaviour)
            yield sample("container_memory_working_set_bytes", used, **names)
            limit = _limit(spec, "cpu")
            cores = min(behaviour.cpu_cores, limit or behaviour.cpu_cores)
            yield sample("container_cpu_usage_seconds_total", cores * age, **names)
            if limit is not None:
                periods = float(int(age / PERIOD_SECONDS))
                held = float(int(periods * max(0.0, 1 - limit / behaviour.cpu_cores)))
                yield sample("container_cpu_cfs_periods_total", periods, **names)
                yield sample("container_cpu_cfs_throttled_periods_total", held, **names)


def _memory(spec: Obj, behaviour: ImageBehaviour) -> float:
    """Return what it holds: never more than its limit, for there it is killed."""
    limit = _limit(spec, "memory")
    return float(behaviour.memory_bytes if limit is None else min(behaviour.memory_bytes, limit))


def _node_exporter(scene: Scene) -> Iterator[Sample]:
    used: dict[str, float] = {}
    for pod in scene.objects[PODS.plural]:
        node = pod["spec"].get("nodeName", "")
        held = sum(_memory(spec, behaviour) for spec, behaviour, _ in _running(scene, pod))
        used[node] = used.get(node, SYSTEM_BYTES) + held
    for node in scene.objects[NODES.plural]:
        name = node["metadata"]["name"]
        total = parse_quantity(str(node["status"]["capacity"]["memory"]))
        target = {"job": NODE_EXPORTER, "instance": name}
        yield sample("node_memory_MemTotal_bytes", total, **target)
        available = total - used.get(name, float(SYSTEM_BYTES))
        yield sample("node_memory_MemAvailable_bytes", available, **target)
