"""The one loop that changes what opsagent believes: take inputs, fold, commit, tell the others.

Everything that follows from a bunch of inputs is committed in one transaction before anybody acts on
it, so a crash leaves either all of it or nothing. Listeners run after the commit and only take note.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import assert_never

from opsagent.controllers.inputs import Found, Input, Moved, Noted, Observed, Told, Unplanned
from opsagent.controllers.pipeline import NOTHING, Pipeline, Step, merge
from opsagent.ports import Clock, Store
from opsagent.runtime.channels import Channel

BUNCH_MAX = 500  # inputs in one transaction


class Fold:
    """The owner of the pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        clock: Clock,
        inbox: Channel[Input],
        *,
        beat: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._inbox = inbox
        self._beat = beat
        self._listeners: list[Callable[[Step], None]] = []

    def listen(self, listener: Callable[[Step], None]) -> None:
        """Call ``listener`` with every committed step, in order."""
        self._listeners.append(listener)

    async def put(self, item: Input) -> None:
        """Hand in one input; waits while the inbox is full."""
        await self._inbox.put(item)

    async def run(self) -> None:
        """Fold until cancelled."""
        while True:
            self._beat()
            inputs = await self._next()
            now = self._clock.now()
            steps = [self._apply(item, now) for item in inputs]
            if _is_due(self._pipeline.next_due(), now):
                steps.append(self._pipeline.tick(now))
            await self.commit(merge(steps))
            for item in inputs:
                if isinstance(item, Told):
                    item.is_committed.set()

    async def commit(self, step: Step) -> None:
        """Write the step, then tell the listeners."""
        if step == NOTHING:
            return
        await self._store.commit(step.batch)
        for listener in self._listeners:
            listener(step)

    async def _next(self) -> Sequence[Input]:
        """Wait for inputs, at most until the pipeline has something to do by itself."""
        if waiting := self._inbox.drain(BUNCH_MAX):
            return waiting
        due = self._pipeline.next_due()
        if due is None:
            first = await self._inbox.get()
        else:
            seconds = max(0.0, (due - self._clock.now()).total_seconds())
            try:
                async with asyncio.timeout(seconds):
                    first = await self._inbox.get()
            except TimeoutError:
                return ()
        return [first, *self._inbox.drain(BUNCH_MAX - 1)]

    def _apply(self, item: Input, now: dt.datetime) -> Step:
        match item:
            case Observed(at, row_type, kind, thing):
                return self._pipeline.observe(at, row_type, kind, thing)
            case Moved(record):
                return self._pipeline.plan_moved(record, now)
            case Found(incident_id, evidence):
                return self._pipeline.evidence(incident_id, evidence, now)
            case Noted(incident_id, notes, investigation_id):
                return self._pipeline.advised(incident_id, notes, investigation_id, now)
            case Told(alerts):
                return self._pipeline.report(alerts, now)
            case Unplanned(incident_id, reason):
                return self._pipeline.no_plan(incident_id, reason, now)
            case _:
                assert_never(item)


def _is_due(due: dt.datetime | None, now: dt.datetime) -> bool:
    return due is not None and due <= now
