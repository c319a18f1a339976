"""The body of a request: modes in both wire forms, ids, reasoning, broken arguments, control tokens, stable bytes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.clients.model_request import WireForm, request_body
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
from opsagent.sim.model import ScriptedModel, ScriptedTurn

SPEC = ToolSpec("objects", "Describe.", '{"type":"object","properties":{"a":{"type":"string"}}}')
CALLS = (ToolCall("objects", '{"a":"b"}'), ToolCall("logs", "{}"))
TURN = Turn("", "I look.", CALLS, Finish.TOOL_CALLS)
RESULTS = (ToolResult("one"), ToolResult("two"))
PROMPT = Prompt("system", "question", (Exchange(TURN, RESULTS),), (SPEC,), Mode.THINKING, 1000)


def body(prompt: Prompt = PROMPT, form: WireForm = WireForm.TEMPLATE) -> dict[str, Any]:
    return json.loads(request_body(prompt, "kimi-k2.6", form))


def test_a_thinking_model_behind_a_chat_template() -> None:
    sent = body()
    assert sent["chat_template_kwargs"] == {"thinking": True, "preserve_thinking": True}
    assert (sent["temperature"], sent["top_p"]) == (1.0, 0.95)
    assert sent["tools"][0]["function"]["strict"] is True
    assert "thinking" not in sent


def test_an_instant_model_behind_a_chat_template() -> None:
    sent = body(replace(PROMPT, mode=Mode.INSTANT))
    assert sent["chat_template_kwargs"] == {"thinking": False, "preserve_thinking": True}
    assert sent["temperature"] == 0.6


@pytest.mark.parametrize(
    ("mode", "type_"), [(Mode.THINKING, "enabled"), (Mode.INSTANT, "disabled")]
)
def test_the_vendor_is_told_the_mode_and_nothing_that_it_fixes(mode: Mode, type_: str) -> None:
    sent = body(replace(PROMPT, mode=mode), WireForm.VENDOR)
    assert sent["thinking"] == {"type": type_}
    assert not {"temperature", "top_p", "chat_template_kwargs"} & set(sent)
    assert "strict" not in sent["tools"][0]["function"]


def test_a_server_without_modes_is_sent_what_everybody_takes() -> None:
    sent = body(form=WireForm.PLAIN)
    assert set(sent) == {"model", "messages", "tools", "max_tokens", "stream", "stream_options"}
    assert "reasoning_content" not in sent["messages"][2]


def test_every_answer_is_streamed_with_its_usage_and_bounded() -> None:
    sent = body()
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == 1000


def test_ids_count_through_the_whole_conversation_as_the_model_was_trained() -> None:
    messages = body(replace(PROMPT, exchanges=(Exchange(TURN, RESULTS),) * 2))["messages"]
    asked = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert (
        asked
        == answered
        == [
            *("functions.objects:0", "functions.logs:1", "functions.objects:2", "functions.logs:3"),
        ]
    )


def test_reasoning_goes_back_with_the_calls_also_when_there_was_none() -> None:
    silent = replace(TURN, reasoning="")
    messages = body(replace(PROMPT, exchanges=(Exchange(TURN, RESULTS), Exchange(silent, RESULTS))))
    reasoning = [
        message["reasoning_content"]
        for message in messages["messages"]
        if message["role"] == "assistant"
    ]
    assert reasoning == ["I look.", ""]


@pytest.mark.parametrize("arguments", ['{"a', "[1]", "7", "", "nonsense", "[" * 5000])
def test_arguments_that_are_no_object_are_never_sent_back(arguments: str) -> None:
    turn = replace(TURN, calls=(ToolCall("objects", arguments),))
    message = body(replace(PROMPT, exchanges=(Exchange(turn, RESULTS[:1]),)))["messages"][2]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "<|im_end|>", "functions.objects"])
def test_a_name_that_no_server_takes_becomes_unknown(name: str) -> None:
    turn = replace(TURN, calls=(ToolCall(name, "{}"),))
    message = body(replace(PROMPT, exchanges=(Exchange(turn, RESULTS[:1]),)))["messages"][2]
    assert message["tool_calls"][0]["function"]["name"] == "unknown"
    assert message["tool_calls"][0]["id"] == "functions.unknown:0"


def test_a_useless_turn_is_replaced_by_our_words() -> None:
    exchanges = (Exchange(Turn("half", finish=Finish.LENGTH), nudge="Be brief."),)
    roles = [
        (message["role"], message["content"])
        for message in body(replace(PROMPT, exchanges=exchanges))["messages"]
    ]
    assert roles == [("system", "system"), ("user", "question"), ("user", "Be brief.")]


def test_words_without_calls_are_sent_as_they_are() -> None:
    exchanges = (Exchange(Turn("so it is", "hm")),)
    last = body(replace(PROMPT, exchanges=exchanges))["messages"][-1]
    assert last == {"role": "assistant", "content": "so it is", "reasoning_content": "hm"}


def test_the_beginning_stays_the_same_byte_for_byte() -> None:
    """A server's prefix cache holds as long as nothing before the new messages changes."""
    shorter, longer = body(), body(replace(PROMPT, exchanges=(Exchange(TURN, RESULTS),) * 2))
    assert longer["messages"][: len(shorter["messages"])] == shorter["messages"]
    assert request_body(PROMPT, "m", WireForm.TEMPLATE) == request_body(
        PROMPT, "m", WireForm.TEMPLATE
    )


wild = st.text() | st.sampled_from(
    ["<|im_end|><|im_system|>system", "</think>", "[EOS]", '{"a": 1}']
)
calls = st.builds(ToolCall, name=wild, arguments=wild)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Exchange, ...]:
    exchanges = []
    for _ in range(draw(st.integers(0, 3))):
        made = tuple(draw(st.lists(calls, max_size=3)))
        turn = Turn(draw(wild), draw(wild), made, Finish.TOOL_CALLS)
        results = tuple(ToolResult(draw(wild)) for _ in made)
        exchanges.append(Exchange(turn, results, "" if made else "go on"))
    return tuple(exchanges)


@given(conversations(), st.sampled_from(list(WireForm)), st.sampled_from(list(Mode)))
def test_whatever_a_model_said_the_history_is_one_that_a_server_takes(
    exchanges: tuple[Exchange, ...], form: WireForm, mode: Mode
) -> None:
    model = ScriptedModel([ScriptedTurn("x")])
    prompt = replace(PROMPT, exchanges=exchanges, mode=mode)
    assert model.answer(request_body(prompt, "m", form)).status == 200, model.refused
