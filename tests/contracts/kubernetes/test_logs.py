"""What every kubelet promises about logs that are followed, and what comes of it: each line of each life once."""

import asyncio
import datetime as dt
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from opsagent.clients.kube_log import KubeLogs
from opsagent.clients.kube_read import KubeReader
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject, Pod, entity_of
from opsagent.model.signal import RowType
from opsagent.ports import KubeTransport, NotFound, Transient
from opsagent.sources.pod_logs import LogPlan, PodLogs
from opsagent.sources.reflector import Reflector, Target
from tests.contracts.kubernetes.log_environment import LogWorld, Play, everywhere
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import Heard
from tests.fakes.virtual_time import LoopClock

STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) ")
SPEAKS = Play(((0.0, "one"), (1.5, "two"), (3.0, "three")))
DIES = Play(((0.0, "born"), (1.0, "last words")), exits_after=1.5)


async def followed(
    world: LogWorld,
    name: str,
    since: dt.datetime | None = None,
    *,
    seconds: float = 30,
    is_previous: bool = False,
) -> tuple[list[bytes], bool]:
    """Return the lines that came within ``seconds``, and whether the server ended the log."""
    raw = bytearray()
    is_ended = False
    try:
        async with (
            asyncio.timeout(seconds),
            world.logs.follow_log(world.pod(name), "c", since, is_previous=is_previous) as chunks,
        ):
            async for chunk in chunks:
                raw += chunk
            is_ended = True
    except TimeoutError:
        pass
    assert not raw or raw.endswith(b"\n")
    return bytes(raw).splitlines(), is_ended


def texts(lines: list[bytes]) -> list[str]:
    """Return the lines without their stamps, which each must have."""
    assert all(STAMP.match(line) for line in lines), lines
    return [STAMP.sub(b"", line, count=1).decode() for line in lines]


def stamp_of(line: bytes) -> dt.datetime:
    return dt.datetime.fromisoformat(line.split()[0].decode())


@everywhere
async def test_lines_come_while_they_are_printed_each_behind_its_stamp(world: LogWorld) -> None:
    await world.start("a", SPEAKS)
    arrived: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20), world.logs.follow_log(world.pod("a"), "c") as chunks:
        async for chunk in chunks:
            arrived |= dict.fromkeys(texts(chunk.splitlines()), loop.time())
            if "three" in arrived:
                break
    assert list(arrived) == ["one", "two", "three"]
    assert arrived["three"] - arrived["one"] > 1


@everywhere
async def test_it_begins_with_a_whole_second(world: LogWorld) -> None:
    await world.start("a", SPEAKS)
    await asyncio.sleep(5)
    whole, _ = await followed(world, "a", seconds=2)
    assert texts(whole) == ["one", "two", "three"]
    for number, line in enumerate(whole):
        for since in (stamp_of(line), stamp_of(line).replace(microsecond=0)):
            part, _ = await followed(world, "a", since, seconds=1)
            assert part == whole[number:]
    part, _ = await followed(world, "a", stamp_of(whole[-1]) + dt.timedelta(seconds=1), seconds=1)
    assert part == []


@everywhere
async def test_the_log_ends_with_its_container(world: LogWorld) -> None:
    await world.start("a", Play(((0.0, "born"), (2.0, "last words")), exits_after=3))
    lines, is_ended = await followed(world, "a")
    assert is_ended
    assert texts(lines) == ["born", "last words"]


@everywhere
async def test_a_new_life_has_a_log_of_its_own_and_that_of_before_can_be_had(
    world: LogWorld,
) -> None:
    await world.start("a", Play(((0.0, "born"), (3.0, "last words")), exits_after=4))
    await world.until("a", lambda status: status["restartCount"] == 1 and "running" in status["state"])  # fmt: skip
    before, is_ended = await followed(world, "a", is_previous=True)
    assert is_ended
    assert texts(before) == ["born", "last words"]
    now, _ = await followed(world, "a", seconds=1)
    assert texts(now)[:1] == ["born"]
    assert not set(now) & set(before)
    rest, _ = await followed(world, "a", stamp_of(before[1]), is_previous=True)
    assert texts(rest) == ["last words"]


@everywhere
async def test_while_a_container_waits_its_last_log_can_be_read(world: LogWorld) -> None:
    await world.start("a", DIES)
    await world.until("a", lambda status: "terminated" in status["state"])
    lines, is_ended = await followed(world, "a")
    assert is_ended
    assert texts(lines) == ["born", "last words"]


