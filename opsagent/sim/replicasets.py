"""The ReplicaSet controller: as many pods as asked for, and what became of them.

A terminating pod does not count, so its replacement starts at once. Pods are counted by owner, never
adopted by label.
"""

import datetime as dt

from opsagent.sim.conditions import condition
from opsagent.sim.deletion import delete
from opsagent.sim.events import EventRecorder, Report, Reporter
from opsagent.sim.ownership import Write
from opsagent.sim.resources import PODS, REPLICA_SETS
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, copy_of, parse_stamp, seconds

MANAGER = "kube-controller-manager"
_REPORTER = Reporter("replicaset-controller")


def is_active(pod: Obj) -> bool:
    """Return whether the pod counts: neither ended nor on its way out."""
    is_ended = pod["status"].get("phase") in {"Succeeded", "Failed"}
    return not is_ended and "deletionTimestamp" not in pod["metadata"]


def _ready_since(pod: Obj) -> dt.datetime | None:
    ready = condition(pod["status"].get("conditions", []), "Ready")
    if ready is None or ready["status"] != "True":
        return None
    return parse_stamp(ready["lastTransitionTime"])


def is_ready(pod: Obj) -> bool:
    """Return whether the pod's condition Ready is True."""
    return _ready_since(pod) is not None


def _is_available(pod: Obj, patience: dt.timedelta, now: dt.datetime) -> bool:
    since = _ready_since(pod)
    return since is not None and since + patience <= now


def _keep_rank(pod: Obj) -> tuple[bool, bool, bool, int, float, str]:
    """Return a key that sorts the pods to delete first to the front.

    Source: the ranking of active pods: unassigned, pending, not ready, many restarts, young.
    """
    statuses = pod["status"].get("containerStatuses", ())
    born = parse_stamp(pod["metadata"]["creationTimestamp"])
    return (
        bool(pod["spec"].get("nodeName")),
        pod["status"].get("phase") == "Running",
        is_ready(pod),
        -sum(item["restartCount"] for item in statuses),
        -born.timestamp(),
        pod["metadata"]["name"],
    )


class ReplicaSetController:
    """Brings pods to what ReplicaSets say."""

    def __init__(self, store: ObjectStore, timers: Timers, events: EventRecorder) -> None:
        self._store = store
        self._timers = timers
        self._events = events

    def reconcile(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Create or delete pods, then write the status."""
        item = self._store.find(REPLICA_SETS, namespace, name)
        if item is None:
            return
        pods = [p for p in self._store.owned_by(PODS, item["metadata"]["uid"]) if is_active(p)]
        missing = item["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            pod = self._store.create(PODS, self._pod(item), Write(MANAGER, now))
            self._report(item, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", now)
        for pod in sorted(pods, key=_keep_rank)[: max(0, -missing)]:
            delete(self._store, PODS, pod, now)
            self._report(item, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", now)
        self._write_status(item, now)

    def _pod(self, item: Obj) -> Obj:
        meta, template = item["metadata"], copy_of(item["spec"]["template"])
        owner = {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        template["metadata"] |= {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "ownerReferences": [owner],
        }
        return {"metadata": template["metadata"], "spec": template["spec"]}

    def _report(self, item: Obj, reason: str, message: str, now: dt.datetime) -> None:
        self._events.report(_REPORTER, item, Report("Normal", reason, message), now)

    def _write_status(self, item: Obj, now: dt.datetime) -> None:
        meta = item["metadata"]
        pods = [p for p in self._store.owned_by(PODS, meta["uid"]) if is_active(p)]
        patience = seconds(item["spec"].get("minReadySeconds", 0))
        ready = [pod for pod in pods if is_ready(pod)]
        available = [pod for pod in ready if _is_available(pod, patience, now)]
        counts = {
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
        }
        status: Obj = {"replicas": len(pods), "observedGeneration": meta["generation"]}
        status |= {field: count for field, count in counts.items() if count}
        self._store.update(REPLICA_SETS, item | {"status": status}, Write(MANAGER, now, "status"))
        if len(available) < len(ready):
            key = ("replicaset", meta["namespace"], meta["name"])
            self._timers.sooner(key, now + max(patience, seconds(1)))
