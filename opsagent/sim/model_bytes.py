"""A scripted turn as the bytes that a real server streams, cut into pieces as it cuts them.

Source: the stream of SGLang 0.5's chat completions with both Kimi K2 parsers on: the role first; reasoning,
content, then calls, each in pieces; of a call first index, id and name with no arguments; a last chunk with
``finish_reason``; usage in a chunk without choices; ``[DONE]``. Errors before the first token are a status
with a flat body, later ones an event in the stream.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from opsagent.model.canonical import JsonValue

BYTES_PER_TOKEN = 4


def stream(
    turn_text: tuple[str, str],
    calls: Sequence[tuple[str, str, str]],
    *,
    finish: str,
    input_bytes: int,
    piece_characters: int,
) -> Iterator[bytes]:
    """Yield the events of one turn.

    Args:
        turn_text: reasoning and content.
        calls: (id, name, arguments) each.
        finish: ``finish_reason``.
        input_bytes: of the request, for the usage.
        piece_characters: how much of a text stands in one event.
    """
    reasoning, content = turn_text
    yield _chunk({"role": "assistant", "content": "", "reasoning_content": None})
    for piece in _pieces(reasoning, piece_characters):
        yield _chunk({"content": None, "reasoning_content": piece})
    for piece in _pieces(content, piece_characters):
        yield _chunk({"content": piece, "reasoning_content": None})
    for index, (id_, name, arguments) in enumerate(calls):
        yield _call(index, id_, name, "")
        for piece in _pieces(arguments, piece_characters):
            yield _call(index, None, None, piece)
    yield _chunk({"content": None, "reasoning_content": None}, finish)
    said = "".join([reasoning, content, *(name + arguments for _, name, arguments in calls)])
    yield _usage(input_bytes // BYTES_PER_TOKEN, len(said) // BYTES_PER_TOKEN + 1)
    yield b"data: [DONE]\n\n"


def trouble_event(message: str, code: int) -> bytes:
    """Return the event of an error in the middle of a stream."""
    return _event(
        {
            "error": {
                "object": "error",
                "message": message,
                "type": "InternalServerError",
                "code": code,
            }
        }
    )


def trouble_body(message: str, status: int) -> bytes:
    """Return the body of an error before the first token."""
    kind = "BadRequestError" if status < 500 else "InternalServerError"  # noqa: PLR2004 - HTTP
    return json.dumps(
        {"object": "error", "message": message, "type": kind, "param": None, "code": status}
    ).encode()


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _call(index: int, id_: str | None, name: str | None, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments}
    call: Mapping[str, JsonValue] = {
        "id": id_,
        "index": index,
        "type": "function",
        "function": function,
    }
    return _chunk({"content": None, "reasoning_content": None, "tool_calls": [call]})


def _chunk(delta: Mapping[str, JsonValue], finish: str | None = None) -> bytes:
    choice: Mapping[str, JsonValue] = {
        "index": 0,
        "delta": {"role": None, "tool_calls": None} | dict(delta),
        "logprobs": None,
        "finish_reason": finish,
        "matched_stop": None,
    }
    return _event(_head() | {"choices": [choice], "usage": None})


def _usage(read: int, written: int) -> bytes:
    usage: Mapping[str, JsonValue] = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": None,
        "reasoning_tokens": 0,
    }
    return _event(_head() | {"choices": [], "usage": usage})


def _head() -> dict[str, JsonValue]:
    return {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}


def _event(value: Mapping[str, JsonValue]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
