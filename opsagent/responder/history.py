"""What a transcript says: the exchanges to send, the calls that wait, what was spent, whether it goes in circles. Pure.

Theory of operation. Calls are numbered through the whole transcript in the order in which the model made
them, from 0; only calls of a turn that ended as ``tool_calls`` count, for any other turn may have been
cut in the middle of one. A call waits while it has no ``Returned``. One that has a ``Called`` and no
``Returned`` was begun by an earlier life: it may have run, so it is never run again.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from opsagent.model.canonical import canonical
from opsagent.model.transcript import (
    Answered,
    Asked,
    Called,
    Closed,
    Entry,
    Exchange,
    Finish,
    Opened,
    Returned,
    ToolCall,
    Turn,
    Usage,
)

NUDGES = {
    Finish.LENGTH: "Your last answer was cut off for its length and is lost. Be brief: call a tool, or end.",
    Finish.STOP: "Your last answer was empty or its calls were not finished. Call a tool, or end with a sentence.",
    Finish.TOOL_CALLS: "Your last answer was to call tools, but named none. Call a tool, or end with a sentence.",
    Finish.OTHER: "Your last answer did not arrive. Call a tool, or end with a sentence.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call without a result; ``is_begun`` if it may have run already."""

    number: int
    call: ToolCall
    is_begun: bool


def opened(entries: Sequence[Entry]) -> Opened | None:
    """Return how the investigation began, None if it has not."""
    return next((each for each in entries if isinstance(each, Opened)), None)


def closed(entries: Sequence[Entry]) -> Closed | None:
    """Return how it ended, None while it goes on."""
    return next((each for each in entries if isinstance(each, Closed)), None)


def nudge(turn: Turn) -> str:
    """Return what to tell a model whose turn is of no use, '' if it is of some."""
    is_asking = turn.finish is Finish.TOOL_CALLS and bool(turn.calls)
    is_ending = turn.finish is Finish.STOP and not turn.calls and bool(turn.text.strip())
    return "" if is_asking or is_ending else NUDGES[turn.finish]


def exchanges(entries: Sequence[Entry]) -> tuple[Exchange, ...]:
    """Return every turn with the results of its calls; all calls must have one."""
    results = {each.number: each.result for each in entries if isinstance(each, Returned)}
    found, number = [], 0
    for turn in turns(entries):
        calls = _calls(turn)
        numbers = range(number, number + len(calls))
        number += len(calls)
        found.append(Exchange(turn, tuple(results[each] for each in numbers), nudge(turn)))
    return tuple(found)


def waiting(entries: Sequence[Entry]) -> tuple[Waiting, ...]:
    """Return the calls that have no result yet, by number."""
    begun = {each.number for each in entries if isinstance(each, Called)}
    done = {each.number for each in entries if isinstance(each, Returned)}
    return tuple(
        Waiting(number, call, number in begun)
        for number, call in enumerate(calls(entries))
        if number not in done
    )


def turns(entries: Iterable[Entry]) -> Iterator[Turn]:
    """Yield the model's turns, oldest first."""
    return (each.turn for each in entries if isinstance(each, Answered))


def calls(entries: Iterable[Entry]) -> list[ToolCall]:
    """Return all calls that count, by number."""
    return [call for turn in turns(entries) for call in _calls(turn)]


def steps(entries: Iterable[Entry]) -> int:
    """Return how often the model was asked."""
    return sum(1 for each in entries if isinstance(each, Asked))


def spent(entries: Iterable[Entry]) -> Usage:
    """Return the tokens of all questions and answers; a question without an answer counts by its estimate."""
    input_tokens = output_tokens = pending = 0
    for each in entries:
        match each:
            case Asked(_, estimate):
                input_tokens, pending = input_tokens + pending, estimate
            case Answered(_, turn):
                input_tokens, pending = input_tokens + turn.usage.input_tokens, 0
                output_tokens += turn.usage.output_tokens
            case _:
                pass
    return Usage(input_tokens + pending, output_tokens)


def is_unanswered(entries: Sequence[Entry]) -> bool:
    """Whether the last question was never answered."""
    asked = next((each for each in reversed(entries) if isinstance(each, Asked | Answered)), None)
    return isinstance(asked, Asked)


def repeats(entries: Iterable[Entry]) -> int:
    """Return how often the most frequent call was made: same name, same arguments."""
    counted = Counter(_key(call) for call in calls(entries))
    return max(counted.values(), default=0)


def fruitless(entries: Sequence[Entry]) -> int:
    """Return how many turns in a row, up to the last, brought nothing: of no use, or every call an error."""
    count = 0
    for exchange in reversed(exchanges(entries)):
        if not exchange.nudge and not all(result.is_error for result in exchange.results):
            break
        count += 1
    return count


def _calls(turn: Turn) -> tuple[ToolCall, ...]:
    return turn.calls if turn.finish is Finish.TOOL_CALLS else ()


def _key(call: ToolCall) -> tuple[str, bytes]:
    try:
        return call.name, canonical(json.loads(call.arguments))
    except (ValueError, RecursionError):
        return call.name, call.arguments.encode()
