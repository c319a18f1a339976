"""A daemon's surroundings in one process: time is the loop's, chance is seeded, nobody listens on a socket."""

from typing import Any

from opsagent.ports import Clock, KubeTransport
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.retry import SystemChance
from opsagent.runtime.schedule import LoopSchedule
from opsagent.world import World


def world_of(*, clock: Clock, cluster: KubeTransport, **more: Any) -> World:
    """Return a World; what is in ``more`` is as it says."""
    usual: dict[str, Any] = {
        "chance": SystemChance(7),
        "ids": SecureIds(),
        "schedule": lambda: LoopSchedule(clock),
        "is_serving": False,
    }
    return World(clock=clock, cluster=cluster, **(usual | more))
