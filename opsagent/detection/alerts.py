"""Findings to alerts: what fires anew, what goes on, what has cleared.

An alert is named by its labels alone, so the same trouble after a restart of opsagent is the same alert
and keeps its ``starts_at``. It clears as soon as nothing shows it or holds it. Its severity rises with the
trouble and never falls while it fires; its evidence is that of the last rise.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from opsagent.detection.symptoms import Finding, find
from opsagent.model.alert import Alert, AlertState, Severity, Symptom, fingerprint
from opsagent.model.workload import Workload

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Judgement:
    """``changed``: alerts that fired, rose or cleared, by labels. ``recheck_at``: when to judge again if nothing changes."""

    changed: tuple[Alert, ...]
    recheck_at: dt.datetime | None


def judge(open_alerts: Iterable[Alert], workload: Workload | None, now: dt.datetime) -> Judgement:
    """Compare what fires with what should.

    Args:
        open_alerts: all firing alerts of this one Deployment.
        workload: the Deployment as it is now, None if it is gone: then everything clears.
        now: the instant to judge at.
    """
    before = {alert.fingerprint: alert for alert in open_alerts}
    findings = () if workload is None else find(workload, now)
    after: dict[str, Alert] = {}
    for finding in findings:
        labels = _labels(finding)
        known = before.get(fingerprint(labels))
        if known is not None:
            after[known.fingerprint] = _continued(known, finding)
        elif finding.is_firing:
            after[fingerprint(labels)] = _fired(finding, labels, now)
    cleared = [
        replace(alert, state=AlertState.RESOLVED, ends_at=now)
        for alert in before.values()
        if alert.fingerprint not in after
    ]
    moved = [alert for alert in after.values() if alert != before.get(alert.fingerprint)]
    changed = sorted([*moved, *cleared], key=lambda alert: sorted(alert.labels.items()))
    looks = [finding.recheck_at for finding in findings if finding.recheck_at is not None]
    return Judgement(tuple(changed), min(looks, default=None))


def symptoms_of(workload: Workload, now: dt.datetime) -> frozenset[Symptom]:
    """Return the symptoms that would keep an alert firing at ``now``: for verification, absence proves health.

    A container that has only just been restarted counts as sick, though it would start no alert.
    """
    return frozenset(finding.symptom for finding in find(workload, now))


def _labels(finding: Finding) -> dict[str, str]:
    labels = {
        "alertname": finding.symptom.value,
        "namespace": finding.entity.namespace,
        "deployment": finding.entity.name,
    }
    return labels | ({"container": finding.container} if finding.container else {})


def _fired(finding: Finding, labels: dict[str, str], now: dt.datetime) -> Alert:
    return Alert(
        fingerprint=fingerprint(labels),
        name=finding.symptom.value,
        entity=finding.entity,
        severity=finding.severity,
        state=AlertState.FIRING,
        starts_at=now,
        ends_at=None,
        labels=labels,
        annotations={"summary": finding.summary},
        evidence=finding.evidence,
    )


def _continued(alert: Alert, finding: Finding) -> Alert:
    if _RANK[finding.severity] <= _RANK[alert.severity]:
        return alert
    return replace(
        alert,
        severity=finding.severity,
        annotations={"summary": finding.summary},
        evidence=finding.evidence,
    )
