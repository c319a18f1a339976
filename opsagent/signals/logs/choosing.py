"""Which containers' logs to follow, when there are more than may be followed at once.

Theory of operation. Each container that runs, or ran, is a target. First come those in trouble, the worst
first, and those that are new; but of one workload only the first ``URGENT_MAX``, because the sixth pod of a
bad rollout says what the first five said. Then one of each workload, then a second of each, and so on.
Between equals whoever is followed stays, so a stream ends only for the sake of a better one.

It refuses to know Deployments: which pods are alike is read from the pods themselves.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from opsagent.model.kube import ContainerStatus, Phase, Pod, entity_of
from opsagent.model.log import LogOrigin

RECENT = dt.timedelta(minutes=10)  # so long after a new start a container is of interest for it
URGENT_MAX = 5  # containers of one workload that come first for their trouble
_RUN_OF_CRON_JOB = re.compile(r"-\d{8,11}$")  # Source: the CronJob controller: minutes since 1970
_OVER = frozenset({"Succeeded", "Failed"})  # phases of pods

Key: TypeAlias = tuple[LogOrigin, str]  # and the pod's uid: another pod may have the same name


class Health(IntEnum):
    """Why a container's log is of interest, the most interesting first."""

    CRASHING = 0  # it ended badly, or waits to be started again
    UNREADY = 1
    RESTARTED = 2  # lately
    FRESH = 3  # of a pod that is new: a rollout goes on
    STEADY = 4


@dataclass(frozen=True, slots=True)
class LogTarget:
    """One container with a log. ``restarts`` names its present life.

    ``workload`` is shared by all pods of one owner. ``is_over``: it will not run again. ``began_at``: its present life; ``ended_at``: the last life
    that ended; None if the API does not say.
    """

    origin: LogOrigin
    uid: str
    workload: str
    restarts: int
    is_running: bool
    health: Health
    is_over: bool = False
    began_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.origin, self.uid


@dataclass(frozen=True, slots=True)
class Choice:
    """What to follow, the most important first; ``left_out`` targets are too many."""

    targets: tuple[LogTarget, ...]
    left_out: int


def targets(pods: Iterable[Pod], now: dt.datetime) -> Iterator[LogTarget]:
    """Yield every container of ``pods`` that has a log, those of the start included."""
    for pod in pods:
        for status in (*pod.init_statuses, *pod.container_statuses):
            ended = status.last_state
            if status.state.phase is Phase.TERMINATED:
                ended = status.state
            if status.state.phase is Phase.RUNNING or ended is not None:
                ended_at = None if ended is None else ended.finished_at
                yield LogTarget(
                    LogOrigin(entity_of(pod), status.name),
                    pod.meta.uid,
                    workload_of(pod),
                    status.restart_count,
                    status.state.phase is Phase.RUNNING,
                    _health(pod, status, ended_at, now),
                    pod.phase in _OVER,
                    status.state.started_at,
                    ended_at,
                )


def workload_of(pod: Pod) -> str:
    """Return what the pods of one workload share: its kind, namespace and name."""
    owner = pod.meta.owner
    if owner is None:
        return f"Pod/{pod.meta.namespace}/{pod.meta.name}"
    kind, name = owner.kind, owner.name
    ending = f"-{pod.meta.labels.get('pod-template-hash', '')}"
    if kind == "ReplicaSet" and len(ending) > 1 and name.endswith(ending):
        kind, name = "Deployment", name.removesuffix(ending)
    elif kind == "Job":
        name = _RUN_OF_CRON_JOB.sub("", name)
    return f"{kind}/{pod.meta.namespace}/{name}"


def choose(
    candidates: Iterable[LogTarget], budget: int, followed: Collection[Key] = frozenset()
) -> Choice:
    """Return the at most ``budget`` candidates to follow; ``followed`` are so now. Any order gives the same."""
    ordered = sorted(
        candidates, key=lambda each: (each.health, each.key not in followed, _name(each))
    )
    if len(ordered) <= budget:
        return Choice(tuple(ordered), 0)
    alike: Counter[tuple[str, str]] = Counter()
    ranked: list[tuple[int, int, int, bool, int]] = []
    for number, each in enumerate(ordered):
        kin = each.workload, each.origin.container
        place = alike[kin]
        alike[kin] += 1
        is_urgent = each.health is not Health.STEADY and place < URGENT_MAX
        rank = (0, each.health, place) if is_urgent else (1, place, each.health)
        ranked.append((*rank, each.key not in followed, number))
    ranked.sort()
    chosen = tuple(ordered[number] for *_, number in ranked[:budget])
    return Choice(chosen, len(ordered) - len(chosen))


def _name(target: LogTarget) -> str:
    pod = target.origin.pod
    return f"{pod.namespace}/{pod.name}/{target.origin.container}/{target.uid}"


def _health(
    pod: Pod, status: ContainerStatus, ended_at: dt.datetime | None, now: dt.datetime
) -> Health:
    match status.state.phase:
        case Phase.WAITING:
            return Health.CRASHING
        case Phase.TERMINATED:
            return Health.CRASHING if status.state.exit_code else Health.STEADY
        case _:
            pass
    if not status.is_ready:
        return Health.UNREADY
    if _is_recent(ended_at, now):
        return Health.RESTARTED
    return Health.FRESH if _is_recent(pod.meta.created_at, now) else Health.STEADY


def _is_recent(at: dt.datetime | None, now: dt.datetime) -> bool:
    return at is not None and now - at < RECENT
