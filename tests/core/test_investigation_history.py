"""What is read back from a transcript: what to send, what waits, what was spent, when it goes nowhere."""

from dataclasses import replace

import pytest

from opsagent.model.transcript import (
    Answered,
    Asked,
    Called,
    Closed,
    Entry,
    Exchange,
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
from opsagent.responder import history
from opsagent.responder.budget import (
    Budget,
    going_nowhere,
    input_tokens,
    output_tokens,
    overdrawn,
    seconds_left,
)
from tests.fakes.objects import T0, after

OPENED = Opened(T0, "k2", "system", "question")
FINE = ToolResult("fine")
WRONG = ToolResult("wrong", is_error=True)
PROMPT = Prompt("system", "question", (), (), Mode.THINKING, 100)


def call(name: str = "objects", arguments: str = "{}") -> ToolCall:
    return ToolCall(name, arguments)


def calling(*calls: ToolCall, **fields: object) -> Turn:
    return replace(Turn(calls=calls, finish=Finish.TOOL_CALLS), **fields)  # type: ignore[arg-type]  # bends any field


def story(*turns: tuple[Turn, tuple[ToolResult, ...]]) -> tuple[Entry, ...]:
    """Return the transcript of whole turns with their results."""
    entries: list[Entry] = [OPENED]
    number = 0
    for turn, results in turns:
        entries += [Asked(T0, 10), Answered(T0, turn)]
        for result in results:
            entries += [Called(T0, number), Returned(T0, number, result)]
            number += 1
    return tuple(entries)


def test_calls_are_numbered_through_all_turns_and_results_stand_in_their_order() -> None:
    first, second = calling(call("a"), call("b")), calling(call("c"))
    entries = (
        *(OPENED, Asked(T0, 1), Answered(T0, first), Called(T0, 0), Called(T0, 1)),
        *(Returned(T0, 1, WRONG), Returned(T0, 0, FINE), Asked(T0, 1), Answered(T0, second)),
        *(Called(T0, 2), Returned(T0, 2, FINE)),
    )
    assert history.exchanges(entries) == (Exchange(first, (FINE, WRONG)), Exchange(second, (FINE,)))
    assert history.waiting(entries) == ()


def test_a_call_waits_until_it_returned_and_one_that_was_begun_is_marked() -> None:
    entries = (OPENED, Answered(T0, calling(call("a"), call("b"), call("c"))), Called(T0, 1))
    entries = (*entries, Called(T0, 0), Returned(T0, 0, FINE))
    assert history.waiting(entries) == (
        history.Waiting(1, call("b"), is_begun=True),
        history.Waiting(2, call("c"), is_begun=False),
    )


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.STOP, Finish.OTHER])
def test_calls_of_a_turn_that_did_not_end_as_calls_are_never_run(finish: Finish) -> None:
    entries = (OPENED, Answered(T0, calling(call("propose_plan"), finish=finish)))
    assert history.waiting(entries) == ()
    assert history.calls(entries) == []
    assert history.exchanges(entries)[0].nudge


@pytest.mark.parametrize(
    ("turn", "is_of_use"),
    [
        (calling(call()), True),
        (Turn("the cause is clear"), True),
        (Turn(" \n"), False),
        (Turn(reasoning="hm"), False),
        (calling(), False),
        (Turn("half a sen", finish=Finish.LENGTH), False),
        (Turn("filtered", finish=Finish.OTHER), False),
    ],
)
def test_a_turn_is_of_use_if_it_asks_or_ends(turn: Turn, *, is_of_use: bool) -> None:
    assert (history.nudge(turn) == "") is is_of_use


def test_what_was_spent_counts_questions_that_were_never_answered() -> None:
    answer = Answered(T0, Turn("x", usage=Usage(70, 5)))
    assert history.spent((OPENED, Asked(T0, 100), answer)) == Usage(70, 5)
    assert history.spent((OPENED, Asked(T0, 100), Asked(T0, 110), answer)) == Usage(170, 5)
    assert history.spent((OPENED, Asked(T0, 100), answer, Asked(T0, 120))) == Usage(190, 5)
    assert history.steps((OPENED, Asked(T0, 100), Asked(T0, 110), answer)) == 2


