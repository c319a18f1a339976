"""Builders of Kubernetes objects and of whole workloads in trouble, for tests that need a cluster's values.

Everything is at ``T0`` unless told otherwise: a rollout of ``shop/web`` from v1 to v2 was written at
``T0``, trouble shows a little later. Builders return finished frozen values; use ``dataclasses.replace`` to bend one.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import (
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    Deployment,
    FieldManager,
    KubeEvent,
    KubeObject,
    ObjectMeta,
    OwnerRef,
    Phase,
    Pod,
    ReplicaSet,
    entity_of,
    kind_of,
)
from opsagent.model.signal import Change, ChangeType, RawRow, RowType
from opsagent.model.workload import Workload
from tests.fakes.virtual_time import EPOCH

T0 = EPOCH + dt.timedelta(days=3)
WEB = Entity(Kind.DEPLOYMENT, "shop", "web")
DEADLINE_EXCEEDED = Condition(
    "Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.", T0
)


def after(seconds: float) -> dt.datetime:
    """Return the instant ``seconds`` after T0."""
    return T0 + dt.timedelta(seconds=seconds)


def meta(name: str, **fields: Any) -> ObjectMeta:
    """Return metadata in namespace shop with uid ``uid-<name>``, created a day before T0."""
    defaults: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "resource_version": "1",
        "generation": 1,
        "created_at": after(-86_400),
    }
    return ObjectMeta(**(defaults | fields))


def containers(image: str) -> tuple[Container, ...]:
    """Return one container named web."""
    return (Container("web", image, limits={"memory": "128Mi"}),)


def deployment(
    name: str = "web", *, image: str = "shop/web:v1", revision: int = 1, **fields: Any
) -> Deployment:
    """Return a complete Deployment of three available replicas."""
    defaults: dict[str, Any] = {
        "meta": meta(name),
        "revision": revision,
        "replicas_desired": 3,
        "selector": {"app": name},
        "containers": containers(image),
        "template_digest": f"digest of {image}",
        "observed_generation": 1,
        "replicas": 3,
        "replicas_updated": 3,
        "replicas_ready": 3,
        "replicas_available": 3,
        "conditions": (Condition("Progressing", "True", "NewReplicaSetAvailable"),),
    }
    return Deployment(**(defaults | fields))


def replica_set(
    owner: Deployment,
    revision: int = 1,
    *,
    image: str = "shop/web:v1",
    created_at: dt.datetime | None = None,
    **fields: Any,
) -> ReplicaSet:
    """Return the ReplicaSet ``<owner>-rs<revision>``."""
    defaults: dict[str, Any] = {
        "meta": meta(
            f"{owner.meta.name}-rs{revision}",
            namespace=owner.meta.namespace,
            owner=OwnerRef("Deployment", owner.meta.name, owner.meta.uid),
            created_at=created_at or after(-86_400),
        ),
        "revision": revision,
        "replicas_desired": 3,
        "replicas": 3,
        "replicas_ready": 3,
        "containers": containers(image),
        "template_digest": f"digest of {image}",
    }
    return ReplicaSet(**(defaults | fields))


def running(since: dt.datetime | None = None, **fields: Any) -> ContainerStatus:
    """Return a ready container that has run since ``since`` (a day before T0)."""
    defaults: dict[str, Any] = {
        "name": "web",
        "is_ready": True,
        "restart_count": 0,
        "state": ContainerState(Phase.RUNNING, started_at=since or after(-86_400)),
    }
    return ContainerStatus(**(defaults | fields))


def terminated(
    at: dt.datetime, reason: str = "Error", exit_code: int = 1, ran_seconds: float = 2
) -> ContainerState:
    """Return a terminated state that ended at ``at``."""
    started_at = at - dt.timedelta(seconds=ran_seconds)
    return ContainerState(Phase.TERMINATED, reason, "", exit_code, started_at, at)


def waiting(reason: str, message: str = "", **fields: Any) -> ContainerStatus:
    """Return a container that waits for ``reason``."""
    state = ContainerState(Phase.WAITING, reason, message)
    return running(is_ready=False, state=state, **fields)


def crash_looping(at: dt.datetime, *, restarts: int = 2, **ended: Any) -> ContainerStatus:
    """Return a container in CrashLoopBackOff whose last run ended at ``at``."""
    message = "back-off 10s restarting failed container"
    return waiting(
        "CrashLoopBackOff", message, restart_count=restarts, last_state=terminated(at, **ended)
    )


def out_of_memory(at: dt.datetime, *, restarts: int = 2) -> ContainerStatus:
    """Return a container in CrashLoopBackOff that was OOMKilled at ``at``."""
    return crash_looping(at, restarts=restarts, reason="OOMKilled", exit_code=137)


def restarted(at: dt.datetime, *, ended: ContainerState, restarts: int = 1) -> ContainerStatus:
    """Return a container that runs again since ``at``."""
    return running(at, restart_count=restarts, last_state=ended)


def pod(
    owner: ReplicaSet, number: int = 1, status: ContainerStatus | None = None, **fields: Any
) -> Pod:
    """Return the pod ``<owner>-<number>`` with one container; it is Ready if its container is.

    A status of None gives a healthy pod.
    """
    status = status or running()
    ready = Condition("Ready", "True" if status.is_ready else "False")
    defaults: dict[str, Any] = {
        "meta": meta(
            f"{owner.meta.name}-{number}",
            namespace=owner.meta.namespace,
            owner=OwnerRef("ReplicaSet", owner.meta.name, owner.meta.uid),
            created_at=owner.meta.created_at,
        ),
        "node_name": "node-1",
        "containers": owner.containers,
        "phase": "Pending" if status.state.phase is Phase.WAITING else "Running",
        "conditions": (ready,),
        "container_statuses": (status,),
    }
    return Pod(**(defaults | fields))


def unschedulable(owner: ReplicaSet, number: int = 1, **fields: Any) -> Pod:
    """Return a pod that no node takes."""
    scheduled = Condition(
        "PodScheduled", "False", "Unschedulable", "0/5 nodes are available: 5 Insufficient memory."
    )
    return pod(
        owner,
        number,
        node_name="",
        phase="Pending",
        conditions=(scheduled,),
        container_statuses=(),
        **fields,
    )


def event(
    about: KubeObject, reason: str, message: str = "", *, at: dt.datetime, **fields: Any
) -> KubeEvent:
    """Return a Warning about ``about``."""
    defaults: dict[str, Any] = {
        "meta": meta(f"{about.meta.name}.{reason.lower()}", namespace=about.meta.namespace),
        "regarding_kind": kind_of(about).value,
        "regarding_namespace": about.meta.namespace,
        "regarding_name": about.meta.name,
        "regarding_uid": about.meta.uid,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "first_at": at,
        "last_at": at,
        "source": "kubelet",
    }
    return KubeEvent(**(defaults | fields))


def rollout_change(
    old: str = "shop/web:v1", new: str = "shop/web:v2", *, at: dt.datetime = T0, **fields: Any
) -> Change:
    """Return the change of web's image."""
    defaults: dict[str, Any] = {
        "change_id": f"chg_{old}_{new}",
        "at": at,
        "entity": WEB,
        "type": ChangeType.ROLLOUT,
        "path": "spec.template.spec.containers[web].image",
        "old": old,
        "new": new,
        "manager": "kubectl-set",
        "revision": 1,
        "pointer": "raw:7",
    }
    return Change(**(defaults | fields))


