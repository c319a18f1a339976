"""A model's investigation on virtual time: what ends it, what bounds it, what it says of itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from opsagent.model.incident import EntryKind, TimelineEntry
from opsagent.model.transcript import (
    Answered,
    Asked,
    Called,
    Closed,
    Entry,
    Finish,
    Mode,
    Opened,
    Prompt,
    Returned,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
    Usage,
)
from opsagent.ports import Advice, Case, Forbidden, Terminal, Tool, Transient
from opsagent.responder import history
from opsagent.responder.budget import Budget
from opsagent.responder.investigation import investigate
from opsagent.responder.investigator import (
    REST,
    ModelInvestigator,
    RulesInvestigator,
    investigation_id,
)
from opsagent.responder.journal import Journal
from opsagent.responder.step import INTERRUPTED, TOOL_SECONDS_MAX, Means
from opsagent.sim.scripts import SCRIPTS
from tests.fakes.investigation import WORLD, Bench, Clock, OneBook, incident
from tests.fakes.objects import WEB, after
from tests.fakes.transcripts import MemoryTranscripts
from tests.fakes.virtual_time import run

CASE = Case(incident(), WORLD, after(60))


class SayingModel:
    """Says turn after turn, the last one for ever; an exception is raised, a number waited for first."""

    name = "saying"

    def __init__(self, *turns: Turn | Exception | float) -> None:
        self._turns = list(turns)
        self.asked: list[Prompt] = []

    async def complete(self, prompt: Prompt) -> Turn:
        self.asked.append(prompt)
        while True:
            turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
            match turn:
                case Turn():
                    return turn
                case Exception():
                    raise turn
                case seconds:
                    await asyncio.sleep(seconds)


class Look:
    """A tool that takes its time, or fails; remembers what became of it."""

    def __init__(
        self, name: str = "look", seconds: float = 0.0, error: BaseException | None = None
    ) -> None:
        self.spec = ToolSpec(name, "Look.", "{}")
        self.seconds = seconds
        self.error = error
        self.began: list[float] = []
        self.cancelled = 0

    async def run(self, arguments: str, case: Case) -> ToolResult:
        assert case.workload is WORLD
        self.began.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return ToolResult(f"seen {arguments}")


def calling(*names: str, arguments: str = "{}") -> Turn:
    calls = tuple(ToolCall(name, arguments) for name in names)
    return Turn(calls=calls, finish=Finish.TOOL_CALLS, usage=Usage(10, 10))


END = Turn("nothing to do")


def each_different(name: str = "look") -> list[Turn]:
    return [calling(name, arguments=f'{{"n": {n}}}') for n in range(50)]


class Run:
    """One investigation on fakes, kept for looking at."""

    def __init__(
        self,
        *turns: Turn | Exception | float,
        tools: Sequence[Tool] = (),
        budget: Budget | None = None,
    ) -> None:
        self.model = SayingModel(*turns)
        self.store = MemoryTranscripts()
        self.clock = Clock()
        self.case: Case | None = CASE
        self.means = Means(
            self.model, tuple(tools) or (Look(),), Mode.THINKING, budget or Budget(), self.clock
        )

    async def closed(self, *before: Entry) -> Closed:
        for entry in before:
            await self.store.append("inv", entry)
        journal = await Journal.load(self.store, "inv")
        return await investigate(self.means, journal, lambda: self.case)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.store.kept["inv"]

    def results(self) -> list[ToolResult]:
        return [each.result for each in self.entries if isinstance(each, Returned)]


def test_everything_is_written_before_it_happens_and_after() -> None:
    told = Run(calling("look", "look"), END)
    ended = run(told.closed())
    assert [type(entry) for entry in told.entries] == [
        *(Opened, Asked, Answered, Called, Called, Returned, Returned, Asked, Answered, Closed),
    ]
    assert ended.reason == "the model ended without a plan"
    second = told.model.asked[1]
    assert [result.text for result in second.exchanges[0].results] == ["seen {}", "seen {}"]


def test_the_tools_of_one_turn_run_side_by_side() -> None:
    slow, quick = Look("slow", seconds=5), Look("quick", seconds=1)
    told = Run(calling("slow", "quick"), END, tools=(slow, quick))
    run(told.closed())
    assert slow.began == quick.began
    numbers = [entry.number for entry in told.entries if isinstance(entry, Returned)]
    assert numbers == [1, 0]
    assert history.exchanges(told.entries)[0].results == (ToolResult("seen {}"),) * 2


def test_a_bug_in_one_tool_cancels_and_awaits_the_others_and_goes_up() -> None:
    slow, broken = Look("slow", seconds=5), Look("broken", seconds=1, error=ZeroDivisionError())
    told = Run(calling("slow", "broken"), END, tools=(slow, broken))
    with pytest.raises(ZeroDivisionError):
        run(told.closed())
    assert slow.cancelled == 1
    assert not [entry for entry in told.entries if isinstance(entry, Closed)]


def test_after_that_bug_a_restart_goes_on_and_runs_neither_again() -> None:
    slow, broken = Look("slow", seconds=5), Look("broken", seconds=1, error=ZeroDivisionError())
    told = Run(calling("slow", "broken"), END, tools=(slow, broken))
    with pytest.raises(ZeroDivisionError):
        run(told.closed())
    ended = run(told.closed())
    assert ended.reason == "the model ended without a plan"
    assert (len(slow.began), len(broken.began)) == (1, 1)
    assert told.results() == [INTERRUPTED, INTERRUPTED]


@pytest.mark.parametrize("error", [Transient("away"), Forbidden("no"), Terminal("never")])
def test_what_the_world_refuses_is_an_answer(error: Exception) -> None:
    told = Run(calling("look"), END, tools=(Look(error=error),))
    run(told.closed())
    assert told.results() == [ToolResult(f"It could not be read:\n| {error}", is_error=True)]


def test_a_tool_that_hangs_is_cut() -> None:
    tool = Look(seconds=1e6)
    told = Run(calling("look"), END, tools=(tool,))
    run(told.closed())
    assert tool.cancelled == 1
    assert told.results() == [
        ToolResult(f"It took longer than {TOOL_SECONDS_MAX:g} s.", is_error=True)
    ]


def test_a_tool_that_was_never_offered_is_not_run() -> None:
    told = Run(calling("kubectl"), END, tools=(Look(),))
    run(told.closed())
    assert told.results() == [ToolResult("There is no such tool. There are: look.", is_error=True)]


def test_steps_are_bounded() -> None:
    told = Run(*each_different(), budget=Budget(steps_max=4))
    assert run(told.closed()).reason == "the model has used up its 4 steps"
    assert len(told.model.asked) == 4


def test_tokens_read_are_bounded() -> None:
    turns = [replace(turn, usage=Usage(4000, 1)) for turn in each_different()]
    told = Run(*turns, budget=Budget(input_tokens_max=10_000))
    assert run(told.closed()).reason == "the model would read more than 10000 tokens"
    assert len(told.model.asked) == 3


def test_tokens_written_are_bounded_and_each_answer_gets_what_is_left() -> None:
    turns = [replace(turn, usage=Usage(1, 40)) for turn in each_different()]
    told = Run(*turns, budget=Budget(output_tokens_max=100, turn_tokens_max=50))
    assert run(told.closed()).reason == "the model has written its 100 tokens"
    assert [prompt.output_tokens_max for prompt in told.model.asked] == [50, 50, 20]


def test_one_question_is_bounded_in_time_and_not_asked_again() -> None:
    told = Run(1e6, END)
    assert run(told.closed()).reason == "the model did not answer within 120 s"
    assert len(told.model.asked) == 1


def test_the_whole_is_bounded_in_time_also_while_tools_run() -> None:
    tool = Look(seconds=15)
    told = Run(*each_different(), tools=(tool,), budget=Budget(seconds_max=40))
    assert run(told.closed()).reason == "the model has used up its 40 s"
    assert tool.cancelled == 1
    assert told.entries[-1].at == after(30 + 40)


def test_time_that_passed_while_nobody_ran_counts() -> None:
    told = Run(END, budget=Budget(seconds_max=40))
    assert (
        run(told.closed(Opened(after(-60), "m", "s", "q"))).reason
        == "the model has used up its 40 s"
    )
    assert told.model.asked == []


def test_steps_of_earlier_lives_count() -> None:
    told = Run(*each_different(), budget=Budget(steps_max=4))
    run(told.closed(Opened(after(29), "m", "s", "q"), Asked(after(29), 1), Asked(after(29), 1)))
    assert len(told.model.asked) == 2


def test_trouble_that_passes_is_tried_again_once() -> None:
    told = Run(Transient("full"), END)
    assert run(told.closed()).reason == "the model ended without a plan"
    assert len(told.model.asked) == 2


@pytest.mark.parametrize(
    ("trouble", "reason", "asked"),
    [
        (Transient("full"), "the model is not available: full", 2),
        (Terminal("no key"), "the model cannot be used: no key", 1),
    ],
)
def test_trouble_that_stays_ends_it(trouble: Exception, reason: str, asked: int) -> None:
    told = Run(trouble)
    assert run(told.closed()).reason == reason
    assert len(told.model.asked) == asked
    assert history.is_unanswered(told.entries)


def test_a_workload_that_is_gone_ends_it() -> None:
    told = Run(END)
    told.case = None
    assert run(told.closed()).reason == "the workload is gone"
    assert told.model.asked == []


def test_one_that_was_closed_stays_as_it_was() -> None:
    told = Run(END)
    first = run(told.closed())
    count = len(told.entries)
    assert run(told.closed()) == first
    assert len(told.entries) == count


def test_a_useless_turn_is_nudged_on() -> None:
    told = Run(Turn(" "), Turn("cut", finish=Finish.LENGTH), END)
    run(told.closed())
    assert [exchange.nudge != "" for exchange in told.model.asked[2].exchanges] == [True, True]


# -- The investigator around it ------------------------------------------------------------------


async def advised(bench: Bench, **fields: object) -> Advice:
    async with bench.life() as investigator:
        return await investigator.investigate(incident(**fields), bench.world, bench.clock.now())


def test_a_models_proposal_comes_with_a_word_about_the_effort(tmp_path: Path) -> None:
    advice = run(advised(Bench(tmp_path, SCRIPTS["good"])))
    assert advice.proposal is not None
    assert advice.investigation_id == investigation_id(incident())
    (note,) = advice.notes
    assert note.startswith("Proposed by the model scripted in 3 steps with 4 tool calls; ")


def test_a_model_that_is_of_no_help_leaves_the_rules_answer(tmp_path: Path) -> None:
    advice = run(advised(Bench(tmp_path, SCRIPTS["refusing"])))
    rules = run(RulesInvestigator(OneBook()).investigate(incident(), WORLD, after(30)))
    assert advice.proposal == rules.proposal
    assert advice.notes == ("By rules, because the model ended without a plan.",)


def test_without_a_rule_there_is_a_reason(tmp_path: Path) -> None:
    advice = run(advised(Bench(tmp_path, SCRIPTS["refusing"]), diagnoses=()))
    assert advice.proposal is None
    assert advice.reason == "No cause is known yet, so no runbook applies."


def test_a_person_is_told_where_the_rules_differ(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SCRIPTS["good"])
    run(advised(bench))

    async def again(rules: object) -> Advice:
        async with bench.life() as investigator:
            investigator._rules = rules  # type: ignore[assignment]  # another life with other runbooks
            return await investigator.investigate(incident(), WORLD, after(40))

    class NoRules:
        async def investigate(self, *_: object) -> Advice:
            return Advice(None, "No runbook is for it.")

    class OtherRules:
        async def investigate(self, *_: object) -> Advice:
            other = (
                await RulesInvestigator(OneBook()).investigate(incident(), WORLD, after(30))
            ).proposal
            assert other is not None
            return Advice(replace(other, action=replace(other.action, to_revision=9)))

    assert run(again(NoRules())).notes[1:] == (
        "The rules alone propose nothing: No runbook is for it.",
    )
    assert run(again(OtherRules())).notes[1:] == ("The rules would go back to revision 9.",)


def test_a_model_that_did_not_answer_is_left_alone_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SCRIPTS["down"])

    async def storm() -> list[Advice]:
        async with bench.life() as investigator:
            first = await investigator.investigate(incident(), WORLD, bench.clock.now())
            same = await investigator.investigate(incident(), WORLD, bench.clock.now())
            other = incident(incident_id="inc_2")
            second = await investigator.investigate(other, WORLD, bench.clock.now())
            await asyncio.sleep(REST.total_seconds())
            third = await investigator.investigate(other, WORLD, bench.clock.now())
            return [first, same, second, third]

    first, same, second, third = run(storm())
    assert first == same
    assert "answered 503" in first.notes[0]
    assert second.notes == (
        "By rules, because the model did not answer lately and is asked again at 00:01:32Z.",
    )
    assert second.proposal is not None
    assert second.investigation_id == ""
    assert "answered 503" in third.notes[0]
    assert len(bench.model.requests) == 4


def test_a_new_want_of_a_plan_is_a_new_investigation() -> None:
    first = investigation_id(incident())
    refused = TimelineEntry(after(60), "opsagent", EntryKind.NO_PLAN, "no runbook fits")
    assert investigation_id(incident()) == first
    assert investigation_id(incident(timeline=(refused,))) != first
    assert investigation_id(incident(incident_id="inc_2")) != first


def test_secrets_in_a_servers_words_do_not_reach_the_note() -> None:
    async def scene() -> Advice:
        rules, model = RulesInvestigator(OneBook()), SayingModel(Terminal("token=abcdefgh12345"))
        means = Means(model, (Look(),), Mode.INSTANT, Budget(), Clock())
        investigator = ModelInvestigator(means, MemoryTranscripts(), rules, lambda _: WORLD)
        return await investigator.investigate(incident(entity=WEB), WORLD, after(30))

    assert run(scene()).notes == ("By rules, because the model cannot be used: token=[redacted].",)
