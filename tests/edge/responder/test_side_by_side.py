"""A model may take minutes over one incident: no other waits for it, and none that only it can help is given up."""

import asyncio

import pytest

from opsagent.model.transcript import Finish, Mode, Prompt, ToolCall, ToolResult, ToolSpec, Turn
from opsagent.ports import Advice, Case, Investigator, Model, Transient
from opsagent.responder.budget import Budget
from opsagent.responder.investigator import ModelInvestigator, RulesInvestigator
from opsagent.responder.step import Means
from tests.fakes.investigation import WORLD, Clock, OneBook, incident
from tests.fakes.transcripts import MemoryTranscripts
from tests.fakes.virtual_time import run


class Look:
    """A tool that sees nothing."""

    spec = ToolSpec("look", "Look.", "{}")

    async def run(self, arguments: str, case: Case) -> ToolResult:
        return ToolResult(f"nothing of {arguments} in {case.incident.incident_id}")


class Paced:
    """``ports.Model``: ends without a plan, each turn after ``seconds``; ``waiting`` is how many wait for one."""

    name = "paced"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waiting = 0

    async def complete(self, prompt: Prompt) -> Turn:
        assert prompt.question
        self.waiting += 1
        await asyncio.sleep(self._seconds)
        self.waiting -= 1
        return Turn(text="I see nothing.")


class Ignorant:
    """``ports.Investigator`` without any runbook."""

    async def investigate(self, *_: object) -> Advice:
        return Advice(None, "No runbook is for it.")


def asking(model: Model, rules: Investigator, at_once: int = 3) -> ModelInvestigator:
    means = Means(model, (Look(),), Mode.INSTANT, Budget(), Clock())
    return ModelInvestigator(means, MemoryTranscripts(), rules, lambda _: WORLD, at_once=at_once)


async def about(investigator: ModelInvestigator, name: str) -> tuple[Advice, float]:
    """Return what is advised on the incident ``name``, and after how many seconds."""
    begun = asyncio.get_running_loop().time()
    case = incident(incident_id=name)
    advice = await investigator.investigate(case, WORLD, Clock().now())
    return advice, asyncio.get_running_loop().time() - begun


def test_while_a_model_hangs_over_one_incident_the_rules_answer_the_next_at_once() -> None:
    async def scene() -> tuple[tuple[Advice, float], tuple[Advice, float]]:
        investigator = asking(Paced(1e6), RulesInvestigator(OneBook()))
        async with asyncio.TaskGroup() as group:
            first = group.create_task(about(investigator, "inc_1"))
            second = group.create_task(about(investigator, "inc_2"))
        return first.result(), second.result()

    (first, first_seconds), (second, second_seconds) = run(scene())
    assert (first_seconds, second_seconds) == (120, 0)
    assert first.proposal is not None
    assert second.proposal is not None
    assert second.notes == (
        "By rules, because the model is asked about another incident and has not answered yet.",
    )


def test_an_incident_for_which_the_rules_have_nothing_waits_for_the_model() -> None:
    async def scene() -> None:
        investigator = asking(Paced(50), Ignorant())
        async with asyncio.TaskGroup() as group:
            first = group.create_task(about(investigator, "inc_1"))
            await asyncio.sleep(10)
            with pytest.raises(Transient, match="has not answered yet, and the rules know no plan"):
                await about(investigator, "inc_2")
        advice, seconds = await about(investigator, "inc_2")
        assert (advice.investigation_id, seconds) != ("", 0)
        assert first.result()[1] == 50

    run(scene())


def test_a_model_that_answers_works_on_several_incidents_but_not_on_all() -> None:
    class Two(Paced):
        """Looks once, then ends."""

        async def complete(self, prompt: Prompt) -> Turn:
            if prompt.exchanges:
                return await super().complete(prompt)
            return Turn(calls=(ToolCall("look", "{}"),), finish=Finish.TOOL_CALLS)

    async def scene() -> None:
        model = Two(100)
        investigator = asking(model, RulesInvestigator(OneBook()), at_once=2)
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(about(investigator, f"inc_{number}"))
                await asyncio.sleep(1)
            assert model.waiting == 2
            advice, seconds = await about(investigator, "inc_2")
            assert advice.notes == ("By rules, because the model works on 2 other incidents.",)
            assert seconds == 0
        assert model.waiting == 0
        assert (await about(investigator, "inc_3"))[1] == 100

    run(scene())
