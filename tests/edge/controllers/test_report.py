"""What the daemon says of itself is what its parts say, also while it does not lead and has no executor."""

import asyncio
import dataclasses
import datetime as dt

import pytest

from opsagent.controllers.metrics import ADVICE, metrics_status
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.report import Report, Term
from opsagent.model.canonical import JsonValue
from opsagent.model.entity import Kind
from opsagent.model.incident import IncidentState
from opsagent.model.kube import KubeObject
from opsagent.model.metrics import MetricsHealth, MetricTemplate
from opsagent.model.plan import ApprovalRequest, ApprovalVerdict, PlanState
from opsagent.model.signal import RawRow, RowType
from opsagent.ports import Batch, NotFound, Snapshot, Terminal, Transient
from opsagent.runtime.supervise import Supervisor
from opsagent.sources.reflector import Reflector, Target
from tests.fakes.chance import MiddleChance
from tests.fakes.cluster import ScriptedCluster
from tests.fakes.desk import ScriptedDesk
from tests.fakes.incidents import PLAIN
from tests.fakes.metrics import ScriptedMetrics, answer, several
from tests.fakes.objects import healthy, rows, synced
from tests.fakes.plans import WAY_TO_PENDING
from tests.fakes.store import MemoryStore
from tests.fakes.virtual_time import EPOCH, LoopClock, run


class FixedLeadership:
    """``ports.Leadership`` that never changes its mind."""

    def __init__(self, *, is_leader: bool, problem: str = "") -> None:
        self.is_leader = is_leader
        self.problem = problem

    async def run(self, lead: object) -> None:
        raise NotImplementedError


class Later:
    """A clock that shows 90.4 s more from the second look on, and whose wall was set back meanwhile."""

    def __init__(self) -> None:
        self._looks = iter([0.0, *[90.4] * 9])

    def now(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=0.4)

    def monotonic(self) -> float:
        return next(self._looks)


def report(
    store: MemoryStore | None = None,
    desk: ScriptedDesk | None = None,
    *,
    is_leader: bool = True,
    problem: str = "",
) -> Report:
    return Report(
        store or MemoryStore(),
        desk,
        FixedLeadership(is_leader=is_leader, problem=problem),
        facts={"cluster": "shop"},
        clock=Later(),
    )


async def ignore(
    _at: dt.datetime, _row_type: RowType, _kind: Kind, _item: KubeObject | None
) -> None:
    return


def term(pipeline: Pipeline, supervisor: Supervisor) -> Term:
    eye = Reflector(
        ScriptedCluster([]),
        Target(Kind.POD, (), ()),
        ignore,
        clock=LoopClock(),
        chance=MiddleChance(),
        beat=lambda: None,
    )
    return Term(pipeline, (eye,), supervisor, lambda: {"events_ignored_total": 0})


def test_a_healthy_stand_by_is_ready_alive_and_says_that_it_does_not_lead() -> None:
    async def scene() -> None:
        standing_by = report(is_leader=False)
        assert list(standing_by.unready()) == []
        assert list(standing_by.overdue()) == []
        status = await standing_by.status()
        assert status["is_leader"] is False
        assert status["uptime_seconds"] == 90
        assert status["cluster"] == "shop"
        assert "sources" not in status

    run(scene())


def test_who_cannot_ask_who_leads_is_not_ready() -> None:
    standing_by = report(is_leader=False, problem="no route to host")
    assert list(standing_by.unready()) == [
        "the cluster cannot be asked who is the leader: no route to host"
    ]


def test_a_leader_is_not_ready_before_it_has_seen_the_whole_cluster() -> None:
    async def scene() -> None:
        leading, pipeline = report(), Pipeline(Snapshot(), b"k" * 32)
        assert "not complete" in leading.unready()[0]
        leading.term = term(pipeline, Supervisor(MiddleChance()))
        assert "not complete" in leading.unready()[0]
        for row in rows(healthy()):
            pipeline.observe(row.at, row.type, row.kind, row.item)
        assert list(leading.unready()) == []

    run(scene())


def test_status_shows_sources_counters_and_only_tasks_that_were_restarted() -> None:
    async def scene() -> None:
        supervisor = Supervisor(MiddleChance())
        failures = [ValueError("a bug")]

        async def once_broken() -> None:
            if failures:
                raise failures.pop()

        async def sound() -> None:
            return

        supervisor.add("broken", once_broken, silent_seconds_max=None)
        supervisor.add("sound", sound, silent_seconds_max=None)
        await supervisor.run()
        leading = report()
        leading.term = term(Pipeline(Snapshot(), b"k" * 32), supervisor)
        status = await leading.status()
        assert status["restarts"] == {"broken": {"restarts": 1, "last_error": "ValueError: a bug"}}
        assert status["counters"] == {"events_ignored_total": 0}
        assert status["sources"] == {
            "Pod": {
                "objects": 0,
                "is_synced": False,
                "lag_seconds": None,
                "last_error": "",
                "lists_total": 0,
                "watches_total": 0,
                "events_total": 0,
                "bookmarks_total": 0,
                "repeats_total": 0,
                "gone_total": 0,
                "failures_total": 0,
            }
        }

    run(scene())


