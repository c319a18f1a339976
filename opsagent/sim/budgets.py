"""The disruption controller: how many pods a PodDisruptionBudget lets go right now.

Theory. Of the pods that the selector finds, those that are Ready and not going are healthy. The budget
says how many have to be: ``minAvailable``, or what ``maxUnavailable`` leaves of the pods that their
controllers are asked for; shares of those are rounded up. What is healthy beyond that may be disrupted.
A selector that is missing finds nothing, an empty one everything. Pods without a controller do not count.
Source: kubernetes pkg/controller/disruption, told here in our own code.
"""

import datetime as dt
import math

from opsagent.sim.conditions import condition
from opsagent.sim.ownership import Write
from opsagent.sim.replicasets import is_ready
from opsagent.sim.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, REPLICA_SETS
from opsagent.sim.store import ObjectStore, controller_of
from opsagent.sim.values import Obj, stamp

MANAGER = "kube-controller-manager"


def budgets_of(store: ObjectStore, pod: Obj) -> list[Obj]:
    """Return the budgets whose selector finds ``pod``."""
    budgets = store.objects(DISRUPTION_BUDGETS, pod["metadata"]["namespace"])
    return [budget for budget in budgets if _selects(budget, pod)]


def _selects(budget: Obj, pod: Obj) -> bool:
    selector = budget.get("spec", {}).get("selector")
    if selector is None:
        return False
    labels = pod["metadata"].get("labels", {})
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def with_allowed(status: Obj, allowed: int, now: dt.datetime) -> Obj:
    """Return ``status`` with that many disruptions allowed, and the condition that says so."""
    word, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    known = condition(status.get("conditions", []), "DisruptionAllowed")
    since = known["lastTransitionTime"] if known and known["status"] == word else stamp(now)
    said = {
        "type": "DisruptionAllowed",
        "status": word,
        "observedGeneration": status["observedGeneration"],
        "lastTransitionTime": since,
        "reason": reason,
        "message": "",
    }
    return status | {"disruptionsAllowed": allowed, "conditions": [said]}


def _share(value: int | str, whole: int) -> int:
    """Return a bound as a number of pods; a percentage is one of ``whole``, rounded up."""
    if isinstance(value, int):
        return value
    return math.ceil(int(value.removesuffix("%")) * whole / 100)


class DisruptionController:
    """Writes the status of budgets."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def reconcile(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Count the pods of one budget, if it still exists."""
        budget = self._store.find(DISRUPTION_BUDGETS, namespace, name)
        if budget is None:
            return
        pods = [pod for pod in self._store.objects(PODS, namespace) if _selects(budget, pod)]
        expected, needed = self._bounds(budget, pods)
        healthy = sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods)
        allowed = max(0, healthy - needed) if expected else 0
        status = budget["status"] | {
            "observedGeneration": budget["metadata"]["generation"],
            "currentHealthy": healthy,
            "desiredHealthy": needed,
            "expectedPods": expected,
        }
        counted = budget | {"status": with_allowed(status, allowed, now)}
        self._store.update(DISRUPTION_BUDGETS, counted, Write(MANAGER, now, "status"))

    def _bounds(self, budget: Obj, pods: list[Obj]) -> tuple[int, int]:
        """Return how many pods there should be, and how many of them have to be healthy."""
        spec = budget.get("spec", {})
        if "maxUnavailable" in spec:
            expected = self._wanted(pods)
            return expected, max(0, expected - _share(spec["maxUnavailable"], expected))
        least = spec.get("minAvailable")
        if isinstance(least, str):
            expected = self._wanted(pods)
            return expected, _share(least, expected)
        return (0, 0) if least is None else (len(pods), least)

    def _wanted(self, pods: list[Obj]) -> int:
        """Return how many pods the controllers of ``pods`` are asked for."""
        owners = {controller_of(pod) for pod in pods}
        namespace = pods[0]["metadata"]["namespace"] if pods else ""
        sets = self._store.objects(REPLICA_SETS, namespace)
        found = [item for item in sets if item["metadata"]["uid"] in owners]
        above = {controller_of(item) for item in found}
        deployments = self._store.objects(DEPLOYMENTS, namespace)
        tops = [item for item in found if not controller_of(item)]
        tops += [item for item in deployments if item["metadata"]["uid"] in above]
        return sum(item["spec"]["replicas"] for item in tops)
