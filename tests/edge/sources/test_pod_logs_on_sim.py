"""Logs of a cluster in a box, as the daemon follows them: pods by a reflector, lines by the product's own client."""

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opsagent.clients.kube_log import KubeLogs
from opsagent.clients.kube_read import KubeReader
from opsagent.controllers.remember_logs import LogRetention, RememberLogs
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject, Pod, entity_of
from opsagent.model.log import LogEntry, LogOrigin, LogSeverity
from opsagent.model.signal import RowType
from opsagent.sim import (
    ADMIN,
    OPSAGENT,
    Cluster,
    Fault,
    ImageBehaviour,
    ImageRegistry,
    SimTransport,
    drive,
    fault_patch,
    shop,
    template_patch,
)
from opsagent.sources.log_road import Sink
from opsagent.sources.pod_logs import LogPlan, PodLogs
from opsagent.sources.reflector import Reflector, Target
from opsagent.store.raw import RawStore
from tests.edge.sim.hand import PODS, WEB
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import Heard
from tests.fakes.virtual_time import EPOCH, LoopClock

TALKS = ImageBehaviour(
    log_lines=("starting",), prints=tuple((10.0 * n, f"beat {n}") for n in range(1, 60))
)
DIES = ImageBehaviour(
    exit_code=2,
    exits_after_seconds=3,
    ready_after_seconds=None,
    log_lines=("born",),
    prints=((1.0, "working"), (3.0, "panic: last words")),
)
MERGE = "application/strategic-merge-patch+json"


class Box:
    """The shop on virtual time, followed from its first moment."""

    def __init__(self, **plan: Any) -> None:
        self.clock = LoopClock()
        images = {"shop/talks:1": TALKS, "shop/dies:1": DIES}
        registry = ImageRegistry(images, frozenset({"shop/web", "shop/cart"}))
        self.cluster: Cluster = shop(EPOCH, registry=registry)
        self.admin = SimTransport(self.cluster, self.cluster.access.token(ADMIN), self.clock)
        self.ours = SimTransport(self.cluster, self.cluster.access.token(OPSAGENT), self.clock)
        self.pods: dict[Entity, Pod] = {}
        self.heard = Heard()
        self.sink: Sink = self.heard.take
        self.logs = PodLogs(
            KubeLogs(self.ours),
            self.pods.values,
            self._take,
            plan=LogPlan(**({"since": EPOCH} | plan)),
            clock=self.clock,
            chance=MiddleChance(),
        )

    async def _take(self, origin: LogOrigin, entries: Sequence[LogEntry]) -> None:
        await self.sink(origin, entries)

    async def _see(self, _: dt.datetime, row: RowType, __: Kind, item: KubeObject | None) -> None:
        if isinstance(item, Pod):
            if row is RowType.DELETED:
                self.pods.pop(entity_of(item), None)
            else:
                self.pods[entity_of(item)] = item
        self.logs.notice()

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        reflector = Reflector(
            KubeReader(self.ours),
            Target(Kind.POD),
            self._see,
            clock=self.clock,
            chance=MiddleChance(),
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(run)
                for run in (drive(self.cluster, self.clock), reflector.run(), self.logs.run())
            ]
            await asyncio.sleep(5)
            yield
            for task in tasks:
                task.cancel()

    async def patch(self, patch: object) -> None:
        answer = await self.admin.request(
            "PATCH", WEB, body=json.dumps(patch).encode(), content_type=MERGE
        )
        assert answer.status == 200

    async def roll_out(self, image: str) -> None:
        await self.patch(template_patch({"name": "web", "image": image}))

    def said(self, image: str) -> dict[str, list[str]]:
        """Return the texts of every pod that runs ``image``."""
        found: dict[str, list[str]] = {}
        for pod in self.pods.values():
            if pod.containers[0].image == image:
                found[pod.meta.name] = self.heard.texts(pod.meta.name)
        return found


def played(play: Callable[[Box], Awaitable[None]], **plan: Any) -> Box:
    async def main() -> Box:
        box = Box(**plan)
        async with box.living():
            await play(box)
        return box

    return virtual_time.run(main())