def workload(
    owner: Deployment,
    replica_sets: Iterable[ReplicaSet] = (),
    pods: Iterable[Pod] = (),
    *,
    events: Sequence[KubeEvent] = (),
    changes: Sequence[Change] = (),
) -> Workload:
    """Join objects as the inventory does; the pointer of the n-th object is ``raw:<100 + n>``."""
    sets = tuple(sorted(replica_sets, key=lambda each: -each.revision))
    ordered = tuple(sorted(pods, key=lambda each: each.meta.name))
    items: tuple[KubeObject, ...] = (owner, *sets, *ordered, *events)
    pointers = {entity_of(item): f"raw:{100 + number}" for number, item in enumerate(items)}
    return Workload(owner, sets, ordered, tuple(events), tuple(changes), pointers)


def healthy() -> Workload:
    """Return web at v1, three pods ready."""
    owner = deployment()
    first = replica_set(owner)
    return workload(owner, [first], [pod(first, number) for number in (1, 2, 3)])


def rolling(
    statuses: Sequence[ContainerStatus], *, is_deadline_exceeded: bool = False, **fields: Any
) -> Workload:
    """Return web on the way from v1 (three pods ready) to v2, one new pod per given status.

    ``fields`` bend the Deployment.
    """
    condition = DEADLINE_EXCEEDED if is_deadline_exceeded else Condition("Progressing", "True")
    defaults: dict[str, Any] = {
        "image": "shop/web:v2",
        "revision": 2,
        "replicas_updated": len(statuses),
        "conditions": (condition,),
    }
    owner = deployment(**(defaults | fields))
    first = replica_set(owner)
    second = replica_set(
        owner, 2, image="shop/web:v2", created_at=after(1), replicas=len(statuses), replicas_ready=0
    )
    old = [pod(first, number) for number in (1, 2, 3)]
    new = [pod(second, number, status) for number, status in enumerate(statuses, 1)]
    return workload(owner, [first, second], old + new, changes=[rollout_change()])


def stuck() -> Workload:
    """Return web on the way to v2 with one new pod that no node takes, past its deadline."""
    base = rolling([], is_deadline_exceeded=True)
    new = unschedulable(base.replica_sets[0])
    return workload(base.deployment, base.replica_sets, [*base.pods, new], changes=base.changes)


def row(
    seq: int,
    item: KubeObject,
    *,
    row_type: RowType = RowType.ADDED,
    at: dt.datetime = T0,
) -> RawRow:
    """Return one raw row."""
    return RawRow(seq, at, row_type, kind_of(item), item)


def synced(seq: int, kind: Kind, at: dt.datetime = T0) -> RawRow:
    """Return the row that closes a list."""
    return RawRow(seq, at, RowType.SYNCED, kind)


def rows(world: Workload, *, first_seq: int = 1, at: dt.datetime = T0) -> tuple[RawRow, ...]:
    """Return the rows of a first list of everything in ``world``, kinds in list order, each closed by SYNCED."""
    seq = first_seq
    listed: list[RawRow] = []
    groups: tuple[tuple[Kind, tuple[KubeObject, ...]], ...] = (
        (Kind.DEPLOYMENT, (world.deployment,)),
        (Kind.REPLICA_SET, world.replica_sets),
        (Kind.POD, world.pods),
        (Kind.EVENT, world.events),
    )
    for kind, items in groups:
        for item in items:
            listed.append(row(seq, item, at=at))
            seq += 1
        listed.append(synced(seq, kind, at))
        seq += 1
    return tuple(listed)


def written(owner: Deployment, manager: str, at: dt.datetime | None, **fields: Any) -> Deployment:
    """Return ``owner`` after a write of ``fields`` by ``manager``: next version, next generation."""
    version = int(owner.meta.resource_version) + 1
    managers = (*owner.meta.managers, FieldManager(manager, "Update", at))
    new_meta = replace(
        owner.meta,
        resource_version=str(version),
        generation=owner.meta.generation + 1,
        managers=managers,
    )
    return replace(owner, meta=new_meta, **fields)
