"""kill -9 at ten points of a model's investigation: it resumes over HTTP, and no tool runs twice.

The daemon is a real process; the cluster in a box, the model's server and the people live in the test. Every
turn takes more than half a second to stream, so a point is a question and an offset: before the first
token, in the middle of the stream, and about its end, when tools run and the plan is made. Each life gets
one turn further at most, and the script has more turns than a run has kills.
"""

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from opsagent.model.canonical import content_id
from opsagent.model.transcript import Called, Closed, Entry, Returned
from opsagent.responder import history
from opsagent.runtime.clock import SystemClock
from opsagent.sim import EXECUTOR, OPSAGENT, SHOP, shop
from opsagent.sim.cluster import Answer as ClusterAnswer, Cluster
from opsagent.sim.model import Answer, ScriptedCall, ScriptedModel, ScriptedTurn
from opsagent.sim.model_server import serving_model
from opsagent.sim.receiver import Receiver, receiving
from opsagent.sim.requests import Request
from opsagent.sim.scripts import LOOK, OWN, PROPOSE, READ
from opsagent.sim.server import serving, write_kubeconfig
from opsagent.store.daemon import SqliteStore
from tests.chaos.test_kill import Place, Process, approver, rollout, until_resolved

MORE = (
    ScriptedTurn(calls=(ScriptedCall("metrics", OWN | {"measure": "memory", "minutes": 10}),)),
    ScriptedTurn(calls=(ScriptedCall("objects", OWN | {"kind": "Pod", "name": "{pod}"}),)),
)
LINES = "20"  # what the script asks of the log; the daemon's own look asks for the previous one
SLOWLY = [
    replace(turn, delay_seconds=0.2, gap_seconds=0.03) for turn in (LOOK, READ, *MORE, PROPOSE)
]
LOG_READ = -1.0  # in place of an offset: kill as the tool reads the log
RUNS = ([0.0, 0.6, 0.3, 0.7, 0.65], [0.3, 0.75, LOG_READ, 0.55, 0.0])


class Tripwire(ScriptedModel):
    """Tells when it is asked."""

    def __init__(self) -> None:
        super().__init__(SLOWLY)
        self.is_asked = asyncio.Event()

    def answer(self, body: bytes) -> Answer:
        self.is_asked.set()
        return super().answer(body)


class Watched:
    """The cluster, with every read of a log by the tool noted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.reads: Counter[str] = Counter()
        self.is_read = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._cluster, name)

    def handle(self, request: Request, now: object) -> ClusterAnswer:
        query = request.query
        if (
            request.path.endswith("/log")
            and query.get("tailLines") == LINES
            and "previous" not in query
        ):
            self.reads[request.path] += 1
            self.is_read.set()
        return self._cluster.handle(request, now)  # type: ignore[arg-type]  # handed through


@asynccontextmanager
async def place(folder: Path, model: ScriptedModel) -> AsyncIterator[tuple[Place, Watched]]:
    """Serve everything that survives; the daemon is configured and not yet started."""
    clock = SystemClock()
    cluster = shop(clock.now())
    watched = Watched(cluster)
    receiver = Receiver(random.Random(1).randbytes(32))
    (folder / "secret").write_text(base64.b64encode(receiver.secret).decode())
    async with (
        serving(watched, clock) as url,  # type: ignore[arg-type]  # a cluster in all that is used
        receiving(receiver) as hook,
        serving_model(model) as model_url,
    ):
        for user, name in ((OPSAGENT, "daemon"), (EXECUTOR, "executor")):
            write_kubeconfig(folder / f"{name}.kubeconfig", url, cluster.access.token(user), name)
        policy = {"level": "approve", "namespaces": [SHOP], "verify_window_seconds": 10}
        config = {
            "kubernetes": {"kubeconfig": "daemon.kubeconfig"},
            "executor": {"kubeconfig": "executor.kubeconfig"},
            "policy": policy,
            "webhook": {"url": hook, "secret_file": "secret"},
            "model": {"url": model_url, "name": "scripted"},
        }
        (folder / "opsagent.yaml").write_text(json.dumps(config))  # JSON is YAML
        process = Process(folder / "opsagent.yaml", folder / "daemon.log")
        try:
            yield Place(cluster, clock, receiver, folder / "state", process), watched
        finally:
            await process.stop()


async def transcript(state: Path, incident_id: str) -> tuple[Entry, ...]:
    store = await SqliteStore.open(state / "daemon.db")
    try:
        return await store.transcripts().entries(content_id("inv", [incident_id, None]))
    finally:
        await store.aclose()


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize("offsets", RUNS)
async def test_killed_at_points_of_the_investigation(offsets: list[float], tmp_path: Path) -> None:
    model = Tripwire()
    async with place(tmp_path, model) as (here, watched), asyncio.TaskGroup() as group:
        await here.process.start()
        people = [group.create_task(rollout(here)), group.create_task(approver(here))]
        for offset in offsets:
            wire = watched.is_read if offset == LOG_READ else model.is_asked
            wire.clear()
            async with asyncio.timeout(30):
                await wire.wait()
            await asyncio.sleep(max(0.0, offset))
            await here.process.kill()
            await here.process.start()
        (incident,) = await until_resolved(here)
        for task in people:
            task.cancel()
    assert isinstance(incident, dict)
    entries = await transcript(here.state, str(incident["incident_id"]))
    log = (tmp_path / "daemon.log").read_text()
    assert here.process.starts == len(offsets) + 1
    assert here.writes == 1, log
    assert model.refused == []
    for kind in (Called, Returned):
        numbers = [entry.number for entry in entries if isinstance(entry, kind)]
        assert len(numbers) == len(set(numbers)), f"a tool ran twice\n{log}"
    asked = [call.name for call in history.calls(entries)]
    assert sum(watched.reads.values()) <= asked.count("logs"), f"a log was read twice\n{log}"
    closed = history.closed(entries)
    assert isinstance(closed, Closed)
    assert closed.proposal is not None, closed.reason
