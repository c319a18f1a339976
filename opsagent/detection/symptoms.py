"""What is wrong with one Deployment at one instant: the five symptoms, judged on its present state alone.

Theory of operation. Every finding *fires* or merely *holds*. A firing finding starts an alert. A holding
one never does, but keeps an alert of its name going: a container that has just been restarted looks well
for a moment, and an alert that clears and comes back with every restart helps nobody.

Containers come first. One that crashes or runs out of memory is *unstable* until it has run for longer
than it did before it died (``_settled_at``). A container shows the most specific symptom: out of memory
explains a crash loop. Only if no container tells what is wrong does a rollout past its progress deadline
become a symptom of its own: its new pods run but never get ready, or they do not even run.

Silent on purpose: a rollout in progress, a Deployment scaled to zero or going away, pods being deleted or
already over, one restart long ago. Messages are untrusted text and appear as evidence only.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opsagent.detection.evidence import last_end, of_condition, of_container, of_events, of_pod
from opsagent.model.alert import Evidence, Severity, Symptom
from opsagent.model.entity import Entity
from opsagent.model.kube import (
    Condition,
    ContainerState,
    ContainerStatus,
    Deployment,
    Phase,
    Pod,
    ReplicaSet,
    entity_of,
)
from opsagent.model.workload import Workload

# Source of reasons: kubelet, pkg/kubelet/images/types.go and container state names.
IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
CRASH_LOOP_REASON = "CrashLoopBackOff"
OOM_REASON = "OOMKilled"
DEADLINE_REASON = "ProgressDeadlineExceeded"
OVER_PHASES = frozenset({"Succeeded", "Failed"})

RECENT = dt.timedelta(minutes=10)  # an end longer ago is history
# Within RECENT of the pod's birth. After two the kubelet makes the container wait, but it says so in the
# status only when it looks at the pod again: with its defaults, 33 s after the second end (1.37).
ENDS_MIN = 2
SETTLE = dt.timedelta(seconds=60)  # least time to run before a restart counts as overcome
SETTLE_MARGIN = dt.timedelta(seconds=30)  # beyond the length of the run before

PODS_SHOWN_MAX = 3  # of one finding; the rest look the same

_RUNS = (Symptom.CRASH_LOOP, Symptom.OOM_KILLED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One symptom of one container name over all pods, or of the rollout (``container`` empty).

    ``recheck_at`` is when it may look different though no object changes, None if only a change counts.
    """

    entity: Entity
    symptom: Symptom
    container: str
    severity: Severity
    is_firing: bool
    summary: str
    evidence: tuple[Evidence, ...]
    recheck_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class _Sign:
    """One container of one pod that shows a symptom."""

    symptom: Symptom
    pod: Pod
    status: ContainerStatus
    is_firing: bool
    until: dt.datetime | None = None


def find(workload: Workload, now: dt.datetime) -> tuple[Finding, ...]:
    """Return every symptom of ``workload`` at ``now``, firing or holding, in a fixed order.

    Costs a look at each of its pods.
    """
    deployment = workload.deployment
    if deployment.replicas_desired == 0 or deployment.meta.deleted_at is not None:
        return ()
    newest = newest_pods(workload)
    new_uids = {pod.meta.uid for pod in newest}
    pods = sorted(_living(workload.pods), key=lambda pod: pod.meta.uid not in new_uids)
    signs = [
        sign
        for pod in pods
        for status in pod.container_statuses
        for sign in _signs(pod, status, now)
    ]
    groups: dict[tuple[Symptom, str], list[_Sign]] = {}
    for sign in signs:
        groups.setdefault((sign.symptom, sign.status.name), []).append(sign)
    findings = [_finding(workload, group, newest, now) for group in groups.values()]
    if not any(sign.pod.meta.uid in new_uids for sign in signs):
        findings += _rollout(workload, newest, now)
    return tuple(sorted(findings, key=lambda each: (each.symptom, each.container)))


def newest_pods(workload: Workload) -> tuple[Pod, ...]:
    """Return the living pods of the highest revision."""
    owner = next((each.meta.uid for each in workload.replica_sets), "")
    return tuple(
        pod for pod in _living(workload.pods) if pod.meta.owner and pod.meta.owner.uid == owner
    )


def _living(pods: Iterable[Pod]) -> Iterator[Pod]:
    for pod in pods:
        if pod.meta.deleted_at is None and pod.phase not in OVER_PHASES:
            yield pod


def _signs(pod: Pod, status: ContainerStatus, now: dt.datetime) -> Iterator[_Sign]:
    if status.state.phase is Phase.WAITING and status.state.reason in IMAGE_REASONS:
        yield _Sign(Symptom.IMAGE_PULL, pod, status, is_firing=True)
        return
    end = last_end(status)
    if end is None and status.state.reason != CRASH_LOOP_REASON:
        return
    until = _settled_at(status, end)
    if until is not None and until <= now:
        return
    shown = Symptom.OOM_KILLED if end and end.reason == OOM_REASON else Symptom.CRASH_LOOP
    fires = _is_out_of_memory if shown is Symptom.OOM_KILLED else _is_crash_loop
    for symptom in _RUNS:
        is_firing = symptom is shown and fires(pod, status, now)
        yield _Sign(symptom, pod, status, is_firing, until)


