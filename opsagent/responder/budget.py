"""How far an investigation may go, and when it has gone nowhere. Pure.

Every bound holds over restarts, because what is spent is counted from the transcript and time from its
first entry. The reasons end the sentence "By rules, because ...".
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from opsagent.model.transcript import BYTES_PER_TOKEN, Entry, Exchange, Prompt
from opsagent.responder import history

REPEATS_MAX = 3  # the same call so often is a circle
FRUITLESS_MAX = 3  # turns in a row


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one investigation.

    ``turn_tokens_max`` covers reasoning and answer: below 16K a thinking model may spend all of it
    before it answers. ``call_seconds_max`` covers queue, prefill and answer of one question.
    """

    steps_max: int = 12
    input_tokens_max: int = 300_000
    output_tokens_max: int = 48_000
    seconds_max: float = 300.0
    call_seconds_max: float = 120.0
    turn_tokens_max: int = 16_384


def seconds_left(budget: Budget, entries: Sequence[Entry], now: dt.datetime) -> float:
    """Return how long the investigation may still go on, 0 or more."""
    begun = history.opened(entries)
    age = 0.0 if begun is None else (now - begun.at).total_seconds()
    return max(0.0, budget.seconds_max - age)


def output_tokens(budget: Budget, entries: Sequence[Entry]) -> int:
    """Return how many tokens the next answer may have."""
    left = budget.output_tokens_max - history.spent(entries).output_tokens
    return min(budget.turn_tokens_max, left)


def input_tokens(prompt: Prompt) -> int:
    """Return how many tokens ``prompt`` has at most."""
    texts = [prompt.system, prompt.question]
    texts += [text for tool in prompt.tools for text in (tool.name, tool.description, tool.schema)]
    texts += [text for exchange in prompt.exchanges for text in _texts(exchange)]
    return sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN


def _texts(exchange: Exchange) -> list[str]:
    if exchange.nudge:
        return [exchange.nudge]
    turn = exchange.turn
    called = [text for call in turn.calls for text in (call.name, call.arguments)]
    return [turn.text, turn.reasoning, *called, *(result.text for result in exchange.results)]


def late(budget: Budget) -> str:
    """Return that the time is used up."""
    return f"the model has used up its {budget.seconds_max:g} s"


def overdrawn(budget: Budget, entries: Sequence[Entry], prompt: Prompt, now: dt.datetime) -> str:
    """Return which bound the next question would break, '' if none."""
    spent = history.spent(entries)
    if not seconds_left(budget, entries, now):
        return late(budget)
    if history.steps(entries) >= budget.steps_max:
        return f"the model has used up its {budget.steps_max} steps"
    if spent.input_tokens + input_tokens(prompt) > budget.input_tokens_max:
        return f"the model would read more than {budget.input_tokens_max} tokens"
    if prompt.output_tokens_max < 1:
        return f"the model has written its {budget.output_tokens_max} tokens"
    return ""


def going_nowhere(entries: Sequence[Entry]) -> str:
    """Return why it is of no use to go on, '' if it may be."""
    if history.repeats(entries) >= REPEATS_MAX:
        return f"the model made the same call {REPEATS_MAX} times"
    if history.fruitless(entries) >= FRUITLESS_MAX:
        return f"nothing that the model did in {FRUITLESS_MAX} turns worked"
    return ""
