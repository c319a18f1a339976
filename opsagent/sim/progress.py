"""A Deployment's status: its counts and its conditions Available and Progressing.

Pure. The conditions are a small machine: progress renews the clock of ``Progressing``; no progress
for ``progressDeadlineSeconds`` turns it False; completion ends the watch until the next template.
Source: kubernetes pkg/controller/deployment/progress.go, told here in our own code.
"""

import datetime as dt
from collections.abc import Sequence

from opsagent.sim.conditions import condition, with_condition, with_renewed
from opsagent.sim.rollout import bounds, counted, wanted
from opsagent.sim.values import Obj, parse_stamp, seconds

AVAILABLE_REASON = "NewReplicaSetAvailable"
TIMED_OUT_REASON = "ProgressDeadlineExceeded"


def progressing(status: str, reason: str, message: str) -> Obj:
    """Return a Progressing condition without times."""
    return {"type": "Progressing", "status": status, "reason": reason, "message": message}


def _counts(deployment: Obj, new: Obj | None, everything: Sequence[Obj]) -> Obj:
    """Return the counts; zero ones are left out, as the API does."""
    available = counted(everything, "availableReplicas")
    counts = {
        "replicas": counted(everything, "replicas"),
        "updatedReplicas": counted([new], "replicas") if new else 0,
        "readyReplicas": counted(everything, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted(everything) - available),
    }
    observed = {"observedGeneration": deployment["metadata"]["generation"]}
    return observed | {field: count for field, count in counts.items() if count}


def _available(deployment: Obj, status: Obj) -> Obj:
    floor = deployment["spec"]["replicas"] - bounds(deployment).unavailable
    if status.get("availableReplicas", 0) >= floor:
        word, reason = "True", "MinimumReplicasAvailable"
        message = "Deployment has minimum availability."
    else:
        word, reason = "False", "MinimumReplicasUnavailable"
        message = "Deployment does not have minimum availability."
    return {"type": "Available", "status": word, "reason": reason, "message": message}


def _is_complete(deployment: Obj, status: Obj) -> bool:
    goal = deployment["spec"]["replicas"]
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(field, 0) == goal for field in fields)


def _has_progressed(old: Obj, new: Obj) -> bool:
    def outdated(status: Obj) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    rising = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(
        new.get(field, 0) > old.get(field, 0) for field in rising
    )


def deadline(deployment: Obj, conditions: list[Obj]) -> dt.datetime | None:
    """Return when the rollout counts as stuck, None if nothing is awaited."""
    known = condition(conditions, "Progressing")
    if known is None or known["status"] != "True" or known["reason"] == AVAILABLE_REASON:
        return None
    patience = seconds(deployment["spec"]["progressDeadlineSeconds"])
    return parse_stamp(known["lastUpdateTime"]) + patience


def _with_progress(
    deployment: Obj, status: Obj, conditions: list[Obj], name: str, now: dt.datetime
) -> list[Obj]:
    """Return ``conditions`` with Progressing brought up to date for the ReplicaSet ``name``."""
    known = condition(conditions, "Progressing")
    is_settled = known is not None and known["reason"] == AVAILABLE_REASON
    if is_settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return conditions
    if _is_complete(deployment, status):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return with_condition(conditions, progressing("True", AVAILABLE_REASON, message), now)
    if _has_progressed(deployment["status"], status):
        message = f'ReplicaSet "{name}" is progressing.'
        return with_renewed(conditions, progressing("True", "ReplicaSetUpdated", message), now)
    due = deadline(deployment, conditions)
    if due is not None and now > due:
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return with_condition(conditions, progressing("False", TIMED_OUT_REASON, message), now)
    return conditions


def status_of(deployment: Obj, new: Obj | None, old: Sequence[Obj], now: dt.datetime) -> Obj:
    """Return the Deployment's next status from the statuses of its ReplicaSets."""
    everything = [*old, new] if new else list(old)
    status = _counts(deployment, new, everything)
    conditions = deployment["status"].get("conditions", [])
    conditions = with_condition(conditions, _available(deployment, status), now)
    if deployment["spec"].get("paused"):
        paused = progressing("Unknown", "DeploymentPaused", "Deployment is paused")
        conditions = with_condition(conditions, paused, now)
    elif new is not None:
        name = new["metadata"]["name"]
        conditions = _with_progress(deployment, status, conditions, name, now)
    return status | {"conditions": conditions}
