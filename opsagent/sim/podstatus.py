"""A pod's status from its containers. Pure."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from opsagent.sim.conditions import with_pod_condition
from opsagent.sim.container import ContainerRun
from opsagent.sim.values import Obj, stamp


def _container_status(run: ContainerRun) -> Obj:
    status: Obj = {
        "name": run.name,
        "state": run.state,
        "lastState": run.last_state,
        "ready": run.is_ready,
        "restartCount": run.restarts,
        "image": run.image,
        "imageID": f"{run.image}@sim" if run.has_started else "",
        "started": "running" in run.state,
    }
    return status | ({"containerID": run.container_id} if run.container_id else {})


def pod_status(pod: Obj, runs: Sequence[ContainerRun], addresses: Obj, now: dt.datetime) -> Obj:
    """Return the next status. ``addresses`` holds hostIP and podIP."""
    unready = [run.name for run in runs if not run.is_ready]
    word = "False" if unready else "True"
    why: dict[str, Any] = {}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        why = {"reason": "ContainersNotReady", "message": message}
    own: list[Obj] = [
        {"type": "PodReadyToStartContainers", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": word} | why,
        {"type": "ContainersReady", "status": word} | why,
    ]
    conditions = pod["status"].get("conditions", [])
    for item in own:
        conditions = with_pod_condition(conditions, item, now)
    has_started = all(run.has_started for run in runs)
    status: Obj = pod["status"]
    return status | {
        "phase": "Running" if has_started else "Pending",
        "conditions": conditions,
        "startTime": pod["status"].get("startTime", stamp(now)),
        "hostIP": addresses["hostIP"],
        "podIP": addresses["podIP"],
        "containerStatuses": [_container_status(run) for run in runs],
    }
