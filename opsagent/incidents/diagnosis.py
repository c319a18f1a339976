"""Why a Deployment is in trouble: up to three candidates, the best first, each with reason and evidence.

Theory of operation. Changes come first: what was written shortly before the symptom is the likeliest
cause. A rollout is known from a ``Change`` that was watched live, else it is read off the ReplicaSets,
which date themselves: the newest was created when the rollout began. What raises confidence is contrast:
pods of the new revision fail while pods of the old one, on the same nodes with the same traffic, are
fine. What lowers it is an old revision that fails as well. A rollout that stands still in that contrast
is a cause however long ago it began.

Without a rollout the symptom itself is named, with little confidence, or nothing is: ``unknown`` beats a
confident wrong answer. A rollout written by opsagent's own executor is never trusted as a cause, for
undoing an undo would swing to and fro.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from opsagent.incidents.words import change_text, clock, count, span
from opsagent.model.alert import Alert, Evidence, EvidenceKind, Symptom
from opsagent.model.incident import Cause, Diagnosis
from opsagent.model.kube import Pod, ReplicaSet, entity_of
from opsagent.model.signal import Change, ChangeType
from opsagent.model.workload import Workload

CANDIDATES_MAX = 3
EVIDENCE_MAX = 12  # of one candidate
CHANGE_WINDOW = dt.timedelta(minutes=30)  # from a rollout to the first symptom
OWN_MANAGER = "opsagent-executor"  # the field manager of every write of the executor

# Confidence in a rollout. Orders matter, not digits: runbooks ask for 0.6 and more.
CONTRAST = 0.95  # only new pods fail, old ones are fine
NO_CONTRAST = 0.85  # only new pods fail, none of the old are left to compare
OLD_STANDSTILL = 0.8  # contrast, but the rollout began long before the symptom was seen
OLD_PODS_TOO = 0.4  # pods of the old revision fail as well
OWN_WRITE = 0.3

_ALONE = {  # what a symptom says without a rollout
    Symptom.OOM_KILLED: (Cause.OOM_KILLED, 0.6, "it needs more memory than its limit allows"),
    Symptom.CRASH_LOOP: (Cause.APPLICATION_ERROR, 0.5, "its process ends by itself"),
    Symptom.IMAGE_PULL: (
        Cause.INCORRECT_IMAGE_REFERENCE,
        0.5,
        "the image cannot be fetched: a wrong reference, or its registry is out of reach",
    ),
    Symptom.NEVER_READY: (Cause.APPLICATION_ERROR, 0.4, "it runs but fails its readiness probe"),
    Symptom.ROLLOUT_STUCK: (Cause.UNKNOWN, 0.2, "what holds its pods back is not known"),
}

_OF_ROLLOUT = frozenset({Symptom.NEVER_READY, Symptom.ROLLOUT_STUCK})  # about the newest revision


@dataclass(frozen=True, slots=True)
class _Rollout:
    """A write of the pod template; ``images`` are the containers whose image it changed."""

    at: dt.datetime
    manager: str
    images: frozenset[str]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Contrast:
    """How the newest revision fares against the older ones."""

    revision: int
    fails_new: bool
    fails_old: bool
    ready_old: int


def diagnose(
    alerts: Sequence[Alert], workload: Workload, now: dt.datetime
) -> tuple[Diagnosis, ...]:
    """Return at most ``CANDIDATES_MAX`` candidates; none without alerts of our own.

    What others report is evidence for the best candidate; it names no cause by itself.

    Args:
        alerts: all firing alerts of the Deployment.
        workload: the Deployment as it was when the newest of them fired.
        now: stamps what was compared.
    """
    own = [alert for alert in alerts if alert.is_own]
    if not own:
        return ()
    blamed = _blame(own, workload, now)
    found = [] if blamed is None else [blamed]
    left = 1 - max((each.confidence for each in found), default=0.0)
    by_start = sorted(own, key=lambda each: (each.starts_at, each.fingerprint))
    found += [_by_symptom(alert, left) for alert in by_start if alert.name in _ALONE]
    best: dict[Cause, Diagnosis] = {}
    for each in sorted(found, key=lambda each: (-each.confidence, each.cause)):
        best.setdefault(each.cause, each)
    reported = [piece for alert in alerts if not alert.is_own for piece in alert.evidence]
    kept = list(best.values())[:CANDIDATES_MAX]
    for top in kept[:1]:
        evidence = tuple(dict.fromkeys((*top.evidence, *reported)))[:EVIDENCE_MAX]
        kept[0] = replace(top, evidence=evidence)
    return tuple(kept)


def unexplained(alert: Alert) -> Diagnosis:
    """Return that it is not known why somebody else's alert fires."""
    summary = alert.annotations.get("summary", "no summary")
    return Diagnosis(
        entity=alert.entity,
        cause=Cause.UNKNOWN,
        confidence=0.0,
        reason=f"{alert.name} was reported to opsagent: {summary}",
        evidence=alert.evidence[:EVIDENCE_MAX],
    )


