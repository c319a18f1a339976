"""The loop around a step: from an incident to a proposal by a model, or to the reason why it has none.

Theory of operation. The journal is the only state. A loop that begins with an empty journal, with half of one
or with a closed one does the right next thing, so a restart resumes where the last life was. Four things
end it: a proposal that was accepted, the model's own end, a bound of the budget, and trouble with the
model. The first trouble is tried again once, a model that is slow is not.

Its time is bounded from outside as well: when it is used up, whatever still runs is cancelled and awaited.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import structlog

from opsagent.model.plan import Proposal
from opsagent.model.transcript import Closed, Finish, Opened, Returned
from opsagent.ports import Case
from opsagent.responder import history
from opsagent.responder.budget import going_nowhere, late, overdrawn, seconds_left
from opsagent.responder.journal import Journal
from opsagent.responder.prompt import SYSTEM, question
from opsagent.responder.step import Means, UnansweredError, prompt, run_waiting, step

TROUBLES_MAX = 1  # of the model that are tried again
RETRY_SECONDS = 2.0

Look: TypeAlias = Callable[[], Case | None]
"""Returns the case as it is now, None once its workload is gone."""

log = structlog.get_logger(__name__)


async def investigate(means: Means, journal: Journal, look: Look) -> Closed:
    """Run or resume the investigation to its end; return how it ended."""
    if (ended := history.closed(journal.entries)) is not None:
        return ended
    case = look()
    if not journal.entries and case is not None:
        begun = Opened(means.clock.now(), means.model.name, SYSTEM, question(case))
        await journal.add(begun)
    seconds = seconds_left(means.budget, journal.entries, means.clock.now())
    try:
        async with asyncio.timeout(seconds):
            reason = await _work(means, journal, look)
    except TimeoutError:
        reason = late(means.budget)
    ended = Closed(means.clock.now(), _proposal(journal), reason)
    await journal.add(ended)
    return ended


async def _work(means: Means, journal: Journal, look: Look) -> str:
    """Go on until there is a proposal ('') or a reason to stop."""
    troubles = 0
    while (case := look()) is not None:
        await run_waiting(means, journal, case)
        if _proposal(journal) is not None:
            return ""
        asked = prompt(means, journal)
        now = means.clock.now()
        if reason := _ended(journal) or overdrawn(means.budget, journal.entries, asked, now):
            return reason
        try:
            await step(means, journal, asked, case)
        except UnansweredError as error:
            troubles += 1
            if not error.is_passing or troubles > TROUBLES_MAX:
                return str(error)
            log.warning("model.retried", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
    return "the workload is gone"


def _ended(journal: Journal) -> str:
    last = next(reversed(tuple(history.turns(journal.entries))), None)
    if last is None:
        return ""
    if last.finish is Finish.STOP and not history.nudge(last):
        return "the model ended without a plan"
    return going_nowhere(journal.entries)


def _proposal(journal: Journal) -> Proposal | None:
    """Return the first proposal that a tool accepted."""
    returned = (each for each in journal.entries if isinstance(each, Returned))
    found = (each.result.proposal for each in returned if each.result.proposal is not None)
    return next(found, None)
