"""The simulated Alertmanager by itself, on time by hand. That it tells what a real one does, its contract suite shows."""

import datetime as dt
import json
from typing import Any

import pytest

from opsagent.sim.alertmanager import Alertmanager
from tests.fakes.virtual_time import EPOCH


def at(seconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=seconds)


def post(manager: Alertmanager, seconds: float, **labels: str) -> None:
    alert = {"labels": {"namespace": "shop"} | labels}
    body = json.dumps([alert]).encode()
    assert manager.handle("POST", "/api/v2/alerts", body, at(seconds)).status == 200


def told(manager: Alertmanager, seconds: float) -> list[tuple[str, list[str]]]:
    """Return (status, status of each alert) of every body due."""
    bodies: list[dict[str, Any]] = [json.loads(body) for body in manager.flush(at(seconds))]
    return [(body["status"], [each["status"] for each in body["alerts"]]) for body in bodies]


def test_it_waits_for_a_group_and_then_for_an_interval():
    manager = Alertmanager()
    assert manager.next_due() is None
    post(manager, 0, alertname="A", pod="1")
    post(manager, 5, alertname="A", pod="2")
    assert told(manager, 9) == []
    assert manager.next_due() == at(10)
    assert told(manager, 10) == [("firing", ["firing", "firing"])]
    post(manager, 11, alertname="A", pod="3")
    assert told(manager, 11) == []
    assert told(manager, 310) == [("firing", ["resolved", "resolved", "firing"])]


def test_what_goes_on_is_repeated_after_hours_and_not_before():
    manager = Alertmanager()
    times = []
    for seconds in range(0, 6 * 3600, 60):
        post(manager, seconds, alertname="A")
        times += [seconds] * len(told(manager, seconds))
    assert times == [60, 60 + 4 * 3600]


def test_what_is_not_posted_again_ends_and_its_group_goes():
    manager = Alertmanager()
    post(manager, 0, alertname="A")
    assert told(manager, 10) == [("firing", ["firing"])]
    assert told(manager, 310) == [("resolved", ["resolved"])]
    assert manager.next_due() is None


def test_what_ended_before_anybody_was_told_is_not_told():
    manager = Alertmanager()
    ended = {
        "labels": {"alertname": "A"},
        "endsAt": at(3).isoformat(),
        "startsAt": at(1).isoformat(),
    }
    manager.handle("POST", "/api/v2/alerts", json.dumps([ended]).encode(), at(2))
    assert told(manager, 20) == []
    assert manager.next_due() is None


def test_an_alert_that_goes_on_keeps_its_beginning():
    manager = Alertmanager()
    post(manager, 0, alertname="A")
    post(manager, 60, alertname="A")
    (shown,) = json.loads(manager.handle("GET", "/api/v2/alerts", b"", at(61)).body)
    assert shown["startsAt"] == "2026-01-05T00:00:00.000000Z"
    assert shown["updatedAt"] == "2026-01-05T00:01:00.000000Z"


@pytest.mark.parametrize(
    ("starts", "ends", "state"), [(0, 10, "active"), (5, 10, "pending"), (0, 1, "expired")]
)
def test_a_silence_has_its_time(starts: int, ends: int, state: str):
    manager = Alertmanager()
    silence = {
        "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": False}],
        "startsAt": at(starts).isoformat(),
        "endsAt": at(ends).isoformat(),
    }
    manager.handle("POST", "/api/v2/silences", json.dumps(silence).encode(), at(0))
    (shown,) = json.loads(manager.handle("GET", "/api/v2/silences", b"", at(2)).body)
    assert shown["status"] == {"state": state}
    post(manager, 2, alertname="A")
    post(manager, 2, alertname="B")
    shown = json.loads(manager.handle("GET", "/api/v2/alerts", b"", at(2)).body)
    states = {each["labels"]["alertname"]: each["status"]["state"] for each in shown}
    assert states == {"A": "active", "B": "suppressed" if state == "active" else "active"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/alerts"), ("DELETE", "/api/v2/silence/none")]
)
def test_what_it_does_not_have_is_not_found(method: str, path: str):
    assert Alertmanager().handle(method, path, b"", at(0)).status == 404
