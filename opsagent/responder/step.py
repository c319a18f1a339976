"""One step of an investigation: ask the model, run what it asks for. Each thing is written down before it happens.

Theory of operation. A step reads the journal and adds to it; it changes nothing that stands there. The calls of
one turn run side by side. If one of them fails in a way that is not an answer (the disk is full, we are
told to stop, a bug), the others are cancelled and awaited, and the failure goes up. What the world refuses
is an answer: it becomes an error result for the model.

What it refuses to run: a tool that was never offered, and a call that an earlier life had begun, for it may
have run already.
"""

import asyncio
from dataclasses import dataclass

from opsagent.model.transcript import (
    Answered,
    Asked,
    Called,
    Mode,
    Prompt,
    Returned,
    ToolCall,
    ToolResult,
    Turn,
)
from opsagent.ports import (
    Case,
    Clock,
    Forbidden,
    Model,
    NotFound,
    Terminal,
    Tool,
    Transient,
)
from opsagent.responder import history
from opsagent.responder.budget import Budget, input_tokens, output_tokens
from opsagent.responder.journal import Journal
from opsagent.signals.quotation import quoted

TOOL_SECONDS_MAX = 20.0
INTERRUPTED = ToolResult(
    "Interrupted: opsagent was restarted while this ran. Its result is lost; it is not run again by itself.",
    is_error=True,
)


class UnansweredError(Exception):
    """The model gave no answer; ``is_passing`` if asking again may help. The text ends "because ..."."""

    def __init__(self, reason: str, *, is_passing: bool) -> None:
        super().__init__(reason)
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class Means:
    """What an investigation works with. ``tools`` are in the order in which the model is told of them."""

    model: Model
    tools: tuple[Tool, ...]
    mode: Mode
    budget: Budget
    clock: Clock


def prompt(means: Means, journal: Journal) -> Prompt:
    """Return what the model is to be sent next; every call so far must have its result."""
    begun = history.opened(journal.entries)
    assert begun is not None, "an investigation is opened before the model is asked"
    return Prompt(
        system=begun.system,
        question=begun.question,
        exchanges=history.exchanges(journal.entries),
        tools=tuple(tool.spec for tool in means.tools),
        mode=means.mode,
        output_tokens_max=output_tokens(means.budget, journal.entries),
    )


async def step(means: Means, journal: Journal, asked: Prompt, case: Case) -> None:
    """Ask the model, then run the calls of its turn.

    Raises:
        UnansweredError: no turn came; the question counts as a step all the same.
    """
    await journal.add(Asked(means.clock.now(), input_tokens(asked)))
    turn = await _answer(means, asked)
    await journal.add(Answered(means.clock.now(), turn))
    await run_waiting(means, journal, case)


async def _answer(means: Means, asked: Prompt) -> Turn:
    seconds = means.budget.call_seconds_max
    try:
        async with asyncio.timeout(seconds):
            return await means.model.complete(asked)
    except TimeoutError as error:
        # Asking a slow model again would only make people wait twice as long.
        reason = f"the model did not answer within {seconds:g} s"
        raise UnansweredError(reason, is_passing=False) from error
    except Transient as error:
        raise UnansweredError(f"the model is not available: {error}", is_passing=True) from error
    except Terminal as error:
        raise UnansweredError(f"the model cannot be used: {error}", is_passing=False) from error


async def run_waiting(means: Means, journal: Journal, case: Case) -> None:
    """Run every call that waits for its result; what was begun before is only closed."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in history.waiting(journal.entries):
                group.create_task(_run(means, journal, each, case), name=f"tool {each.number}")
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _run(means: Means, journal: Journal, waiting: history.Waiting, case: Case) -> None:
    now = means.clock.now
    if waiting.is_begun:
        await journal.add(Returned(now(), waiting.number, INTERRUPTED))
        return
    await journal.add(Called(now(), waiting.number))
    result = await _result(means, waiting.call, case)
    await journal.add(Returned(now(), waiting.number, result))


async def _result(means: Means, call: ToolCall, case: Case) -> ToolResult:
    tools = {tool.spec.name: tool for tool in means.tools}
    tool = tools.get(call.name)
    if tool is None:
        names = ", ".join(tools)
        return ToolResult(f"There is no such tool. There are: {names}.", is_error=True)
    try:
        async with asyncio.timeout(TOOL_SECONDS_MAX):
            return await tool.run(call.arguments, case)
    except TimeoutError:
        return ToolResult(f"It took longer than {TOOL_SECONDS_MAX:g} s.", is_error=True)
    except (Transient, NotFound, Forbidden, Terminal) as error:
        return ToolResult(f"It could not be read:\n{quoted(str(error))}", is_error=True)
