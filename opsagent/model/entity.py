"""Names of Kubernetes things: what an alert, a change, an incident or an action is about."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds that opsagent reads."""

    NAMESPACE = "Namespace"
    NODE = "Node"
    POD = "Pod"
    REPLICA_SET = "ReplicaSet"
    DEPLOYMENT = "Deployment"
    EVENT = "Event"


API_VERSIONS = {
    Kind.NAMESPACE: "v1",
    Kind.NODE: "v1",
    Kind.POD: "v1",
    Kind.REPLICA_SET: "apps/v1",
    Kind.DEPLOYMENT: "apps/v1",
    Kind.EVENT: "v1",
}


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
