"""What hangs together with what in the cluster: a graph of typed edges, kept from object to object.

Theory of operation. Every edge is said by its source (``joins``), so an object that changes moves the edges that it
says and no others: an update costs what the object says, before and now. Three things need an index besides:

- who selects a pod is found by labels (``selections``); a selector that meets no pod has one edge to a vertex that
  is named by the selector's text, so that it is found like everything else that is missing;
- an address in a setting is an edge only while there is such a Service, so ``_wishers`` remembers who asks for which;
- calls between workloads are told from outside (``set_calls``), all at once.

A vertex is there as long as an object is, or an edge leads to it. One that is needed but not there dangles: it is
kept in ``_missing``, by kind, because of a kind that was not listed yet nobody can say what is missing. Nor can
anybody of a namespace that is there and of which nothing is seen: it is not watched.

A walk (``graph``) goes along edges both ways. It can take a thing for one with all that it owns (``is_whole``): then
a Deployment, its ReplicaSets and its pods are one vertex, and so are a Service and its EndpointSlices. And it can be
told which kinds to reach but not to leave, because what everybody shares (a Node, a ServiceAccount) brings nobody
closer.

Cost, on one core, with eight edges a pod: a pod's new status 3 us, a new or gone pod 40 us, a new or gone Service of
ten pods 60 us, the same in a cluster of 1,000 and of 10,000 pods; 1.8 KiB a pod.

It refuses to judge: that a Service selects nothing can be meant so.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain

from opsagent.model import kube
from opsagent.model.entity import Entity, Kind
from opsagent.model.topology import (
    NEEDED,
    SECRET,
    Edge,
    EdgeType,
    Neighbourhood,
    Presence,
    TopologySize,
    Vertex,
)
from opsagent.signals.graph import Graph, Reference, Walk
from opsagent.signals.joins import Joins, owner_of, says_the_same, selectable, selector_of
from opsagent.signals.selections import Selections

CALLS_MAX = 20_000
NEIGHBOURS_MAX = 200
OWNERS_MAX = 8  # a chain of owners is three long; forged ones may go round in circles
SHARED = frozenset(
    {
        *(Kind.NODE.value, Kind.SERVICE_ACCOUNT.value, Kind.CONFIG_MAP.value, SECRET),
        *(Kind.STORAGE_CLASS.value, Kind.NETWORK_POLICY.value),
    }
)
# News is no part of the structure, and what only bounds a namespace joins nothing.
JOINED = frozenset(kube.TYPES) - {
    *(Kind.EVENT, Kind.LEASE, Kind.RESOURCE_QUOTA, Kind.LIMIT_RANGE),
}
_JOINED_TYPES = {kube.TYPES[kind]: kind for kind in JOINED}


class Topology:
    """See the module's docstring. One owner; not safe to share between tasks."""

    def __init__(self) -> None:
        self._items: dict[Vertex, kube.KubeObject] = {}
        self._joins = Joins()
        self._selections = Selections()
        self._graph = Graph()
        self._met: dict[Vertex, int] = {}  # how many pods each selector meets
        self._wishers: dict[Vertex, dict[Vertex, None]] = {}
        self._missing: dict[str, dict[Vertex, None]] = {}
        self._spaces: dict[str, int] = {}  # how many objects of each namespace are there
        self._listed: set[str] = set()
        self._calls: dict[tuple[Vertex, Vertex], None] = {}
        self.calls_left_out = 0  # of those last told

    # What changes it

    def update(self, item: kube.KubeObject) -> None:
        """Take in an object or its new state, redacted. Kinds that join nothing are passed by."""
        kind = _JOINED_TYPES.get(type(item))
        if kind is None:
            return
        me = Vertex(kind, item.meta.namespace, item.meta.name)
        old = self._items.get(me)
        self._items[me] = item
        if old is None:
            self._appear(me)
        elif says_the_same(old, item):
            return
        self._rejoin(me, old, item)

    def renew(self, item: kube.KubeObject) -> None:
        """Take in a new version of an object that is there and says the same as before."""
        kind = _JOINED_TYPES.get(type(item))
        if kind is not None:
            self._items[Vertex(kind, item.meta.namespace, item.meta.name)] = item

    def remove(self, item: kube.KubeObject) -> None:
        """Forget an object. One of an earlier life than that which is there changes nothing."""
        me = Vertex(kube.kind_of(item), item.meta.namespace, item.meta.name)
        held = self._items.get(me)
        if held is None or held.meta.uid != item.meta.uid:
            return
        del self._items[me]
        self._rejoin(me, held, None)
        self._vanish(me)

    def listed(self, kind: Kind) -> None:
        """Take note that all objects of ``kind`` were told once: from now on what is not there is absent."""
        self._listed.add(kind)

    def set_calls(self, calls: Iterable[tuple[Entity, Entity]]) -> None:
        """Replace the known calls, (caller, callee); what is one too many, in order, is left out and counted."""
        told = sorted({(Vertex.of(a), Vertex.of(b)) for a, b in calls if a != b})
        kept = dict.fromkeys(told[:CALLS_MAX])
        self.calls_left_out = len(told) - len(kept)
        for caller, callee in [each for each in self._calls if each not in kept]:
            self._unlink(caller, (EdgeType.CALLS, callee))
        for caller, callee in [each for each in kept if each not in self._calls]:
            self._link(caller, (EdgeType.CALLS, callee))
        self._calls = kept

    # What it knows

    def size(self) -> TopologySize:
        """Return how much there is."""
        return TopologySize(len(self._items), self._graph.edges_total, len(self.dangling()))

    def item(self, vertex: Vertex) -> kube.KubeObject | None:
        """Return the object that is there, None if none is."""
        return self._items.get(vertex)

    def presence(self, vertex: Vertex) -> Presence:
        """Return whether it is there."""
        if vertex in self._items:
            return Presence.PRESENT
        return Presence.ABSENT if self._is_seen(vertex) else Presence.UNKNOWN

    def dangling(self) -> tuple[Vertex, ...]:
        """Return what is needed and absent, in order."""
        missing = chain.from_iterable(self._missing.get(kind, ()) for kind in self._listed)
        return tuple(sorted(each for each in missing if self._is_seen(each)))

    def edges(self, vertex: Vertex) -> tuple[Edge, ...]:
        """Return the edges from and to ``vertex``, in order."""
        return self._graph.edges(vertex)

    def sources(self, edge_type: EdgeType, target: Vertex) -> Collection[Vertex]:
        """Return where edges of a type to ``target`` begin; not in order."""
        return self._graph.sources(edge_type, target)

    def whole(self, vertex: Vertex) -> Vertex:
        """Return the topmost owner that is known, itself if nothing owns it."""
        for _ in range(OWNERS_MAX):
            item = self._items.get(vertex)
            owner = None if item is None else owner_of(item)
            if owner is None:
                break
            vertex = owner
        return vertex

    def parts(self, vertex: Vertex) -> Iterator[Vertex]:
        """Yield ``vertex`` and all that it owns, also through others; what is nearer first, then by name."""
        waiting = [vertex]
        seen = {vertex}
        for each in waiting:
            yield each
            fresh = sorted(set(self._graph.sources(EdgeType.OWNED_BY, each)) - seen)
            seen.update(fresh)
            waiting += fresh

    def neighbours(
        self,
        start: Vertex,
        hops: int,
        *,
        limit: int = NEIGHBOURS_MAX,
        ends: Collection[str] = (),
        is_whole: bool = False,
    ) -> Neighbourhood:
        """Return what lies within ``hops`` of ``start``, nearest first, at most ``limit``.

        Args:
            start: where to begin; with ``is_whole`` its topmost owner.
            hops: how far, in edges.
            limit: how many neighbours are told.
            ends: kinds that are reached but not left; ``start`` is left in any case.
            is_whole: whether a thing is one with all that it owns.
        """
        walk = self._walk(start, ends, is_whole=is_whole)
        left_out: set[Vertex] = set()
        for hop in range(1, hops + 1):
            fresh = sorted(walk.step() - left_out)
            taken = fresh[: max(0, limit + 1 - len(walk.hops))]
            left_out.update(fresh[len(taken) :])
            walk.take(taken, hop)
        told = walk.hops
        steps = sorted(each for each in walk.steps if each[0] in told and each[2] in told)
        around = {vertex: hop for vertex, hop in told.items() if hop}
        edges = tuple(Edge(*each) for each in steps)
        return Neighbourhood(around, edges, len(left_out), walk.unwalked)

    def distance(
        self,
        one: Vertex,
        other: Vertex,
        hops_max: int,
        *,
        ends: Collection[str] = (),
        is_whole: bool = False,
    ) -> int | None:
        """Return how many hops lie between, None if it is more, or more than a bounded walk finds."""
        walk = self._walk(one, ends, is_whole=is_whole)
        goal = self.whole(other) if is_whole else other
        if goal in walk.hops:
            return 0
        for hop in range(1, hops_max + 1):
            fresh = walk.step()
            if goal in fresh:
                return hop
            walk.take(sorted(fresh), hop)
        return None

    def _walk(self, start: Vertex, ends: Collection[str], *, is_whole: bool) -> Walk:
        if is_whole:
            whole = cache(self.whole)
            return Walk(self._graph, whole(start), parts=self.parts, whole=whole, ends=ends)
        return Walk(self._graph, start, parts=lambda v: (v,), whole=lambda v: v, ends=ends)

    # How it is kept

    def _is_seen(self, vertex: Vertex) -> bool:
        """Return whether ``vertex`` would be known if it were there."""
        space = vertex.namespace
        if vertex.kind not in self._listed or not space or space in self._spaces:
            return vertex.kind in self._listed
        named = Vertex(Kind.NAMESPACE, "", space)
        return Kind.NAMESPACE in self._listed and named not in self._items

    def _rejoin(self, me: Vertex, old: kube.KubeObject | None, new: kube.KubeObject | None) -> None:
        before, after = self._joins.said(me, old), self._joins.said(me, new)
        if before.references != after.references:
            said, says = dict.fromkeys(before.references), dict.fromkeys(after.references)
            for each in [each for each in said if each not in says]:
                self._unlink(me, each)
            for each in [each for each in says if each not in said]:
                self._link(me, each)
        if before.wishes != after.wishes:
            self._wish(me, before.wishes, after.wishes)
        if me.kind == Kind.POD:
            self._relabel(me, selectable(old), selectable(new))
        else:
            self._reselect(me, selector_of(old), selector_of(new))

    def _wish(self, me: Vertex, before: Iterable[Reference], after: Iterable[Reference]) -> None:
        wanted, wants = dict.fromkeys(before), dict.fromkeys(after)
        for each in [each for each in wanted if each not in wants]:
            service = each[1]
            del self._wishers[service][me]
            if not self._wishers[service]:
                del self._wishers[service]
            if service in self._items:
                self._unlink(me, each)
        for each in [each for each in wants if each not in wanted]:
            service = each[1]
            self._wishers.setdefault(service, {})[me] = None
            if service in self._items:
                self._link(me, each)

    def _relabel(
        self, pod: Vertex, had: Mapping[str, str] | None, has: Mapping[str, str] | None
    ) -> None:
        if had == has:
            return
        before = [] if had is None else self._selections.drop_pod(pod, had)
        after = [] if has is None else self._selections.add_pod(pod, has)
        for owner in after:
            if owner not in before:
                self._meet(owner, pod)
        for owner in before:
            if owner not in after:
                self._part(owner, pod)

    def _reselect(
        self, me: Vertex, had: kube.LabelSelector | None, has: kube.LabelSelector | None
    ) -> None:
        if had == has:
            return
        if had is not None:
            met = self._selections.drop_selector(me, had)
            del self._met[me]
            for pod in met or [_nobody(me, had)]:
                self._unlink(me, (EdgeType.SELECTS, pod))
        if has is not None:
            met = self._selections.add_selector(me, has)
            self._met[me] = len(met)
            for pod in met or [_nobody(me, has)]:
                self._link(me, (EdgeType.SELECTS, pod))

    def _meet(self, owner: Vertex, pod: Vertex) -> None:
        if not self._met[owner]:
            self._unlink(owner, (EdgeType.SELECTS, self._nobody_of(owner)))
        self._met[owner] += 1
        self._link(owner, (EdgeType.SELECTS, pod))

    def _part(self, owner: Vertex, pod: Vertex) -> None:
        self._unlink(owner, (EdgeType.SELECTS, pod))
        self._met[owner] -= 1
        if not self._met[owner]:
            self._link(owner, (EdgeType.SELECTS, self._nobody_of(owner)))

    def _nobody_of(self, owner: Vertex) -> Vertex:
        selector = selector_of(self._items[owner])
        assert selector is not None  # it is kept among the selectors
        return _nobody(owner, selector)

    def _appear(self, me: Vertex) -> None:
        self._spaces[me.namespace] = self._spaces.get(me.namespace, 0) + 1
        self._found(me)
        for wisher in self._wishers.get(me, ()):
            self._link(wisher, (EdgeType.ADDRESSES, me))

    def _vanish(self, me: Vertex) -> None:
        self._spaces[me.namespace] -= 1
        if not self._spaces[me.namespace]:
            del self._spaces[me.namespace]
        for wisher in self._wishers.get(me, ()):
            self._unlink(wisher, (EdgeType.ADDRESSES, me))
        if self._is_needed(me):
            self._missing.setdefault(me.kind, {})[me] = None

    def _link(self, source: Vertex, reference: Reference) -> None:
        self._graph.link(source, reference)
        edge_type, target = reference
        if target not in self._items and edge_type in NEEDED:
            self._missing.setdefault(target.kind, {})[target] = None

    def _unlink(self, source: Vertex, reference: Reference) -> None:
        self._graph.unlink(source, reference)
        edge_type, target = reference
        if target in self._items or self._graph.sources(edge_type, target):
            return
        if not self._is_needed(target):
            self._found(target)

    def _found(self, vertex: Vertex) -> None:
        """Take note that ``vertex`` is missing no more."""
        missing = self._missing.get(vertex.kind, {})
        missing.pop(vertex, None)
        if not missing:
            self._missing.pop(vertex.kind, None)

    def _is_needed(self, vertex: Vertex) -> bool:
        return any(self._graph.sources(each, vertex) for each in NEEDED)


def _nobody(owner: Vertex, selector: kube.LabelSelector) -> Vertex:
    """Return the vertex of the pods that ``selector`` does not meet, named by its text: no name of a pod has such signs."""
    labels = [f"{name}={value}" for name, value in sorted(selector.labels.items())]
    others = [f"{e.key} {e.operator} ({'|'.join(e.values)})" for e in selector.expressions]
    return Vertex(Kind.POD, owner.namespace, ", ".join([*labels, *others]) or "(any)")
