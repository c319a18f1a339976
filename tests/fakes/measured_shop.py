"""The shop in a box with a Prometheus beside it, on virtual time, for one daemon after another."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opsagent.app import Daemon
from opsagent.controllers.report import Report
from opsagent.model.canonical import canonical
from opsagent.ports import MetricsSource
from opsagent.settings import MetricsSettings, Settings
from opsagent.sim import ADMIN, OPSAGENT, Fault, SimTransport, drive, fault_patch, shop
from opsagent.sim.prometheus import Prometheus, SimMetrics
from opsagent.sim.series import SimSeries
from tests.fakes.series import Troubled
from tests.fakes.virtual_time import LoopClock
from tests.fakes.worlds import world_of

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
SECTION = MetricsSettings(url="http://in.this.process", scrape_seconds=15)


class MeasuredShop:
    """Make it with :func:`measured_shop`. ``series`` is what the daemons follow, ``metrics`` what they ask."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.cluster = shop(self.clock.now())
        self.prometheus = Prometheus(self.cluster)
        self.series = Troubled(SimSeries(self.prometheus, self.clock))
        self.metrics: MetricsSource = SimMetrics(self.prometheus, self.clock)

    @asynccontextmanager
    async def daemon(
        self, state: Path, asked: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[Report]:
        """Run a daemon on ``state`` inside the block; ``asked`` of its settings, ``more`` of its World."""
        daemon = Daemon(
            Settings(state_dir=state, **({"metrics": SECTION} | dict(asked or {}))),
            world_of(
                clock=self.clock,
                cluster=self._transport(OPSAGENT),
                metrics=self.metrics,
                series=self.series,
                **more,
            ),
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(daemon.run())
            yield await daemon.report()
            task.cancel()

    async def break_web(self) -> None:
        """Roll out a release of ``web`` that crashes."""
        answer = await self._transport(ADMIN).request(
            "PATCH",
            WEB,
            body=canonical(fault_patch(Fault.CRASH_LOOP)),
            content_type="application/strategic-merge-patch+json",
        )
        assert answer.status == 200

    def _transport(self, user: str) -> SimTransport:
        return SimTransport(self.cluster, self.cluster.access.token(user), self.clock)


@asynccontextmanager
async def measured_shop() -> AsyncIterator[MeasuredShop]:
    """Let the shop live inside the block."""
    here = MeasuredShop()
    async with asyncio.TaskGroup() as group:
        driver = group.create_task(drive(here.cluster, here.clock))
        yield here
        driver.cancel()
