"""Kubernetes objects, only the fields that opsagent uses. Decoded in ``clients``, redacted in ``signals``.

Instants are aware UTC. A field that the API leaves out has the API's documented default. Everything is
imported from here; the files beside it are chapters.
"""

from collections.abc import Mapping
from typing import TypeAlias

from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.kube_cluster import (
    ConfigMap,
    KubeEvent,
    Lease,
    Limit,
    LimitRange,
    MutatingWebhookConfiguration,
    Namespace,
    Node,
    ResourceQuota,
    ServiceAccount,
    Taint,
    ValidatingWebhookConfiguration,
    Webhook,
    WebhookRule,
)
from opsagent.model.kube_meta import (
    EVERYTHING,
    Condition,
    FieldManager,
    LabelSelector,
    ObjectMeta,
    OwnerRef,
    Requirement,
)
from opsagent.model.kube_network import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Ingress,
    IngressBackend,
    IngressPath,
    IngressTls,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Service,
    ServicePort,
)
from opsagent.model.kube_pod import (
    NO_TEMPLATE,
    UNSAID,
    Container,
    ContainerPort,
    ContainerState,
    ContainerStatus,
    EnvFrom,
    EnvVar,
    NodeTerm,
    Phase,
    Pod,
    PodSpec,
    PodTemplate,
    PodTerm,
    Probe,
    Security,
    Toleration,
    TopologySpread,
    Volume,
    VolumeMount,
)
from opsagent.model.kube_storage import (
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)
from opsagent.model.kube_workload import (
    ClaimTemplate,
    CronJob,
    DaemonSet,
    Deployment,
    HorizontalPodAutoscaler,
    Job,
    PodDisruptionBudget,
    ReplicaSet,
    ScalingMetric,
    StatefulSet,
)
from opsagent.model.quick import quick

__all__ = (
    "EVERYTHING",
    "NO_TEMPLATE",
    "TYPES",
    "UNSAID",
    "ClaimTemplate",
    "Condition",
    "ConfigMap",
    "Container",
    "ContainerPort",
    "ContainerState",
    "ContainerStatus",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Endpoint",
    "EndpointPort",
    "EndpointSlice",
    "EnvFrom",
    "EnvVar",
    "FieldManager",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressBackend",
    "IngressPath",
    "IngressTls",
    "Job",
    "KubeEvent",
    "KubeObject",
    "LabelSelector",
    "Lease",
    "Limit",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "NodeTerm",
    "ObjectMeta",
    "OwnerRef",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Phase",
    "Pod",
    "PodDisruptionBudget",
    "PodSpec",
    "PodTemplate",
    "PodTerm",
    "PolicyPeer",
    "PolicyPort",
    "PolicyRule",
    "Probe",
    "ReplicaSet",
    "Requirement",
    "ResourceQuota",
    "ScalingMetric",
    "Security",
    "Service",
    "ServiceAccount",
    "ServicePort",
    "StatefulSet",
    "StorageClass",
    "Taint",
    "Toleration",
    "TopologySpread",
    "ValidatingWebhookConfiguration",
    "Volume",
    "VolumeMount",
    "Webhook",
    "WebhookRule",
    "entity_of",
    "kind_of",
    "ref_of",
)

KubeObject: TypeAlias = (
    Namespace
    | Node
    | Pod
    | ReplicaSet
    | Deployment
    | KubeEvent
    | StatefulSet
    | DaemonSet
    | Job
    | CronJob
    | HorizontalPodAutoscaler
    | PodDisruptionBudget
    | PersistentVolumeClaim
    | PersistentVolume
    | StorageClass
    | Service
    | EndpointSlice
    | Ingress
    | NetworkPolicy
    | ConfigMap
    | ResourceQuota
    | LimitRange
    | ServiceAccount
    | ValidatingWebhookConfiguration
    | MutatingWebhookConfiguration
    | Lease
)
TYPES: Mapping[Kind, type[KubeObject]] = {
    Kind.NAMESPACE: Namespace,
    Kind.NODE: Node,
    Kind.POD: Pod,
    Kind.REPLICA_SET: ReplicaSet,
    Kind.DEPLOYMENT: Deployment,
    Kind.EVENT: KubeEvent,
    Kind.STATEFUL_SET: StatefulSet,
    Kind.DAEMON_SET: DaemonSet,
    Kind.JOB: Job,
    Kind.CRON_JOB: CronJob,
    Kind.HORIZONTAL_POD_AUTOSCALER: HorizontalPodAutoscaler,
    Kind.POD_DISRUPTION_BUDGET: PodDisruptionBudget,
    Kind.PERSISTENT_VOLUME_CLAIM: PersistentVolumeClaim,
    Kind.PERSISTENT_VOLUME: PersistentVolume,
    Kind.STORAGE_CLASS: StorageClass,
    Kind.SERVICE: Service,
    Kind.ENDPOINT_SLICE: EndpointSlice,
    Kind.INGRESS: Ingress,
    Kind.NETWORK_POLICY: NetworkPolicy,
    Kind.CONFIG_MAP: ConfigMap,
    Kind.RESOURCE_QUOTA: ResourceQuota,
    Kind.LIMIT_RANGE: LimitRange,
    Kind.SERVICE_ACCOUNT: ServiceAccount,
    Kind.VALIDATING_WEBHOOK: ValidatingWebhookConfiguration,
    Kind.MUTATING_WEBHOOK: MutatingWebhookConfiguration,
    Kind.LEASE: Lease,
}
_KIND_BY_TYPE: Mapping[type, Kind] = {type_: kind for kind, type_ in TYPES.items()}
_Entity = quick(Entity)


def kind_of(item: KubeObject) -> Kind:
    """Return the kind of ``item``."""
    return _KIND_BY_TYPE[type(item)]


def entity_of(item: KubeObject) -> Entity:
    """Return the name of ``item``."""
    return _Entity(kind_of(item), item.meta.namespace, item.meta.name)


def ref_of(item: KubeObject) -> Ref:
    """Return the name and uid of ``item``."""
    return Ref(entity_of(item), item.meta.uid)
