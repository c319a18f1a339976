"""``ports.Investigator``: by runbooks alone, and by a model that falls back to them.

Theory of operation. The rules always have an answer, so a model can only ever add one. It is asked first; if
it has a proposal, that goes the way of every proposal; in every other case the rules answer on what the
cluster looks like by then, and a note says why.

A model may take minutes, so nobody waits for it on behalf of another incident. One that did not answer is left
alone for a while. While it owes an investigation its very first answer, or works on as many as it may, the
next incident takes what the rules have at once; only where they have nothing it comes again for the model.

One want of a plan is one investigation: its id is made of the incident and of the last time that there was
no plan for it. So a restart resumes it, and a new cause opens a new one.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import structlog

from opsagent.incidents import timeline
from opsagent.incidents.words import clock as clock_text, count
from opsagent.model.canonical import content_id
from opsagent.model.entity import Entity
from opsagent.model.incident import EntryKind, Incident
from opsagent.model.plan import Proposal, VerifySpec
from opsagent.model.workload import Workload
from opsagent.ports import (
    Advice,
    Case,
    Investigator,
    RunbookLibrary,
    TranscriptStore,
    Transient,
)
from opsagent.responder import history
from opsagent.responder.investigation import investigate
from opsagent.responder.journal import Journal
from opsagent.responder.rules import propose
from opsagent.responder.step import Means
from opsagent.signals.redaction import redact_text

REST = dt.timedelta(seconds=60)  # after a model did not answer

log = structlog.get_logger(__name__)


class RulesInvestigator:
    """Answers at once from the library. ``verify`` takes the place of the runbooks' own verification."""

    def __init__(self, library: RunbookLibrary, verify: VerifySpec | None = None) -> None:
        self._library = library
        self._verify = verify

    async def investigate(self, incident: Incident, workload: Workload, now: dt.datetime) -> Advice:
        """Return the runbooks' proposal, or why there is none."""
        found = propose(incident, workload, self._library.runbooks(), now, self._verify)
        return Advice(None, found) if isinstance(found, str) else Advice(found)


class ModelInvestigator:
    """Asks a model first, about ``at_once`` incidents side by side.

    ``view`` returns a Deployment as it is now, None once it is gone.
    """

    def __init__(
        self,
        means: Means,
        store: TranscriptStore,
        rules: Investigator,
        view: Callable[[Entity], Workload | None],
        *,
        at_once: int = 1,
    ) -> None:
        self._means = means
        self._store = store
        self._rules = rules
        self._view = view
        self._at_once = at_once
        self._running: dict[str, Journal] = {}
        self._resting_until: dt.datetime | None = None

    async def investigate(self, incident: Incident, workload: Workload, now: dt.datetime) -> Advice:
        """Return the model's proposal, else what the rules say; the notes tell which, and why.

        Raises:
            Transient: the model is busy with other incidents, and the rules have nothing for this one.
        """
        name = investigation_id(incident)
        journal = await Journal.load(self._store, name)
        if not journal.entries and (reason := self._resting(now) or self._busy()):
            advice = await self._by_rules(incident, workload, reason)
            if advice.proposal is None and not self._resting(now):
                raise Transient(f"{reason}, and the rules know no plan")
            return advice

        def look() -> Case | None:
            seen = self._view(incident.entity)
            return None if seen is None else Case(incident, seen, self._means.clock.now())

        self._running[name] = journal
        try:
            ended = await investigate(self._means, journal, look)
        finally:
            del self._running[name]
        if history.is_unanswered(journal.entries):
            self._resting_until = self._means.clock.now() + REST
        advice = await self._by_rules(incident, workload, ended.reason)
        if ended.proposal is not None:
            notes = (self._effort(journal), *_second_opinion(ended.proposal, advice))
            advice = Advice(ended.proposal, notes=notes)
        log.info(
            "investigation.closed",
            incident_id=incident.incident_id,
            investigation_id=name,
            reason=ended.reason,
            is_proposed=ended.proposal is not None,
        )
        return replace(advice, investigation_id=name)

    def _resting(self, now: dt.datetime) -> str:
        """Return why the model is left alone, '' if it is not."""
        until = self._resting_until
        if until is None or now >= until:
            return ""
        return f"the model did not answer lately and is asked again at {clock_text(until)}"

    def _busy(self) -> str:
        """Return why the model is not asked about one more incident, '' if it may be."""
        if any(not any(history.turns(each.entries)) for each in self._running.values()):
            return "the model is asked about another incident and has not answered yet"
        if len(self._running) >= self._at_once:
            return f"the model works on {count(len(self._running), 'other incident')}"
        return ""

    async def _by_rules(self, incident: Incident, workload: Workload, reason: str) -> Advice:
        seen = self._view(incident.entity) or workload
        advice = await self._rules.investigate(incident, seen, self._means.clock.now())
        return replace(advice, notes=(f"By rules, because {redact_text(reason).rstrip('.')}.",))

    def _effort(self, journal: Journal) -> str:
        entries = journal.entries
        spent = history.spent(entries)
        return (
            f"Proposed by the model {self._means.model.name} in {count(history.steps(entries), 'step')} "
            f"with {count(len(history.calls(entries)), 'tool call')}; {spent.input_tokens} tokens read, "
            f"{spent.output_tokens} written."
        )


def _second_opinion(proposal: Proposal, rules: Advice) -> tuple[str, ...]:
    """Return what the rules would do instead, nothing if it is the same."""
    if rules.proposal is None:
        return (f"The rules alone propose nothing: {rules.reason}",)
    if rules.proposal.action != proposal.action:
        return (f"The rules would go back to revision {rules.proposal.action.to_revision}.",)
    return ()


def investigation_id(incident: Incident) -> str:
    """Return the name of the investigation that the incident's present want of a plan leads to."""
    refused = timeline.last(incident, EntryKind.NO_PLAN)
    return content_id("inv", [incident.incident_id, None if refused is None else refused.at])
