"""Names of Kubernetes things: what an alert, a change, an incident or an action is about."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds that opsagent reads. Secrets are not among them and never will be."""

    NAMESPACE = "Namespace"
    NODE = "Node"
    POD = "Pod"
    REPLICA_SET = "ReplicaSet"
    DEPLOYMENT = "Deployment"
    EVENT = "Event"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    JOB = "Job"
    CRON_JOB = "CronJob"
    HORIZONTAL_POD_AUTOSCALER = "HorizontalPodAutoscaler"
    POD_DISRUPTION_BUDGET = "PodDisruptionBudget"
    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    PERSISTENT_VOLUME = "PersistentVolume"
    STORAGE_CLASS = "StorageClass"
    SERVICE = "Service"
    ENDPOINT_SLICE = "EndpointSlice"
    INGRESS = "Ingress"
    NETWORK_POLICY = "NetworkPolicy"
    CONFIG_MAP = "ConfigMap"
    RESOURCE_QUOTA = "ResourceQuota"
    LIMIT_RANGE = "LimitRange"
    SERVICE_ACCOUNT = "ServiceAccount"
    VALIDATING_WEBHOOK = "ValidatingWebhookConfiguration"
    MUTATING_WEBHOOK = "MutatingWebhookConfiguration"
    LEASE = "Lease"


API_VERSIONS = {
    Kind.NAMESPACE: "v1",
    Kind.NODE: "v1",
    Kind.POD: "v1",
    Kind.REPLICA_SET: "apps/v1",
    Kind.DEPLOYMENT: "apps/v1",
    Kind.EVENT: "v1",
    Kind.STATEFUL_SET: "apps/v1",
    Kind.DAEMON_SET: "apps/v1",
    Kind.JOB: "batch/v1",
    Kind.CRON_JOB: "batch/v1",
    Kind.HORIZONTAL_POD_AUTOSCALER: "autoscaling/v2",
    Kind.POD_DISRUPTION_BUDGET: "policy/v1",
    Kind.PERSISTENT_VOLUME_CLAIM: "v1",
    Kind.PERSISTENT_VOLUME: "v1",
    Kind.STORAGE_CLASS: "storage.k8s.io/v1",
    Kind.SERVICE: "v1",
    Kind.ENDPOINT_SLICE: "discovery.k8s.io/v1",
    Kind.INGRESS: "networking.k8s.io/v1",
    Kind.NETWORK_POLICY: "networking.k8s.io/v1",
    Kind.CONFIG_MAP: "v1",
    Kind.RESOURCE_QUOTA: "v1",
    Kind.LIMIT_RANGE: "v1",
    Kind.SERVICE_ACCOUNT: "v1",
    Kind.VALIDATING_WEBHOOK: "admissionregistration.k8s.io/v1",
    Kind.MUTATING_WEBHOOK: "admissionregistration.k8s.io/v1",
    Kind.LEASE: "coordination.k8s.io/v1",
}

# Leases are asked for when the question comes up and never followed: every node renews one each ten
# seconds, every component of the control plane one each two, and no renewal is news.
FOLLOWED_KINDS = tuple(kind for kind in Kind if kind is not Kind.LEASE)

CLUSTER_SCOPED = frozenset(
    {
        Kind.NAMESPACE,
        Kind.NODE,
        Kind.PERSISTENT_VOLUME,
        Kind.STORAGE_CLASS,
        Kind.VALIDATING_WEBHOOK,
        Kind.MUTATING_WEBHOOK,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """One Kubernetes object by name. ``namespace`` is empty for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    @property
    def api_version(self) -> str:
        """The API version that this kind is read at."""
        return API_VERSIONS[self.kind]

    def __str__(self) -> str:
        """Return the full reference, e.g. ``apps/v1/Deployment/shop/cart`` or ``v1/Node/n1``."""
        parts = (self.api_version, self.kind.value, self.namespace, self.name)
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An entity bound to one life of it: a re-created object of the same name has another uid."""

    entity: Entity
    uid: str
