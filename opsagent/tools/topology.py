"""The tool ``topology``: what lies around an object that the inventory knows or misses, how it is joined and how it stands.

An object is taken for one with all that it owns, so around a Deployment lie Services, settings and other workloads,
and not its own pods. What many share (Nodes, ServiceAccounts, settings, policies) is shown and not gone on from,
unless it was asked about. Names and states are the cluster's words, so they stand in quotation.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from opsagent.incidents.words import count
from opsagent.model.entity import Entity, Kind
from opsagent.model.topology import Edge, Neighbourhood, Presence, Vertex
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted
from opsagent.signals.topology import SHARED, Topology
from opsagent.tools.arguments import Arguments, Name, parsed, shown, spec, unknown
from opsagent.tools.standing import standing

HOPS_MAX = 3
NEIGHBOURS_MAX = 25
EDGES_MAX = 50


class TopologyArguments(Arguments):
    """Show what an object is joined with and how each of these stands: Services that select it, what they are called by, what it uses, where it runs; also what it needs and is absent. A workload is taken for one with its pods."""

    kind: Literal[
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Pod",
        "Service",
        "Ingress",
        "Node",
        "ConfigMap",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "StorageClass",
    ]
    namespace: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",
            description="empty for a Node, PersistentVolume or StorageClass",
        ),
    ]
    name: Name
    hops: Annotated[
        int, Field(ge=1, le=HOPS_MAX, description="1 for direct neighbours; 2 also for callers")
    ]


class Neighbours:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory) -> None:
        self.spec = spec("topology", TopologyArguments)
        self._topology = inventory.topology

    async def run(self, arguments: str, _: Case) -> ToolResult:
        """Return the neighbours, nearest first, and the edges among them."""
        wanted = parsed(TopologyArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = Entity(Kind(wanted.kind), wanted.namespace, wanted.name)
        start = self._topology.whole(Vertex.of(entity))
        found = self._topology.neighbours(start, wanted.hops, ends=SHARED, is_whole=True)
        if self._topology.item(start) is None and not found.hops:
            return unknown(entity)
        return shown("\n".join(_lines(self._topology, start, found, wanted.hops)))


def _lines(topology: Topology, start: Vertex, found: Neighbourhood, hops: int) -> Iterator[str]:
    told = sorted(found.hops, key=lambda each: (found.hops[each], not _is_absent(topology, each)))
    shown_ones = told[:NEIGHBOURS_MAX]
    more = len(told) - len(shown_ones) + found.left_out
    around = f"{count(len(shown_ones), 'neighbour')} within {count(hops, 'hop')}"
    yield "what was asked about, with all that it owns:"
    yield quoted(f"{start}: {standing(topology, start)}")
    yield f"{around}{f', {more} more left out' if more else ''}, nearest first, then what is absent:"
    for each in shown_ones:
        yield quoted(f"{found.hops[each]} {each}: {standing(topology, each)}")
    if found.unwalked:
        yield "it lies in a crowd that was not looked through whole: there may be more"
    edges = [each for each in found.edges if {each.source, each.target} <= {start, *shown_ones}]
    yield "how they are joined:" if edges else "nothing is joined with it"
    yield from (quoted(_edge(each)) for each in edges[:EDGES_MAX])
    if len(edges) > EDGES_MAX:
        yield f"and {len(edges) - EDGES_MAX} more"


def _is_absent(topology: Topology, vertex: Vertex) -> bool:
    return topology.presence(vertex) is Presence.ABSENT


def _edge(edge: Edge) -> str:
    return f"{edge.source} {edge.type.value.replace('_', ' ')} {edge.target}"
