"""``ports.Store`` in memory: for tests of what uses a store. Trusted because it passes the store's contract suite."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opsagent.model.alert import Alert, AlertState
from opsagent.model.entity import Entity
from opsagent.model.incident import Incident, IncidentState
from opsagent.model.kube import entity_of
from opsagent.model.notification import Notification
from opsagent.model.signal import Change, RawRow, RowType
from opsagent.ports import Batch, Snapshot, Terminal
from opsagent_memory.fact import Fact


@dataclass
class _State:
    seq: int = 0
    rows: dict[int, RawRow] = field(default_factory=dict)
    live: dict[Entity, int] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    notifications: dict[str, Notification] = field(default_factory=dict)

    def copy(self) -> "_State":
        return replace(
            self,
            rows=dict(self.rows),
            live=dict(self.live),
            changes=dict(self.changes),
            alerts=dict(self.alerts),
            incidents=dict(self.incidents),
            facts=dict(self.facts),
            notifications=dict(self.notifications),
        )


class MemoryStore:
    """Keeps everything; ``commits`` lists the batches, ``fates`` what became of notifications."""

    def __init__(self) -> None:
        self._state = _State()
        self.commits: list[Batch] = []
        self.fates: dict[str, tuple[str, dt.datetime]] = {}
        self.is_closed = False

    async def load(self) -> Snapshot:
        state = self._state
        return Snapshot(
            seq=state.seq,
            rows=tuple(state.rows[seq] for seq in sorted(state.live.values())),
            changes=tuple(sorted(state.changes.values(), key=lambda item: item.at)),
            alerts=tuple(
                alert
                for _, alert in sorted(state.alerts.items())
                if alert.state is not AlertState.RESOLVED
            ),
            incidents=tuple(
                incident
                for _, incident in sorted(state.incidents.items())
                if incident.state is not IncidentState.CLOSED
            ),
        )

    async def commit(self, batch: Batch) -> None:
        state = self._state.copy()
        for row in batch.rows:
            _append(state, row)
        for change in batch.changes:
            state.changes.setdefault(change.change_id, change)
        for alert in batch.alerts:
            state.alerts[alert.fingerprint] = alert
        for incident in batch.incidents:
            state.incidents[incident.incident_id] = incident
        for fact in batch.facts:
            known = state.facts.setdefault(fact.fact_id, fact)
            state.facts[fact.fact_id] = replace(known, is_pinned=known.is_pinned or fact.is_pinned)
        for notification in batch.notifications:
            state.notifications.setdefault(notification.notification_id, notification)
        self._state = state
        self.commits.append(batch)

    async def incidents(self, limit: int = 100) -> tuple[Incident, ...]:
        newest = sorted(
            self._state.incidents.values(),
            key=lambda item: (item.opened_at, item.incident_id),
            reverse=True,
        )
        return tuple(newest[: max(limit, 0)])

    async def incident(self, incident_id: str) -> Incident | None:
        return self._state.incidents.get(incident_id)

    async def facts(self, limit: int = 1000) -> tuple[Fact, ...]:
        oldest_first = sorted(self._state.facts.values(), key=lambda item: item.at)
        return tuple(oldest_first[-limit:]) if limit > 0 else ()

    async def row(self, seq: int) -> RawRow | None:
        return self._state.rows.get(seq)

    async def undelivered(self, limit: int = 50) -> tuple[Notification, ...]:
        waiting = [
            item
            for item in self._state.notifications.values()
            if item.notification_id not in self.fates
        ]
        return tuple(sorted(waiting, key=lambda item: item.at)[: max(limit, 0)])

    async def mark_delivered(self, notification_id: str, at: dt.datetime) -> None:
        self.fates.setdefault(notification_id, ("delivered", at))

    async def mark_given_up(self, notification_id: str, at: dt.datetime) -> None:
        self.fates.setdefault(notification_id, ("given_up", at))

    async def retain(self, oldest: dt.datetime) -> int:
        state = self._state
        newest = set(state.live.values())
        gone = [seq for seq, row in state.rows.items() if row.at < oldest and seq not in newest]
        for seq in gone:
            del state.rows[seq]
        state.changes = {key: item for key, item in state.changes.items() if item.at >= oldest}
        state.alerts = {
            key: item
            for key, item in state.alerts.items()
            if item.state is not AlertState.RESOLVED
            or item.ends_at is None
            or item.ends_at >= oldest
        }
        return len(gone)

    async def counts(self) -> Mapping[str, int]:
        return {name: len(table) for name, table in vars(self._state).items() if name != "seq"}

    async def aclose(self) -> None:
        self.is_closed = True


def _append(state: _State, row: RawRow) -> None:
    if row.seq != state.seq + 1:
        raise Terminal(f"memory: row {row.seq} cannot follow row {state.seq}")
    state.seq = row.seq
    state.rows[row.seq] = row
    if row.item is None:
        return
    if row.type is RowType.DELETED:
        state.live.pop(entity_of(row.item), None)
    else:
        state.live[entity_of(row.item)] = row.seq
