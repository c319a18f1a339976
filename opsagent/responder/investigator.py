"""``ports.Investigator`` by runbooks alone: what opsagent can always do, with or without a model."""

import datetime as dt

from opsagent.model.incident import Incident
from opsagent.model.plan import Proposal, VerifySpec
from opsagent.model.workload import Workload
from opsagent.ports import RunbookLibrary
from opsagent.responder.rules import propose


class RulesInvestigator:
    """Answers at once from the library. ``verify`` takes the place of the runbooks' own verification."""

    def __init__(self, library: RunbookLibrary, verify: VerifySpec | None = None) -> None:
        self._library = library
        self._verify = verify

    async def investigate(
        self, incident: Incident, workload: Workload, now: dt.datetime
    ) -> Proposal | str:
        """Return the runbooks' proposal, or why there is none."""
        return propose(incident, workload, self._library.runbooks(), now, self._verify)
