"""The one loop that changes beliefs: everything is committed before anybody hears of it, and waiting costs nothing."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from opsagent.controllers.fold import BUNCH_MAX, Fold
from opsagent.controllers.inputs import Found, Input, Moved, Noted, Observed, Unplanned
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.model.alert import Evidence, EvidenceKind
from opsagent.model.entity import Kind
from opsagent.model.incident import EntryKind, Incident, IncidentState
from opsagent.model.signal import RowType
from opsagent.model.workload import Workload
from opsagent.ports import Batch, Snapshot, Terminal
from opsagent.runtime.channels import Channel
from tests.core.test_incidents import record
from tests.fakes.objects import T0, after, crash_looping, healthy, rolling, rows
from tests.fakes.store import MemoryStore
from tests.fakes.virtual_time import LoopClock, run

CRASH = rolling([crash_looping(after(20))])
KEY = b"k" * 32
AHEAD = T0 - dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


class ClockAtT0(LoopClock):
    """The loop's clock, set to T0 at its start."""

    def now(self) -> dt.datetime:
        return super().now() + AHEAD


class FullDisk(MemoryStore):
    """A store that takes nothing."""

    async def commit(self, batch: object) -> None:
        raise Terminal(f"disk full: {type(batch).__name__}")


class SlowDisk(MemoryStore):
    """A store whose every commit takes two minutes."""

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(120)
        await super().commit(batch)


@dataclass
class Bench:
    """A fold at work. ``steps``: what the listeners heard. ``beats``: loop times of its heartbeat."""

    store: MemoryStore = field(default_factory=MemoryStore)
    steps: list[Step] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    capacity: int = 10_000

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(Snapshot(), KEY)
        self.inbox: Channel[Input] = Channel(self.capacity)
        self.fold = Fold(self.pipeline, self.store, ClockAtT0(), self.inbox, beat=self._beat)
        self.fold.listen(self.steps.append)

    def _beat(self) -> None:
        self.beats.append(asyncio.get_running_loop().time())

    async def list_all(self, world: Workload) -> None:
        """Hand in a first list of all of ``world``."""
        for row in rows(world, at=ClockAtT0().now()):
            await self.fold.put(Observed(row.at, row.type, row.kind, row.item))

    async def heal(self) -> None:
        """Hand in that the pod of the bad release is gone."""
        now = ClockAtT0().now()
        await self.fold.put(Observed(now, RowType.DELETED, Kind.POD, CRASH.pods[-1]))

    @property
    def incident(self) -> Incident:
        """The one incident of the book."""
        (found,) = self.pipeline.book.incidents.values()
        return found

    @property
    def told(self) -> list[str]:
        return [entry.kind.value for entry in self.incident.timeline]


def folding(scene: Callable[[Bench], Awaitable[None]], bench: Bench | None = None) -> Bench:
    """Run the fold on virtual time while ``scene`` plays."""

    async def play() -> Bench:
        here = bench or Bench()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(here.fold.run())
            await scene(here)
            running.cancel()
        return here

    return run(play())


def test_inputs_that_wait_together_are_committed_together_and_told_once() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(healthy())
        await asyncio.sleep(1)

    bench = folding(scene)
    (batch,) = bench.store.commits
    assert [step.batch for step in bench.steps] == [batch]
    assert [row.seq for row in batch.rows] == list(range(1, len(batch.rows) + 1))


def test_of_more_than_a_bunch_the_rest_comes_next() -> None:
    async def scene(bench: Bench) -> None:
        for number in range(BUNCH_MAX + 1):
            await bench.fold.put(Observed(after(number), RowType.SYNCED, Kind.NODE, None))
        await asyncio.sleep(1)

    bench = folding(scene)
    assert [len(batch.rows) for batch in bench.store.commits] == [BUNCH_MAX, 1]


def test_who_hands_in_waits_while_the_inbox_is_full_and_nothing_is_lost() -> None:
    async def scene(bench: Bench) -> None:
        async with asyncio.timeout(10):
            for number in range(100):
                await bench.fold.put(Observed(after(number), RowType.SYNCED, Kind.NODE, None))
        await asyncio.sleep(1)

    bench = folding(scene, Bench(capacity=3))
    assert sum(len(batch.rows) for batch in bench.store.commits) == 100


