"""Typed edges that can be followed both ways, and bounded walks along them. Knows nothing of what they mean.

A walk looks at a bounded number of edges and vertices; which ones follows from the names of vertices alone, so the same graph gives
the same answer however it came to be. A vertex with more edges than are left to be looked at is reached and not left.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias

from opsagent.model.topology import Edge, EdgeType, Vertex

WALK_MAX = 3_000  # edges and vertices: some 5 ms
Reference: TypeAlias = tuple[EdgeType, Vertex]
Step: TypeAlias = tuple[Vertex, EdgeType, Vertex]


class Graph:
    """Edges by source and by target. No edge is there twice. One owner."""

    def __init__(self) -> None:
        self._out: dict[Vertex, dict[Reference, None]] = {}
        self._into: dict[EdgeType, dict[Vertex, dict[Vertex, None]]] = {t: {} for t in EdgeType}
        self.edges_total = 0

    def link(self, source: Vertex, reference: Reference) -> None:
        """Add an edge that is not there."""
        edge_type, target = reference
        self._out.setdefault(source, {})[reference] = None
        self._into[edge_type].setdefault(target, {})[source] = None
        self.edges_total += 1

    def unlink(self, source: Vertex, reference: Reference) -> None:
        """Take away an edge that is there."""
        edge_type, target = reference
        _drop(self._out, source, reference)
        _drop(self._into[edge_type], target, source)
        self.edges_total -= 1

    def sources(self, edge_type: EdgeType, target: Vertex) -> Collection[Vertex]:
        """Return where edges of a type to ``target`` begin; not in order."""
        return self._into[edge_type].get(target, {}).keys()

    def degree(self, vertex: Vertex) -> int:
        """Return how many edges lead from and to ``vertex``."""
        found = len(self._out.get(vertex, ()))
        for index in self._into.values():
            found += len(index.get(vertex, ()))
        return found

    def edges(self, vertex: Vertex) -> tuple[Edge, ...]:
        """Return the edges from and to ``vertex``, in order."""
        return tuple(Edge(*each) for each in sorted(self.steps(vertex)))

    def steps(self, vertex: Vertex) -> Iterator[Step]:
        """Yield the edges from and to ``vertex`` as tuples, not in order; building an :class:`Edge` takes ten times as long."""
        for edge_type, target in self._out.get(vertex, ()):
            yield vertex, edge_type, target
        for edge_type, index in self._into.items():
            for source in index.get(vertex, ()):
                yield source, edge_type, vertex


def _drop(
    index: dict[Vertex, dict[Reference, None]] | dict[Vertex, dict[Vertex, None]],
    vertex: Vertex,
    key: tuple[object, ...],
) -> None:
    held = index[vertex]
    del held[key]  # type: ignore[arg-type] # either sort, as the index is
    if not held:
        del index[vertex]


class Walk:
    """A walk outwards from one vertex, hop by hop.

    Args:
        graph: where.
        start: from where.
        parts: what a vertex stands for: itself, or all that it owns.
        whole: the vertex that stands for one, the inverse of ``parts``.
        ends: kinds that are reached but not left, but for ``start``.
    """

    def __init__(
        self,
        graph: Graph,
        start: Vertex,
        *,
        parts: Callable[[Vertex], Iterable[Vertex]],
        whole: Callable[[Vertex], Vertex],
        ends: Collection[str],
    ) -> None:
        self._graph = graph
        self._parts = parts
        self._whole = whole
        self._ends = ends
        self._level = [start]
        self._left = WALK_MAX
        self.hops: dict[Vertex, int] = {start: 0}
        self.steps: set[Step] = set()
        self.unwalked = 0  # vertices that were not left, or not by all of their edges

    def step(self) -> set[Vertex]:
        """Look at the edges of those taken last; return who was not taken yet."""
        found: set[Vertex] = set()
        for vertex in self._level:
            if not self.hops[vertex] or vertex.kind not in self._ends:
                self._leave(vertex, found)
        return found - self.hops.keys()

    def take(self, vertices: Collection[Vertex], hop: int) -> None:
        """Go on from ``vertices``, in their order."""
        self.hops.update(dict.fromkeys(vertices, hop))
        self._level = list(vertices)

    def _leave(self, vertex: Vertex, found: set[Vertex]) -> None:
        """Add all around ``vertex`` to ``found``; a part with more edges than may be looked at is passed by."""
        is_all = True
        for part in self._parts(vertex):
            if not self._left:
                is_all = False
                break
            self._left -= 1
            degree = self._graph.degree(part)
            if degree > self._left:
                is_all = False
                continue
            self._left -= degree
            found.update(self._around(vertex, part))
        self.unwalked += not is_all

    def _around(self, vertex: Vertex, part: Vertex) -> Iterator[Vertex]:
        for source, edge_type, target in self._graph.steps(part):
            step = (self._whole(source), edge_type, self._whole(target))
            if step[0] != step[2] and vertex in step:
                self.steps.add(step)
                yield step[2] if step[0] == vertex else step[0]
