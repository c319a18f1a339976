"""Reported alerts -> fold: ``ports.AlertIntake`` over whatever term there is.

It says yes only when the alerts are stored. Without a term, before the cluster was listed whole (an
alert about a pod would find none), or when the fold is behind, it says "later": the sender keeps them.
"""

import asyncio
import datetime as dt
from collections.abc import Callable

from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Told
from opsagent.controllers.pipeline import Pipeline
from opsagent.model.alert import ReportedAlert
from opsagent.ports import Transient

COMMIT_SECONDS_MAX = 8.0  # Alertmanager itself waits 10 s and more


class Intake:
    """The way in. ``heard_at`` is when alerts were last taken, None before the first."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._now = now
        self._term: tuple[Pipeline, Fold] | None = None
        self.taken_total = 0
        self.refused_total = 0
        self.heard_at: dt.datetime | None = None

    def begin(self, pipeline: Pipeline, fold: Fold) -> None:
        """Take alerts in for this term."""
        self._term = (pipeline, fold)

    def end(self) -> None:
        """Take none until the next term."""
        self._term = None

    def refuse(self) -> None:
        """Count a message that cannot be read."""
        self.refused_total += 1

    async def take(self, alerts: tuple[ReportedAlert, ...]) -> None:
        """Take the alerts in; what follows from them is durable when this returns.

        Raises:
            Transient: not now.
        """
        if self._term is None:
            raise Transient("this replica does not lead: send it again")
        pipeline, fold = self._term
        if not pipeline.is_synced:
            raise Transient("the first full list of the cluster is not complete: send it again")
        told = Told(alerts)
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                await fold.put(told)
                await told.is_committed.wait()
        except TimeoutError as error:
            raise Transient("the alerts could not be stored in time: send them again") from error
        self.taken_total += len(alerts)
        self.heard_at = self._now()
