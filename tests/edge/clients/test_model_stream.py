"""The bytes of a stream: any cut gives the same turn; what is no whole turn is refused; servers differ."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.clients.model_stream import TurnReader, failure
from opsagent.model.transcript import Finish, ToolCall, Turn, Usage
from opsagent.ports import Terminal, Transient


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"choices": choices} | more).encode() + b"\n\n"


def call(index: int, name: str | None, arguments: str | None) -> bytes:
    function = {"name": name, "arguments": arguments}
    return event({"tool_calls": [{"index": index, "function": function}]})


END = event({}, "stop")
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(
    [
        event({"role": "assistant", "content": "", "reasoning_content": None}),
        event({"reasoning_content": "hm \N{SNOWMAN}"}),
        event({"content": "so "}),
        event({"content": "it is"}),
        call(0, "objects", ""),
        call(0, None, '{"a":'),
        call(1, "logs", "{}"),
        call(0, None, " 1}"),
        event({}, "tool_calls"),
        event(usage={"prompt_tokens": 11, "completion_tokens": 7}),
        DONE,
    ]
)
WHOLE = Turn(
    "so it is",
    "hm \N{SNOWMAN}",
    (ToolCall("objects", '{"a": 1}'), ToolCall("logs", "{}")),
    Finish.TOOL_CALLS,
    Usage(11, 7),
)


def read(*chunks: bytes, bytes_max: int = 100_000, input_bytes: int = 100) -> Turn:
    reader = TurnReader(bytes_max)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.turn(input_bytes)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_cut_gives_the_same_turn(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert read(*chunks) == WHOLE


@given(st.integers(0, STREAM.index(b'"finish_reason": "tool_calls"')))
def test_no_beginning_of_a_stream_is_taken_for_the_whole(end: int) -> None:
    with pytest.raises(Transient):
        read(STREAM[:end])


def test_line_ends_comments_and_other_fields_do_not_matter() -> None:
    varied = b": keep-alive\r\n\r\nid: 7\nevent: x\n" + STREAM.replace(b"\n", b"\r\n")
    assert read(varied.replace(b"data: ", b"data:")) == WHOLE


def test_an_event_may_have_several_lines() -> None:
    assert read(b'data: {"choices":\ndata: []}\n\n', END).finish is Finish.STOP


def test_what_comes_after_the_end_is_not_read() -> None:
    assert (
        read(event({"content": "x"}), END, DONE, event({"content": "y"}), b"data: ?\n\n").text
        == "x"
    )


def test_the_other_name_of_reasoning_is_known() -> None:
    assert read(event({"reasoning": "hm"}), END).reasoning == "hm"


def test_without_a_usage_tokens_are_estimated_from_the_bytes() -> None:
    assert read(event({"content": "x" * 40}), END, input_bytes=300).usage == Usage(150, 20)


@pytest.mark.parametrize("told", [{}, {"prompt_tokens": -5, "completion_tokens": 0}])
def test_a_usage_that_cannot_be_is_not_believed(told: dict[str, int]) -> None:
    assert read(event({"content": "xx"}), END, event(usage=told)).usage == Usage(50, 1)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1}<|tool_call_end|>', '{"a": 1}'),
        (' {"a": 1}\n<|tool_call_end', '{"a": 1}'),
        ('{"a": 1} and more', '{"a": 1} and more'),
        ('{"a": 1}{"b": 2}', '{"a": 1}{"b": 2}'),
        ('"{}"', '"{}"'),
        ("[" * 10_000, "[" * 10_000),
        ("", ""),
    ],
)
def test_arguments_lose_a_spelled_end_marker_and_nothing_else(arguments: str, kept: str) -> None:
    turn = read(call(0, "x", arguments), event({}, "tool_calls"))
    assert turn.calls == (ToolCall("x", kept),)


def test_calls_stand_in_the_order_of_their_index() -> None:
    turn = read(call(5, "b", "{}"), call(-1, "a", "{}"), event({}, "tool_calls"))
    assert [each.name for each in turn.calls] == ["a", "b"]


def test_a_call_without_a_function_is_a_call_without_a_name() -> None:
    turn = read(event({"tool_calls": [{"index": 0}]}), event({}, "tool_calls"))
    assert turn.calls == (ToolCall("", ""),)


@pytest.mark.parametrize(
    "garbage",
    [b"data: nonsense\n\n", b"data: 7\n\n", b'data: {"choices": 3}\n\n', b"data: \xff\n\n",
     b"data: " + b"[" * 50_000 + b"\n\n"],
)  # fmt: skip
def test_what_is_no_event_is_trouble_of_the_server(garbage: bytes) -> None:
    with pytest.raises(Transient, match="not understood"):
        read(garbage)


@pytest.mark.parametrize(
    ("code", "error"),
    [(503, Transient), (None, Transient), ("overloaded", Transient), (400, Terminal)],
)
def test_an_error_in_the_stream(code: int | str | None, error: type[Exception]) -> None:
    with pytest.raises(error, match="broke off: no memory"):
        read(event(error={"message": "no\x1bmemory", "code": code}))


def test_bytes_are_counted_also_of_what_says_nothing() -> None:
    with pytest.raises(Terminal, match="longer than is allowed"):
        read(*[b": ping\n"] * 1000, bytes_max=5000)


def test_a_line_without_an_end_is_bounded() -> None:
    with pytest.raises(Terminal, match="longer than is allowed"):
        read(*[b"data: " + b"x" * 1000] * 6, bytes_max=5000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "error", "message": "queue\\nfull", "code": 503}',
        b'{"error": {"message": "queue full", "type": "x"}}',
        b'{"error": "queue full"}',
        b"queue full",
    ],
)
def test_the_words_of_a_failure_are_found_in_every_shape(body: bytes) -> None:
    error = failure(503, body)
    assert isinstance(error, Transient)
    assert str(error) == "the model's server answered 503 queue full"


def test_the_words_of_a_failure_are_short_and_printable() -> None:
    assert len(str(failure(400, b"\x1b" * 5000))) < 250
    assert str(failure(404, b"")) == "the model's server answered 404"
    assert str(failure(500, b"{}")) == "the model's server answered 500"
    assert isinstance(failure(404, b""), Terminal)
    assert isinstance(failure(302, b""), Terminal)