def test_the_commit_comes_before_the_news() -> None:
    async def scene(bench: Bench) -> None:
        def look(step: Step) -> None:
            assert bench.store.commits[-1] is step.batch

        bench.fold.listen(look)
        await bench.list_all(CRASH)
        await asyncio.sleep(1)

    assert folding(scene).steps[0].wants_plan


def test_what_cannot_be_committed_is_told_to_nobody() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(CRASH)
        await asyncio.sleep(1)

    bench = Bench(store=FullDisk())
    with pytest.raises(BaseExceptionGroup) as caught:
        folding(scene, bench)
    assert caught.group_contains(Terminal, match="disk full: Batch")
    assert bench.steps == []


def test_every_kind_of_input_reaches_the_incident() -> None:
    seen = Evidence(EvidenceKind.LOG, "v1/Pod/shop/web-rs2-1", "panic: no table", after(25))

    async def scene(bench: Bench) -> None:
        await bench.list_all(CRASH)
        await asyncio.sleep(1)
        name = bench.incident.incident_id
        await bench.fold.put(Found(name, (seen,)))
        await bench.fold.put(Noted(name, ("a model proposed it",), "inv_1"))
        await bench.fold.put(Unplanned(name, "no runbook fits"))
        await asyncio.sleep(1)
        await bench.fold.put(Moved(record(name)))
        await asyncio.sleep(1)

    bench = folding(scene)
    assert seen in bench.incident.diagnoses[0].evidence
    assert [each for each in bench.told if each in ("investigated", "no_plan", "plan")] == [
        "investigated",
        "no_plan",
        "plan",
    ]
    assert bench.incident == bench.store.commits[-1].incidents[-1]


def test_time_alone_moves_an_incident_on() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(CRASH)
        await asyncio.sleep(1)
        await bench.heal()
        await asyncio.sleep(1)
        assert bench.incident.state is IncidentState.MITIGATED
        await asyncio.sleep(120)
        assert bench.incident.state is IncidentState.RESOLVED

    bench = folding(scene)
    assert bench.told[-1] == EntryKind.RESOLVED
    resolved_at = bench.incident.resolved_at
    assert resolved_at is not None
    assert (resolved_at - T0).total_seconds() == pytest.approx(61, abs=0.01)


def test_an_input_of_the_instant_at_which_time_moves_it_finds_time_moved() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(CRASH)
        await asyncio.sleep(1)
        await bench.heal()
        await asyncio.sleep(0.1)
        due = bench.pipeline.next_due()
        assert due is not None
        await asyncio.sleep((due - ClockAtT0().now()).total_seconds())
        await bench.fold.put(Observed(due, RowType.SYNCED, Kind.NODE, None))
        await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert bench.incident.state is IncidentState.RESOLVED

    folding(scene)


def test_what_came_due_while_the_disk_was_slow_is_done_with_what_waits() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(CRASH)
        await asyncio.sleep(1)
        await bench.heal()
        await asyncio.sleep(300)
        assert bench.incident.state is IncidentState.RESOLVED

    _, batch = folding(scene, Bench(store=SlowDisk())).store.commits
    assert [row.type for row in batch.rows] == [RowType.DELETED]
    assert [each.state for each in batch.incidents] == [IncidentState.RESOLVED]


def test_what_changes_nothing_is_neither_committed_nor_told() -> None:
    async def scene(bench: Bench) -> None:
        await bench.fold.put(Unplanned("inc_unknown", "no runbook fits"))
        await asyncio.sleep(1)

    bench = folding(scene)
    assert (bench.store.commits, bench.steps) == ([], [])
    assert bench.pipeline.ignored_total == 1


def test_a_quiet_day_costs_no_wakeup() -> None:
    async def scene(bench: Bench) -> None:
        await bench.list_all(healthy())
        await asyncio.sleep(1)
        before = len(bench.beats)
        await asyncio.sleep(86_400)
        assert len(bench.beats) == before

    folding(scene)
