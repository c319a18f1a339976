"""What every way to a model promises: the scripted server over HTTP, and the same script in this process."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from opsagent.clients.model import Bounds, HttpModelTransport, ModelClient
from opsagent.clients.model_request import WireForm
from opsagent.model.transcript import (
    Exchange,
    Finish,
    Mode,
    Prompt,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
)
from opsagent.ports import Terminal, Transient
from opsagent.sim.model import ScriptedCall, ScriptedModel, ScriptedTurn
from opsagent.sim.model_server import ScriptedTransport, serving_model

SPEC = ToolSpec("objects", "Describe.", '{"type":"object","properties":{}}')
ASK = Prompt("system", "question", (), (SPEC,), Mode.THINKING, 1000)
CALLS = (ScriptedCall("objects", {"name": "web"}), ScriptedCall("logs", '{"broken'))
SPOKEN = ScriptedTurn("text \N{SNOWMAN}", "reasoning " * 9, CALLS)
HEARD = (ToolCall("objects", '{"name": "web"}'), ToolCall("logs", '{"broken'))

USUAL = Bounds()

Face = Callable[..., AbstractAsyncContextManager[ModelClient]]


@asynccontextmanager
async def over_http(
    model: ScriptedModel, form: WireForm = WireForm.TEMPLATE, bounds: Bounds = USUAL
) -> AsyncIterator[ModelClient]:
    async with serving_model(model) as url:
        transport = HttpModelTransport(url, "key")
        try:
            yield ModelClient(transport, "scripted", form, bounds)
        finally:
            await transport.aclose()


@asynccontextmanager
async def in_process(
    model: ScriptedModel, form: WireForm = WireForm.TEMPLATE, bounds: Bounds = USUAL
) -> AsyncIterator[ModelClient]:
    yield ModelClient(ScriptedTransport(model), "scripted", form, bounds)


faces = pytest.mark.parametrize("face", [over_http, in_process])


async def said(face: Face, *script: ScriptedTurn, **more: object) -> Turn:
    async with face(ScriptedModel(script), **more) as client:
        try:
            return await client.complete(ASK)
        except (Transient, Terminal) as error:
            failure = error  # raised outside of the server's task group
    raise failure


@faces
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_turn_arrives_whole_however_it_is_cut(face: Face, size: int) -> None:
    turn = await said(
        face, ScriptedTurn(SPOKEN.text, SPOKEN.reasoning, CALLS, piece_characters=size)
    )
    assert (turn.text, turn.reasoning, turn.calls) == (SPOKEN.text, SPOKEN.reasoning, HEARD)
    assert turn.finish is Finish.TOOL_CALLS
    assert turn.usage.input_tokens > 0
    assert turn.usage.output_tokens > 0


@faces
@pytest.mark.parametrize(
    ("finish", "heard"),
    [("stop", Finish.STOP), ("length", Finish.LENGTH), ("content_filter", Finish.OTHER)],
)
async def test_how_a_turn_ended_is_told(face: Face, finish: str, heard: Finish) -> None:
    assert (await said(face, ScriptedTurn("x", finish=finish))).finish is heard


@faces
@pytest.mark.parametrize("form", list(WireForm))
@pytest.mark.parametrize("mode", list(Mode))
async def test_every_history_of_ours_is_taken(face: Face, form: WireForm, mode: Mode) -> None:
    """The scripted server refuses what a real one, or the model behind it, would stumble over."""
    model = ScriptedModel([ScriptedTurn("so it is")])
    turn = Turn("t", "r", HEARD, Finish.TOOL_CALLS)
    exchanges = (
        Exchange(turn, (ToolResult("a<|im_end|>"), ToolResult("b", is_error=True))),
        Exchange(Turn(), nudge="go on"),
        Exchange(turn, (ToolResult("c"), ToolResult("d"))),
    )
    async with face(model, form) as client:
        answer = await client.complete(Prompt("system", "question", exchanges, (SPEC,), mode, 1000))
    assert answer.text == "so it is"
    assert model.refused == []


@faces
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_trouble_of_the_server_is_transient(face: Face, status: int) -> None:
    with pytest.raises(Transient, match=f"answered {status} The request queue is full"):
        await said(face, ScriptedTurn(status=status))


@faces
async def test_a_refusal_of_the_request_is_terminal(face: Face) -> None:
    with pytest.raises(Terminal, match="answered 404"):
        await said(face, ScriptedTurn(status=404))


@faces
async def test_a_server_that_was_full_once_answers_the_next_time(face: Face) -> None:
    async with face(ScriptedModel([ScriptedTurn("hi", status=503, refusals=1)])) as client:
        with pytest.raises(Transient):
            await client.complete(ASK)
        assert (await client.complete(ASK)).text == "hi"


@faces
@pytest.mark.parametrize("events", [1, 2, 3])
async def test_half_a_turn_is_no_turn(face: Face, events: int) -> None:
    with pytest.raises(Transient, match="cut off"):
        await said(face, ScriptedTurn("a long answer", events_max=events, piece_characters=4))


@faces
async def test_an_error_in_the_stream_is_transient(face: Face) -> None:
    with pytest.raises(Transient, match="broke off: Retracted under decode memory pressure"):
        await said(face, ScriptedTurn("a long answer", events_max=2, is_breaking=True))


@faces
async def test_an_aborted_turn_is_no_turn(face: Face) -> None:
    with pytest.raises(Transient, match="aborted"):
        await said(face, ScriptedTurn("half", finish="abort"))


@faces
async def test_silence_in_the_middle_is_noticed(face: Face) -> None:
    bounds = Bounds(idle_seconds=0.05)
    with pytest.raises(Transient, match=r"silent for 0\.05 s"):
        await said(face, ScriptedTurn("hm", events_max=2, is_hanging=True), bounds=bounds)


@faces
async def test_an_endless_answer_is_cut_at_its_bytes(face: Face) -> None:
    bounds = Bounds(answer_bytes_max=10_000)
    with pytest.raises(Terminal, match="longer than is allowed"):
        await said(face, ScriptedTurn("!" * 100_000, piece_characters=1000), bounds=bounds)


@faces
async def test_more_calls_than_anybody_needs_are_refused(face: Face) -> None:
    with pytest.raises(Terminal, match="more than 16 tools"):
        await said(face, ScriptedTurn(calls=(ScriptedCall("objects"),) * 17))


@faces
async def test_the_model_has_the_name_that_its_server_knows(face: Face) -> None:
    model = ScriptedModel([ScriptedTurn("x")])
    async with face(model) as client:
        await client.complete(ASK)
        assert client.name == model.requests[0]["model"] == "scripted"


async def test_both_faces_send_the_same_bytes() -> None:
    sent: list[Sequence[object]] = []
    for face in (over_http, in_process):
        model = ScriptedModel([SPOKEN])
        async with face(model) as client:
            await client.complete(ASK)
        sent.append(model.requests)
    assert sent[0] == sent[1]
