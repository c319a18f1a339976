"""The tool ``objects``: one object as the inventory has it, a Deployment with everything that belongs to it."""

import datetime as dt
from collections.abc import Iterator

from opsagent.incidents.words import change_text, count, span
from opsagent.model.kube import (
    Condition,
    Container,
    ContainerState,
    Deployment,
    KubeObject,
    Node,
    Pod,
    ReplicaSet,
    entity_of,
)
from opsagent.model.signal import Change
from opsagent.model.transcript import ToolResult
from opsagent.model.workload import Workload
from opsagent.ports import Case
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted
from opsagent.tools.arguments import Reference, parsed, shown, spec, unknown

PODS_MAX = 12
REVISIONS_MAX = 10
CHANGES_MAX = 10
Lines = Iterator[str]


class ObjectArguments(Reference):
    """Describe one object: its state, containers and conditions. A Deployment comes with its revisions, pods and recent changes."""


class Objects:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory) -> None:
        self.spec = spec("objects", ObjectArguments)
        self._inventory = inventory

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the description."""
        wanted = parsed(ObjectArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = wanted.entity
        workload = self._inventory.workload(entity)
        if workload is not None:
            return shown("\n".join(_workload(workload, case.now)))
        item = self._inventory.known(entity.kind).get(entity)
        if item is None:
            return unknown(entity)
        return shown("\n".join(_object(item, case.now)))


def _workload(workload: Workload, now: dt.datetime) -> Lines:
    yield from _object(workload.deployment, now)
    present = max((each.revision for each in workload.replica_sets), default=0)
    yield "revisions, newest first:"
    for each in workload.replica_sets[:REVISIONS_MAX]:
        yield f"revision {each.revision}{' (present)' if each.revision == present else ''}:"
        yield from _replica_set(each, now)
    yield f"pods, {len(workload.pods)} in all:"
    for pod in _sickest(workload)[:PODS_MAX]:
        yield from _object(pod, now)
    yield "recent changes, newest first:" if workload.changes else "recent changes: none seen"
    for change in workload.changes[:CHANGES_MAX]:
        yield quoted(_change(change, now))


def _sickest(workload: Workload) -> list[Pod]:
    """Return the pods, first those that restarted most or are not ready."""
    return sorted(workload.pods, key=lambda pod: (_is_ready(pod), -_restarts(pod), pod.meta.name))


def _is_ready(pod: Pod) -> bool:
    return bool(pod.container_statuses) and all(each.is_ready for each in pod.container_statuses)


def _restarts(pod: Pod) -> int:
    return sum(each.restart_count for each in pod.container_statuses)


def _change(change: Change, now: dt.datetime) -> str:
    by = f" by {change.manager}" if change.manager else ""
    what = change_text(change).removeprefix(": ")
    return f"{_ago(change.at, now)}{by}, {change.type.value}: {what}"


def _object(item: KubeObject, now: dt.datetime) -> Lines:
    yield f"{entity_of(item)}, created {_ago(item.meta.created_at, now)}"
    if item.meta.deleted_at is not None:
        yield f"being deleted since {_ago(item.meta.deleted_at, now)}"
    match item:
        case Deployment():
            yield from _deployment(item)
        case ReplicaSet():
            yield from _replica_set(item, now)
        case Pod():
            yield from _pod(item, now)
        case Node():
            yield f"unschedulable: {item.is_unschedulable}"
            yield from _conditions(item.conditions)
        case _:
            yield "no further fields are shown"


def _deployment(item: Deployment) -> Lines:
    yield (
        f"replicas: {item.replicas_desired} desired, {item.replicas_updated} updated, "
        f"{item.replicas_ready} ready, {item.replicas_available} available"
    )
    if item.is_paused:
        yield "the rollout is paused"
    yield from _containers(item.containers)
    yield from _conditions(item.conditions)


def _replica_set(item: ReplicaSet, now: dt.datetime) -> Lines:
    yield (
        f"ReplicaSet {item.meta.name}, revision {item.revision}, "
        f"created {_ago(item.meta.created_at, now)}: {item.replicas_desired} desired, "
        f"{count(item.replicas, 'pod')}, {item.replicas_ready} ready"
    )
    yield from _containers(item.containers)


def _pod(item: Pod, now: dt.datetime) -> Lines:
    owner = item.meta.owner
    yield quoted(
        f"phase {item.phase} {item.reason}, on node {item.node_name or 'none'}, "
        f"of {f'{owner.kind} {owner.name}' if owner else 'nobody'}"
    )
    yield from _conditions(tuple(each for each in item.conditions if each.status != "True"))
    for each in item.container_statuses:
        yield quoted(
            f"container {each.name}: {'ready' if each.is_ready else 'not ready'}, "
            f"{count(each.restart_count, 'restart')}, {_state(each.state, now)}"
        )
        if each.last_state is not None:
            yield quoted(f"container {each.name} before: {_state(each.last_state, now)}")


def _state(state: ContainerState, now: dt.datetime) -> str:
    code = "" if state.exit_code is None else f" with exit code {state.exit_code}"
    at = state.finished_at or state.started_at
    since = "" if at is None else f" {_ago(at, now)}"
    words = ": ".join(word for word in (state.reason, state.message) if word)
    return f"{state.phase.value}{code}{since} {words}".rstrip()


def _containers(containers: tuple[Container, ...]) -> Lines:
    for each in containers:
        limits = ", ".join(f"{name} {value}" for name, value in sorted(each.limits.items()))
        requests = ", ".join(f"{name} {value}" for name, value in sorted(each.requests.items()))
        yield quoted(
            f"container {each.name}: image {each.image}; requests {requests or 'nothing'}; "
            f"limits {limits or 'none'}"
        )


def _conditions(conditions: tuple[Condition, ...]) -> Lines:
    for each in conditions:
        words = ": ".join(word for word in (each.reason, each.message) if word)
        yield quoted(f"condition {each.type}={each.status} {words}".rstrip())


def _ago(at: dt.datetime | None, now: dt.datetime) -> str:
    return "at an unknown time" if at is None else f"{span(now - at)} ago"
