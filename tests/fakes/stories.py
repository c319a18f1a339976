"""Random stories of a small shop: what a watch tells, what plans do, seconds apart; for properties of the pipeline."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from opsagent.controllers.pipeline import JOINED_KINDS, Pipeline, Step
from opsagent.model.alert import Evidence, EvidenceKind
from opsagent.model.entity import Kind
from opsagent.model.kube import ContainerStatus, KubeObject, kind_of
from opsagent.model.signal import RowType
from tests.core.test_incidents import APPROVED, ARMED, SENT, SUCCEEDED, VERIFYING, record
from tests.fakes import objects
from tests.fakes.objects import DEADLINE_EXCEEDED, T0

PLAN_STEPS = (APPROVED, ARMED, SENT, VERIFYING, SUCCEEDED)
MINUTE = dt.timedelta(minutes=1)

Act = Callable[[Pipeline, dt.datetime], Step]
Story = Sequence[tuple[float, Act]]


@dataclass(frozen=True)
class See:
    """A watch tells of an object as it is at that instant."""

    row_type: RowType
    what: str
    make: Callable[[dt.datetime], KubeObject]

    def __call__(self, pipeline: Pipeline, now: dt.datetime) -> Step:
        item = self.make(now)
        return pipeline.observe(now, self.row_type, kind_of(item), item)

    def __repr__(self) -> str:
        return f"{self.row_type} {self.what}"


@dataclass(frozen=True)
class Tell:
    """Somebody says something about the newest incident; nothing if there is none."""

    what: str
    say: Callable[[Pipeline, str, dt.datetime], Step]

    def __call__(self, pipeline: Pipeline, now: dt.datetime) -> Step:
        newest = max(pipeline.book.incidents, default="")
        return self.say(pipeline, newest, now) if newest else Step()

    def __repr__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Synced:
    """A list of one kind is complete."""

    kind: Kind

    def __call__(self, pipeline: Pipeline, now: dt.datetime) -> Step:
        return pipeline.observe(now, RowType.SYNCED, self.kind, None)


def ago(now: dt.datetime, seconds: float) -> dt.datetime:
    return now - dt.timedelta(seconds=seconds)


STATUSES: dict[str, Callable[[dt.datetime], ContainerStatus]] = {
    "runs": lambda now: objects.running(ago(now, 5)),
    "is not ready": lambda now: objects.running(ago(now, 5), is_ready=False),
    "finds no image": lambda _: objects.waiting("ErrImagePull"),
    "crashes": lambda now: objects.crash_looping(ago(now, 1)),
    "crashed": lambda now: objects.restarted(now, ended=objects.terminated(ago(now, 10)), restarts=4),
    "ran out of memory": lambda now: objects.out_of_memory(ago(now, 1)),
}  # fmt: skip

V1 = objects.deployment()
V2 = objects.deployment(image="shop/web:v2", revision=2)
DEPLOYMENTS = {
    "web v1": V1,
    "web v2": V2,
    "web v2 past its deadline": replace(V2, replicas_ready=2, conditions=(DEADLINE_EXCEEDED,)),
    "web scaled to zero": replace(V2, replicas_desired=0),
}
SETS = {
    "web-rs1": objects.replica_set(V1),
    "web-rs2": objects.replica_set(V2, 2, image="shop/web:v2", created_at=T0),
}


def _pod(owner: str, number: int, status: str) -> Callable[[dt.datetime], KubeObject]:
    return lambda now: objects.pod(SETS[owner], number, STATUSES[status](now))


def _event(owner: str, number: int) -> Callable[[dt.datetime], KubeObject]:
    about = objects.pod(SETS[owner], number)
    return lambda now: objects.event(about, "BackOff", "back-off restarting", at=now)


def _still(item: KubeObject) -> Callable[[dt.datetime], KubeObject]:
    return lambda _: item


def _sights() -> Iterator[See]:
    for row_type in (RowType.MODIFIED, RowType.DELETED):
        for name, item in {**DEPLOYMENTS, **SETS}.items():
            yield See(row_type, name, _still(item))
    for owner in SETS:
        for number in (1, 2):
            yield See(RowType.DELETED, f"{owner}-{number}", _pod(owner, number, "runs"))
            yield See(RowType.ADDED, f"event of {owner}-{number}", _event(owner, number))
            for status in STATUSES:
                what = f"{owner}-{number} {status}"
                yield See(RowType.MODIFIED, what, _pod(owner, number, status))


def _words() -> Iterator[Tell]:
    for number in range(len(PLAN_STEPS) + 1):
        steps = PLAN_STEPS[:number]
        yield Tell(
            f"plan after {number} steps",
            lambda pipeline, name, now, steps=steps: pipeline.plan_moved(record(name, *steps), now),
        )
    log = Evidence(EvidenceKind.LOG, "v1/Pod/shop/web-rs2-1", "panic", T0)
    yield Tell("no plan", lambda pipeline, name, now: pipeline.no_plan(name, "none", now))
    yield Tell("evidence", lambda pipeline, name, now: pipeline.evidence(name, (log,), now))
    yield Tell("advice", lambda pipeline, name, now: pipeline.advised(name, ("a",), "inv", now))


SYNCS = tuple(Synced(kind) for kind in sorted(JOINED_KINDS))
START: Story = [(0, each) for each in _sights() if each.what in ("web v1", *SETS)][:3] + [
    (0, each) for each in SYNCS
]

_pauses = st.sampled_from([0.0, 0.5, 5.0, 30.0, 61.0, 700.0])
_sights_of_pods = [each for each in _sights() if "web-rs2-" in each.what]
stories = st.lists(
    st.tuples(
        _pauses,
        st.one_of(
            st.sampled_from(_sights_of_pods),
            st.sampled_from([*_sights(), *SYNCS]),
            st.sampled_from(list(_words())),
        ),
    ),
    max_size=25,
)
