"""REST paths of the Kubernetes kinds that opsagent reads.

Refuses names that are not Kubernetes names: they may come from a person or a model, and a name such
as ``..`` would otherwise reach another path. Source: API concepts, "Resource URIs".
"""

import re

from opsagent.model.entity import API_VERSIONS, CLUSTER_SCOPED, Entity, Kind
from opsagent.ports import NotFound

_PLURALS = {
    Kind.NETWORK_POLICY: "networkpolicies",
    Kind.INGRESS: "ingresses",
    Kind.STORAGE_CLASS: "storageclasses",
}  # the others take an "s"
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
    version = API_VERSIONS[kind]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = _PLURALS.get(kind, f"{kind.value.lower()}s")
    if namespace and kind not in CLUSTER_SCOPED:
        return f"{root}/namespaces/{segment(namespace)}/{plural}"
    return f"{root}/{plural}"


def object_path(entity: Entity) -> str:
    """Return the path of one object.

    Raises:
        NotFound: a name is not valid, or the namespace of a namespaced kind is missing.
    """
    if entity.kind not in CLUSTER_SCOPED and not entity.namespace:
        raise NotFound(f"{entity.kind.value} {entity.name[:80]!r} needs a namespace")
    return f"{collection_path(entity.kind, entity.namespace)}/{segment(entity.name)}"
