"""Kubernetes objects, only the fields that opsagent uses. Decoded in ``clients``, redacted in ``signals``.

Instants are aware UTC. A field that the API leaves out has the API's documented default.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from opsagent.model.entity import Entity, Kind, Ref


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """The controlling owner (``controller: true``) of an object."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class FieldManager:
    """One entry of managedFields: who wrote last, how and when."""

    manager: str
    operation: str
    at: dt.datetime | None
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """metadata. ``managers`` are in the API's order."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int = 0
    created_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: OwnerRef | None = None
    managers: tuple[FieldManager, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable: a literal value (a keyed hash once redacted) or a source reference."""

    name: str
    value: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """spec.containers[]. Resource quantities are kept as written (``500m``, ``128Mi``)."""

    name: str
    image: str
    env: tuple[EnvVar, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    has_readiness_probe: bool = False


class Phase(StrEnum):
    """Which of the three states a container is in."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """state or lastState of a container."""

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """status.containerStatuses[]."""

    name: str
    is_ready: bool
    restart_count: int
    state: ContainerState
    last_state: ContainerState | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A status condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    transition_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Namespace:
    """v1 Namespace."""

    meta: ObjectMeta
    phase: str = "Active"


@dataclass(frozen=True, slots=True)
class Node:
    """v1 Node."""

    meta: ObjectMeta
    is_unschedulable: bool = False
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """v1 Pod."""

    meta: ObjectMeta
    node_name: str = ""
    containers: tuple[Container, ...] = ()
    phase: str = ""
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """apps/v1 ReplicaSet. ``revision`` is the deployment.kubernetes.io/revision annotation, 0 if absent."""

    meta: ObjectMeta
    revision: int = 0
    replicas_desired: int = 1
    replicas: int = 0
    replicas_ready: int = 0
    containers: tuple[Container, ...] = ()
    template_digest: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """apps/v1 Deployment. ``template_digest`` covers every field of the pod template, also undecoded ones."""

    meta: ObjectMeta
    revision: int = 0
    replicas_desired: int = 1
    is_paused: bool = False
    progress_deadline_seconds: int = 600
    selector: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    observed_generation: int = 0
    replicas: int = 0
    replicas_updated: int = 0
    replicas_ready: int = 0
    replicas_available: int = 0
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class KubeEvent:
    """v1 Event: what a component reported about ``regarding``."""

    meta: ObjectMeta
    regarding_kind: str = ""
    regarding_namespace: str = ""
    regarding_name: str = ""
    regarding_uid: str = ""
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    count: int = 1
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    source: str = ""


KubeObject: TypeAlias = Namespace | Node | Pod | ReplicaSet | Deployment | KubeEvent

_KIND_BY_TYPE: Mapping[type, Kind] = {
    Namespace: Kind.NAMESPACE,
    Node: Kind.NODE,
    Pod: Kind.POD,
    ReplicaSet: Kind.REPLICA_SET,
    Deployment: Kind.DEPLOYMENT,
    KubeEvent: Kind.EVENT,
}


def kind_of(item: KubeObject) -> Kind:
    """Return the kind of ``item``."""
    return _KIND_BY_TYPE[type(item)]


def entity_of(item: KubeObject) -> Entity:
    """Return the name of ``item``."""
    return Entity(kind_of(item), item.meta.namespace, item.meta.name)


def ref_of(item: KubeObject) -> Ref:
    """Return the name and uid of ``item``."""
    return Ref(entity_of(item), item.meta.uid)
