"""Incident -> plan: look closer, let the investigator choose, hand the proposal to the approval desk.

Theory of operation. Level-based: an incident stays wanted until it is answered, so a cluster that cannot be
read just now costs a retry and nothing else. ``run`` is one lane; several run side by side, so that an answer
that takes minutes keeps no other waiting. Whoever is free takes what has been wanted longest; what is in hand
is in one lane's hand alone, and what failed goes behind the others for a while. A lane that is stopped or
dies puts its incident back. It refuses nothing and decides nothing itself.
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
    Unwritable,
)
from opsagent.signals.redaction import redact_text

SIDE_BY_SIDE = 4  # lanes
RETRY_SECONDS = 5.0
LOG_LINES = 20
LOG_LINES_KEPT = 3  # what is worth a line on a phone; the rest can be asked for

log = structlog.get_logger(__name__)


class Respond:
    """The incidents that want a plan; see the module's docstring."""

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
        self._wanted: dict[str, float] = {}  # the loop time before which each is left alone
        self._in_hand: set[str] = set()
        self._looked_at: set[str] = set()
        self._news = asyncio.Event()

    def notice(self, step: Step) -> None:
        """Take note of the incidents that a committed step wants plans for."""
        for incident_id in step.wants_plan:
            if incident_id not in self._in_hand:
                self._wanted.setdefault(incident_id, 0.0)
                self._news.set()

    async def run(self) -> None:
        """Answer one wanted incident after another until cancelled; begin with those that a crash left wanted."""
        while True:
            incident_id = await self._next()
            self._in_hand.add(incident_id)
            is_answered = False
            try:
                await self._answer(incident_id)
                is_answered = True
            except Transient as error:
                log.warning("response.retried", incident_id=incident_id, error=str(error))
            finally:
                self._in_hand.discard(incident_id)
                if not is_answered:
                    self._wanted[incident_id] = _now() + RETRY_SECONDS
                    self._news.set()  # for the lanes that wait for nothing in particular

    async def _next(self) -> str:
        """Wait for an incident that may be answered now; take it off the list."""
        while True:
            for incident_id, not_before in self._wanted.items():
                if not_before <= _now():
                    del self._wanted[incident_id]
                    return incident_id
            self._news.clear()
            try:
                async with asyncio.timeout_at(min(self._wanted.values(), default=None)):
                    await self._news.wait()
            except TimeoutError:
                continue

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
        except Unwritable:
            raise
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


def _now() -> float:
    return asyncio.get_running_loop().time()


def _has_ended(status: ContainerStatus) -> bool:
    return status.state.phase is Phase.TERMINATED


def _suggestion(proposal: Proposal) -> str:
    return (
        f"no executor is configured; a person could undo the rollout to revision "
        f"{proposal.action.to_revision}: {proposal.reason}"
    )
