"""Alerts in a recording: asked of an Alertmanager, redacted, repeated, ended; their absence is said."""

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.alertmanager import AlertmanagerClient
from opsagent.clients.alertmanager_wire import reported, webhook
from opsagent.model.alert import AlertState, ReportedAlert, StandingAlert
from opsagent.model.canonical import canonical, instant
from opsagent.ports import Transient
from opsagent.record import NO_ALERTMANAGER, Source, Wish, record
from opsagent.runtime.retry import SystemChance
from opsagent.sim import Fault, fault_patch
from opsagent.sim.alertmanager import Alertmanager
from opsagent.sources.alert_poll import POLL_SECONDS, REPEAT, AlertPoll
from opsagent.sources.recording import ALERTS_FILE, Recording
from tests.edge.test_record import KEY, TOKEN, Box, in_box
from tests.fakes.virtual_time import EPOCH, LoopClock, run

LABELS = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "warning"}
Standing = Callable[[], Awaitable[Sequence[StandingAlert]]]


class InProcess:
    """Reads of an Alertmanager in this process, as ``RestReader`` reads."""

    def __init__(self, server: Alertmanager) -> None:
        self._server = server

    async def get(self, path: str) -> tuple[int, bytes]:
        answer = self._server.handle("GET", path, b"", LoopClock().now())
        return answer.status, answer.body


def fires(server: Alertmanager, **labels: str) -> None:
    annotations = {"summary": f"It crashes with {TOKEN}."}
    alert = {"labels": LABELS | labels, "annotations": annotations}
    server.handle("POST", "/api/v2/alerts", canonical([alert]), LoopClock().now())


async def recording(box: Box, standing: Standing | None, seconds: float, *names: str) -> None:
    source = Source(box.transport(), box.clock, SystemChance(7), KEY, standing)
    wish = Wish(box.folder, namespaces=names, seconds=seconds)
    await record(wish, source, box.stop, box.said.append)


def lines(box: Box) -> list[Any]:
    return [json.loads(each) for each in (box.folder / ALERTS_FILE).read_text().splitlines()]


def test_what_fires_is_recorded_redacted_and_replays_to_the_incident(tmp_path: Path) -> None:
    async def scene(box: Box) -> None:
        server = Alertmanager()
        standing = AlertmanagerClient(InProcess(server)).alerts  # type: ignore[arg-type]  # reads as it does
        async with asyncio.TaskGroup() as group:
            group.create_task(recording(box, standing, 90))
            await asyncio.sleep(20)
            fires(server, deployment="web")
            await asyncio.sleep(5)
            await box.patch(fault_patch(Fault.CRASH_LOOP))

    box = in_box(tmp_path, scene)
    (line,) = lines(box)
    assert line["ts"] == instant(EPOCH + dt.timedelta(seconds=2 * POLL_SECONDS))
    assert TOKEN.encode() not in box.bytes()
    assert "[redacted" in json.dumps(line)
    assert box.said[-1] == "1 times an alert that fires or ended"
    header = Recording(box.folder).header
    assert header.end is not None
    assert header.notes == ""
    (incident,) = box.replayed()
    kinds = {each["kind"] for top in incident["diagnoses"] for each in top["evidence"]}
    assert incident["diagnoses"][0]["cause"] == "bad_rollout"
    assert "alert" in kinds


def test_without_an_alertmanager_the_header_says_so_from_the_first_moment(tmp_path: Path) -> None:
    notes: list[str] = []

    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(recording(box, None, 30))
            await asyncio.sleep(5)
            notes.append(Recording(box.folder).header.notes)

    box = in_box(tmp_path, scene)
    assert [*notes, Recording(box.folder).header.notes] == [NO_ALERTMANAGER] * 2
    assert not (box.folder / ALERTS_FILE).exists()