def _by_symptom(alert: Alert, left: float) -> Diagnosis:
    cause, alone, reason = _ALONE[Symptom(alert.name)]
    summary = alert.annotations.get("summary", alert.name)
    return Diagnosis(
        entity=alert.entity,
        cause=cause,
        confidence=round(min(alone, left), 2),
        reason=f"{summary}: {reason}.",
        evidence=alert.evidence[:EVIDENCE_MAX],
    )


def _blame(alerts: Sequence[Alert], workload: Workload, now: dt.datetime) -> Diagnosis | None:
    """Return the newest rollout before the trouble as its cause, None if there is none or it is too old."""
    newest_alert = max(alert.starts_at for alert in alerts)
    rollout = next((each for each in _rollouts(workload) if each.at <= newest_alert), None)
    if rollout is None:
        return None
    contrast = _contrast(alerts, workload)
    since = min(alert.starts_at for alert in alerts if alert.starts_at >= rollout.at)
    confidence = _confidence(contrast, is_recent=since - rollout.at <= CHANGE_WINDOW)
    if confidence is None:
        return None
    return Diagnosis(
        entity=entity_of(workload.deployment),
        cause=_rollout_cause(alerts, rollout),
        confidence=min(confidence, OWN_WRITE) if rollout.manager == OWN_MANAGER else confidence,
        reason=_reason(rollout, contrast, since),
        evidence=_rollout_evidence(rollout, alerts, workload, now),
    )


def _confidence(contrast: _Contrast, *, is_recent: bool) -> float | None:
    if contrast.fails_new and not contrast.fails_old and contrast.ready_old:
        return CONTRAST if is_recent else OLD_STANDSTILL
    if not is_recent:
        return None
    return OLD_PODS_TOO if contrast.fails_old else NO_CONTRAST


def _rollout_cause(alerts: Iterable[Alert], rollout: _Rollout) -> Cause:
    is_image = any(
        alert.name == Symptom.IMAGE_PULL and alert.labels.get("container") in rollout.images
        for alert in alerts
    )
    return Cause.INCORRECT_IMAGE_REFERENCE if is_image else Cause.BAD_ROLLOUT


def _rollouts(workload: Workload) -> tuple[_Rollout, ...]:
    """Return the known writes of the template, newest first; watched ones if there are any."""
    writes: dict[tuple[dt.datetime, str], list[Change]] = {}
    for change in workload.changes:
        if change.type is ChangeType.ROLLOUT:
            writes.setdefault((change.at, change.pointer), []).append(change)
    if writes:
        return tuple(_watched(group) for group in writes.values())
    sets = workload.replica_sets
    newest = sets[0] if len(sets) > 1 else None
    if newest is None or newest.meta.created_at is None:
        return ()
    return (_read_off(workload, newest, newest.meta.created_at),)


