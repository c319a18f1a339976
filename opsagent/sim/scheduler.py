"""The scheduler: a node that a pod's requests fit on, or the reason why there is none.

Knows cpu, memory and pod counts, nodeSelector, cordons and Ready; no taints, affinity, preemption.
A pod that fits nowhere waits until a pod or node changes, five minutes at most.
"""

import datetime as dt
from collections import Counter

from opsagent.sim.conditions import condition, with_pod_condition
from opsagent.sim.events import EventRecorder, Report, Reporter
from opsagent.sim.ownership import Write
from opsagent.sim.quantities import parse_quantity
from opsagent.sim.resources import NODES, PODS
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, seconds

MANAGER = "kube-scheduler"
RETRY = seconds(300)  # Source: kube-scheduler flushes unschedulable pods after five minutes
_REPORTER = Reporter("default-scheduler", writes_series=True)


def _requests(pod: Obj) -> dict[str, float]:
    found = {"cpu": 0.0, "memory": 0.0, "pods": 1.0}
    for container in pod["spec"]["containers"]:
        for name, text in container.get("resources", {}).get("requests", {}).items():
            found[name] = found.get(name, 0.0) + parse_quantity(str(text))
    return found


def _excuse(node: Obj, pod: Obj, free: dict[str, float]) -> str:
    """Return why the pod cannot go to the node, empty if it can."""
    labels = node["metadata"].get("labels", {})
    ready = condition(node["status"].get("conditions", []), "Ready")
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    if ready is None or ready["status"] != "True":
        return "node(s) were not ready"
    if not pod["spec"].get("nodeSelector", {}).items() <= labels.items():
        return "node(s) didn't match Pod's node affinity/selector"
    for name, amount in _requests(pod).items():
        if amount > free.get(name, 0.0):
            return "Too many pods" if name == "pods" else f"Insufficient {name}"
    return ""


class Scheduler:
    """Binds pods to nodes."""

    def __init__(self, store: ObjectStore, timers: Timers, events: EventRecorder) -> None:
        self._store = store
        self._timers = timers
        self._events = events

    def schedule(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Bind the pod, or say on it why it waits."""
        pod = self._store.find(PODS, namespace, name)
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            return
        used = self._used()
        fitting: list[tuple[float, str]] = []
        excuses: Counter[str] = Counter()
        for node in self._store.objects(NODES):
            node_name = node["metadata"]["name"]
            taken = used.get(node_name, {})
            allocatable = node["status"].get("allocatable", {})
            free = {
                key: parse_quantity(str(text)) - taken.get(key, 0.0)
                for key, text in allocatable.items()
            }
            if excuse := _excuse(node, pod, free):
                excuses[excuse] += 1
            else:
                fitting.append((taken.get("pods", 0.0), node_name))
        if fitting:
            self._bind(pod, min(fitting)[1], now)
        else:
            self._keep_waiting(pod, excuses, now)

    def _used(self) -> dict[str, dict[str, float]]:
        """Return what the pods on each node have asked for."""
        used: dict[str, dict[str, float]] = {}
        for pod in self._store.objects(PODS):
            node = pod["spec"].get("nodeName")
            if node and pod["status"].get("phase") not in {"Succeeded", "Failed"}:
                taken = used.setdefault(node, {})
                for name, amount in _requests(pod).items():
                    taken[name] = taken.get(name, 0.0) + amount
        return used

    def _bind(self, pod: Obj, node: str, now: dt.datetime) -> None:
        meta = pod["metadata"]
        bound = pod | {"spec": pod["spec"] | {"nodeName": node}}
        bound = self._store.update(PODS, bound, Write(MANAGER, now))
        self._condition(bound, {"type": "PodScheduled", "status": "True"}, now)
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._events.report(_REPORTER, bound, Report("Normal", "Scheduled", message), now)

    def _keep_waiting(self, pod: Obj, excuses: Counter[str], now: dt.datetime) -> None:
        counted = ", ".join(f"{count} {excuse}" for excuse, count in sorted(excuses.items()))
        total = excuses.total()
        message = (
            f"0/{total} nodes are available: {counted}."
            if total
            else "no nodes available to schedule pods"
        )
        waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        self._condition(pod, waiting | {"message": message}, now)
        self._events.report(_REPORTER, pod, Report("Warning", "FailedScheduling", message), now)
        meta = pod["metadata"]
        self._timers.sooner(("schedule", meta["namespace"], meta["name"]), now + RETRY)

    def _condition(self, pod: Obj, new: Obj, now: dt.datetime) -> None:
        conditions = with_pod_condition(pod["status"].get("conditions", []), new, now)
        status = pod["status"] | {"conditions": conditions}
        self._store.update(PODS, pod | {"status": status}, Write(MANAGER, now, "status"))
