"""A recording of a cluster replays to what the daemon saw, holds no secret, and survives what happens to it."""

import asyncio
import datetime as dt
import errno
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opsagent.app import Daemon
from opsagent.controllers.pipeline import Step
from opsagent.model.canonical import canonical
from opsagent.model.entity import FOLLOWED_KINDS, Kind
from opsagent.model.incident import Incident
from opsagent.model.signal import RowType
from opsagent.ports import Forbidden, Terminal, Transient
from opsagent.record import Ledger, Source, Wish, record
from opsagent.replay import replay_lines
from opsagent.runtime.retry import SystemChance
from opsagent.settings import Settings
from opsagent.sim import (
    ADMIN,
    OPSAGENT,
    SHOP,
    Cluster,
    Fault,
    Rule,
    SimTransport,
    drive,
    fault_patch,
    shop,
)
from opsagent.sources.recording import Header, Recording
from opsagent.sources.recording_writer import RawObject, RecordingWriter
from tests.fakes import wire
from tests.fakes.virtual_time import EPOCH, LoopClock, run
from tests.fakes.worlds import world_of

WEB = f"/apis/apps/v1/namespaces/{SHOP}/deployments/web"
MERGE = "application/strategic-merge-patch+json"
KEY = b"k" * 32
CANARY = "canary-Tr0ub4dor"
TOKEN = "ghp_" + "planted" * 4 + "123456"  # in pieces, so that no scanner takes this for a leak