def _settled_at(status: ContainerStatus, end: ContainerState | None) -> dt.datetime | None:
    """Return when the present run will have overcome the last end; None while there is no run."""
    if status.state.phase is not Phase.RUNNING:
        return None
    needed = SETTLE
    if end is not None and end.started_at is not None and end.finished_at is not None:
        ran = end.finished_at - end.started_at
        if ran <= RECENT:  # one that ran for long and died once is no loop
            needed = max(SETTLE, ran + SETTLE_MARGIN)
    began = status.state.started_at or dt.datetime.fromtimestamp(0, dt.UTC)
    return began + needed


def _is_out_of_memory(_pod: Pod, status: ContainerStatus, now: dt.datetime) -> bool:
    return status.state.reason == CRASH_LOOP_REASON or _ended_recently(status, now)


def _is_crash_loop(pod: Pod, status: ContainerStatus, now: dt.datetime) -> bool:
    if status.state.reason == CRASH_LOOP_REASON:
        return True
    end = last_end(status)
    has_failed = end is not None and end.exit_code != 0 and _ended_recently(status, now)
    is_young = pod.meta.created_at is not None and now - pod.meta.created_at <= RECENT
    ends = status.restart_count + (status.state.phase is Phase.TERMINATED)
    return has_failed and is_young and ends >= ENDS_MIN


def _ended_recently(status: ContainerStatus, now: dt.datetime) -> bool:
    end = last_end(status)
    at = None if end is None else end.finished_at
    return at is not None and now - at <= RECENT


def _finding(
    workload: Workload, signs: list[_Sign], newest: tuple[Pod, ...], now: dt.datetime
) -> Finding:
    """Join the signs of one symptom and container over all pods; the newest revision's come first."""
    first = signs[0]
    pods = [sign.pod for sign in signs]
    shown = [of_container(workload, sign.pod, sign.status, now) for sign in signs[:PODS_SHOWN_MAX]]
    ends = [sign.until for sign in signs if sign.until is not None]
    return Finding(
        entity=entity_of(workload.deployment),
        symptom=first.symptom,
        container=first.status.name,
        severity=_severity(workload.deployment, first.symptom, pods, newest),
        is_firing=any(sign.is_firing for sign in signs),
        summary=_summary(first, len(pods), sum(1 for _ in _living(workload.pods))),
        evidence=(*shown, *of_events(workload, pods)),
        recheck_at=min(ends, default=None),
    )


def _severity(
    deployment: Deployment, symptom: Symptom, pods: list[Pod], newest: tuple[Pod, ...]
) -> Severity:
    """Critical: people feel it now, or will as soon as the rollout goes on."""
    uids = {pod.meta.uid for pod in pods}
    is_all_new = bool(newest) and all(pod.meta.uid in uids for pod in newest)
    is_short = deployment.replicas_available < deployment.replicas_desired
    return Severity.CRITICAL if is_short or (symptom in _RUNS and is_all_new) else Severity.WARNING


def _summary(sign: _Sign, bad: int, all_pods: int) -> str:
    phrase = {
        Symptom.CRASH_LOOP: "is crash looping",
        Symptom.OOM_KILLED: "runs out of memory",
        Symptom.IMAGE_PULL: f"cannot get its image {_image(sign)}".rstrip(),
    }[sign.symptom]
    return f"Container {sign.status.name} {phrase} in {bad} of {all_pods} pods"


def _image(sign: _Sign) -> str:
    images = (each.image for each in sign.pod.containers if each.name == sign.status.name)
    return next(images, "")


def _rollout(workload: Workload, newest: tuple[Pod, ...], now: dt.datetime) -> list[Finding]:
    """Return the symptom of a rollout past its deadline, which no container explains."""
    deployment = workload.deployment
    condition = next(filter(_is_past_deadline, deployment.conditions), None)
    if condition is None:
        return []
    not_ready = [pod for pod in newest if not _is_ready(pod)]
    is_never_ready = bool(not_ready) and all(pod.phase == "Running" for pod in not_ready)
    symptom = Symptom.NEVER_READY if is_never_ready else Symptom.ROLLOUT_STUCK
    pods = [of_pod(workload, pod, now) for pod in not_ready[:PODS_SHOWN_MAX]]
    owners = workload.replica_sets[:1]
    return [
        Finding(
            entity=entity_of(deployment),
            symptom=symptom,
            container="",
            severity=_severity(deployment, symptom, not_ready, newest),
            # a newer spec that the controller has not seen yet is not what the condition is about
            is_firing=deployment.observed_generation >= deployment.meta.generation,
            summary=_rollout_summary(symptom, len(not_ready), owners),
            evidence=(
                of_condition(workload, condition, now),
                *pods,
                *of_events(workload, (*owners, *not_ready)),
            ),
            recheck_at=None,
        )
    ]


def _rollout_summary(symptom: Symptom, pods: int, newest: tuple[ReplicaSet, ...]) -> str:
    revision = newest[0].revision if newest else 0
    if symptom is Symptom.NEVER_READY:
        return f"Pods of revision {revision} run but do not become ready: {pods}"
    return f"The rollout of revision {revision} is stuck past its progress deadline"


def _is_past_deadline(condition: Condition) -> bool:
    return (
        condition.type == "Progressing"
        and condition.status == "False"
        and condition.reason == DEADLINE_REASON
    )


def _is_ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.conditions)