def test_status_counts_what_hangs_together_and_what_is_missing_of_it() -> None:
    async def scene() -> None:
        leading, pipeline = report(), Pipeline(Snapshot(), b"k" * 32)
        leading.term = term(pipeline, Supervisor(MiddleChance()))
        assert (await leading.status())["topology"] == {"entities": 0, "edges": 0, "dangling": 0}
        for row in (*rows(healthy()), synced(99, Kind.NODE)):
            pipeline.observe(row.at, row.type, row.kind, row.item)
        size = (await leading.status())["topology"]
        assert size == {"entities": 5, "edges": 7, "dangling": 1}, "its node is not there"

    run(scene())


def test_a_task_whose_heartbeat_stopped_is_named() -> None:
    async def scene() -> None:
        supervisor = Supervisor(MiddleChance())

        async def hung() -> None:
            leading.term = term(Pipeline(Snapshot(), b"k" * 32), supervisor)
            while not leading.overdue():  # noqa: ASYNC110 - on virtual time
                await asyncio.sleep(1)

        leading = report()
        supervisor.add("watch Pod", hung, silent_seconds_max=180)
        async with asyncio.timeout(600):
            await supervisor.run()

    run(scene())


@pytest.mark.parametrize("state", list(IncidentState))
def test_only_what_is_not_over_counts_as_open(state: IncidentState) -> None:
    async def scene() -> None:
        store = MemoryStore()
        await store.commit(Batch(incidents=(dataclasses.replace(PLAIN, state=state),)))
        status = await report(store).status()
        is_over = state in (IncidentState.RESOLVED, IncidentState.CLOSED)
        assert status["incidents_open"] == (0 if is_over else 1)

    run(scene())


def test_it_hands_on_what_the_store_holds() -> None:
    async def scene() -> None:
        store = MemoryStore()
        row = RawRow(1, EPOCH, RowType.SYNCED, Kind.POD)
        await store.commit(Batch(rows=(row,), incidents=(PLAIN,)))
        shown = report(store)
        assert await shown.incidents(10) == (PLAIN,)
        assert await shown.incident("inc_1") == PLAIN
        assert await shown.incident("inc_none") is None
        assert await shown.row(1) == row
        assert shown.now() > EPOCH

    run(scene())


def test_of_all_plans_those_that_wait_are_shown_for_approval() -> None:
    async def scene() -> None:
        desk = ScriptedDesk()
        desk.move(*WAY_TO_PENDING, plan="waiting")
        desk.move(*WAY_TO_PENDING, PlanState.DENIED, plan="denied")
        shown = report(desk=desk)
        assert [each.plan.plan_id for each in await shown.approvals()] == ["pln_waiting"]
        assert len(await shown.plans()) == 2
        assert await shown.plans("inc_none") == ()
        assert (await shown.status())["approvals_waiting"] == 1

    run(scene())


def test_a_click_is_passed_on_and_without_an_executor_there_is_nothing_to_click_on() -> None:
    async def scene() -> None:
        click = ApprovalRequest("pln_1", "hash", ApprovalVerdict.APPROVE, "token")
        desk = ScriptedDesk()
        assert (await report(desk=desk).decide(click)).is_accepted
        assert desk.clicks == [click]
        with pytest.raises(NotFound, match="no executor is configured"):
            await report().decide(click)
        assert await report().approvals() == ()

    run(scene())


def test_news_are_those_of_the_committed_steps() -> None:
    async def scene() -> None:
        shown = report()
        shown.changes.notice(Step(Batch(incidents=(PLAIN,))))
        assert (shown.news(), shown.news("inc_1"), shown.news("inc_2")) == (1, 1, 0)
        assert await shown.wait_news(0, "inc_1") == 1

    run(scene())


def test_what_is_said_of_metrics_is_what_they_said():
    async def told(source: ScriptedMetrics | None) -> JsonValue:
        return await metrics_status(source, EPOCH)

    up = {MetricTemplate.TARGETS_UP_RATIO: several({"node": 1.0, "kubelet": 0.5}, "job")}
    health = MetricsHealth("3.1.0", 2, ("Slow",))
    assert run(told(None)) == "not configured"
    assert run(told(ScriptedMetrics(up, health))) == {
        "is_healthy": True,
        "is_partial": False,
        "warnings": [],
        "version": "3.1.0",
        "jobs": 2,
        "jobs_with_targets_down": ["kubelet"],
        "alerts_firing": 2,
        "rules_failing": ["Slow"],
    }
    slow = run(told(ScriptedMetrics(up, health, delay_seconds=60)))
    assert slow == {"is_healthy": False, "last_error": "no answer within 3 s", "advice": ADVICE}
    for trouble in (Transient("away"), Terminal("not Prometheus")):
        assert run(told(ScriptedMetrics(up, trouble))) == {
            "is_healthy": False,
            "last_error": str(trouble),
            "advice": ADVICE,
        }
    part = {MetricTemplate.TARGETS_UP_RATIO: answer(1.0, "store-1 is away", job="node")}
    partial = run(told(ScriptedMetrics(part, health)))
    assert isinstance(partial, dict)
    assert (partial["is_partial"], partial["warnings"]) == (True, ["store-1 is away"])
