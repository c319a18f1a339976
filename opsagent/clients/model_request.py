"""A prompt -> the body of one chat completion request, byte for byte the same for the same prompt.

Theory of operation. What is sent is made anew from our own values each time, so four rules hold whatever
a model said before:

- *Ids* are ``functions.<name>:<n>`` with n counted through the whole conversation from 0, in the calls and
  in their results. Models of the Kimi K2 family were trained on exactly these and lose their thread
  with any other; servers that do not care take them too.
- *Control tokens* are broken in every text, also in the model's own words: the server would encode their
  spelling as the token. Our own prompt contains none, so the beginning stays what it was.
- *Arguments* that are no JSON object go back as ``{}``: servers refuse a history with broken ones. What
  was wrong with them stands in the result.
- *Reasoning* goes back with every turn that called tools. Vendors refuse a history without it, others
  answer worse.

The last message is always a user's or a tool's. Sources: OpenAI chat completions; the ``thinking`` and
``preserve_thinking`` keys of the Kimi K2 chat template; the recommended sampling of its model card.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from opsagent.model.canonical import JsonValue, canonical
from opsagent.model.transcript import Exchange, Mode, Prompt, ToolSpec, Turn
from opsagent.signals.quotation import defuse

Message: TypeAlias = Mapping[str, JsonValue]

TEMPERATURE = {Mode.THINKING: 1.0, Mode.INSTANT: 0.6}
TOP_P = 0.95
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # Source: OpenAI API, function names


class WireForm(StrEnum):
    """How a server is told the mode.

    ``template``: keys for the chat template, as SGLang and vLLM pass on. ``vendor``: the ``thinking``
    object of Moonshot's own API, which also fixes the sampling. ``plain``: a server without modes.
    """

    TEMPLATE = "template"
    VENDOR = "vendor"
    PLAIN = "plain"


def request_body(prompt: Prompt, model: str, form: WireForm) -> bytes:
    """Return the body of a streaming request for ``prompt``, as canonical JSON."""
    body: dict[str, JsonValue] = {
        "model": model,
        "messages": list(_messages(prompt, form)),
        "tools": [_tool(spec, form) for spec in prompt.tools],
        "max_tokens": prompt.output_tokens_max,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return canonical({**body, **_mode(prompt.mode, form)})


def _mode(mode: Mode, form: WireForm) -> Message:
    is_thinking = mode is Mode.THINKING
    match form:
        case WireForm.TEMPLATE:
            return {
                "chat_template_kwargs": {"thinking": is_thinking, "preserve_thinking": True},
                "temperature": TEMPERATURE[mode],
                "top_p": TOP_P,
            }
        case WireForm.VENDOR:
            return {"thinking": {"type": "enabled" if is_thinking else "disabled"}}
        case WireForm.PLAIN:
            return {}


def _tool(spec: ToolSpec, form: WireForm) -> Message:
    function: dict[str, JsonValue] = {
        "name": spec.name,
        "description": spec.description,
        "parameters": json.loads(spec.schema),
    }
    if form is WireForm.TEMPLATE:
        function["strict"] = True  # the server's grammar then holds the schema; we check it again
    return {"type": "function", "function": function}


def _messages(prompt: Prompt, form: WireForm) -> Iterator[Message]:
    yield {"role": "system", "content": defuse(prompt.system)}
    yield {"role": "user", "content": defuse(prompt.question)}
    number = 0
    for exchange in prompt.exchanges:
        if exchange.nudge:
            yield {"role": "user", "content": defuse(exchange.nudge)}
            continue
        ids = _ids(exchange.turn, number)
        number += len(ids)
        yield _assistant(exchange.turn, ids, prompt.mode, form)
        yield from _results(exchange, ids)


def _ids(turn: Turn, first: int) -> Sequence[str]:
    return [f"functions.{_name(call.name)}:{first + n}" for n, call in enumerate(turn.calls)]


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "unknown"


def _assistant(turn: Turn, ids: Sequence[str], mode: Mode, form: WireForm) -> Message:
    message: dict[str, JsonValue] = {"role": "assistant"}
    if turn.text or not ids:
        message["content"] = defuse(turn.text)
    if form is not WireForm.PLAIN and (turn.reasoning or mode is Mode.THINKING):
        message["reasoning_content"] = defuse(turn.reasoning)
    if ids:
        message["tool_calls"] = [
            {
                "id": id_,
                "type": "function",
                "function": {"name": _name(call.name), "arguments": _sendable(call.arguments)},
            }
            for id_, call in zip(ids, turn.calls, strict=True)
        ]
    return message


def _sendable(arguments: str) -> str:
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return defuse(arguments) if is_object else "{}"


def _results(exchange: Exchange, ids: Sequence[str]) -> Iterator[Message]:
    for id_, result in zip(ids, exchange.results, strict=True):
        yield {"role": "tool", "tool_call_id": id_, "content": defuse(result.text)}
