"""The webhook as an Alertmanager meets it: which token opens it, what it takes, and what makes the sender try again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from opsagent.api.alertmanager import BODY_BYTES_MAX
from opsagent.api.app import Alerts, create_app
from opsagent.model.alert import AlertState, ReportedAlert
from opsagent.ports import Transient
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.webhooks import body, told

TOKEN, THEIRS = "the-daemons-token", "alertmanagers-token"
PATH = "/v1/alertmanager"


class RecordingIntake:
    def __init__(self, failure: Exception | None = None) -> None:
        self.taken: list[ReportedAlert] = []
        self.refused = 0
        self._failure = failure

    def refuse(self) -> None:
        self.refused += 1

    async def take(self, alerts: tuple[ReportedAlert, ...]) -> None:
        if self._failure is not None:
            raise self._failure
        self.taken += alerts


@asynccontextmanager
async def asked(
    intake: RecordingIntake | None, token: str = THEIRS
) -> AsyncIterator[httpx2.AsyncClient]:
    alerts = None if intake is None else Alerts(intake, THEIRS)
    app = create_app(ScriptedView(), TOKEN, fresh_sessions(), alerts)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:
        yield client


async def test_alerts_are_taken_with_all_that_is_known_of_them() -> None:
    intake = RecordingIntake()
    async with asked(intake) as client:
        answer = await client.post(PATH, content=body(told(pod="web-1"), told("resolved")))
    assert (answer.status_code, answer.json()) == (200, {"taken": 2})
    firing, over = intake.taken
    assert firing.labels["pod"] == "web-1"
    assert firing.annotations["summary"] == "Pod is crash looping."
    assert (firing.state, firing.ends_at) == (AlertState.FIRING, None)
    assert over.state is AlertState.RESOLVED
    assert over.ends_at is not None
    assert firing.starts_at.isoformat() == "2026-01-05T00:00:50.123456+00:00"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN])
async def test_only_its_own_token_opens_it(token: str) -> None:
    intake = RecordingIntake()
    async with asked(intake, token) as client:
        answer = await client.post(PATH, content=body(told()))
    assert answer.status_code == 401
    assert not intake.taken


@pytest.mark.parametrize("path", ["/v1/status", "/v1/incidents", "/v1/alertmanager/", "/v1"])
async def test_its_token_opens_nothing_else(path: str) -> None:
    async with asked(RecordingIntake()) as client:
        assert (await client.get(path)).status_code == 401


async def test_without_a_section_in_the_configuration_there_is_no_such_path() -> None:
    async with asked(None) as client:
        assert (await client.post(PATH, content=body(told()))).status_code == 401
    async with asked(None, TOKEN) as client:
        assert (await client.post(PATH, content=body(told()))).status_code == 404


async def test_it_only_takes_and_shows_nothing() -> None:
    async with asked(RecordingIntake()) as client:
        assert (await client.get(PATH)).status_code == 405


async def test_later_is_said_so_that_the_sender_tries_again() -> None:
    async with asked(RecordingIntake(Transient("this replica does not lead"))) as client:
        answer = await client.post(PATH, content=body(told()))
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "this replica does not lead"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "Invalid JSON"),
        (b"{}", "version: Field required"),
        (body(told(), version="5"), "version"),
        (body(told() | {"status": "pending"}), "alerts.0.status"),
        (body(told() | {"startsAt": "yesterday"}), "alerts.0.startsAt"),
        (body(told() | {"startsAt": "2026-01-05T00:00:00"}), "alerts.0.startsAt"),
        (body(told() | {"labels": {"password-like": 7}}), "alerts.0.labels: "),
        (body(*[told()] * 1001), "alerts: "),
    ],
)
async def test_what_can_never_be_read_is_refused_without_repeating_it(
    sent: bytes, words: str
) -> None:
    intake = RecordingIntake()
    async with asked(intake) as client:
        answer = await client.post(PATH, content=sent)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert words in message
    assert "password-like" not in message
    assert not intake.taken
    assert intake.refused == 1


async def test_too_much_is_refused() -> None:
    intake = RecordingIntake()
    async with asked(intake) as client:
        answer = await client.post(PATH, content=b" " * (BODY_BYTES_MAX + 1))
        assert answer.status_code == 413
        assert intake.refused == 1
        whole = body(told())
        padded = whole + b" " * (BODY_BYTES_MAX - len(whole))
        assert (await client.post(PATH, content=padded)).status_code == 200


async def test_labels_are_bounded_the_same_every_time() -> None:
    intake = RecordingIntake()
    many = {f"label_{number:03}": "x" * 5000 for number in range(100)} | {"y" * 200: "long name"}
    for _ in range(2):
        async with asked(intake) as client:
            await client.post(PATH, content=body(told(**many)))
    first, second = intake.taken
    assert first.labels == second.labels
    assert len(first.labels) == 64
    assert max(map(len, first.labels.values())) == 1024
    assert max(map(len, first.labels)) < 128


async def test_years_that_no_calendar_has_do_not_break_it() -> None:
    intake = RecordingIntake()
    alert = told("resolved") | {
        "startsAt": "0001-01-01T00:00:00+14:00",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    async with asked(intake) as client:
        assert (await client.post(PATH, content=body(alert))).status_code == 200
