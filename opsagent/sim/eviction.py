"""Eviction: deleting a pod if its disruption budget allows one more to be missing.

Some pods go in any case, as their budget does not count them: those that do not run yet or no more, those
that are going, and those that are not ready while enough others are. Source: the eviction subresource of
kube-apiserver. There a budget's status names a pod until it is gone; here deciding and deleting are one step.
"""

from dataclasses import replace

from opsagent.sim.budgets import MANAGER, budgets_of, with_allowed
from opsagent.sim.conditions import with_pod_condition
from opsagent.sim.deletion import delete
from opsagent.sim.errors import StatusError, bad_request, conflict, too_many_disruptions
from opsagent.sim.ownership import Write
from opsagent.sim.replicasets import is_ready
from opsagent.sim.resources import DISRUPTION_BUDGETS, PODS
from opsagent.sim.store import ObjectStore
from opsagent.sim.values import Obj

BUSY_SECONDS = 10  # Source: what kube-apiserver answers while a budget's controller is behind
_TARGET = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


def evict(store: ObjectStore, pod: Obj, sent: Obj, write: Write) -> None:
    """Evict ``pod`` as the Eviction ``sent`` asks.

    Raises:
        StatusError: 400 another pod is named, 409 another life of it is meant, 429 the budget does not
            allow it now, 500 the pod has several budgets.
    """
    meta, options = pod["metadata"], sent.get("deleteOptions") or {}
    if (sent.get("metadata") or {}).get("name") != meta["name"]:
        raise bad_request("name in URL does not match name in Eviction object")
    for field, value in (options.get("preconditions") or {}).items():
        if meta.get(field) != value:
            raise conflict(PODS, meta["name"])
    is_dry_run = write.is_dry_run or options.get("dryRun") == ["All"]
    if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in meta:
        _spend(store, pod, replace(write, is_dry_run=is_dry_run))
    if is_dry_run:
        return
    conditions = with_pod_condition(pod["status"].get("conditions", []), _TARGET, write.at)
    marked = pod | {"status": pod["status"] | {"conditions": conditions}}
    going = store.update(PODS, marked, Write(write.manager, write.at, "status"))
    delete(store, PODS, going, write.at, options.get("gracePeriodSeconds"))


def _spend(store: ObjectStore, pod: Obj, write: Write) -> None:
    """Take one disruption from the budget of ``pod``, if it has one that counts it.

    Raises:
        StatusError: 429 or 500.
    """
    budgets = budgets_of(store, pod)
    if len(budgets) > 1:
        message = (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
            "not support."
        )
        raise StatusError(500, "", message)
    for budget in budgets:
        name, status = budget["metadata"]["name"], budget["status"]
        healthy, needed = status["currentHealthy"], status["desiredHealthy"]
        if not is_ready(pod) and healthy >= needed > 0:
            return
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            cause = f"The disruption budget {name} is still being processed by the server."
            raise too_many_disruptions(cause, retry_after_seconds=BUSY_SECONDS)
        if not status["disruptionsAllowed"]:
            counts = f"{needed} healthy pods and has {healthy} currently"
            raise too_many_disruptions(f"The disruption budget {name} needs {counts}")
        spent = with_allowed(status, status["disruptionsAllowed"] - 1, write.at)
        by_server = Write(MANAGER, write.at, "status", write.is_dry_run)
        store.update(DISRUPTION_BUDGETS, budget | {"status": spent}, by_server)
