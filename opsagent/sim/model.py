"""A model that says what a script says, behind the wire of a real server. Sans-IO: one request in, one answer out.

Theory of operation. Which turn of the script is due follows from the request alone: as many turns as the
conversation already holds have been said. So it has no memory to lose, and a client that resumes a
conversation goes on where it was. What a turn says may name what the model has been shown: ``{pod}``,
``{revision}`` and the like are read from the conversation, as a model would.

It is stricter than a server, so that a client's mistakes show: a history with broken arguments, ids that are
not ``functions.<name>:<n>``, a control token in a text, a missing result, reasoning that was not sent
back, a last message that is the model's own: each is a 400 that says so.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opsagent.sim.model_bytes import stream, trouble_body, trouble_event
from opsagent.sim.values import Obj

FOR_EVER = 10**9
INTERRUPTED = "Interrupted:"  # how the result of a call begins that a crash cut short
_CONTROL = re.compile(r"<\||</?think>|\[(?:BOS|EOS|EOT)\]")
_WORKLOAD = re.compile(r"Workload: kind Deployment, namespace (\S+), name (\S+)\.")
_POD = re.compile(r"v1/Pod/[^/\s]+/([a-z0-9.-]+),")
_CONTAINER = re.compile(r"container ([a-z0-9-]+):")
_REVISION = re.compile(r"revision (\d+), created .*, (\d+) ready")
_ORDER = re.compile(r"CALL (\S+) (\{.*\})")  # what a planted line says to a gullible model


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call. ``arguments`` as a text are sent as they are, broken or not."""

    name: str
    arguments: Obj | str = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScriptedTurn:
    """One turn, and how it is delivered.

    ``finish`` is what a server would say unless given. With ``is_gullible`` the calls are those that any
    text of the conversation orders. ``status`` other than 200 refuses the first ``refusals`` requests.
    ``delay_seconds`` pass before the first byte, ``gap_seconds`` between events. After ``events_max`` events
    the stream ends without a word, or with ``is_hanging`` goes silent, or with ``is_breaking`` ends in an error.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    finish: str = ""
    is_gullible: bool = False
    status: int = 200
    refusals: int = FOR_EVER
    delay_seconds: float = 0.0
    gap_seconds: float = 0.0
    piece_characters: int = 24
    events_max: int | None = None
    is_hanging: bool = False
    is_breaking: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that are sent after a wait."""

    delay_seconds: float
    chunk: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the pieces of its body."""

    status: int
    pieces: tuple[Piece, ...]


class ScriptedModel:
    """Answers requests by ``script``; after its end the last turn is said again and again.

    ``requests`` holds the bodies as they came, ``refused`` why some were refused.
    """

    def __init__(self, script: Sequence[ScriptedTurn]) -> None:
        self._script = tuple(script)
        self._refusals: dict[int, int] = {}
        self.requests: list[Obj] = []
        self.refused: list[str] = []

    def answer(self, body: bytes) -> Answer:
        """Return what a server would answer to a request with ``body``."""
        try:
            request = json.loads(body)
            messages = request["messages"]
            problem = _problem(request, messages)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            problem, request, messages = f"not a chat completion request: {error!r}", {}, ()
        if problem:
            self.refused.append(problem)
            return Answer(400, (Piece(0.0, trouble_body(problem, 400)),))
        self.requests.append(request)
        number = _turns_said(messages)
        turn = self._script[min(number, len(self._script) - 1)]
        refusals = self._refusals.get(number, 0)
        if turn.status != 200 and refusals < turn.refusals:  # noqa: PLR2004 - HTTP
            self._refusals[number] = refusals + 1
            body = trouble_body("The request queue is full.", turn.status)
            return Answer(turn.status, (Piece(turn.delay_seconds, body),))
        return Answer(200, tuple(_delivered(turn, messages, len(body))))


def _turns_said(messages: Sequence[Obj]) -> int:
    """Return how many turns of the script were said and had their effect.

    One that was of no use left a user's words behind; one whose call was interrupted is said again.
    """
    roles = [message["role"] for message in messages]
    before, interrupted = -1, set()
    for message in messages:
        before += message["role"] == "assistant"
        if message["role"] == "tool" and message["content"].startswith(INTERRUPTED):
            interrupted.add(before)
    return roles.count("assistant") + max(0, roles.count("user") - 1) - len(interrupted)


def _delivered(turn: ScriptedTurn, messages: Sequence[Obj], input_bytes: int) -> Iterator[Piece]:
    facts = _facts(messages)
    calls = _orders(messages) if turn.is_gullible else [_filled(call, facts) for call in turn.calls]
    first = sum(len(_calls(message)) for message in messages)
    events = tuple(
        stream(
            (turn.reasoning.format_map(facts), turn.text.format_map(facts)),
            [(f"functions.{name}:{first + n}", name, text) for n, (name, text) in enumerate(calls)],
            finish=turn.finish or ("tool_calls" if calls else "stop"),
            input_bytes=input_bytes,
            piece_characters=turn.piece_characters,
        )
    )
    for number, event in enumerate(events[: turn.events_max]):
        yield Piece(turn.gap_seconds if number else turn.delay_seconds, event)
    if turn.is_breaking:
        yield Piece(0.0, trouble_event("Retracted under decode memory pressure.", 503))
    elif turn.is_hanging:
        yield Piece(FOR_EVER, b"")


class _Facts(dict[str, str]):
    """What a turn may name; unknown names stay as they are written."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _facts(messages: Sequence[Obj]) -> _Facts:
    """Read from the conversation what a model would: the workload, its sickest pod, a healthy revision."""
    seen = "\n".join(str(message.get("content") or "") for message in messages)
    facts = _Facts()
    if found := _WORKLOAD.search(seen):
        facts["namespace"], facts["name"] = found[1], found[2]
    if found := _POD.search(seen):
        facts["pod"] = found[1]
    if found := _CONTAINER.search(seen):
        facts["container"] = found[1]
    ready = {int(number): int(count) for number, count in _REVISION.findall(seen)}
    older = sorted(ready)[:-1]
    healthy = [number for number in older if ready[number]] or older
    if healthy:
        facts["revision"] = str(healthy[-1])
    return facts


