"""Five faults, each a change that a person could make to a Deployment. What follows is behaviour.

The table holds spec changes and nothing else: an image tag, or a request that no node can hold.
"""

from collections.abc import Mapping
from enum import StrEnum

from opsagent.sim.values import Obj


class Fault(StrEnum):
    """What can go wrong with a rollout."""

    CRASH_LOOP = "crash_loop"
    MISSING_IMAGE = "missing_image"
    OOM_KILLED = "oom_killed"
    NEVER_READY = "never_ready"
    STUCK_ROLLOUT = "stuck_rollout"


_CONTAINER_CHANGES: Mapping[Fault, tuple[str, Obj]] = {  # tag ending, further fields
    Fault.CRASH_LOOP: ("-crash", {}),
    Fault.MISSING_IMAGE: ("-missing", {}),
    Fault.OOM_KILLED: ("-oom", {}),
    Fault.NEVER_READY: ("-slow", {}),
    Fault.STUCK_ROLLOUT: ("", {"resources": {"requests": {"cpu": "64"}}}),
}


def fault_patch(fault: Fault, *, container: str = "web", image: str = "shop/web:v2") -> Obj:
    """Return the strategic merge patch that brings ``fault`` into a Deployment.

    ``image`` is the new release; the fault's tag ending is added to it.
    """
    ending, fields = _CONTAINER_CHANGES[fault]
    return template_patch({"name": container, "image": image + ending} | fields)


def template_patch(container: Obj) -> Obj:
    """Return the strategic merge patch that changes fields of one container, found by its name."""
    return {"spec": {"template": {"spec": {"containers": [container]}}}}
