"""Incident -> plan: look closer, let the investigator choose, hand the proposal to the approval desk.

Level-based: an incident stays wanted until the desk has answered, so a cluster that cannot be read
just now costs a retry and nothing else. It refuses nothing and decides nothing itself.
"""

import asyncio

import structlog

from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Found, Moved, Noted, Unplanned
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.model.alert import Evidence, EvidenceKind
from opsagent.model.incident import IncidentState
from opsagent.model.kube import ContainerStatus, Phase, Pod, entity_of
from opsagent.model.plan import Proposal
from opsagent.model.workload import Workload
from opsagent.ports import (
    ApprovalDesk,
    Clock,
    ClusterReader,
    Forbidden,
    Investigator,
    NotFound,
    Terminal,
    Transient,
)
from opsagent.signals.redaction import redact_text

RETRY_SECONDS = 5.0
LOG_LINES = 20
LOG_LINES_KEPT = 3  # what is worth a line on a phone; the rest can be asked for

log = structlog.get_logger(__name__)


class Respond:
    """One loop over the incidents that want a plan."""

    def __init__(
        self,
        pipeline: Pipeline,
        fold: Fold,
        *,
        reader: ClusterReader,
        investigator: Investigator,
        desk: ApprovalDesk | None,
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._fold = fold
        self._reader = reader
        self._investigator = investigator
        self._desk = desk
        self._clock = clock
        self._wanted: dict[str, None] = {}
        self._looked_at: set[str] = set()
        self._news = asyncio.Event()

    def notice(self, step: Step) -> None:
        """Take note of the incidents that a committed step wants plans for."""
        if step.wants_plan:
            self._wanted |= dict.fromkeys(step.wants_plan)
            self._news.set()

    async def run(self) -> None:
        """Answer wanted incidents one after another until cancelled; begin with those that a crash left wanted."""
        if self._wanted:
            self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            for incident_id in tuple(self._wanted):
                try:
                    await self._answer(incident_id)
                except Transient as error:
                    log.warning("response.retried", incident_id=incident_id, error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    self._news.set()
                else:
                    self._wanted.pop(incident_id, None)

    async def _answer(self, incident_id: str) -> None:
        incident = self._pipeline.incident(incident_id)
        if incident is None:
            return
        workload = self._pipeline.workload(incident.entity)
        if workload is None:
            return
        if incident_id not in self._looked_at:
            if evidence := await self._look(workload):
                await self._fold.put(Found(incident_id, evidence))
            self._looked_at.add(incident_id)
        advice = await self._investigator.investigate(incident, workload, self._clock.now())
        if advice.notes:
            await self._fold.put(Noted(incident_id, advice.notes, advice.investigation_id))
        current = self._pipeline.incident(incident_id)
        if current is None or current.state is not IncidentState.OPEN:
            return  # it passed while somebody was thinking
        if advice.proposal is None:
            await self._fold.put(Unplanned(incident_id, advice.reason))
        elif self._desk is None:
            await self._fold.put(Unplanned(incident_id, _suggestion(advice.proposal)))
        else:
            await self._submit(self._desk, advice.proposal)

    async def _submit(self, desk: ApprovalDesk, proposal: Proposal) -> None:
        try:
            record = await desk.submit(proposal)
        except (Forbidden, NotFound, Terminal) as error:
            reason = f"the executor cannot prepare it: {error}"
            await self._fold.put(Unplanned(proposal.incident_id, reason))
        else:
            await self._fold.put(Moved(record))

    async def _look(self, workload: Workload) -> tuple[Evidence, ...]:
        """Return the last words of the container that ended most often; nothing if it cannot be read."""
        ends = [
            (status.restart_count + _has_ended(status), pod, status)
            for pod in workload.pods
            for status in pod.container_statuses
            if status.restart_count or _has_ended(status)
        ]
        if not ends:
            return ()
        _, pod, status = max(ends, key=lambda entry: (entry[0], entry[1].meta.name))
        return await self._last_words(pod, status)

    async def _last_words(self, pod: Pod, status: ContainerStatus) -> tuple[Evidence, ...]:
        """Read the run that ended last: the present one, unless another has begun or is waited for."""
        entity = entity_of(pod)
        is_previous = not _has_ended(status)
        try:
            lines = await self._reader.pod_log(
                entity, status.name, previous=is_previous, tail_lines=LOG_LINES
            )
        except (Transient, NotFound, Forbidden, Terminal) as error:
            log.info("evidence.unreadable", entity=str(entity), error=str(error))
            return ()
        return tuple(
            Evidence(EvidenceKind.LOG, str(entity), redact_text(line.text), line.at)
            for line in lines[-LOG_LINES_KEPT:]
        )


def _has_ended(status: ContainerStatus) -> bool:
    return status.state.phase is Phase.TERMINATED


def _suggestion(proposal: Proposal) -> str:
    return (
        f"no executor is configured; a person could undo the rollout to revision "
        f"{proposal.action.to_revision}: {proposal.reason}"
    )