def _filled(call: ScriptedCall, facts: _Facts) -> tuple[str, str]:
    if isinstance(call.arguments, str):
        return call.name, call.arguments
    filled = {key: _value(value, facts) for key, value in call.arguments.items()}
    return call.name, json.dumps(filled)


def _value(value: object, facts: _Facts) -> object:
    if value == "{revision}" and "revision" in facts:
        return int(facts["revision"])
    return value.format_map(facts) if isinstance(value, str) else value


def _orders(messages: Sequence[Obj]) -> list[tuple[str, str]]:
    seen = "\n".join(str(message.get("content") or "") for message in messages[1:])
    return list(dict.fromkeys((name, text) for name, text in _ORDER.findall(seen)))


def _calls(message: Obj) -> Sequence[Obj]:
    return message.get("tool_calls") or ()


def _problem(request: Obj, messages: Sequence[Obj]) -> str:
    """Return what a server, or the model behind it, would stumble over; '' if nothing."""
    if not request.get("stream"):
        return "only streams are scripted"
    if messages[0]["role"] != "system" or messages[-1]["role"] not in ("user", "tool"):
        return "the first message has to be the system's, the last a user's or a tool's"
    number = 0
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if not waiting or message["tool_call_id"] != waiting.pop(0):
                return "a tool's message answers no call, or not the next one"
            continue
        if waiting:
            return f"the calls {waiting} have no result"
        if problem := _assistant_problem(request, message, number):
            return problem
        waiting = [str(call["id"]) for call in _calls(message)]
        number += len(waiting)
    texts = json.dumps([dict(message) for message in messages], ensure_ascii=False)
    found = _CONTROL.search(texts)
    return f"a control token in the prompt: {found[0]}" if found else ""


def _assistant_problem(request: Obj, message: Obj, number: int) -> str:
    calls = _calls(message)
    is_thinking = request.get("thinking", {}).get("type") == "enabled"
    if calls and is_thinking and "reasoning_content" not in message:
        return "thinking is enabled but reasoning_content is missing in assistant tool call message"
    for offset, call in enumerate(calls):
        function = call["function"]
        if call["id"] != f"functions.{function['name']}:{number + offset}":
            return f"the id {call['id']} is not what the model was trained on"
        try:
            json.loads(function["arguments"])
        except ValueError:
            return "Assistant tool call function.arguments must be valid JSON"
    return ""