class Box:
    """A shop on virtual time, recorded into a folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = LoopClock()
        self.cluster = shop(self.clock.now())
        self.folder = folder
        self.said: list[str] = []
        self.stop = asyncio.Event()

    def transport(self, user: str = OPSAGENT) -> SimTransport:
        return SimTransport(self.cluster, self.cluster.access.token(user), self.clock)

    async def record(self, seconds: float | None, *namespaces: str, user: str = OPSAGENT) -> None:
        source = Source(self.transport(user), self.clock, SystemChance(7), KEY)
        wish = Wish(self.folder, namespaces=namespaces, seconds=seconds)
        await record(wish, source, self.stop, self.said.append)

    async def patch(self, change: object, path: str = WEB) -> None:
        answer = await self.transport(ADMIN).request(
            "PATCH", path, body=canonical(change), content_type=MERGE
        )
        assert answer.status == 200, answer.body

    def bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.iterdir())

    def replayed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in replay_lines(Recording(self.folder))]


def in_box(tmp_path: Path, scene: Callable[[Box], object]) -> Box:
    """Play ``scene``, a coroutine function, and return the box as it is left."""
    boxes: list[Box] = []

    async def play() -> None:
        box = Box(tmp_path / "recording")
        boxes.append(box)
        async with asyncio.TaskGroup() as group:
            driver = group.create_task(drive(box.cluster, box.clock))
            try:
                await scene(box)  # type: ignore[misc]
            finally:
                driver.cancel()

    run(play())
    return boxes[0]


@asynccontextmanager
async def watching(box: Box, state: Path) -> AsyncIterator[list[Incident]]:
    """Run a daemon that only suggests; yield what it makes of the cluster."""
    found: list[Incident] = []

    def notice(step: Step) -> None:
        found.extend(step.batch.incidents)

    world = world_of(
        clock=box.clock,
        cluster=box.transport(),
        listeners=(notice,),
    )
    async with asyncio.TaskGroup() as group:
        daemon = group.create_task(Daemon(Settings(state_dir=state), world).run())
        yield found
        daemon.cancel()


@pytest.mark.parametrize("fault", [Fault.CRASH_LOOP, Fault.NEVER_READY])
def test_a_recording_replays_to_the_incident_that_the_daemon_saw(
    fault: Fault, tmp_path: Path
) -> None:
    live: list[Incident] = []

    async def scene(box: Box) -> None:
        async with watching(box, tmp_path / "state") as found, asyncio.TaskGroup() as group:
            group.create_task(box.record(90))
            await asyncio.sleep(5)
            await box.patch(fault_patch(fault))
            await asyncio.sleep(80)
            live.extend(found)

    box = in_box(tmp_path, scene)
    (incident,) = box.replayed()
    seen = json.loads(canonical(live[-1]))
    assert {item.incident_id for item in live} == {incident["incident_id"]}
    for key in ("entity", "severity", "opened_at", "title"):
        assert incident[key] == seen[key]
    causes = [[each["cause"] for each in item["diagnoses"]] for item in (incident, seen)]
    assert causes[0] == causes[1]
    assert causes[0][0] == "bad_rollout"


def test_nothing_secret_is_in_any_file(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.record(60))
            await asyncio.sleep(5)
            container = {
                "name": "web",
                "env": [{"name": "GREETING", "value": CANARY}],
                "args": ["--pass", CANARY],
            }
            template = {
                "metadata": {"annotations": {"x": CANARY}},
                "spec": {"containers": [container]},
            }
            annotations = {"note": CANARY, "kubernetes.io/change-cause": f"use {TOKEN}"}
            await box.patch(
                {"metadata": {"annotations": annotations}, "spec": {"template": template}}
            )
            event = {
                "metadata": {"name": "web.1", "namespace": SHOP},
                "involvedObject": {"kind": "Deployment", "namespace": SHOP, "name": "web"},
                "message": f"login as shop failed: password={CANARY} {TOKEN}",
                "reason": "Failed",
            }
            path = f"/api/v1/namespaces/{SHOP}/events"
            answer = await box.transport(ADMIN).request("POST", path, body=canonical(event))
            assert answer.status == 201

    content = in_box(tmp_path, scene).bytes()
    assert b"GREETING" in content
    assert b"login as shop failed" in content
    assert CANARY.encode() not in content
    assert TOKEN.encode() not in content


def test_a_change_of_a_hidden_value_is_still_seen(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.record(60))
            await asyncio.sleep(5)
            for value in ("one", "two"):
                env = [{"name": "LEVEL", "value": value}]
                template = {"spec": {"containers": [{"name": "web", "env": env}]}}
                await box.patch({"spec": {"template": template}})
                await asyncio.sleep(20)

    box = in_box(tmp_path, scene)
    digests = {
        seen.item.template_digest
        for seen in Recording(box.folder).observations()
        if seen.item is not None and seen.kind == "Deployment" and seen.item.meta.name == "web"
    }
    assert len(digests) == 3


def test_it_tells_what_it_wrote_and_ends_the_header(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        await box.record(60, SHOP)

    box = in_box(tmp_path, scene)
    assert box.said[0] == f"recording into {box.folder}; Ctrl-C ends it"
    assert "observations in 60 s (Deployment 2, " in box.said[1]
    header = Recording(box.folder).header
    assert header.name == "recording"
    assert header.namespaces == (SHOP,)
    assert header.start is not None
    assert header.end == header.start + dt.timedelta(seconds=60)


def test_one_snapshot_of_a_kind_covers_all_namespaces(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        await box.record(10, SHOP, "opsagent")

    box = in_box(tmp_path, scene)
    closed = [
        seen.kind for seen in Recording(box.folder).observations() if seen.type is RowType.SYNCED
    ]
    assert sorted(closed) == sorted(FOLLOWED_KINDS)


def test_an_interrupt_ends_it_in_order(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.record(None))
            await asyncio.sleep(30)
            box.stop.set()

    assert Recording(in_box(tmp_path, scene).folder).header.end is not None


def test_what_goes_while_the_server_is_away_is_recorded_as_deleted(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.record(120))
            await asyncio.sleep(10)
            box.cluster.cut_watches()
            path = f"/apis/apps/v1/namespaces/{SHOP}/deployments/cart"
            await box.transport(ADMIN).request("DELETE", path)
            box.cluster.compact()

    box = in_box(tmp_path, scene)
    deleted = [
        seen.item
        for seen in Recording(box.folder).observations()
        if seen.type is RowType.DELETED and seen.kind == "Deployment"
    ]
    assert [item.meta.name for item in deleted if item is not None] == ["cart"]
    assert deleted[0] is not None
    assert deleted[0].meta.uid


def grant(cluster: Cluster, user: str, *resources: str) -> None:
    verbs = frozenset({"list", "watch"})
    cluster.access.rules.append(Rule(frozenset({user}), verbs, frozenset(resources)))


def test_what_may_not_be_listed_is_left_out_and_named(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        grant(box.cluster, "guest", "pods", "deployments.apps", "replicasets.apps")
        await box.record(10, SHOP, user="guest")

    said = in_box(tmp_path, scene).said
    assert "(Deployment 2, Pod 5, ReplicaSet 2)" in said[1]
    assert [line.split(":")[0] for line in said[2:]] == ["not recorded"] * (len(FOLLOWED_KINDS) - 3)
    assert "403" in said[2]


def test_who_may_list_nothing_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        with pytest.raises(Forbidden, match="403"):
            await box.record(10, user="guest")

    assert not in_box(tmp_path, scene).folder.exists()


def test_a_server_that_fails_at_the_start_is_reported_at_once(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        box.cluster.refuse_next(1, 503)
        with pytest.raises(Transient, match="503"):
            await box.record(10)

    assert not in_box(tmp_path, scene).folder.exists()


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        await box.record(5)
        before = box.bytes()
        with pytest.raises(Terminal, match="holds a recording already"):
            await box.record(5)
        assert box.bytes() == before

    in_box(tmp_path, scene)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "recording").write_text("a file")

    async def scene(box: Box) -> None:
        with pytest.raises(Terminal, match=r"cannot write to .*recording"):
            await box.record(5)

    in_box(tmp_path, scene)


class FullDisk(RecordingWriter):
    """A writer whose disk is full after some lines."""

    lines_left = 2

    def write(self, at: dt.datetime, row_type: RowType, item: RawObject) -> None:
        self.lines_left -= 1
        if self.lines_left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(at, row_type, item)


async def test_a_disk_that_refuses_ends_the_recording_like_an_interrupt(tmp_path: Path) -> None:
    stop = asyncio.Event()
    with FullDisk(tmp_path / "out", Header("out"), KEY) as writer:
        ledger = Ledger(writer, KEY, stop)
        for number in range(4):
            ledger.append(EPOCH, RowType.ADDED, Kind.POD, wire.pod(f"web-{number}"))
    assert stop.is_set()
    assert ledger.failure is not None
    assert ledger.lines == {Kind.POD: 2}
    assert len(list(Recording(tmp_path / "out").observations())) == 2
