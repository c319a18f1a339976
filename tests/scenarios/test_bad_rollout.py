"""A bad rollout, from the first bad status to the verified rollback: one file, two clusters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from opsagent.clients.kube_transport import connect
from opsagent.model.incident import IncidentState
from opsagent.runtime.clock import SystemClock
from opsagent.sim import ADMIN, ALICE, BOB, EXECUTOR, OPSAGENT, SHOP, SimTransport, drive, shop
from tests.fakes.virtual_time import LoopClock, run
from tests.lab.audit import service_account, writes
from tests.lab.fixture import Lab
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player, Stage

FAULTS = ("crash_loop", "missing_image", "oom_kill", "never_ready", "stuck_rollout")
OURS = (service_account("opsagent", "opsagent"), service_account("opsagent", "opsagent-executor"))


def is_resolved(state: IncidentState) -> bool:
    return state is IncidentState.RESOLVED


@asynccontextmanager
async def box() -> AsyncIterator[Stage]:
    """The cluster in a box, in this process, on virtual time."""
    clock = LoopClock()
    cluster = shop(clock.now())

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
async def real(lab: Lab) -> AsyncIterator[Stage]:
    """The real API server, in a namespace of the scenario's own."""
    async with AsyncExitStack() as stack:
        admin, daemon, executor = [
            await connect(path) for path in (lab.admin, lab.reader, lab.executor)
        ]
        for transport in (admin, daemon, executor):
            stack.push_async_callback(transport.aclose)
        namespace = lab.fresh_namespace()
        yield Stage(
            namespace=namespace,
            clock=SystemClock(),
            admin=admin,
            daemon=daemon,
            executor=executor,
            tokens={"alice": lab.alice_token, "bob": lab.bob_token},
            writes=lambda: [
                entry.at
                for entry in writes(lab.audit_log, OURS)
                if entry.resource != "leases" and entry.namespace == namespace
            ],
            node_selector={"type": "kwok"},
        )


@pytest.mark.timeout(30)
@pytest.mark.parametrize("fault", FAULTS)
def test_on_the_cluster_in_a_box(fault: str, tmp_path: Path) -> None:
    async def scene() -> None:
        scenario = load(f"bad_rollout/{fault}")
        async with box() as stage:
            player = Player(scenario, stage, tmp_path)
            ending = await player.play(is_resolved)
        check(scenario, player.seen, ending)

    run(scene())


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
async def test_on_a_real_api_server(fault: str, tmp_path: Path, lab: Lab) -> None:
    scenario = load(f"bad_rollout/{fault}")
    async with real(lab) as stage:
        player = Player(scenario, stage, tmp_path)
        ending = await player.play(is_resolved)
    check(scenario, player.seen, ending)