def test_whether_the_last_question_was_answered() -> None:
    assert not history.is_unanswered((OPENED,))
    assert history.is_unanswered((OPENED, Asked(T0, 1)))
    assert not history.is_unanswered((OPENED, Asked(T0, 1), Answered(T0, Turn("x"))))


def test_an_investigation_is_opened_and_closed_once() -> None:
    ended = Closed(T0, None, "why not")
    assert history.opened(()) is None
    assert history.opened((OPENED, ended)) == OPENED
    assert history.closed((OPENED,)) is None
    assert history.closed((OPENED, ended)) == ended


def test_the_same_call_written_differently_is_the_same_call() -> None:
    turns = [calling(call("logs", text)) for text in ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }')]
    assert history.repeats(story(*((turn, (FINE,)) for turn in turns))) == 2
    assert (
        history.repeats(story((calling(call("logs", "{"), call("logs", "[")), (WRONG, WRONG)))) == 1
    )
    assert history.repeats((OPENED,)) == 0


def test_going_in_circles_is_going_nowhere() -> None:
    same = (calling(call()), (FINE,))
    assert going_nowhere(story(same, same)) == ""
    assert going_nowhere(story(same, same, same)) == "the model made the same call 3 times"


def test_turns_that_bring_nothing_count_only_in_a_row() -> None:
    bad = [(calling(call("x", f'{{"n":{n}}}')), (WRONG,)) for n in range(3)]
    useless = (Turn(), ())
    mixed = (calling(call("a"), call("b")), (WRONG, FINE))
    assert going_nowhere(story(bad[0], useless, bad[1])) == (
        "nothing that the model did in 3 turns worked"
    )
    assert going_nowhere(story(bad[0], useless, mixed, bad[1], bad[2])) == ""
    assert going_nowhere((OPENED,)) == ""


def test_steps_and_tokens_are_bounded_over_all_lives() -> None:
    budget = Budget(steps_max=2, input_tokens_max=1000, output_tokens_max=100)
    one = (OPENED, Asked(T0, 400))
    assert overdrawn(budget, one, PROMPT, T0) == ""
    assert (
        overdrawn(budget, (*one, Asked(T0, 1)), PROMPT, T0) == "the model has used up its 2 steps"
    )
    large = replace(PROMPT, question="x" * 1400)
    assert overdrawn(budget, one, large, T0) == "the model would read more than 1000 tokens"
    silent = replace(PROMPT, output_tokens_max=0)
    assert overdrawn(budget, one, silent, T0) == "the model has written its 100 tokens"


def test_the_next_answer_gets_what_is_left() -> None:
    budget = Budget(output_tokens_max=100, turn_tokens_max=60)
    assert output_tokens(budget, (OPENED,)) == 60
    said = Answered(T0, Turn("x", usage=Usage(1, 70)))
    assert output_tokens(budget, (OPENED, Asked(T0, 1), said)) == 30


def test_time_runs_from_the_opening() -> None:
    budget = Budget(seconds_max=100)
    assert seconds_left(budget, (), T0) == 100
    assert seconds_left(budget, (OPENED,), after(40)) == 60
    assert seconds_left(budget, (OPENED,), after(400)) == 0
    assert overdrawn(budget, (OPENED,), PROMPT, after(99)) == ""
    assert overdrawn(budget, (OPENED,), PROMPT, after(100)) == "the model has used up its 100 s"


def test_a_prompt_counts_everything_that_is_sent() -> None:
    tool = ToolSpec("objects", "description", "{}")
    turn = calling(call("logs", "xx"), text="t", reasoning="rr")
    exchanges = (Exchange(turn, (ToolResult("äö"),)), Exchange(Turn("lost"), nudge="go on"))
    prompt = Prompt("s", "qq", exchanges, (tool,), Mode.THINKING, 1)
    letters = "sqqobjectsdescription{}trrlogsxx....go on"
    assert input_tokens(prompt) == len(letters) // 2
