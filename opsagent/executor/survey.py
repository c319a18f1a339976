"""Looks at the cluster for the guard: the facts before a decision, the samples after a write.

What cannot be read is handed on as None, never as an empty answer: the guard denies on it, and
verification calls it unknown. Only ``Transient`` troubles before a decision are raised, because waiting
may cure them.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from opsagent.executor.numbers import Numbers
from opsagent.executor.undo import template_digest
from opsagent.guard.decide import Attempt, Situation, attempt_of
from opsagent.guard.verification import Observation, readiness_baseline
from opsagent.model.alert import Symptom
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Deployment, KubeEvent, KubeObject, Namespace, Pod, ReplicaSet
from opsagent.model.plan import Proposal
from opsagent.model.workload import Workload
from opsagent.ports import (
    Clock,
    ClusterReader,
    ClusterWriter,
    Forbidden,
    Gone,
    NotFound,
    PlanStore,
    Terminal,
    Transient,
)

T = TypeVar("T")
Owned = TypeVar("Owned", ReplicaSet, Pod)
SymptomsOf: TypeAlias = Callable[[Workload, dt.datetime], frozenset[Symptom]]

PAGES_MAX = 20  # of 500 objects: a namespace beyond that cannot be judged in a sample's time
EVENTS_MAX = 100  # newest events of one workload
LIMITS_WINDOW = dt.timedelta(days=1)  # the longest window of the guard's limits
_UNREADABLE = (NotFound, Forbidden, Terminal)
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


class Survey:
    """Reads as the executor's identity."""

    def __init__(
        self,
        writer: ClusterWriter,
        reader: ClusterReader,
        store: PlanStore,
        clock: Clock,
        symptoms_of: SymptomsOf,
        *,
        numbers: Numbers | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._store = store
        self._clock = clock
        self._symptoms_of = symptoms_of
        self._numbers = numbers

    async def situation(self, proposal: Proposal, plan_id: str = "") -> Situation:
        """Return the facts that the guard decides on; ``plan_id`` is the plan that is judged, if it exists.

        Raises:
            Transient: the cluster cannot be asked now.
        """
        observed_at = self._clock.now()
        target = proposal.action.target
        raw = await _known(self._writer.read_deployment(target.entity))
        namespace = await _known(
            self._reader.get(Entity(Kind.NAMESPACE, "", target.entity.namespace))
        )
        return Situation(
            deployment=None if raw is None else raw.decoded,
            namespace_labels=namespace.meta.labels if isinstance(namespace, Namespace) else None,
            has_revision=await self._has_revision(proposal),
            attempts=await self._attempts(observed_at, plan_id),
            observed_at=observed_at,
        )

    async def baseline(self, namespace: str) -> Mapping[str, int] | None:
        """Return name -> ready replicas of all Deployments, None if they cannot be read.

        Raises:
            Transient: the cluster cannot be asked now.
        """
        found = await _known(self._list(Kind.DEPLOYMENT, namespace))
        return None if found is None else readiness_baseline(_of_type(found, Deployment))

    async def observe(
        self, target: Entity, window: dt.timedelta, since: dt.datetime
    ) -> Observation:
        """Take one look for verification, whose ``window`` began at ``since``."""
        raw = await _measured(self._writer.read_deployment(target))
        others = await _measured(self._neighbours(target))
        numbers = None
        if self._numbers is not None:
            numbers = await self._numbers.look(target, window, since)
        if raw is None:
            return Observation(None, None, "", others, numbers)
        symptoms = await _measured(self._symptoms(raw.decoded))
        return Observation(symptoms, raw.decoded, template_digest(raw), others, numbers)

    async def _has_revision(self, proposal: Proposal) -> bool | None:
        action = proposal.action
        try:
            await self._writer.template_of_revision(
                action.target.entity, action.target.uid, action.to_revision
            )
        except NotFound:
            return False
        except (Forbidden, Terminal):
            return None
        return True

    async def _attempts(self, now: dt.datetime, plan_id: str) -> tuple[Attempt, ...]:
        records = await self._store.active(now - LIMITS_WINDOW)
        return tuple(attempt_of(item) for item in records if item.plan.plan_id != plan_id)

    async def _neighbours(self, target: Entity) -> tuple[Deployment, ...]:
        found = _of_type(await self._list(Kind.DEPLOYMENT, target.namespace), Deployment)
        return tuple(item for item in found if item.meta.name != target.name)

    async def _symptoms(self, deployment: Deployment) -> frozenset[Symptom]:
        namespace = deployment.meta.namespace
        sets = _owned(
            _of_type(await self._list(Kind.REPLICA_SET, namespace), ReplicaSet),
            {deployment.meta.uid},
        )
        pods = _owned(
            _of_type(await self._list(Kind.POD, namespace), Pod), {item.meta.uid for item in sets}
        )
        uids = {deployment.meta.uid}
        uids |= {item.meta.uid for item in sets} | {item.meta.uid for item in pods}
        events = [
            item
            for item in _of_type(await self._list(Kind.EVENT, namespace), KubeEvent)
            if item.regarding_uid in uids
        ]
        workload = Workload(
            deployment,
            tuple(sorted(sets, key=lambda item: item.revision, reverse=True)),
            tuple(sorted(pods, key=lambda item: item.meta.name)),
            tuple(sorted(events, key=lambda item: item.last_at or _EARLIEST, reverse=True))[
                :EVENTS_MAX
            ],
        )
        return self._symptoms_of(workload, self._clock.now())

    async def _list(self, kind: Kind, namespace: str) -> list[KubeObject]:
        """Return all objects of ``kind``. An object that cannot be decoded hides what it may show.

        Raises:
            Transient, Forbidden, NotFound: as the reader.
            Terminal: some are malformed, or there are too many.
        """
        items: list[KubeObject] = []
        token = ""
        for _ in range(PAGES_MAX):
            try:
                page = await self._reader.list_page(kind, namespace=namespace, continue_token=token)
            except Gone as error:
                raise Transient(f"the list of {kind}s in {namespace} expired") from error
            if page.malformed:
                raise Terminal(f"{page.malformed} of the {kind}s in {namespace} cannot be decoded")
            items.extend(page.items)
            token = page.continue_token
            if not token:
                return items
        raise Terminal(f"too many {kind}s in {namespace}")


async def _known(read: Awaitable[T]) -> T | None:
    try:
        return await read
    except _UNREADABLE:
        return None


async def _measured(read: Awaitable[T]) -> T | None:
    try:
        return await read
    except (*_UNREADABLE, Transient):
        return None


def _of_type(items: Iterable[KubeObject], kind: type[T]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


def _owned(items: Iterable[Owned], uids: set[str]) -> list[Owned]:
    return [item for item in items if item.meta.owner and item.meta.owner.uid in uids]
