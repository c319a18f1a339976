"""The JSON shapes of the Kubernetes API, reduced to the fields that opsagent uses. Decoded in ``kube_wire``.

Every field may be absent or null; ``kube_wire`` gives it the API's documented default. Integers are
those of the API (int64): a larger number is a malformed object, not a Python integer.
Source: Kubernetes API reference, core/v1, apps/v1, meta/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import datetime as dt
from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec

Instant: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Int: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Texts: TypeAlias = dict[str, str]

ABSENT = msgspec.Raw(
    b"null"
)  # an optional part that is kept undecoded; absent and null are the same


class _Struct(msgspec.Struct, rename="camel", gc=False):
    """Camel-case names; no reference cycles are possible, so the collector need not look."""


class OwnerReference(_Struct):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ManagedField(_Struct):
    manager: str = ""
    operation: str = ""
    time: Instant | None = None
    subresource: str | None = None


class Meta(_Struct):
    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: Int | None = None
    creation_timestamp: Instant | None = None
    deletion_timestamp: Instant | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    owner_references: list[OwnerReference] | None = None
    managed_fields: list[ManagedField] | None = None


class ListMeta(_Struct):
    resource_version: str = ""
    continue_token: str | None = msgspec.field(default=None, name="continue")


class KeyRef(_Struct):
    name: str | None = None
    key: str = ""


class FieldRef(_Struct):
    field_path: str = ""


class ResourceRef(_Struct):
    resource: str = ""


class EnvSource(_Struct):
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None


class EnvVar(_Struct):
    name: str = ""
    value: str | None = None
    value_from: EnvSource | None = None


class Resources(_Struct):
    requests: Texts | None = None
    limits: Texts | None = None


class Probe(_Struct):
    """Only whether there is one matters."""


class Container(_Struct):
    name: str = ""
    image: str | None = None
    env: list[EnvVar] | None = None
    resources: Resources | None = None
    readiness_probe: Probe | None = None


class StateDetail(_Struct):
    reason: str | None = None
    message: str | None = None
    exit_code: Int | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None


class ContainerState(_Struct):
    waiting: StateDetail | None = None
    running: StateDetail | None = None
    terminated: StateDetail | None = None


class ContainerStatus(_Struct):
    name: str = ""
    ready: bool | None = None
    restart_count: Int | None = None
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Condition(_Struct):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: Instant | None = None


class NamespaceStatus(_Struct):
    phase: str | None = None


class Namespace(_Struct):
    metadata: Meta
    status: NamespaceStatus | None = None


class NodeSpec(_Struct):
    unschedulable: bool | None = None


class NodeStatus(_Struct):
    conditions: list[Condition] | None = None


class Node(_Struct):
    metadata: Meta
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class PodSpec(_Struct):
    node_name: str | None = None
    containers: list[Container] | None = None


class PodStatus(_Struct):
    phase: str | None = None
    reason: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(_Struct):
    metadata: Meta
    spec: PodSpec | None = None
    status: PodStatus | None = None


class Template(_Struct):
    spec: PodSpec | None = None


class ReplicaSetSpec(_Struct):
    replicas: Int | None = None
    template: msgspec.Raw = ABSENT


class ReplicaSetStatus(_Struct):
    replicas: Int | None = None
    ready_replicas: Int | None = None


class ReplicaSet(_Struct):
    metadata: Meta
    spec: ReplicaSetSpec | None = None
    status: ReplicaSetStatus | None = None


class LabelSelector(_Struct):
    match_labels: Texts | None = None


class DeploymentSpec(_Struct):
    replicas: Int | None = None
    paused: bool | None = None
    progress_deadline_seconds: Int | None = None
    selector: LabelSelector | None = None
    template: msgspec.Raw = ABSENT


class DeploymentStatus(_Struct):
    observed_generation: Int | None = None
    replicas: Int | None = None
    updated_replicas: Int | None = None
    ready_replicas: Int | None = None
    available_replicas: Int | None = None
    conditions: list[Condition] | None = None


class Deployment(_Struct):
    metadata: Meta
    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


class ObjectReference(_Struct):
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class EventSeries(_Struct):
    count: Int | None = None
    last_observed_time: Instant | None = None


class EventSource(_Struct):
    component: str | None = None


class Event(_Struct):
    metadata: Meta
    involved_object: ObjectReference | None = None
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: Int | None = None
    first_timestamp: Instant | None = None
    last_timestamp: Instant | None = None
    event_time: Instant | None = None
    series: EventSeries | None = None
    source: EventSource | None = None
    reporting_component: str | None = None


Object: TypeAlias = Namespace | Node | Pod | ReplicaSet | Deployment | Event
T = TypeVar("T")


class Items(_Struct, Generic[T]):
    """A list answer."""

    metadata: ListMeta
    items: list[T] | None = None


class Watched(_Struct, Generic[T]):
    """One line of a watch."""

    type: str
    object: T


class Bookmark(_Struct):
    """The object of a BOOKMARK event: nothing but how far the watch has come."""

    metadata: ListMeta


class Status(_Struct):
    """meta/v1 Status: why a request failed."""

    code: Int | None = None
    reason: str | None = None
    message: str | None = None
