"""What somebody else's alerting reports, as alerts of ours: what it is about, how bad, whether it counts.

An Alertmanager's alert names things in its labels. The names are candidates for entities here; whether
there is such a thing in the cluster is the caller's to look up. What is about no Deployment is about its
node, else its namespace, and opens an incident by its name there.

Not every alert counts: one that always fires to show that alerting works (Watchdog) or that only mutes
others (InfoInhibitor) never does, and one that is neither critical nor a warning is evidence for an
incident that there is, and opens none. Labels and annotations are redacted before they get here.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from opsagent.model.alert import (
    Alert,
    AlertState,
    Evidence,
    EvidenceKind,
    ReportedAlert,
    Severity,
    fingerprint,
)
from opsagent.model.entity import Entity, Kind

NEVER = frozenset({"Watchdog", "InfoInhibitor"})  # Source: kube-prometheus' general rules
# Alertmanager repeats what fires every 4 h unless told otherwise; thrice unheard, it has forgotten it.
SILENCE = dt.timedelta(hours=12)

_SEVERITIES = {each.value: each for each in Severity}
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
# Labels of this prefix are internal to Prometheus and never delivered, so no alert of our own and none
# of theirs can have the same fingerprint.
_SOURCE = {"__source__": "alertmanager"}


class Weight(StrEnum):
    """What an alert counts for."""

    NOTHING = "nothing"
    EVIDENCE = "evidence"
    INCIDENT = "incident"


def weight(reported: ReportedAlert) -> Weight:
    """Return what the alert counts for."""
    name = reported.labels.get("alertname", "")
    if not name or name in NEVER:
        return Weight.NOTHING
    return Weight.EVIDENCE if _severity(reported) is Severity.INFO else Weight.INCIDENT


def candidates(labels: Mapping[str, str]) -> tuple[Entity, ...]:
    """Return what the labels may name, the surest first: a Deployment, a pod, a node."""
    namespace = labels.get("namespace", "")
    named = [
        (Kind.DEPLOYMENT, namespace, labels.get("deployment", "")),
        (Kind.POD, namespace, labels.get("pod", "")),
        (Kind.NODE, "", labels.get("node", "")),
    ]
    return tuple(
        Entity(kind, where, name)
        for kind, where, name in named
        if name and (where or kind is Kind.NODE)
    )


def elsewhere(labels: Mapping[str, str]) -> Entity:
    """Return the place of an alert about nothing that is known: its namespace, which may have no name."""
    return Entity(Kind.NAMESPACE, "", labels.get("namespace", ""))


def alert_of(reported: ReportedAlert, entity: Entity, now: dt.datetime) -> Alert:
    """Return the firing alert about ``entity``, heard now."""
    name = reported.labels.get("alertname", "")
    summary = reported.annotations.get("summary") or reported.annotations.get("description") or name
    text = name if summary == name else f"{name}: {summary}"
    starts_at = min(reported.starts_at, now)
    return Alert(
        fingerprint=fingerprint_of(reported),
        name=name,
        entity=entity,
        severity=_severity(reported),
        state=AlertState.FIRING,
        starts_at=starts_at,
        ends_at=None,
        labels=reported.labels,
        annotations={**reported.annotations, "summary": summary},
        evidence=(Evidence(EvidenceKind.ALERT, str(entity), text, starts_at),),
        heard_at=now,
    )


def fingerprint_of(reported: ReportedAlert) -> str:
    """Return the alert's name for good, from its labels."""
    return fingerprint({**reported.labels, **_SOURCE})


def heard_again(alert: Alert, reported: ReportedAlert, now: dt.datetime) -> Alert:
    """Return the alert as it goes on: its severity never falls."""
    risen = max(alert.severity, _severity(reported), key=_RANK.__getitem__)
    return replace(alert, severity=risen, heard_at=now)


def resolved(alert: Alert, ends_at: dt.datetime | None, now: dt.datetime) -> Alert:
    """Return the alert as it ended, never later than now."""
    return replace(alert, state=AlertState.RESOLVED, ends_at=min(ends_at or now, now))


def silent_at(alert: Alert) -> dt.datetime:
    """Return when an alert of which nothing more is heard is over."""
    return (alert.heard_at or alert.starts_at) + SILENCE


def _severity(reported: ReportedAlert) -> Severity:
    return _SEVERITIES.get(reported.labels.get("severity", ""), Severity.INFO)
