"""Whether the model that is configured is one that its server serves. Asked at the start and for status, never fatal.

A wrong name shows nowhere else than in the first incident, where each question is refused and the rules answer.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from opsagent.ports import Forbidden, ModelServer, ServedModel, Terminal, Transient

SECONDS_MAX = 3.0  # of a person who waits for an answer
KEPT_SECONDS = 60.0  # an answer is good for so long: a page that is loaded again asks nobody
NAMES_MAX = 5
# Of a question: three steps of a small investigation have 2,200 to 3,200 by our own estimate, larger ones more.
QUESTION_TOKENS = 8_000

log = structlog.get_logger(__name__)


def trouble(name: str, turn_tokens_max: int, served: Sequence[ServedModel]) -> str:
    """Return why the model ``name`` cannot work as it is configured, '' if nothing speaks against it.

    Args:
        name: as configured.
        turn_tokens_max: of one answer, as configured.
        served: what its server offers.
    """
    found = next((each for each in served if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in served[:NAMES_MAX]) or "nothing"
        more = f" and {len(served) - NAMES_MAX} more" if len(served) > NAMES_MAX else ""
        return f"not served; its server has {names}{more}"
    context, wanted = found.context_tokens, turn_tokens_max + QUESTION_TOKENS
    if context is not None and context < wanted:
        return (
            f"its context of {context} tokens is too small for answers of {turn_tokens_max} "
            f"(model.turn_tokens_max) and questions of {QUESTION_TOKENS}"
        )
    return ""


class ModelIdentity:
    """What to say of the configured model. ``monotonic`` returns seconds."""

    def __init__(
        self,
        server: ModelServer,
        name: str,
        turn_tokens_max: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._server = server
        self._name = name
        self._turn_tokens_max = turn_tokens_max
        self._monotonic = monotonic
        self._kept = ("", float("-inf"))

    async def run(self) -> None:
        """Ask once and log it if something is the matter."""
        if problem := await self._problem():
            log.warning("model.unusable", model=self._name, reason=problem)

    async def status(self) -> str:
        """Return the model's name, and what is the matter if something is."""
        problem = await self._problem()
        return f"{self._name}: {problem}" if problem else self._name

    async def _problem(self) -> str:
        problem, until = self._kept
        if self._monotonic() >= until:
            problem = await self._ask()
            self._kept = (problem, self._monotonic() + KEPT_SECONDS)
        return problem

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                served = await self._server.served()
        except TimeoutError:
            return f"its server did not answer within {SECONDS_MAX:.0f} s; incidents go by rules"
        except (Transient, Forbidden) as error:
            return f"{error}; incidents go by rules"
        except Terminal as error:
            return f"whether it is served is not known, {error}"
        return trouble(self._name, self._turn_tokens_max, served)
