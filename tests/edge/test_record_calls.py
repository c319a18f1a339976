"""Who calls whom, in a recording: asked of a Tempo, mapped, written; played back to the same topology."""

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opsagent.cli import app
from opsagent.controllers.pipeline import Pipeline
from opsagent.model.entity import Kind
from opsagent.model.topology import EdgeType, Vertex
from opsagent.ports import Snapshot, Transient
from opsagent.record import Source, Wish, record
from opsagent.replay import REPLAY_KEY, _steps
from opsagent.runtime.retry import SystemChance
from opsagent.sim.tempo import Tempo
from opsagent.sources.recording import CALLS_FILE, Recording
from tests.edge.test_calls_joined import put_call
from tests.edge.test_record import KEY, Box, in_box
from tests.fakes.archives import InProcess, tempo_in_process
from tests.fakes.virtual_time import EPOCH

WEB, CART = (Vertex(Kind.DEPLOYMENT, "shop", name) for name in ("web", "cart"))


async def recording(box: Box, rest: InProcess, seconds: float) -> None:
    traces = tempo_in_process(rest)
    source = Source(box.transport(), box.clock, SystemChance(7), KEY, traces=traces)
    await record(Wish(box.folder, seconds=seconds), source, box.stop, box.said.append)


def played(folder: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Return which calls the pipeline knows in the end, and what was said."""
    said: list[str] = []
    pipeline = Pipeline(Snapshot(), REPLAY_KEY)
    for _ in _steps(Recording(folder), pipeline, said.append):
        pass
    edges = {edge for each in (WEB, CART) for edge in pipeline.inventory.topology.edges(each)}
    calls = [(e.source.name, e.target.name) for e in sorted(edges) if e.type is EdgeType.CALLS]
    return calls, said


def recorded(tmp_path: Path, seconds: float = 20.0) -> Box:
    tempo = Tempo()
    put_call(tempo, 1, "web", "cart", at=EPOCH + dt.timedelta(seconds=5))
    put_call(tempo, 2, "web", "stranger", at=EPOCH + dt.timedelta(seconds=5))
    return in_box(tmp_path, lambda box: recording(box, InProcess(tempo), seconds))


@pytest.mark.parametrize("seconds", [20.0, 400.0])
def test_calls_are_recorded_and_replay_to_the_topology(tmp_path: Path, seconds: float) -> None:
    box = recorded(tmp_path, seconds)
    reference = "apps/v1/Deployment/shop"
    assert json.loads((box.folder / CALLS_FILE).read_text()) == [
        [f"{reference}/web", f"{reference}/cart"]
    ]
    assert box.said[-1] == "1 calls from workload to workload"
    assert played(box.folder) == ([("web", "cart")], [])


def test_an_archive_that_fails_costs_the_calls_alone_and_is_named(tmp_path: Path) -> None:
    rest = InProcess(Tempo())
    rest.failure = Transient("trace_archive: ConnectError")

    async def scene(box: Box) -> None:
        await recording(box, rest, 20)

    box = in_box(tmp_path, scene)
    assert box.said[-1] == "calls: trace_archive: ConnectError"
    assert played(box.folder) == ([], [])


def test_an_archive_that_is_silent_holds_up_the_end_for_seconds_alone(tmp_path: Path) -> None:
    class Silent(InProcess):
        async def read(self, path: str) -> tuple[int, bytes, bool]:
            self.asked.append(path)
            await asyncio.Event().wait()
            raise AssertionError(path)

    async def scene(box: Box) -> None:
        began = box.clock.monotonic()
        await recording(box, Silent(Tempo()), 20)
        assert box.clock.monotonic() - began <= 31

    in_box(tmp_path, scene)


def test_strangers_may_name_workloads_as_they_do_and_who_is_not_there_is_said(
    tmp_path: Path,
) -> None:
    folder = recorded(tmp_path).folder
    told = [
        ["web", "shop/cart"],
        ["cart.shop", "Deployment/shop/web"],
        ["web", "ghost"],
        ["../x", "web"],
    ]
    (folder / CALLS_FILE).write_text(json.dumps([*told, ["web"]]))
    both = [("cart", "web"), ("web", "cart")]
    assert played(folder) == (both, ["2 calls were left out: nobody is sure whom they mean"])
    result = CliRunner().invoke(app, ["replay", str(folder)])
    assert result.exit_code == 0
    assert result.stderr.splitlines()[1:] == [
        f"{CALLS_FILE}: call 5 skipped: Expected `array` of length 2",
        f"{CALLS_FILE}: 1 of 5 calls could not be read",
    ]
