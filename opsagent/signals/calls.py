"""Who calls whom: spans of traces -> pairs of workloads, for the topology.

Theory of operation. A call is a span of a server or a consumer whose parent was told too, by somebody else. Both say
whose they are (``Origin``), and what they say is only compared with names of the inventory: by their ``k8s.*`` names
first, from workload to pod, else by the name of the service. What is named nowhere, or in two places, is no pair. So a
forged trace can at the worst join two workloads that there are; none of its text goes any further.

A call is known for a day after it was last seen, since a trace is a sample: some calls are rare. The first ones have
their places and keep them while they are seen, so a flood of forged pairs pushes out none.
"""

from collections.abc import Iterable, Mapping, Sequence

from opsagent.model.entity import Entity, Kind
from opsagent.model.topology import Vertex
from opsagent.model.trace import Origin, Span
from opsagent.signals.inventory import Inventory
from opsagent.signals.topology import CALLS_MAX

AGE_SECONDS_MAX = 24 * 3600.0
# Whom a service's name may mean; the first that fits within a namespace.
NAMED_KINDS = (Kind.DEPLOYMENT, Kind.STATEFUL_SET, Kind.DAEMON_SET, Kind.CRON_JOB, Kind.JOB)
ANSWERING = frozenset({"server", "consumer"})

Call = tuple[Entity, Entity]  # caller, callee
Said = tuple[Origin, Origin]
Names = Mapping[str, Sequence[Entity]]


def calls_in(spans: Iterable[Span]) -> set[Said]:
    """Return the calls of one trace, each once, as they name themselves."""
    told = tuple(spans)
    origins = {each.span_id: each.origin for each in told}
    pairs = {
        (origins[each.parent_id], each.origin)
        for each in told
        if each.kind in ANSWERING and each.parent_id in origins
    }
    return {(caller, callee) for caller, callee in pairs if caller != callee}


def origin_named(text: str) -> Origin:
    """Return whom a recording means: a full reference, ``Kind/namespace/name``, ``namespace/name``, or a service's name."""
    *before, name = text.split("/")
    namespace = before.pop() if before else ""
    kind = next((each for each in Kind if before and each.value == before[-1]), None)
    if kind is not None:
        return Origin(namespace=namespace, named=((kind, name),))
    return Origin(service=name, namespace=namespace)


class KnownCalls:
    """The calls among what ``inventory`` knows. Times are seconds that never go back. One owner."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._seen: dict[Call, float] = {}
        self.unmapped_total = 0  # of which an end is nobody, or may be several
        self.dropped_total = 0  # for which there was no place

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._seen)

    def learn(self, said: Iterable[Said], now: float) -> Sequence[Call]:
        """Take in what was seen; return all calls that are known now."""
        there = self._inventory.topology.item
        self._seen = {
            pair: at
            for pair, at in self._seen.items()
            if now - at <= AGE_SECONDS_MAX and all(there(Vertex.of(each)) for each in pair)
        }
        names = _names(self._inventory)
        for ends in sorted(set(said)):
            caller, callee = (self._whose(each, names) for each in ends)
            if caller is None or callee is None:
                self.unmapped_total += 1
            elif caller != callee:
                self._see((caller, callee), now)
        return tuple(self._seen)

    def _see(self, call: Call, now: float) -> None:
        if call in self._seen or len(self._seen) < CALLS_MAX:
            self._seen[call] = now
        else:
            self.dropped_total += 1

    def _whose(self, origin: Origin, names: Names) -> Entity | None:
        topology = self._inventory.topology
        for kind, name in origin.named:
            vertex = Vertex(kind, origin.namespace, name)
            if topology.item(vertex) is not None:
                whole = topology.whole(vertex)
                return whole.entity if topology.item(whole) is not None else vertex.entity
        service, _, space = origin.service.rpartition(
            "."
        )  # Source: Istio, "<workload>.<namespace>"
        return _meant(names.get(origin.service, ()), origin.namespace, origin.group) or _meant(
            names.get(service, ()), space
        )


def _names(inventory: Inventory) -> Names:
    """Return who bears each name, in the order of their kinds."""
    names: dict[str, list[Entity]] = {}
    for kind in NAMED_KINDS:
        for entity in inventory.known(kind):
            names.setdefault(entity.name, []).append(entity)
    return names


def _meant(bearers: Sequence[Entity], namespace: str, group: str = "") -> Entity | None:
    """Return who is meant: in its namespace, else the only one there is; None if that is not sure."""
    for space in filter(None, (namespace, group)):
        inside = [each for each in bearers if each.namespace == space]
        if inside:
            return inside[0]
    return bearers[0] if len(bearers) == 1 and not namespace else None
