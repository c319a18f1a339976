"""A cluster in a box: what opsagent meets in tests and in the demo instead of a real cluster.

Public surface::

    cluster = shop(clock.now())                    # a small healthy shop, an hour old
    token = cluster.access.token(ADMIN)            # bearer token of a known identity
    transport = SimTransport(cluster, token, clock)   # ports.KubeTransport, no socket
    await drive(cluster, clock)                    # moves it through time; run as a task
    async with server.serving(cluster, clock) as url: ...   # the same over HTTP, driver included
    fault_patch(Fault.CRASH_LOOP)                  # a spec change to send as a strategic merge patch
    cluster.refuse_next(2, 429); cluster.cut_watches(); cluster.compact()   # trouble
    cluster.answer_delay_seconds = 3               # slow answers
    cluster.audit                                  # what was written, by whom

Without a loop: ``cluster.handle(Request(...), now)``, ``cluster.advance(now)``, ``cluster.next_due()``.

The core (everything but ``transport`` and ``server``) waits for nothing, reads no clock and draws
no lots. It is as wide as opsagent needs: no discovery, no quota, no network.
Symptoms are never written: they follow from specs, images and time.
"""

from opsagent.sim.access import ANY, Access, Rule
from opsagent.sim.audit import AuditEntry
from opsagent.sim.cluster import Cluster
from opsagent.sim.faults import Fault, fault_patch, template_patch
from opsagent.sim.images import ImageBehaviour, ImageRegistry
from opsagent.sim.requests import Request
from opsagent.sim.shop import ADMIN, ALICE, BOB, EXECUTOR, OPSAGENT, SHOP, shop, shop_registry
from opsagent.sim.transport import SimTransport, drive

__all__ = [
    "ADMIN",
    "ALICE",
    "ANY",
    "BOB",
    "EXECUTOR",
    "OPSAGENT",
    "SHOP",
    "Access",
    "AuditEntry",
    "Cluster",
    "Fault",
    "ImageBehaviour",
    "ImageRegistry",
    "Request",
    "Rule",
    "SimTransport",
    "drive",
    "fault_patch",
    "shop",
    "shop_registry",
    "template_patch",
]
