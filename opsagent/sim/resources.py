"""Which resources are served, and how a path names one.

Refuses every path outside the table: the sim is as wide as opsagent needs, not wider.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource. ``subresources`` are the path words that may follow a name."""

    group: str
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True
    subresources: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        """``apps/v1`` or ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``deployments.apps`` or ``pods``: the name that rights and messages use."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


STATUS = frozenset({"status"})
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", is_namespaced=False, subresources=STATUS)
NODES = Resource("", "v1", "nodes", "Node", is_namespaced=False, subresources=STATUS)
PODS = Resource("", "v1", "pods", "Pod", subresources=STATUS | {"log", "eviction"})
EVENTS = Resource("", "v1", "events", "Event")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet", subresources=STATUS)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", subresources=STATUS | {"scale"})
DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", subresources=STATUS
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
TOKEN_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", is_namespaced=False
)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", is_namespaced=False
)
SELF_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    is_namespaced=False,
)


# Kinds without a controller in the sim: they can be written, listed and watched, and nothing comes of them.
PASSIVE = (
    Resource("apps", "v1", "statefulsets", "StatefulSet", subresources=STATUS),
    Resource("apps", "v1", "daemonsets", "DaemonSet", subresources=STATUS),
    Resource("batch", "v1", "jobs", "Job", subresources=STATUS),
    Resource("batch", "v1", "cronjobs", "CronJob", subresources=STATUS),
    Resource(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        subresources=STATUS,
    ),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", subresources=STATUS),
    Resource(
        "", "v1", "persistentvolumes", "PersistentVolume", is_namespaced=False, subresources=STATUS
    ),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", is_namespaced=False),
    Resource("", "v1", "services", "Service", subresources=STATUS),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", subresources=STATUS),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "resourcequotas", "ResourceQuota", subresources=STATUS),
    Resource("", "v1", "limitranges", "LimitRange"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        is_namespaced=False,
    ),
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        is_namespaced=False,
    ),
)
_ACTIVE = (
    NAMESPACES,
    NODES,
    PODS,
    EVENTS,
    REPLICA_SETS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    LEASES,
)
STORED = (*_ACTIVE, *PASSIVE)
REVIEWS = (TOKEN_REVIEWS, ACCESS_REVIEWS, SELF_ACCESS_REVIEWS)
_BY_PLACE = {(item.group, item.version, item.plural): item for item in STORED + REVIEWS}


@dataclass(frozen=True, slots=True)
class Route:
    """What a path names: a collection if ``name`` is empty, else an object or a part of it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def route(path: str) -> Route | None:
    """Return what ``path`` names, None if nothing is served there."""
    words = path.strip("/").split("/")
    match words:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    namespace = ""
    match rest:
        case ["namespaces", in_namespace, first, *_] if first != "status":
            namespace, rest = in_namespace, rest[2:]
        case _:
            pass
    plural, name, subresource, *more = (*rest, "", "", "")
    resource = _BY_PLACE.get((group, version, plural))
    if any(more) or resource is None or (namespace and not resource.is_namespaced):
        return None
    is_served = not subresource or subresource in resource.subresources
    is_placed = bool(namespace) or not name or not resource.is_namespaced
    return Route(resource, namespace, name, subresource) if is_served and is_placed else None
