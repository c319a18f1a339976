"""Node status: ready from the first look on, a heartbeat every five minutes."""

import datetime as dt

from opsagent.sim.conditions import condition
from opsagent.sim.ownership import Write
from opsagent.sim.resources import NODES
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, seconds, stamp

HEARTBEAT = seconds(300)  # Source: kubelet nodeStatusReportFrequency, 5 minutes

_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ("Ready", "True", "KubeletReady"),
)


class NodeHeartbeats:
    """Keeps nodes alive in the API's eyes."""

    def __init__(self, store: ObjectStore, timers: Timers) -> None:
        self._store = store
        self._timers = timers

    def beat(self, name: str, now: dt.datetime) -> None:
        """Write one heartbeat, if the node still exists, and plan the next."""
        node = self._store.find(NODES, "", name)
        if node is None:
            return
        known = node["status"].get("conditions", [])
        conditions = [_beaten(known, *one, now) for one in _CONDITIONS]
        changed = node | {"status": node["status"] | {"conditions": conditions}}
        self._store.update(NODES, changed, Write("kubelet", now, "status"))
        self._timers.set(("node", "", name), now + HEARTBEAT)


def _beaten(known: list[Obj], type_: str, status: str, reason: str, now: dt.datetime) -> Obj:
    old = condition(known, type_)
    is_same = old is not None and old["status"] == status
    since = old["lastTransitionTime"] if old is not None and is_same else stamp(now)
    times = {"lastHeartbeatTime": stamp(now), "lastTransitionTime": since}
    return {"type": type_, "status": status, "reason": reason} | times
