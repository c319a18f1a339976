"""A model's investigation in the whole daemon reads measures of the incident's own workload, and goes on where it cannot."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from opsagent.clients.model import ModelClient
from opsagent.controllers.report import Report
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import EntryKind, Incident
from opsagent.model.metrics import MetricTemplate
from opsagent.model.transcript import Answered, Returned, ToolResult
from opsagent.ports import Transient
from opsagent.responder.step import TOOL_SECONDS_MAX
from opsagent.settings import ModelSettings
from opsagent.sim.model import ScriptedCall, ScriptedModel, ScriptedTurn
from opsagent.sim.model_server import ScriptedTransport
from opsagent.sim.scripts import LOOK, OWN, PROPOSE
from tests.fakes.measured_shop import MeasuredShop, measured_shop
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.virtual_time import run

MINUTE = 60.0
MEASURES = ("ready_replicas", "restarts", "memory")
MEASURING = (
    LOOK,
    ScriptedTurn(
        reasoning="How many are ready, how often did they start, and how much memory do they hold?",
        calls=tuple(
            ScriptedCall("metrics", OWN | {"measure": measure, "minutes": 10})
            for measure in MEASURES
        ),
    ),
    PROPOSE,
)


class Failing(ScriptedMetrics):
    """Answers all questions by ``trouble``: seconds of silence, or a failure."""

    def __init__(self, trouble: Exception | float) -> None:
        if isinstance(trouble, Exception):
            super().__init__(dict.fromkeys(MetricTemplate, trouble), trouble)
        else:
            super().__init__(delay_seconds=trouble)


async def investigated(
    here: MeasuredShop, state: Path, look: Callable[[Report], Awaitable[None]], **more: object
) -> None:
    """Let the model look at a crashing release of ``web``; then ``look``."""
    model = ModelClient(ScriptedTransport(ScriptedModel(MEASURING)), "scripted")
    asked = {"model": ModelSettings(url="http://in.this.process/v1", name="scripted")}
    async with here.daemon(state, asked, model=model, **more) as report:
        await asyncio.sleep(10 * MINUTE)
        await here.break_web()
        await asyncio.sleep(4 * MINUTE)
        await look(report)


async def seen(report: Report) -> tuple[Incident, dict[str, ToolResult]]:
    """Return the one incident, and what each measure came to."""
    (incident,) = await report.incidents(10)
    _, entries = await report.investigation(incident.incident_id)
    turns = [each.turn for each in entries if isinstance(each, Answered)]
    calls = [call for turn in turns for call in turn.calls]
    results = {each.number: each.result for each in entries if isinstance(each, Returned)}
    asked = [number for number, call in enumerate(calls) if call.name == "metrics"]
    return incident, {name: results[number] for name, number in zip(MEASURES, asked, strict=True)}


def test_measures_of_the_workload_are_read_while_it_is_broken(tmp_path: Path) -> None:
    async def look(report: Report) -> None:
        incident, results = await seen(report)
        assert incident.entity == Entity(Kind.DEPLOYMENT, "shop", "web")
        assert [each.is_error for each in results.values()] == [False] * 3
        ready = results["ready_replicas"].text.splitlines()
        assert ready[0].startswith("ready_replicas of apps/v1/Deployment/shop/web from 00:0")
        assert ready[1].startswith("| deployment web: ")
        assert "3 replicas" in ready[1]
        pods = [line for line in results["memory"].text.splitlines() if line.startswith("| pod web-")]  # fmt: skip
        assert len(pods) >= 3
        assert all("MiB" in line for line in pods)
        assert "counted:" in results["restarts"].text
        assert EntryKind.CAUSE in {entry.kind for entry in incident.timeline}

    async def main() -> None:
        async with measured_shop() as here:
            await investigated(here, tmp_path, look)

    run(main())


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            Transient("metrics: 503 Service Unavailable"),
            "It could not be read:\n| metrics: 503 Service Unavailable",
        ),
        (10.0**9, f"It took longer than {TOOL_SECONDS_MAX:g} s."),
    ],
)
def test_a_source_that_does_not_answer_is_said_to_the_model_and_the_plan_comes_all_the_same(
    tmp_path: Path, trouble: Exception | float, words: str
) -> None:
    async def look(report: Report) -> None:
        incident, results = await seen(report)
        assert all(each.is_error for each in results.values()), results
        assert {each.text for each in results.values()} == {words}
        assert "Proposed by the model scripted in 3 steps" in incident.timeline[-1].text

    async def main() -> None:
        async with measured_shop() as here:
            here.metrics = Failing(trouble)
            await investigated(here, tmp_path, look)

    run(main())
