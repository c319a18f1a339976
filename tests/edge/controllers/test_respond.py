"""An incident that wants a plan gets an answer: a plan, or words why there is none; trouble costs a retry, not the answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from opsagent.controllers.fold import Fold
from opsagent.controllers.inputs import Found, Input, Moved, Noted, Unplanned
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.respond import (
    LOG_LINES,
    LOG_LINES_KEPT,
    RETRY_SECONDS,
    SIDE_BY_SIDE,
    Respond,
)
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import Incident
from opsagent.model.kube import entity_of
from opsagent.model.signal import LogRecord, RowType
from opsagent.model.workload import Workload
from opsagent.ports import (
    Advice,
    Forbidden,
    Investigator,
    NotFound,
    Snapshot,
    Terminal,
    Transient,
    Unwritable,
)
from opsagent.runtime.channels import Channel
from opsagent.runtime.supervise import Supervisor
from tests.fakes.chance import MiddleChance
from tests.fakes.cluster import ScriptedCluster
from tests.fakes.desk import ScriptedDesk
from tests.fakes.objects import (
    after,
    crash_looping,
    meta,
    rolling,
    rows,
    running,
    terminated,
    waiting,
)
from tests.fakes.plans import PROPOSAL
from tests.fakes.store import MemoryStore
from tests.fakes.virtual_time import LoopClock, run

I = TypeVar("I", bound=Investigator)  # noqa: E741 - a type

CRASH = rolling([crash_looping(after(20), restarts=2), crash_looping(after(20), restarts=5)])
PULL = rolling([waiting("ErrImagePull", "manifest unknown")])


class LoggingCluster(ScriptedCluster):
    """A reader of one container log; ``asked`` has every (pod, container, previous, lines)."""

    def __init__(self, lines: Sequence[str] = (), trouble: Exception | None = None) -> None:
        super().__init__([])
        self.asked: list[tuple[str, str, bool, int]] = []
        self._lines = lines
        self._trouble = trouble

    async def pod_log(
        self, pod: Entity, container: str, *, previous: bool = False, tail_lines: int = 100
    ) -> tuple[LogRecord, ...]:
        self.asked.append((pod.name, container, previous, tail_lines))
        if self._trouble is not None:
            raise self._trouble
        return tuple(LogRecord(after(19), pod, container, text) for text in self._lines)


class ScriptedInvestigator:
    """``ports.Investigator``: gives or raises each answer once, the last one again and again."""

    def __init__(self, *answers: Advice | Exception) -> None:
        self._answers = list(answers)
        self.asked_at: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None

    async def investigate(self, incident: Incident, workload: Workload, now: object) -> Advice:
        assert incident.entity == entity_of(workload.deployment)
        assert now == LoopClock().now()
        self.asked_at.append(asyncio.get_running_loop().time())
        self.meanwhile()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Bench:
    """A responder on a pipeline with one incident; what it hands to the fold stays in the inbox."""

    def __init__(
        self,
        investigator: ScriptedInvestigator,
        desk: ScriptedDesk | None = None,
        *,
        reader: LoggingCluster | None = None,
        world: Workload = CRASH,
    ) -> None:
        self.pipeline = Pipeline(Snapshot(), b"k" * 32)
        self.channel: Channel[Input] = Channel(1000)
        self._reader = reader or LoggingCluster()
        self._desk = desk
        self.step = Step()
        self.ask(investigator)
        for row in rows(world, at=after(30)):
            step = self.pipeline.observe(row.at, row.type, row.kind, row.item)
            self.step = step if step.wants_plan else self.step

    def ask(self, investigator: I) -> I:
        """Let ``investigator`` be the one who is asked."""
        fold = Fold(self.pipeline, MemoryStore(), LoopClock(), self.channel, beat=lambda: None)
        self.respond = Respond(
            self.pipeline,
            fold,
            reader=self._reader,
            investigator=investigator,
            desk=self._desk,
            clock=LoopClock(),
        )
        return investigator

    @property
    def incident_id(self) -> str:
        (name,) = self.pipeline.book.incidents
        return name

    def handed_in(self) -> list[Input]:
        return self.channel.drain(1000)

    def heal(self) -> None:
        """Let the trouble go by itself."""
        for each in CRASH.pods:
            self.pipeline.observe(after(40), RowType.DELETED, Kind.POD, each)

    def remove(self) -> None:
        """Let somebody delete the Deployment."""
        self.pipeline.observe(after(40), RowType.DELETED, Kind.DEPLOYMENT, CRASH.deployment)


def responding(
    bench: Bench, scene: Callable[[Bench], Awaitable[None]] | None = None, seconds: float = 60
) -> list[Input]:
    """Run the responder, tell it that a plan is wanted, play ``scene``; return what it handed in."""

    async def play() -> None:
        supervisor = Supervisor(MiddleChance())
        for lane in range(SIDE_BY_SIDE):
            supervisor.add(f"respond {lane}", bench.respond.run, silent_seconds_max=None)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(supervisor.run())
            bench.respond.notice(bench.step)
            if scene is not None:
                await scene(bench)
            await asyncio.sleep(seconds)
            running.cancel()

    run(play())
    return bench.handed_in()


def test_a_proposal_goes_to_the_desk_and_comes_back_as_a_plan() -> None:
    desk = ScriptedDesk()
    bench = Bench(ScriptedInvestigator(Advice(PROPOSAL)), desk)
    moved = responding(bench)
    assert moved == [Moved(record) for record in run(desk.plans())]
    assert desk.submitted == [PROPOSAL]


def test_a_step_that_wants_nothing_asks_nobody() -> None:
    investigator = ScriptedInvestigator(Advice(PROPOSAL))
    bench = Bench(investigator)
    bench.step = Step()
    assert responding(bench) == []
    assert investigator.asked_at == []


def test_no_proposal_is_told_with_its_reason() -> None:
    bench = Bench(ScriptedInvestigator(Advice(None, "no runbook is for this")), ScriptedDesk())
    assert responding(bench) == [Unplanned(bench.incident_id, "no runbook is for this")]


def test_how_it_came_about_is_told_first() -> None:
    advice = Advice(None, "none", notes=("a model looked",), investigation_id="inv_1")
    bench = Bench(ScriptedInvestigator(advice))
    name = bench.incident_id
    assert responding(bench) == [
        Noted(name, ("a model looked",), "inv_1"),
        Unplanned(name, "none"),
    ]


def test_without_an_executor_the_proposal_is_a_suggestion() -> None:
    bench = Bench(ScriptedInvestigator(Advice(PROPOSAL)), desk=None)
    (told,) = responding(bench)
    assert isinstance(told, Unplanned)
    assert told.reason == (
        "no executor is configured; a person could undo the rollout to revision 1: "
        "the rollout of revision 2 broke it"
    )


@pytest.mark.parametrize("error", [Forbidden("no right"), NotFound("gone"), Terminal("invalid")])
def test_a_proposal_that_cannot_be_prepared_is_told_to_people(error: Exception) -> None:
    bench = Bench(ScriptedInvestigator(Advice(PROPOSAL)), ScriptedDesk(error))
    reason = f"the executor cannot prepare it: {error}"
    assert responding(bench) == [Unplanned(PROPOSAL.incident_id, reason)]


def test_an_executor_that_cannot_write_its_state_is_no_answer() -> None:
    bench = Bench(ScriptedInvestigator(Advice(PROPOSAL)), ScriptedDesk(Unwritable("full")))
    with pytest.RaisesGroup(Unwritable):
        responding(bench)
    assert bench.handed_in() == []


def test_trouble_that_may_pass_costs_a_retry() -> None:
    investigator = ScriptedInvestigator(Transient("away"), Advice(PROPOSAL))
    desk = ScriptedDesk(Transient("still away"))
    reader = LoggingCluster(["panic: no table"])
    bench = Bench(investigator, desk, reader=reader)
    found, moved = responding(bench)
    assert isinstance(found, Found)
    assert isinstance(moved, Moved)
    assert investigator.asked_at == [0, RETRY_SECONDS, 2 * RETRY_SECONDS]
    assert len(reader.asked) == 1, "what was found once is not looked for again"


def test_a_bug_costs_a_restart_not_the_answer() -> None:
    bench = Bench(ScriptedInvestigator(ZeroDivisionError(), Advice(None, "none")))
    assert responding(bench) == [Unplanned(bench.incident_id, "none")]


def test_an_incident_that_is_over_or_unknown_is_let_go() -> None:
    investigator = ScriptedInvestigator(Advice(PROPOSAL))
    bench = Bench(investigator)
    bench.step = Step(wants_plan=("inc_unknown",))
    assert responding(bench) == []
    assert investigator.asked_at == []


def test_a_deployment_that_is_gone_is_let_go() -> None:
    investigator = ScriptedInvestigator(Advice(PROPOSAL))
    bench = Bench(investigator)
    bench.remove()
    assert responding(bench) == []
    assert investigator.asked_at == []


@pytest.mark.parametrize("passing", [Bench.heal, Bench.remove])
def test_trouble_that_passes_while_somebody_thinks_needs_no_plan(
    passing: Callable[[Bench], None],
) -> None:
    investigator = ScriptedInvestigator(Advice(PROPOSAL))
    desk = ScriptedDesk()
    bench = Bench(investigator, desk)
    investigator.meanwhile = lambda: passing(bench)
    assert responding(bench) == []
    assert desk.submitted == []


def test_the_last_words_of_the_container_that_restarted_most_are_evidence() -> None:
    lines = ["starting", "connecting", "password=hunter2hunter2 refused", "panic: no table"]
    reader = LoggingCluster(lines)
    bench = Bench(ScriptedInvestigator(Advice(None, "none")), reader=reader)
    found = responding(bench)[0]
    assert reader.asked == [("web-rs2-2", "web", True, LOG_LINES)]
    assert isinstance(found, Found)
    texts = [each.text for each in found.evidence]
    assert len(texts) == LOG_LINES_KEPT
    assert texts[-1] == "panic: no table"
    assert "hunter2" not in str(texts)
    assert {each.ref for each in found.evidence} == {"v1/Pod/shop/web-rs2-2"}


def test_a_container_that_was_not_restarted_yet_is_quoted_from_the_run_that_ended() -> None:
    reader = LoggingCluster(["loading everything"])
    killed = rolling([running(is_ready=False, state=terminated(after(19), "OOMKilled", 137))])
    bench = Bench(ScriptedInvestigator(Advice(None, "none")), reader=reader, world=killed)
    found = responding(bench)[0]
    assert reader.asked == [("web-rs2-1", "web", False, LOG_LINES)]
    assert isinstance(found, Found)
    assert [each.text for each in found.evidence] == ["loading everything"]


@pytest.mark.parametrize(
    "trouble", [Transient("away"), NotFound("no such pod"), Forbidden("no"), Terminal("odd")]
)
def test_a_log_that_cannot_be_read_is_done_without(trouble: Exception) -> None:
    reader = LoggingCluster(trouble=trouble)
    bench = Bench(ScriptedInvestigator(Advice(None, "none")), reader=reader)
    assert responding(bench) == [Unplanned(bench.incident_id, "none")]
    assert len(reader.asked) == 1


def test_an_empty_log_is_no_evidence() -> None:
    bench = Bench(ScriptedInvestigator(Advice(None, "none")))
    assert responding(bench) == [Unplanned(bench.incident_id, "none")]


def test_where_nothing_ended_no_log_is_read() -> None:
    reader = LoggingCluster(["hello"])
    bench = Bench(ScriptedInvestigator(Advice(None, "none")), reader=reader, world=PULL)
    assert responding(bench) == [Unplanned(bench.incident_id, "none")]
    assert reader.asked == []


def several(bench: Bench, number: int) -> list[str]:
    """Open incidents of more Deployments, so that there are ``number``; return all that want a plan, in order."""
    for index in range(1, number):
        world = rolling([waiting("ErrImagePull")], meta=meta(f"api-{index}"))
        for row in rows(world, at=after(31)):
            bench.pipeline.observe(row.at, row.type, row.kind, row.item)
    bench.step = bench.pipeline.tick(after(32))
    assert len(bench.step.wants_plan) == number
    return sorted(bench.step.wants_plan)


class SlowInvestigator:
    """``ports.Investigator``: takes ``seconds`` over the incidents in ``slow``; knows who waits for it."""

    def __init__(self, slow: Sequence[str], seconds: float = 300) -> None:
        self._slow = frozenset(slow)
        self._seconds = seconds
        self.begun: list[tuple[float, str]] = []
        self.at_once: set[str] = set()
        self.most_at_once = 0

    async def investigate(self, incident: Incident, workload: Workload, now: object) -> Advice:
        name = incident.incident_id
        assert name not in self.at_once, "one incident, one answer at a time"
        self.begun.append((asyncio.get_running_loop().time(), name))
        self.at_once.add(name)
        self.most_at_once = max(self.most_at_once, len(self.at_once))
        try:
            await asyncio.sleep(self._seconds if name in self._slow else 0)
        finally:
            self.at_once.discard(name)
        return Advice(None, f"looked at {entity_of(workload.deployment)} until {now}")


def told_about(inputs: Sequence[Input]) -> list[str]:
    return [each.incident_id for each in inputs if isinstance(each, Unplanned)]


def test_an_answer_that_takes_minutes_keeps_no_other_waiting() -> None:
    bench = Bench(ScriptedInvestigator(Advice(None)))
    slow, *others = several(bench, 6)
    investigator = bench.ask(SlowInvestigator([slow]))
    assert told_about(responding(bench, seconds=1)) == others
    assert [at for at, _ in investigator.begun] == [0.0] * 6
    assert investigator.at_once == set(), "a responder that is stopped leaves nothing running"


def test_what_is_wanted_again_while_somebody_thinks_is_answered_once() -> None:
    bench = Bench(ScriptedInvestigator(Advice(None)))
    names = several(bench, 2)
    investigator = bench.ask(SlowInvestigator(names))

    async def more_events(bench: Bench) -> None:
        for _ in range(10):
            await asyncio.sleep(10)
            bench.respond.notice(bench.step)

    assert sorted(told_about(responding(bench, more_events, seconds=1000))) == names
    assert [name for _, name in investigator.begun] == names


def test_no_more_are_answered_at_once_than_there_are_lanes_and_those_who_wait_come_in_order() -> (
    None
):
    bench = Bench(ScriptedInvestigator(Advice(None)))
    names = several(bench, 2 * SIDE_BY_SIDE)
    investigator = bench.ask(SlowInvestigator(names))
    assert sorted(told_about(responding(bench, seconds=1000))) == names
    assert investigator.most_at_once == SIDE_BY_SIDE
    assert [name for _, name in investigator.begun] == names


def test_an_incident_that_a_stop_cut_off_is_still_wanted() -> None:
    bench = Bench(ScriptedInvestigator(Advice(None)))
    (name,) = several(bench, 1)
    investigator = bench.ask(SlowInvestigator([name]))

    async def two_lives() -> None:
        bench.respond.notice(bench.step)
        for seconds in (10, 400):
            async with asyncio.TaskGroup() as group:
                lane = group.create_task(bench.respond.run())
                await asyncio.sleep(seconds)
                lane.cancel()

    run(two_lives())
    assert told_about(bench.handed_in()) == [name]
    assert [at for at, _ in investigator.begun] == [0, 10 + RETRY_SECONDS]


def test_an_incident_whose_answer_fails_for_ever_keeps_none_of_the_others_from_theirs() -> None:
    class Poisoned(SlowInvestigator):
        async def investigate(self, incident: Incident, workload: Workload, now: object) -> Advice:
            if incident.incident_id in self._slow:
                raise ZeroDivisionError
            return await super().investigate(incident, workload, now)

    bench = Bench(ScriptedInvestigator(Advice(None)))
    poison, *others = several(bench, 2)
    bench.ask(Poisoned([poison]))

    async def another(bench: Bench) -> None:
        await asyncio.sleep(60)
        bench.respond.notice(Step(wants_plan=tuple(others)))

    with capture_logs() as logs:
        told = told_about(responding(bench, another, seconds=RETRY_SECONDS))
    assert told == others * 2
    assert {each["task"] for each in logs} == {f"respond {lane}" for lane in range(SIDE_BY_SIDE)}


def test_one_incident_in_trouble_does_not_keep_the_next_from_its_answer() -> None:
    investigator = ScriptedInvestigator(Transient("away"), Advice(None, "none"))
    bench = Bench(investigator)
    of_web, of_api = several(bench, 2)
    told = responding(bench)
    assert told == [Unplanned(of_api, "none"), Unplanned(of_web, "none")]
    assert investigator.asked_at == [0, 0, RETRY_SECONDS]
