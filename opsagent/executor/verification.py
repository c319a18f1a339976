"""Watches the effect of a write: samples over the window, then the guard's verdict.

The window begins when the plan starts to be verified and keeps its beginning over restarts; time since
then is counted on the monotonic clock, so that no jump of the wall clock ends or prolongs it.
"""

import asyncio
import datetime as dt

from opsagent.executor.journal import Journal
from opsagent.executor.survey import Survey
from opsagent.guard.verification import Expectation, Sample, judge, sample
from opsagent.model.plan import Outcome, PlanRecord, PlanState, Verdict

SAMPLES_PER_NEEDED = 2  # as many again as must be good: a slow start does not spoil the end


class Verification:
    """One window per plan."""

    def __init__(self, journal: Journal, survey: Survey) -> None:
        self._journal = journal
        self._survey = survey

    async def begin(self, record: PlanRecord) -> None:
        """Open the window of a plan whose write has arrived."""
        seconds = record.plan.proposal.verify.window_seconds
        await self._journal.move(record, PlanState.VERIFYING, f"window of {seconds} s")

    async def finish(self, record: PlanRecord) -> None:
        """Sample until the verdict falls, then move on."""
        outcome = await self._outcome(record)
        is_passed = outcome.verdict is Verdict.PASSED
        state = PlanState.SUCCEEDED if is_passed else PlanState.ROLLING_BACK
        reason = f"{outcome.verdict}: {'; '.join(outcome.reasons)}"
        await self._journal.move(record, state, reason, outcome=outcome)

    async def _outcome(self, record: PlanRecord) -> Outcome:
        proposal = record.plan.proposal
        clock = self._journal.clock
        resumed_at, resumed = clock.now(), clock.monotonic()
        # A wall clock that was set back before the window's beginning must not prolong the window.
        started_at = min(record.transitions[-1].at, resumed_at)
        expected = await self._expectation(record, started_at)
        target = proposal.action.target.entity
        window = dt.timedelta(seconds=proposal.verify.window_seconds)
        seconds = proposal.verify.window_seconds / (
            SAMPLES_PER_NEEDED * proposal.verify.samples_min
        )
        samples: list[Sample] = []
        while True:
            now = resumed_at + dt.timedelta(seconds=clock.monotonic() - resumed)
            outcome = judge(
                samples, proposal.verify, started_at=started_at, resumed_at=resumed_at, now=now
            )
            if outcome is not None:
                return outcome
            await asyncio.sleep(seconds)
            seen = await self._survey.observe(target, window, started_at)
            samples.append(sample(expected, seen))

    async def _expectation(self, record: PlanRecord, written_at: dt.datetime) -> Expectation:
        plan = record.plan
        intent = await self._journal.store.intent(plan.plan_id)
        assert intent is not None, "plans that were written are stored with their intent"
        return Expectation(
            action_id=plan.plan_id,
            uid=plan.proposal.action.target.uid,
            template_digest=intent.result_digest,
            symptoms=frozenset(plan.proposal.symptoms),
            baseline=intent.baseline,
            written_at=written_at,
        )
