"""JSON shapes of nodes, namespaces, quotas, configuration, admission, Leases and Events; see ``kube_struct``.

Source: Kubernetes API reference, core/v1, admissionregistration.k8s.io/v1, coordination.k8s.io/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import msgspec

from opsagent.clients.kube_struct import (
    Condition,
    Instant,
    Int,
    LabelSelector,
    Named,
    Object,
    Struct,
    Texts,
)


class NamespaceStatus(Struct):
    phase: str | None = None


class Namespace(Object):
    status: NamespaceStatus | None = None


class Taint(Struct):
    key: str = ""
    value: str | None = None
    effect: str = ""
    time_added: Instant | None = None


class NodeSpec(Struct):
    unschedulable: bool | None = None
    taints: list[Taint] | None = None


class NodeAddress(Struct):
    address: str = ""


class NodeInfo(Struct):
    kubelet_version: str | None = None
    container_runtime_version: str | None = None


class NodeStatus(Struct):
    conditions: list[Condition] | None = None
    capacity: Texts | None = None
    allocatable: Texts | None = None
    addresses: list[NodeAddress] | None = None
    node_info: NodeInfo | None = None


class Node(Object):
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class ConfigMap(Object):
    """Values stay undecoded: only their digests go on."""

    data: dict[str, msgspec.Raw] | None = None
    binary_data: dict[str, msgspec.Raw] | None = None
    immutable: bool | None = None


class QuotaSpec(Struct):
    hard: Texts | None = None
    scopes: list[str] | None = None


class QuotaStatus(Struct):
    used: Texts | None = None


class ResourceQuota(Object):
    spec: QuotaSpec | None = None
    status: QuotaStatus | None = None


class Limit(Struct):
    type: str = ""
    max: Texts | None = None
    min: Texts | None = None
    default: Texts | None = None
    default_request: Texts | None = None


class LimitRangeSpec(Struct):
    limits: list[Limit] | None = None


class LimitRange(Object):
    spec: LimitRangeSpec | None = None


class ServiceAccount(Object):
    image_pull_secrets: list[Named] | None = None


class WebhookRule(Struct):
    operations: list[str] | None = None
    api_groups: list[str] | None = None
    resources: list[str] | None = None
    scope: str | None = None


class WebhookService(Struct):
    namespace: str = ""
    name: str = ""
    port: Int | None = None


class WebhookClient(Struct):
    service: WebhookService | None = None
    url: str | None = None


class Webhook(Struct):
    name: str = ""
    failure_policy: str | None = None
    client_config: WebhookClient | None = None
    timeout_seconds: Int | None = None
    rules: list[WebhookRule] | None = None
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None


class WebhookConfiguration(Object):
    """Of either kind."""

    webhooks: list[Webhook] | None = None


class LeaseSpec(Struct):
    holder_identity: str | None = None
    lease_duration_seconds: Int | None = None
    acquire_time: Instant | None = None
    renew_time: Instant | None = None
    lease_transitions: Int | None = None


class Lease(Object):
    spec: LeaseSpec | None = None


class ObjectReference(Struct):
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class EventSeries(Struct):
    count: Int | None = None
    last_observed_time: Instant | None = None


class EventSource(Struct):
    component: str | None = None


class Event(Object):
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
