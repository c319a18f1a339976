"""One investigation by a model: what it is told, what it answers, which tools ran with what result.

A transcript is a list of entries that only grows. Everything else (the messages to send, what is still
to be run, what has been spent) is read back from it, so there is no second memory that a crash could lose.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from opsagent.model.plan import Proposal

# A token of telemetry has 2.1 bytes and more, one of prose 4: this counts too many rather than too few.
BYTES_PER_TOKEN = 2


class Mode(StrEnum):
    """Thinking before it answers, or answering at once."""

    THINKING = "thinking"
    INSTANT = "instant"


class Finish(StrEnum):
    """Why a turn ended, in the words of the chat API; ``OTHER`` is everything that we do not know."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool. ``schema`` is the JSON Schema of its arguments, as text."""

    name: str
    description: str
    schema: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model wants run, exactly as it said it: the name may be unknown, the arguments no JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call. ``text`` is untrusted where it is quoted; ``proposal`` is set by ``propose_plan`` alone."""

    text: str
    is_error: bool = False
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one turn, as the server counted them, else as we estimate them."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One whole answer of a model. ``reasoning`` has to be sent back while it works with tools."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn and one result per call, in the order of the calls.

    With a ``nudge`` the turn was of no use: the model is not shown it again, but told our words.
    """

    turn: Turn
    results: tuple[ToolResult, ...] = ()
    nudge: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything that a model is sent. The beginning stays the same from call to call."""

    system: str
    question: str
    exchanges: tuple[Exchange, ...]
    tools: tuple[ToolSpec, ...]
    mode: Mode
    output_tokens_max: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The investigation begins: which model, what it was told."""

    at: dt.datetime
    model: str
    system: str
    question: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The model is about to be asked: a step of the budget, whether or not an answer comes.

    ``input_tokens`` is what the question has at most.
    """

    at: dt.datetime
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The model answered. Calls are numbered through the whole transcript, from 0."""

    at: dt.datetime
    turn: Turn


@dataclass(frozen=True, slots=True)
class Called:
    """The call of this number is about to be run: after a crash it may or may not have been."""

    at: dt.datetime
    number: int


@dataclass(frozen=True, slots=True)
class Returned:
    """The call of this number is done with."""

    at: dt.datetime
    number: int
    result: ToolResult


@dataclass(frozen=True, slots=True)
class Closed:
    """The investigation is over: with a proposal, or with the reason why the model has none."""

    at: dt.datetime
    proposal: Proposal | None
    reason: str


Entry: TypeAlias = Opened | Asked | Answered | Called | Returned | Closed
