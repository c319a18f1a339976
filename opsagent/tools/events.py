"""The tool ``events``: what components reported about one object, of a Deployment also about its ReplicaSets and pods."""

import datetime as dt
from collections.abc import Sequence

from opsagent.incidents.words import span
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeEvent
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted_lines
from opsagent.tools.arguments import Reference, parsed, shown, spec, unknown

EVENTS_MAX = 25


class EventArguments(Reference):
    """List the newest Events about one object; of a Deployment also those about its ReplicaSets and pods."""


class Events:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory) -> None:
        self.spec = spec("events", EventArguments)
        self._inventory = inventory

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the events, newest first."""
        wanted = parsed(EventArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = wanted.entity
        found = self._about(entity)
        if found is None:
            return unknown(entity)
        if not found:
            return ToolResult(f"There are no events about {entity}.")
        head = f"{len(found)} events about {entity}, newest first, at most {EVENTS_MAX} shown:"
        lines = [_line(event, case.now) for event in found[:EVENTS_MAX]]
        return shown(f"{head}\n{quoted_lines(lines)}")

    def _about(self, entity: Entity) -> Sequence[KubeEvent] | None:
        """Return the events newest first, None if there is no such object."""
        workload = self._inventory.workload(entity)
        if workload is not None:
            return workload.events
        item = self._inventory.known(entity.kind).get(entity)
        if item is None:
            return None
        events = self._inventory.known(Kind.EVENT).values()
        # The kubelet regards a node by its name, also in place of its uid.
        own = (item.meta.uid, item.meta.name if entity.kind is Kind.NODE else item.meta.uid)
        found = [
            each for each in events if isinstance(each, KubeEvent) and each.regarding_uid in own
        ]
        return sorted(found, key=_newest_first)


def _newest_first(event: KubeEvent) -> tuple[float, str]:
    at = event.last_at or event.first_at
    return (0.0 if at is None else -at.timestamp(), event.meta.name)


def _line(event: KubeEvent, now: dt.datetime) -> str:
    at = event.last_at or event.first_at
    ago = "" if at is None else f", {span(now - at)} ago"
    return (
        f"{event.type} {event.reason} (x{event.count}{ago}) "
        f"{event.regarding_kind} {event.regarding_name}: {event.message}"
    )
