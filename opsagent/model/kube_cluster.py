"""What a cluster gives its workloads and asks of them: nodes, namespaces, quotas, configuration, admission, news."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.model.kube_meta import EVERYTHING, Condition, LabelSelector, ObjectMeta


@dataclass(frozen=True, slots=True)
class Namespace:
    """v1 Namespace. Its labels say which level of pod security is enforced."""

    meta: ObjectMeta
    phase: str = "Active"


@dataclass(frozen=True, slots=True)
class Taint:
    """spec.taints[] of a node."""

    key: str
    effect: str
    value: str = ""
    added_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """v1 Node. ``capacity`` and ``allocatable`` as written; ``addresses`` in the API's order."""

    meta: ObjectMeta
    is_unschedulable: bool = False
    conditions: tuple[Condition, ...] = ()
    taints: tuple[Taint, ...] = ()
    capacity: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    kubelet_version: str = ""
    runtime_version: str = ""


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """v1 ConfigMap. ``digests``: key -> SHA-256 of its value, which goes no further; keyed once redacted."""

    meta: ObjectMeta
    digests: Mapping[str, str] = field(default_factory=dict)
    is_immutable: bool = False


@dataclass(frozen=True, slots=True)
class ResourceQuota:
    """v1 ResourceQuota. ``hard`` is the wish, ``used`` what counts now; quantities as written."""

    meta: ObjectMeta
    hard: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """spec.limits[] of a LimitRange. ``type``: ``Container``, ``Pod`` or ``PersistentVolumeClaim``."""

    type: str
    max: Mapping[str, str] = field(default_factory=dict)
    min: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, str] = field(default_factory=dict)
    default_request: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LimitRange:
    """v1 LimitRange."""

    meta: ObjectMeta
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """v1 ServiceAccount. ``image_pull_secrets`` are names."""

    meta: ObjectMeta
    image_pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookRule:
    """rules[] of a webhook: what it is asked about."""

    operations: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    scope: str = "*"


@dataclass(frozen=True, slots=True)
class Webhook:
    """webhooks[]. It is called at a Service, or at ``url``. ``failure_policy`` ``Fail``: no answer is a refusal."""

    name: str
    failure_policy: str = "Fail"
    service_namespace: str = ""
    service_name: str = ""
    service_port: int = 443
    url: str = ""
    timeout_seconds: int = 10
    rules: tuple[WebhookRule, ...] = ()
    namespace_selector: LabelSelector = EVERYTHING
    object_selector: LabelSelector = EVERYTHING


@dataclass(frozen=True, slots=True)
class ValidatingWebhookConfiguration:
    """admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration."""

    meta: ObjectMeta
    webhooks: tuple[Webhook, ...] = ()


@dataclass(frozen=True, slots=True)
class MutatingWebhookConfiguration:
    """admissionregistration.k8s.io/v1 MutatingWebhookConfiguration."""

    meta: ObjectMeta
    webhooks: tuple[Webhook, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """coordination.k8s.io/v1 Lease: who holds it and when it was last heard of."""

    meta: ObjectMeta
    holder: str = ""
    duration_seconds: int = 0
    acquired_at: dt.datetime | None = None
    renewed_at: dt.datetime | None = None
    transitions: int = 0


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
