"""The arithmetic of a rolling update: how many pods each ReplicaSet may have next.

Pure. Source: the rolling update strategy of the Deployment controller (kubernetes
pkg/controller/deployment/rolling.go and util), told here in our own code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opsagent.sim.values import Obj, copy_of

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a rollout may go from the wanted count: above by ``surge``, below by ``unavailable``."""

    surge: int
    unavailable: int


def _share(value: object, total: int, *, rounds_up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = float(str(value).removesuffix("%")) * total / 100
    return math.ceil(exact) if rounds_up else math.floor(exact)


def bounds(deployment: Obj) -> Bounds:
    """Return the bounds of a Deployment; both zero would never move, so one pod may be missing then."""
    spec = deployment["spec"]
    rolling = spec["strategy"]["rollingUpdate"]
    surge = _share(rolling["maxSurge"], spec["replicas"], rounds_up=True)
    unavailable = _share(rolling["maxUnavailable"], spec["replicas"], rounds_up=False)
    return Bounds(surge, 1 if surge == unavailable == 0 else unavailable)


def revision_of(item: Obj) -> int:
    """Return the revision annotation, 0 if there is none."""
    return int(item["metadata"].get("annotations", {}).get(REVISION, "0"))


def bare_template(item: Obj) -> Obj:
    """Return a copy of the pod template without the hash label."""
    template = copy_of(item["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def of_template(deployment: Obj, replica_sets: Sequence[Obj]) -> Obj | None:
    """Return the ReplicaSet whose template is the Deployment's, None if there is none."""
    wanted = bare_template(deployment)
    return next((item for item in replica_sets if bare_template(item) == wanted), None)


def wanted(replica_sets: Sequence[Obj]) -> int:
    """Return the sum of the counts that the ReplicaSets are asked for."""
    return sum(item["spec"]["replicas"] for item in replica_sets)


def counted(replica_sets: Sequence[Obj], field: str) -> int:
    """Return the sum of a status count."""
    return sum(item["status"].get(field, 0) for item in replica_sets)


def new_size(deployment: Obj, new_replicas: int, total_wanted: int) -> int:
    """Return the next count of the new ReplicaSet, which has ``new_replicas`` of ``total_wanted`` now."""
    goal: int = deployment["spec"]["replicas"]
    if new_replicas >= goal:
        return goal
    room = goal + bounds(deployment).surge - total_wanted
    return new_replicas + max(0, min(room, goal - new_replicas))


def old_sizes(deployment: Obj, new: Obj, old: Sequence[Obj]) -> dict[str, int]:
    """Return the next counts of the old ReplicaSets that shrink, by name. ``old`` is oldest first.

    First go pods that are not available anyway, then available ones as far as the bounds allow.
    """
    everything = [*old, new]
    floor = deployment["spec"]["replicas"] - bounds(deployment).unavailable
    new_missing = new["spec"]["replicas"] - new["status"].get("availableReplicas", 0)
    spare = wanted(everything) - floor - new_missing
    sizes = {item["metadata"]["name"]: item["spec"]["replicas"] for item in old}
    before = dict(sizes)
    for item in old:
        name = item["metadata"]["name"]
        cut = min(max(spare, 0), max(sizes[name] - item["status"].get("availableReplicas", 0), 0))
        sizes[name] -= cut
        spare -= cut
    spare = min(spare, counted(everything, "availableReplicas") - floor)
    for item in old:
        cut = min(max(spare, 0), sizes[item["metadata"]["name"]])
        sizes[item["metadata"]["name"]] -= cut
        spare -= cut
    return {name: size for name, size in sizes.items() if size != before[name]}
