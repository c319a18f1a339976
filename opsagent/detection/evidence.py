"""What a finding rests on, as evidence with pointers. Texts of the cluster are quoted, cut, never interpreted."""

import datetime as dt
from collections.abc import Iterable

from opsagent.model.alert import Evidence, EvidenceKind
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import (
    Condition,
    ContainerState,
    ContainerStatus,
    KubeEvent,
    KubeObject,
    Phase,
    Pod,
    entity_of,
)
from opsagent.model.workload import Workload

TEXT_LENGTH_MAX = 300  # of one piece: two lines on a phone
EVENTS_MAX = 3


def last_end(status: ContainerStatus) -> ContainerState | None:
    """Return how the container's last run ended, None if none did."""
    state = status.state if status.state.phase is Phase.TERMINATED else status.last_state
    return state if state is not None and state.phase is Phase.TERMINATED else None


def of_container(
    workload: Workload, pod: Pod, status: ContainerStatus, now: dt.datetime
) -> Evidence:
    """Return the state of one container, e.g. ``web: waiting, CrashLoopBackOff; restarts 3; last exit code 1``."""
    end = last_end(status)
    parts = [f"{status.name}: {_phrase(status.state)}"]
    if status.restart_count:
        parts.append(f"restarts {status.restart_count}")
    if end is not None:
        parts.append(f"last exit code {end.exit_code} ({end.reason})")
    if status.state.message:
        parts.append(status.state.message)
    ended_at = None if end is None else end.finished_at
    at = ended_at or status.state.started_at or pod.meta.created_at or now
    return _evidence(workload, pod, "; ".join(parts), at)


def of_pod(workload: Workload, pod: Pod, now: dt.datetime) -> Evidence:
    """Return why a pod does not run or is not ready, from its conditions."""
    false = [each for each in pod.conditions if each.status != "True"]
    first = min(false, key=lambda each: not each.message, default=None)
    text = f"phase {pod.phase}" if first is None else f"phase {pod.phase}; {_sentence(first)}"
    at = None if first is None else first.transition_at
    return _evidence(workload, pod, text, at or pod.meta.created_at or now)


def of_condition(workload: Workload, condition: Condition, now: dt.datetime) -> Evidence:
    """Return a condition of the Deployment."""
    at = condition.transition_at or now
    return _evidence(workload, workload.deployment, _sentence(condition), at)


def of_events(workload: Workload, about: Iterable[KubeObject]) -> tuple[Evidence, ...]:
    """Return the newest warnings about the given objects, at most ``EVENTS_MAX``, one per reason."""
    uids = {item.meta.uid: entity_of(item) for item in about}
    newest: dict[str, KubeEvent] = {}
    for event in workload.events:
        if event.type != "Normal" and event.regarding_uid in uids:
            newest.setdefault(event.reason, event)
    return tuple(
        _of_event(workload, event, uids[event.regarding_uid])
        for event in list(newest.values())[:EVENTS_MAX]
    )


def _of_event(workload: Workload, event: KubeEvent, regarding: Entity) -> Evidence:
    at = event.last_at or event.first_at or event.meta.created_at
    return Evidence(
        kind=EvidenceKind.EVENT,
        ref=str(regarding),
        text=_cut(f"{event.reason} x{event.count}: {event.message}"),
        at=at or dt.datetime.fromtimestamp(0, dt.UTC),
        pointer=workload.pointers.get(
            Entity(Kind.EVENT, event.meta.namespace, event.meta.name), ""
        ),
    )


def _evidence(workload: Workload, item: KubeObject, text: str, at: dt.datetime) -> Evidence:
    entity = entity_of(item)
    pointer = workload.pointers.get(entity, "")
    return Evidence(EvidenceKind.OBJECT, str(entity), _cut(text), at, pointer)


def _phrase(state: ContainerState) -> str:
    return f"{state.phase.value}, {state.reason}" if state.reason else state.phase.value


def _sentence(condition: Condition) -> str:
    head = f"{condition.type} is {condition.status}"
    parts = (head, condition.reason, condition.message)
    return ": ".join(part for part in parts if part)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH_MAX else f"{text[: TEXT_LENGTH_MAX - 1]}…"
