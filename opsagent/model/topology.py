"""The words of the topology: what hangs together with what in a cluster, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from opsagent.model.entity import API_VERSIONS, CLUSTER_SCOPED, Entity, Kind

SECRET = "Secret"  # noqa: S105 - a kind; only names of Secrets are ever known, and who says them


class Vertex(NamedTuple):
    """A thing by name, whether it is there or only spoken of.

    Unlike an :class:`Entity` it may be of a kind that opsagent never reads: a Secret, an owner of a foreign kind.
    Of a selector that matches nothing the ``name`` is the selector's text, which is no name that an object can have.
    A named tuple and no dataclass: a large cluster has a hundred thousand edges, and each end is hashed several times.
    """

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, entity: Entity) -> "Vertex":
        """Return the vertex of an entity."""
        return cls(entity.kind, entity.namespace, entity.name)

    @property
    def entity(self) -> Entity | None:
        """The entity that it names, None of a kind that opsagent never reads."""
        kind = _KINDS.get(self.kind)
        return None if kind is None else Entity(kind, self.namespace, self.name)

    def __str__(self) -> str:
        """Return the full reference, as that of an entity."""
        parts = (_VERSIONS.get(self.kind, ""), str(self.kind), self.namespace, self.name)
        return "/".join(part for part in parts if part)


_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
_VERSIONS: Mapping[str, str] = {
    **{kind.value: version for kind, version in API_VERSIONS.items()},
    SECRET: "v1",
}
_SCOPED: frozenset[str] = frozenset(CLUSTER_SCOPED)


def near(kind: str, namespace: str, name: str) -> Vertex:
    """Return what an object in ``namespace`` means by ``name``; cluster-scoped kinds have no namespace."""
    return Vertex(kind, "" if kind in _SCOPED else namespace, name)


class EdgeType(StrEnum):
    """How the source stands to the target. The source's own fields say it, but of ``CALLS``."""

    OWNED_BY = "owned_by"  # an object to its controller
    SELECTS = "selects"  # Service, PodDisruptionBudget or NetworkPolicy to a Pod
    BACKS = "backs"  # an EndpointSlice to its Service
    LISTS = "lists"  # an EndpointSlice to a Pod
    ROUTES_TO = "routes_to"  # an Ingress to a Service
    RUNS_ON = "runs_on"  # a Pod to its Node
    USES = "uses"  # to a ConfigMap, Secret, claim, ServiceAccount or class without which it does not start
    MAY_USE = "may_use"  # likewise, but it starts without
    BOUND_TO = "bound_to"  # a claim to its volume, a volume to its claim
    OF_CLASS = "of_class"  # a bound claim or a volume to its StorageClass
    SCALES = "scales"  # an autoscaler to its target
    NAMED_BY = "named_by"  # a StatefulSet to the Service that names its pods
    ADDRESSES = "addresses"  # a setting holds the address of a Service; only while there is one
    ASKS = "asks"  # a webhook configuration to the Service that answers
    CALLS = "calls"  # seen in traces or told by a mesh


# What may be missing without anything being wrong.
NOT_NEEDED = frozenset({EdgeType.MAY_USE, EdgeType.OF_CLASS, EdgeType.CALLS})
NEEDED = tuple(each for each in EdgeType if each not in NOT_NEEDED)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One edge; ``source`` says it."""

    source: Vertex
    type: EdgeType
    target: Vertex


class Presence(StrEnum):
    """Whether a thing is there. ``UNKNOWN``: its kind is never read, or was not listed yet."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What lies around something.

    Attributes:
        hops: of each neighbour, nearest first, then by name; what was asked about is not among them.
        edges: all among these and what was asked about, as far as they were walked, in order.
        left_out: how many more vertices were seen than may be told.
        unwalked: from how many vertices it was not gone on by all edges, because a walk is bounded.
    """

    hops: Mapping[Vertex, int]
    edges: tuple[Edge, ...]
    left_out: int = 0
    unwalked: int = 0


@dataclass(frozen=True, slots=True)
class TopologySize:
    """How much there is. ``dangling``: things that are needed and not there, selectors that match nothing included."""

    entities: int
    edges: int
    dangling: int