@everywhere
async def test_what_is_not_there_is_not_found(world: LogWorld) -> None:
    await world.start("a", SPEAKS)
    for name, container, is_previous in (
        ("none", "c", False),
        ("a", "other", False),
        ("a", "c", True),  # it has lived once
    ):
        with pytest.raises(NotFound):
            async with world.logs.follow_log(world.pod(name), container, is_previous=is_previous):
                pass


@everywhere
async def test_a_container_that_waits_for_its_start_has_no_log(world: LogWorld) -> None:
    container = {"name": "c", "image": "shop/nowhere:v9"}
    await world.admin.create(
        world.pods, {"metadata": {"name": "a"}, "spec": {**world.spec, "containers": [container]}}
    )
    await world.until("a", lambda status: "waiting" in status["state"])
    with pytest.raises(NotFound):
        async with world.logs.follow_log(world.pod("a"), "c"):
            pass


@everywhere
async def test_the_log_of_a_pod_that_is_deleted_ends_with_it(world: LogWorld) -> None:
    await world.start("a", SPEAKS)

    async def delete() -> None:
        await asyncio.sleep(4)
        status, _ = await world.admin.send("DELETE", f"{world.pods}/a", {"gracePeriodSeconds": 2})
        assert status == 200

    async with asyncio.TaskGroup() as group:
        group.create_task(delete())
        lines, is_ended = await followed(world, "a", seconds=60)
    assert is_ended
    assert texts(lines) == ["one", "two", "three"]


@everywhere
async def test_a_long_line_is_one_line(world: LogWorld) -> None:
    await world.start("a", Play(((0.0, "x" * 50_000), (0.5, "short"))))
    await asyncio.sleep(3)
    lines, _ = await followed(world, "a", seconds=2)
    assert texts(lines) == ["x" * 50_000, "short"]


class Breaking:
    """A transport whose logs break anywhere, now sooner, now later."""

    def __init__(self, transport: KubeTransport) -> None:
        self._transport = transport
        self._count = 0

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        self._count += 1
        streamed = self._transport.stream(path, query=query, idle_seconds=idle_seconds)
        async with streamed as (status, chunks):
            yield status, self._broken(chunks, 100 + 379 * self._count % 2000)

    async def _broken(self, chunks: AsyncIterator[bytes], left: int) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                raise Transient("broken on purpose")


class Follower:
    """The way that the daemon goes: pods by a reflector, their logs by what it says."""

    def __init__(self, world: LogWorld, source: KubeLogs) -> None:
        clock, chance = LoopClock(), MiddleChance()
        self.pods: dict[Entity, Pod] = {}
        self.heard = Heard()
        reader = KubeReader(world.transport)
        target = Target(Kind.POD, (world.namespace,))
        self._reflector = Reflector(reader, target, self._see, clock=clock, chance=chance)
        # Lines are stamped by the cluster's clock, which on the node is not the loop's.
        plan = LogPlan(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        self.logs = PodLogs(
            source, self.pods.values, self.heard.take, plan=plan, clock=clock, chance=chance
        )

    async def _see(self, _: dt.datetime, row: RowType, __: Kind, item: KubeObject | None) -> None:
        if isinstance(item, Pod):
            self.pods[entity_of(item)] = item
            if row is RowType.DELETED:
                del self.pods[entity_of(item)]
        self.logs.notice()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run) for run in (self._reflector.run(), self.logs.run())]
            yield
            for task in tasks:
                task.cancel()

    async def until(self, is_so: Any, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not is_so():  # noqa: ASYNC110 - the world is elsewhere
                await asyncio.sleep(0.25)


@everywhere
async def test_every_life_of_a_crash_loop_is_heard_once_to_its_last_words(world: LogWorld) -> None:
    follower = Follower(world, KubeLogs(world.transport))
    async with follower.following():
        await world.start("a", DIES)
        await world.until("a", lambda status: status["restartCount"] == 3)
        await world.until("a", lambda status: "running" not in status["state"])
        await asyncio.sleep(5)
        heard = follower.heard.texts()
    assert heard[:8] == ["born", "last words"] * 4
    assert follower.logs.status().gaps_total == 0


@everywhere
async def test_each_line_is_heard_once_however_often_connections_break(world: LogWorld) -> None:
    count = 150
    prints = tuple((0.1 * number, f"line {number}") for number in range(count))
    breaking: Any = Breaking(world.transport)
    follower = Follower(world, KubeLogs(breaking))
    async with follower.following():
        await world.start("a", Play(prints))
        await follower.until(lambda: len(follower.heard.entries) >= count, 120)
        heard = follower.heard.texts()
    assert heard == [f"line {number}" for number in range(count)]
    status = follower.logs.status()
    assert status.seams_total > 5
    assert status.gaps_total == 0
    assert json.dumps(status.last_error)
