"""REST paths of the Kubernetes kinds that opsagent reads.

Refuses names that are not Kubernetes names: they may come from a person or a model, and a name such
as ``..`` would otherwise reach another path. Source: API concepts, "Resource URIs".
"""

import re

from opsagent.model.entity import Entity, Kind
from opsagent.ports import NotFound

_PREFIX = {
    Kind.NAMESPACE: "/api/v1",
    Kind.NODE: "/api/v1",
    Kind.POD: "/api/v1",
    Kind.EVENT: "/api/v1",
    Kind.REPLICA_SET: "/apis/apps/v1",
    Kind.DEPLOYMENT: "/apis/apps/v1",
}
_PLURAL = {
    Kind.NAMESPACE: "namespaces",
    Kind.NODE: "nodes",
    Kind.POD: "pods",
    Kind.EVENT: "events",
    Kind.REPLICA_SET: "replicasets",
    Kind.DEPLOYMENT: "deployments",
}
CLUSTER_SCOPED = frozenset({Kind.NAMESPACE, Kind.NODE})
NAME_CHARACTERS_MAX = 253
_NAME = re.compile(
    r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
)  # Source: RFC 1123 subdomain, "Object Names and IDs"


def segment(name: str) -> str:
    """Return ``name`` for use as one path segment.

    Raises:
        NotFound: it is no valid name, so no object can have it.
    """
    if len(name) > NAME_CHARACTERS_MAX or _NAME.fullmatch(name) is None:
        raise NotFound(f"not a Kubernetes name: {name[:80]!r}")
    return name


def collection_path(kind: Kind, namespace: str = "") -> str:
    """Return the path to list or watch ``kind``; an empty ``namespace`` means all.

    Raises:
        NotFound: ``namespace`` is no valid name.
    """
    if namespace and kind not in CLUSTER_SCOPED:
        return f"{_PREFIX[kind]}/namespaces/{segment(namespace)}/{_PLURAL[kind]}"
    return f"{_PREFIX[kind]}/{_PLURAL[kind]}"


def object_path(entity: Entity) -> str:
    """Return the path of one object.

    Raises:
        NotFound: a name is not valid, or the namespace of a namespaced kind is missing.
    """
    if entity.kind not in CLUSTER_SCOPED and not entity.namespace:
        raise NotFound(f"{entity.kind.value} {entity.name[:80]!r} needs a namespace")
    return f"{collection_path(entity.kind, entity.namespace)}/{segment(entity.name)}"