def _watched(write: Sequence[Change]) -> _Rollout:
    evidence = tuple(
        Evidence(EvidenceKind.CHANGE, str(each.entity), change_text(each), each.at, each.pointer)
        for each in write
    )
    images = {name for each in write if (name := _image_container(each.path))}
    return _Rollout(write[0].at, write[0].manager, frozenset(images), evidence)


def _read_off(workload: Workload, newest: ReplicaSet, at: dt.datetime) -> _Rollout:
    """Return the rollout that the two newest ReplicaSets tell of: images are compared, the rest is named."""
    previous = {each.name: each.image for each in workload.replica_sets[1].containers}
    changed = [
        each for each in newest.containers if previous.get(each.name, each.image) != each.image
    ]
    texts = [f"image of {each.name}: {previous[each.name]} -> {each.image}" for each in changed]
    pointer = workload.pointers.get(entity_of(newest), "")
    ref = str(entity_of(workload.deployment))
    evidence = tuple(
        Evidence(EvidenceKind.CHANGE, ref, text, at, pointer)
        for text in texts or [f"pod template of revision {newest.revision}"]
    )
    return _Rollout(at, "", frozenset(each.name for each in changed), evidence)


def _image_container(path: str) -> str:
    """Return ``web`` for ``spec.template.spec.containers[web].image``, '' for any other path."""
    rest = path.partition("containers[")[2]
    return rest.removesuffix("].image") if rest.endswith("].image") else ""


def _contrast(alerts: Sequence[Alert], workload: Workload) -> _Contrast:
    blamed = {evidence.ref for alert in alerts for evidence in alert.evidence}
    newest = workload.replica_sets[0] if workload.replica_sets else None
    living = [pod for pod in workload.pods if pod.meta.deleted_at is None]
    new = [pod for pod in living if newest is not None and _is_of(pod, newest)]
    old = [pod for pod in living if newest is None or not _is_of(pod, newest)]
    return _Contrast(
        revision=newest.revision if newest else workload.deployment.revision,
        fails_new=any(alert.name in _OF_ROLLOUT for alert in alerts) or _any(new, blamed),
        fails_old=_any(old, blamed),
        ready_old=sum(1 for pod in old if _is_ready(pod)),
    )


def _is_of(pod: Pod, owner: ReplicaSet) -> bool:
    return pod.meta.owner is not None and pod.meta.owner.uid == owner.meta.uid


def _is_ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.conditions)


def _any(pods: Iterable[Pod], refs: set[str]) -> bool:
    return any(str(entity_of(pod)) in refs for pod in pods)


def _rollout_evidence(
    rollout: _Rollout, alerts: Iterable[Alert], workload: Workload, now: dt.datetime
) -> tuple[Evidence, ...]:
    """Return the change, what hurts, and the older revisions that still have ready pods."""
    pains = tuple(evidence for alert in alerts for evidence in alert.evidence)
    healthy = tuple(
        Evidence(
            EvidenceKind.OBJECT,
            str(entity_of(each)),
            f"{count(each.replicas_ready, 'pod')} of revision {each.revision} ready",
            now,
            workload.pointers.get(entity_of(each), ""),
        )
        for each in workload.replica_sets[1:]
        if each.replicas_ready
    )
    unique = dict.fromkeys((*rollout.evidence, *healthy[:1], *pains))
    return tuple(unique)[:EVIDENCE_MAX]


def _reason(rollout: _Rollout, contrast: _Contrast, since: dt.datetime) -> str:
    what = ", ".join(evidence.text for evidence in rollout.evidence[:2])
    by = f" by {rollout.manager}" if rollout.manager else ""
    parts = [
        f"Rolled out at {clock(rollout.at)}{by}, {span(since - rollout.at)} before the first symptom: {what}."
    ]
    if contrast.fails_old:
        parts.append("Pods of an older revision fail as well.")
    elif contrast.ready_old:
        ready = count(contrast.ready_old, "pod")
        parts.append(f"Only revision {contrast.revision} fails; {ready} of older revisions ready.")
    if rollout.manager == OWN_MANAGER:
        parts.append("The rollout is opsagent's own, which it does not undo.")
    return " ".join(parts)
