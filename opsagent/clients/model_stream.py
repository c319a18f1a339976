"""The bytes of one streamed chat completion -> one turn. Sans-IO: it is fed, it never reads.

What it refuses: more bytes than it was allowed (a server must not be able to fill our memory), more
calls in one turn than anybody needs, an event that is no JSON, an error in the middle of the stream, and
a stream that ends before the turn does. Half a turn is never handed out.

Servers differ, so this is taken as it comes: ``reasoning_content`` or ``reasoning``; keys that are null or
missing; comments and blank lines between events; ``usage`` in a chunk without choices, or never. A model
may spell the end marker of a call from ordinary tokens, so arguments are read up to the end of their
JSON object and a marker behind it is dropped. Source: WHATWG, server-sent events; OpenAI, streaming.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from opsagent.model.transcript import BYTES_PER_TOKEN, Finish, ToolCall, Turn, Usage
from opsagent.ports import Terminal, Transient

CALLS_MAX = 16  # in one turn
SERVER_ERROR = 500
DONE = b"[DONE]"
_WORDS_MAX = 200


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(msgspec.Struct):
    index: int = 0
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Trouble(msgspec.Struct):
    message: str = ""
    code: int | str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Trouble | None = None


class _Failure(msgspec.Struct):
    """The body of an HTTP error: flat, or with the same below ``error``."""

    message: str = ""
    error: _Trouble | str | None = None


@dataclass(slots=True)
class _Call:
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class TurnReader:
    """Feed it chunks until :attr:`is_over` or the stream ends, then take the :meth:`turn`."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_left = bytes_max
        self._events = _Events()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finish = ""
        self._usage: _Usage | None = None
        self.is_over = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            Transient: the server reports trouble of its own, or sends what is no event.
            Terminal: too many bytes or calls, or the server says that the request is wrong.
        """
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            raise Terminal("the model's answer is longer than is allowed")
        for event in self._events.feed(chunk):
            if event == DONE:
                self.is_over = True
            elif not self.is_over:
                self._take(event)

    def turn(self, input_bytes: int) -> Turn:
        """Return the whole turn; ``input_bytes`` of the request stand in for a usage that was not told.

        Raises:
            Transient: the stream ended too early, or the server gave up on it.
        """
        if not self._finish:
            raise Transient("the model's answer was cut off")
        if self._finish == "abort":
            raise Transient("the model's server aborted the answer")
        finish = Finish(self._finish) if self._finish in tuple(Finish) else Finish.OTHER
        calls = [self._calls[index] for index in sorted(self._calls)]
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        said = [text, reasoning, *("".join(call.arguments) for call in calls)]
        return Turn(
            text=text,
            reasoning=reasoning,
            calls=tuple(ToolCall(call.name, _object("".join(call.arguments))) for call in calls),
            finish=finish,
            usage=self._counted(input_bytes, sum(len(part.encode()) for part in said)),
        )

    def _take(self, event: bytes) -> None:
        try:
            chunk = msgspec.json.decode(event, type=_Chunk)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Transient("the model's server sent an event that is not understood") from error
        if chunk.error is not None:
            raise _trouble(chunk.error)
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices[:1]:
            self._finish = choice.finish_reason or self._finish
            if choice.delta is not None:
                self._add(choice.delta)

    def _add(self, delta: _Delta) -> None:
        self._text.append(delta.content or "")
        self._reasoning.append(delta.reasoning_content or delta.reasoning or "")
        for piece in delta.tool_calls or ():
            call = self._calls.setdefault(piece.index, _Call())
            if piece.function is not None:
                call.name = call.name or piece.function.name or ""
                call.arguments.append(piece.function.arguments or "")
        if len(self._calls) > CALLS_MAX:
            raise Terminal(f"the model wants more than {CALLS_MAX} tools run at once")

    def _counted(self, input_bytes: int, output_bytes: int) -> Usage:
        told = self._usage or _Usage()
        return Usage(
            told.prompt_tokens if told.prompt_tokens > 0 else input_bytes // BYTES_PER_TOKEN,
            told.completion_tokens
            if told.completion_tokens > 0
            else output_bytes // BYTES_PER_TOKEN,
        )


def failure(status: int, body: bytes) -> Exception:
    """Return the exception for an answer that is no stream; the server's words are cut and printable."""
    try:
        told = msgspec.json.decode(body, type=_Failure)
        nested = told.error.message if isinstance(told.error, _Trouble) else told.error
        words = told.message or nested or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = body[: 4 * _WORDS_MAX].decode(errors="replace")
    message = f"the model's server answered {status} {_printable(words)}".rstrip()
    is_passing = status in {408, 429} or status >= SERVER_ERROR
    return (Transient if is_passing else Terminal)(message)


def _trouble(told: _Trouble) -> Exception:
    message = f"the model's server broke off: {_printable(told.message)}"
    is_refusal = isinstance(told.code, int) and told.code < SERVER_ERROR
    return (Terminal if is_refusal else Transient)(message)


def _printable(words: str) -> str:
    readable = "".join(mark if mark.isprintable() else " " for mark in words)
    return readable[:_WORDS_MAX]


def _object(arguments: str) -> str:
    """Return the text of the JSON object that ``arguments`` begin with, all of them if that is not all but a marker."""
    stripped = arguments.strip()
    try:
        value, end = json.JSONDecoder().raw_decode(stripped)
    except (ValueError, RecursionError):
        return arguments
    rest = stripped[end:].lstrip()
    is_clean = isinstance(value, dict) and (not rest or rest.startswith("<|"))
    return stripped[:end] if is_clean else arguments


class _Events:
    """Bytes in, the payloads of whole events out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        # Only the new bytes are searched: a long line that arrives in crumbs costs its length once.
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            whole = bytes(self._rest) + line
            self._rest.clear()
            yield from self._line(whole.removesuffix(b"\r"))
        self._rest += tail

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            yield b"\n".join(self._data)
            self._data.clear()
