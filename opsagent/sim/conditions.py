"""Status conditions: one per type, transition time only when the status flips."""

import datetime as dt

from opsagent.sim.values import Obj, stamp


def condition(conditions: list[Obj], type_: str) -> Obj | None:
    """Return the condition of ``type_``, None if there is none."""
    return next((item for item in conditions if item["type"] == type_), None)


def with_condition(conditions: list[Obj], new: Obj, now: dt.datetime) -> list[Obj]:
    """Return ``conditions`` with ``new`` in place of the one of its type; no change if it says the same."""
    known = condition(conditions, new["type"])
    if known and (known["status"], known.get("reason")) == (new["status"], new.get("reason")):
        return conditions
    return with_renewed(conditions, new, now)


def with_renewed(conditions: list[Obj], new: Obj, now: dt.datetime) -> list[Obj]:
    """Return ``conditions`` with ``new`` updated now, also if it says the same as before."""
    known = condition(conditions, new["type"])
    is_same_status = known is not None and known["status"] == new["status"]
    since = known["lastTransitionTime"] if known and is_same_status else stamp(now)
    renewed = new | {"lastUpdateTime": stamp(now), "lastTransitionTime": since}
    return [*(item for item in conditions if item["type"] != new["type"]), renewed]


def with_pod_condition(conditions: list[Obj], new: Obj, now: dt.datetime) -> list[Obj]:
    """Return a pod's ``conditions`` with ``new``, in place if its type is known, else last."""
    known = condition(conditions, new["type"])
    is_same_status = known is not None and known["status"] == new["status"]
    since = known["lastTransitionTime"] if known and is_same_status else stamp(now)
    renewed = {"lastProbeTime": None, "lastTransitionTime": since} | new
    if known is None:
        return [*conditions, renewed]
    return [renewed if item is known else item for item in conditions]
