"""Alerts that others report, on their way through the fold: place, remember, forget.

Part of the pipeline and owned by it. It keeps the open reported alerts apart from those of our own
detectors, which come and go with every look at a workload; these come and go when they are told.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from opsagent.detection.reported import (
    Weight,
    alert_of,
    candidates,
    elsewhere,
    fingerprint_of,
    heard_again,
    resolved,
    silent_at,
    weight,
)
from opsagent.incidents.reduce import (
    AlertCleared,
    AlertFired,
    Book,
    Event,
    EvidenceGathered,
    group_of,
)
from opsagent.model.alert import Alert, AlertState, ReportedAlert
from opsagent.model.entity import Entity, Kind
from opsagent.signals.inventory import Inventory
from opsagent.signals.redaction import redact_text

OPEN_MAX = 1000  # beyond that a storm outside is not ours to keep; it is counted


class Reported:
    """See the module's docstring."""

    def __init__(self, inventory: Inventory, alerts: Iterable[Alert]) -> None:
        self._inventory = inventory
        self._open = {alert.fingerprint: alert for alert in alerts}
        self._due: dt.datetime | None = None
        self._is_due_known = False
        self.unused_total = 0  # that count for nothing, or end what nobody knows
        self.dropped_total = 0

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def next_due(self) -> dt.datetime | None:
        """Return when the first of the ones that are open will be forgotten, None if none is open."""
        if not self._is_due_known:
            self._due = min(map(silent_at, self._open.values()), default=None)
            self._is_due_known = True
        return self._due

    def take(
        self, told: ReportedAlert, book: Book, now: dt.datetime
    ) -> tuple[Alert | None, Event | None]:
        """Return the alert to store and the event to fold, None if there is none."""
        self._is_due_known = False
        told = _redacted(told)
        known = self._open.get(fingerprint_of(told))
        if told.state is AlertState.RESOLVED:
            return self._end(known, told.ends_at, now)
        if known is None:
            return self._begin(told, book, now)
        going_on = heard_again(known, told, now)
        self._open[known.fingerprint] = going_on
        has_risen = going_on.severity is not known.severity
        return going_on, AlertFired(going_on, None) if has_risen else None

    def forget(self, now: dt.datetime) -> Iterator[tuple[Alert | None, Event | None]]:
        """Yield what ends because nothing more was heard of it."""
        self._is_due_known = False
        for alert in [each for each in self._open.values() if silent_at(each) <= now]:
            yield self._end(alert, None, now)

    def _begin(
        self, told: ReportedAlert, book: Book, now: dt.datetime
    ) -> tuple[Alert | None, Event | None]:
        alert = alert_of(told, self._place(told.labels), now)
        match weight(told):
            case Weight.NOTHING:
                self.unused_total += 1
                return None, None
            case Weight.EVIDENCE:
                return None, self._support(alert, book)
            case Weight.INCIDENT if len(self._open) >= OPEN_MAX:
                self.dropped_total += 1
                return None, None
            case Weight.INCIDENT:
                self._open[alert.fingerprint] = alert
                return alert, AlertFired(alert, None)

    def _end(
        self, known: Alert | None, ends_at: dt.datetime | None, now: dt.datetime
    ) -> tuple[Alert | None, Event | None]:
        if known is None:
            self.unused_total += 1
            return None, None
        del self._open[known.fingerprint]
        ended = resolved(known, ends_at, now)
        return ended, AlertCleared(ended)

    def _support(self, alert: Alert, book: Book) -> Event | None:
        """Return the alert as evidence for the open incident of its group, None if there is none."""
        for incident in book.incidents.values():
            if group_of(incident) == alert.group_key and incident.resolved_at is None:
                return EvidenceGathered(incident.incident_id, alert.evidence)
        self.unused_total += 1
        return None

    def _place(self, labels: Mapping[str, str]) -> Entity:
        for entity in candidates(labels):
            if entity.kind is Kind.NODE and entity in self._inventory.known(Kind.NODE):
                return entity
            deployment = self._inventory.workload_of(entity)
            if deployment is not None:
                return deployment
        return elsewhere(labels)


def _redacted(told: ReportedAlert) -> ReportedAlert:
    labels = {name: redact_text(text) for name, text in told.labels.items()}
    annotations = {name: redact_text(text) for name, text in told.annotations.items()}
    return replace(told, labels=labels, annotations=annotations)