def test_a_healthy_rollout_is_followed_from_its_first_words() -> None:
    async def play(box: Box) -> None:
        await box.roll_out("shop/talks:1")
        await asyncio.sleep(300)
        said = box.said("shop/talks:1")
        assert len(said) == 3
        for texts in said.values():
            assert texts == ["starting", *(f"beat {n}" for n in range(1, len(texts)))]
            assert len(texts) > 25

    status = played(play).logs.status()
    assert (status.gaps_total, status.failures_total) == (0, 0)


def test_every_life_of_a_crash_loop_is_heard_to_its_last_words() -> None:
    async def play(box: Box) -> None:
        await box.roll_out("shop/dies:1")
        await asyncio.sleep(1800)
        (pod,) = (each for each in box.pods.values() if each.containers[0].image == "shop/dies:1")
        texts = box.heard.texts(pod.meta.name)
        lives = pod.container_statuses[0].restart_count + 1
        assert lives >= 9
        assert texts == ["born", "working", "panic: last words"] * lives

    status = played(play).logs.status()
    assert (status.gaps_total, status.unstamped_lines_total) == (0, 0)


def test_through_an_outage_of_the_api_server_too() -> None:
    async def play(box: Box) -> None:
        await box.roll_out("shop/dies:1")
        for _ in range(20):
            await asyncio.sleep(61)
            box.cluster.refuse_next(7, 503)
            box.cluster.cut_watches()
        await asyncio.sleep(300)
        (pod,) = (each for each in box.pods.values() if each.containers[0].image == "shop/dies:1")
        count = Counter(box.heard.texts(pod.meta.name))
        lives = pod.container_statuses[0].restart_count + 1
        assert {count["born"], count["working"], count["panic: last words"]} <= {lives, lives - 1}

    status = played(play).logs.status()
    assert status.reconnects_total > 20
    assert status.gaps_total == 0


def test_what_a_deleted_pod_said_is_heard_and_the_pod_forgotten() -> None:
    async def play(box: Box) -> None:
        await box.roll_out("shop/talks:1")
        await asyncio.sleep(60)
        name = next(iter(box.said("shop/talks:1")))
        await box.admin.request("DELETE", f"{PODS}/{name}")
        box.cluster.log("shop", name, "web").write(box.clock.now(), b"terminating")
        await asyncio.sleep(120)
        assert box.heard.texts(name)[-1] == "terminating"
        assert all(
            each.origin.pod.name != name for each in map(_target, box.logs._streams.values())
        )
        assert len(box.logs._streams) == len(box.pods)

    assert played(play).logs.status().failures_total == 0


def _target(stream: Any) -> Any:
    return stream.target


def test_a_container_whose_image_cannot_be_pulled_is_no_log_and_no_trouble() -> None:
    async def play(box: Box) -> None:
        await box.patch(fault_patch(Fault.MISSING_IMAGE))
        await asyncio.sleep(600)

    status = played(play).logs.status()
    assert (status.failures_total, status.last_error) == (0, "")


def test_when_streams_are_few_the_pods_in_trouble_have_them() -> None:
    async def play(box: Box) -> None:
        await box.roll_out("shop/dies:1")
        await asyncio.sleep(300)
        status = box.logs.status()
        assert (status.streams_open, status.not_followed) == (1, len(box.pods) - 1)
        (stream,) = box.logs._streams.values()
        assert "panic: last words" in box.heard.texts(stream.target.origin.pod.name)

    played(play, streams_max=1)


def test_last_words_are_found_on_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box()
        store = await RawStore.open(tmp_path, EPOCH)
        remember = RememberLogs(store, box.clock, MiddleChance(), LogRetention(7, 10**9))
        box.sink = remember.take
        async with box.living(), asyncio.TaskGroup() as group:
            keeping = group.create_task(remember.run())
            await box.roll_out("shop/dies:1")
            await asyncio.sleep(120)
            (found, *_) = await store.search("last words")
            assert found.text == "panic: last words"
            assert found.severity is LogSeverity.FATAL
            assert found.origin.container == "web"
            counts = await store.counts()
            assert counts["rows"] == box.logs.status().entries_total > 5
            keeping.cancel()
        assert remember.status().lost_total == 0
        await store.aclose()

    virtual_time.run(main())


def test_quiet_days_take_a_connection_for_each_log_and_no_more() -> None:
    async def play(_: Box) -> None:
        await asyncio.sleep(3 * 86_400)

    box = played(play)
    status = box.logs.status()
    assert (status.streams_open, status.reconnects_total, status.lines_total) == (0, 0, 0)
    assert len(box.pods) > 3
