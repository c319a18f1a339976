"""The two places to play in: a cluster in a box on virtual time, and a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from opsagent.clients.kube_transport import connect
from opsagent.ports import KubeTransport
from opsagent.runtime.clock import SystemClock
from opsagent.sim import (
    ADMIN,
    ALICE,
    BOB,
    EXECUTOR,
    OPSAGENT,
    SHOP,
    ImageRegistry,
    SimTransport,
    drive,
    shop,
)
from tests.fakes.virtual_time import LoopClock
from tests.lab.audit import service_account, writes
from tests.lab.fixture import Lab, is_another_tests
from tests.scenarios.stage import Stage, until

OURS = (service_account("opsagent", "opsagent"), service_account("opsagent", "opsagent-executor"))
NO_WRITES = ("leases", "tokenreviews", "subjectaccessreviews")


@asynccontextmanager
async def box(registry: ImageRegistry | None = None) -> AsyncIterator[Stage]:
    """The cluster in a box, in this process, on virtual time."""
    clock = LoopClock()
    cluster = shop(clock.now(), registry=registry)

    def transport(user: str) -> SimTransport:
        return SimTransport(cluster, cluster.access.token(user), clock)

    async with asyncio.TaskGroup() as group:
        driver = group.create_task(drive(cluster, clock))
        yield Stage(
            namespace=SHOP,
            clock=clock,
            admin=transport(ADMIN),
            daemon=transport(OPSAGENT),
            executor=transport(EXECUTOR),
            tokens={"alice": cluster.access.token(ALICE), "bob": cluster.access.token(BOB)},
            writes=lambda: [
                entry.at
                for entry in cluster.audit
                if entry.user in (OPSAGENT, EXECUTOR)
                and not entry.is_dry_run
                and entry.resource.split(".")[0]
                not in ("leases", "tokenreviews", "subjectaccessreviews")
            ],
        )
        driver.cancel()


@asynccontextmanager
async def real(lab: Lab, node_type: str = "kwok") -> AsyncIterator[Stage]:
    """The real API server, in a namespace of the scenario's own; on pretended nodes, or on the ``real`` one."""
    async with AsyncExitStack() as stack:
        admin, daemon, executor = [
            await connect(path) for path in (lab.admin, lab.reader, lab.executor)
        ]
        for transport in (admin, daemon, executor):
            stack.push_async_callback(transport.aclose)
        namespace = lab.fresh_namespace()
        stack.push_async_callback(_clear, admin, namespace)
        already = len(writes(lab.audit_log, OURS))
        yield Stage(
            namespace=namespace,
            clock=SystemClock(),
            admin=admin,
            daemon=daemon,
            executor=executor,
            tokens={"alice": lab.alice_token, "bob": lab.bob_token},
            writes=lambda: [
                entry.at
                for entry in writes(lab.audit_log, OURS)[already:]
                if entry.resource != "leases" and not is_another_tests(entry.namespace, namespace)
            ],
            node_selector={"type": node_type},
            watched=(namespace,),  # other tests break things in theirs
        )


async def _clear(admin: KubeTransport, namespace: str) -> None:
    """Leave no broken workload behind for the next scenario to find."""
    path = f"/api/v1/namespaces/{namespace}"
    await admin.request("DELETE", path)

    async def is_gone() -> bool:
        return (await admin.request("GET", path)).status == 404

    await until(is_gone)