def test_an_alertmanager_that_never_answers_is_named_in_header_and_summary(tmp_path: Path) -> None:
    async def away() -> Sequence[StandingAlert]:
        raise Transient("alertmanager: ConnectError")

    async def scene(box: Box) -> None:
        await recording(box, away, 30)

    box = in_box(tmp_path, scene)
    assert Recording(box.folder).header.notes == "alerts are absent: alertmanager: ConnectError"
    assert box.said[-1] == "alerts: alertmanager: ConnectError"
    assert lines(box) == []


def standing(silenced_by: tuple[str, ...] = (), **labels: str) -> StandingAlert:
    alert = ReportedAlert(
        LABELS | labels, {"summary": "It crashes."}, AlertState.FIRING, EPOCH, None
    )
    return StandingAlert(alert, silenced_by)


class Answers:
    """What an Alertmanager holds, as a test changes it; None: it does not answer."""

    def __init__(self, *alerts: StandingAlert) -> None:
        self.held: Sequence[StandingAlert] | None = alerts

    async def __call__(self) -> Sequence[StandingAlert]:
        if self.held is None:
            raise Transient("503")
        return self.held


def polled(
    answers: Answers, scene: Callable[[], Awaitable[None]], *namespaces: str
) -> list[tuple[float, list[tuple[str, str]]]]:
    """Return what was told, each with its second: (part, state) of each alert."""
    told: list[tuple[float, list[tuple[str, str]]]] = []

    def sink(at: dt.datetime, alerts: Sequence[ReportedAlert]) -> None:
        parts = [(each.labels.get("part", ""), each.state.value) for each in alerts]
        told.append(((at - EPOCH).total_seconds(), parts))

    async def play() -> None:
        poll = AlertPoll(answers, sink, LoopClock(), namespaces)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(poll.run())
            await scene()
            running.cancel()

    run(play())
    return told


def test_what_stands_is_told_once_and_again_each_hour_and_what_is_gone_has_ended() -> None:
    answers = Answers(standing(part="a"))

    async def scene() -> None:
        await asyncio.sleep(20)
        answers.held = (standing(part="a"), standing(part="b"))
        await asyncio.sleep(REPEAT.total_seconds())
        answers.held = (standing(part="b"),)
        await asyncio.sleep(20)

    hour = REPEAT.total_seconds()
    assert polled(answers, scene) == [
        (0, [("a", "firing")]),
        (30, [("b", "firing")]),
        (hour, [("a", "firing")]),
        (hour + 30, [("b", "firing"), ("a", "resolved")]),
    ]


def test_an_answer_that_does_not_come_ends_no_alert() -> None:
    answers = Answers(standing(part="a"))

    async def scene() -> None:
        await asyncio.sleep(20)
        answers.held = None
        await asyncio.sleep(200)
        answers.held = (standing(part="a"),)
        await asyncio.sleep(20)

    assert polled(answers, scene) == [(0, [("a", "firing")])]


def test_what_is_muted_from_the_first_is_left_out_until_it_is_not() -> None:
    answers = Answers(standing(("s1",), part="a"))

    async def scene() -> None:
        await asyncio.sleep(20)
        answers.held = (standing(part="a"),)
        await asyncio.sleep(20)
        answers.held = (standing(("s1",), part="a"),)
        await asyncio.sleep(20)

    assert polled(answers, scene) == [(30, [("a", "firing")])]


def test_of_some_namespaces_only_their_alerts_are_told_and_those_of_none() -> None:
    answers = Answers(
        standing(part="ours"),
        standing(part="theirs", namespace="bank"),
        standing(part="none", namespace=""),
    )

    async def scene() -> None:
        await asyncio.sleep(1)

    assert polled(answers, scene, "shop") == [(0, [("ours", "firing"), ("none", "firing")])]


@pytest.mark.parametrize("state", [AlertState.FIRING, AlertState.RESOLVED])
def test_what_is_written_as_a_webhook_body_is_read_back_the_same(state: AlertState) -> None:
    ends_at = None if state is AlertState.FIRING else EPOCH + dt.timedelta(minutes=1)
    alert = ReportedAlert(LABELS, {"summary": "é"}, state, EPOCH, ends_at)
    assert reported(canonical(webhook([alert]))) == (alert,)
