"""A world of containers that print in memory, and whoever follows their logs, on virtual time."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from opsagent.sources.pod_logs import LogPlan, PodLogs
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import Containers, Heard
from tests.fakes.virtual_time import EPOCH, LoopClock

GAP = "(lines may be missing here: what the log held before was gone when it could be read again)"


class CountingClock(LoopClock):
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def now(self) -> dt.datetime:
        self.reads += 1
        return super().now()


class World:
    """Logs in memory, and who follows them."""

    def __init__(self, **plan: Any) -> None:
        self.clock = CountingClock()
        self.source = Containers(LoopClock())
        self.heard = Heard()
        self.sink_gate: asyncio.Event | None = None  # the sink waits for it
        self.logs = PodLogs(
            self.source,
            self.source.pods,
            self._take,
            plan=LogPlan(**({"since": EPOCH} | plan)),
            clock=self.clock,
            chance=MiddleChance(),
        )

    async def _take(self, whose: Any, entries: Any) -> None:
        if self.sink_gate is not None:
            await self.sink_gate.wait()
        await self.heard.take(whose, entries)

    async def changed(self, seconds: float = 2) -> None:
        """Tell that pods changed, and let time pass."""
        self.logs.notice()
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.logs.run())
            await asyncio.sleep(2)
            yield
            task.cancel()


def played(play: Callable[[World], Any], prepare: Callable[[World], None] = lambda _: None, **plan: Any) -> World:  # fmt: skip
    """Play on virtual time with one pod, ``a``."""

    async def main() -> World:
        world = World(**plan)
        world.source.add("a")
        prepare(world)
        async with world.running():
            await play(world)
        return world

    return virtual_time.run(main())


def numbers(texts: list[str]) -> list[int]:
    return [int(text.split()[-1]) for text in texts if text.startswith("line ")]


async def print_lines(world: World, name: str, count: int, every: float, first: int = 0) -> None:
    for number in range(first, first + count):
        world.source.write(name, f"line {number}")
        await asyncio.sleep(every)
