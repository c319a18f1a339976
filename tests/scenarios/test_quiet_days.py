"""A quiet cluster stays quiet, cheaply: three virtual days with heartbeats, the Lease and housekeeping."""

import asyncio
import math
import time
from pathlib import Path

import pytest

from opsagent.app import Daemon
from opsagent.guard.policy import Level
from opsagent.settings import ExecutorSettings, PolicySettings, Settings
from tests.fakes.virtual_time import run
from tests.fakes.worlds import world_of
from tests.scenarios.places import box

DAYS = 3
CPU_SECONDS_MAX = 15  # 7 to 12, as the machine is; half of it is the cluster in the box


@pytest.mark.no_cover  # it measures what this process spends
@pytest.mark.figures
def test_three_days_open_no_incident(tmp_path: Path) -> None:
    async def scene(state: Path) -> None:
        async with box() as stage, asyncio.TaskGroup() as group:
            daemon = Daemon(
                Settings(
                    state_dir=state,
                    executor=ExecutorSettings(),
                    policy=PolicySettings(level=Level.APPROVE, namespaces=(stage.namespace,)),
                ),
                world_of(
                    clock=stage.clock,
                    cluster=stage.daemon,
                    hands=stage.executor,
                ),
            )
            running = group.create_task(daemon.run())
            report = await daemon.report()
            await asyncio.sleep(DAYS * 86_400)
            assert report.term is not None
            assert report.term.pipeline.is_synced
            assert not report.overdue()
            assert await report.incidents(10) == ()
            status = await report.status()
            assert not status["restarts"]
            assert list(stage.writes()) == []
            running.cancel()

    # Neighbours on the machine make CPU seconds longer, never shorter: one good run of three is proof.
    spent: list[float] = []
    while min(spent, default=math.inf) >= CPU_SECONDS_MAX and len(spent) < 3:
        state = tmp_path / str(len(spent))
        began = time.process_time()
        run(scene(state))
        spent.append(time.process_time() - began)
    assert min(spent) < CPU_SECONDS_MAX, spent
