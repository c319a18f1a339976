"""What an Alertmanager tells and shows: the same from the simulated one and from Debian's."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.alertmanager_wire import reported
from opsagent.model.alert import AlertState
from opsagent.runtime.clock import SystemClock
from tests.contracts.alertmanager.environment import Environment, World, everywhere, real, sim

pytestmark = pytest.mark.timeout(60)

HOUR = dt.timedelta(hours=1)


def stamp(ahead: dt.timedelta) -> str:
    return (SystemClock().now() + ahead).isoformat()


async def mute(world: World, name: str, value: str, *, is_regex: bool = False) -> str:
    matcher = {"name": name, "value": value, "isRegex": is_regex}
    silence = {
        "matchers": [matcher],
        "startsAt": stamp(-HOUR),
        "endsAt": stamp(HOUR),
        "createdBy": "alice",
        "comment": "known",
    }
    answer = await world.post("/api/v2/silences", silence)
    return answer["silenceID"]


@everywhere
async def test_an_alert_is_told_once_in_a_body_that_we_can_read(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as world:
        await world.alert(alertname="KubePodCrashLooping", pod="web-1")
        body = await world.told(1)
        (alert,) = reported(world.bodies[0])
        assert alert.labels == {
            "alertname": "KubePodCrashLooping",
            "namespace": "shop",
            "pod": "web-1",
            "severity": "warning",
        }
        assert alert.annotations == {"summary": "It hurts."}
        assert (alert.state, alert.ends_at) == (AlertState.FIRING, None)
        assert body["status"] == "firing"
        assert body["groupLabels"] == {"alertname": "KubePodCrashLooping", "namespace": "shop"}
        await world.alert(alertname="KubeJobFailed")
        await world.told(2)
        assert len(world.bodies) == 2


@everywhere
async def test_its_end_is_told(environment: Environment, tmp_path: Path) -> None:
    async with environment(tmp_path) as world:
        await world.alert(alertname="A")
        await world.told(1)
        await world.alert(alertname="A", ends_at=stamp(dt.timedelta(0)))
        body = await world.told(2)
        assert body["status"] == "resolved"
        (alert,) = reported(world.bodies[1])
        assert alert.state is AlertState.RESOLVED
        assert alert.ends_at is not None


@everywhere
async def test_those_of_one_group_are_told_together(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as world:
        await world.alert(alertname="A", pod="1")
        await world.alert(alertname="A", pod="2")
        await world.told(1)
        assert sorted(each.labels["pod"] for each in reported(world.bodies[0])) == ["1", "2"]
        await world.alert(alertname="A", pod="3")
        await world.told(2)
        assert len(reported(world.bodies[1])) == 3


@everywhere
async def test_what_stands_can_be_read_with_what_mutes_it(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as world:
        await world.alert(alertname="A", pod="1")
        await world.alert(alertname="B", pod="2")
        silence = await mute(world, "alertname", "A|C", is_regex=True)

        async def muted() -> Any:
            found = await world.client.alerts()
            return found if any(each.silenced_by for each in found) else None

        standing = await world.eventually(muted, "a muted alert")
        by_name = {each.alert.labels["alertname"]: each for each in standing}
        assert by_name["A"].silenced_by == (silence,)
        assert by_name["B"].silenced_by == ()
        assert by_name["A"].alert.annotations == {"summary": "It hurts."}
        (found,) = await world.client.silences()
        assert found.silence_id == silence
        assert found.matchers == ('alertname=~"A|C"',)
        assert (found.is_active, found.author, found.comment) == (True, "alice", "known")


@everywhere
async def test_what_is_muted_is_not_told_until_it_no_longer_is(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as world:
        silence = await mute(world, "alertname", "A")
        await world.alert(alertname="A")
        await world.alert(alertname="B")
        await world.told(1)
        assert [each.labels["alertname"] for each in reported(world.bodies[0])] == ["B"]
        answer = await world.http.delete(f"{world.url}/api/v2/silence/{silence}")
        assert answer.status_code == 200
        await world.told(2)
        assert [each.labels["alertname"] for each in reported(world.bodies[1])] == ["A"]
        assert await world.client.silences() == ()


def shape(value: Any) -> Any:
    """Return keys and types of a JSON value; of lists, of the first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


async def everything(world: World) -> dict[str, Any]:
    """Return the shapes of all that is sent and shown."""
    await world.alert(alertname="A", pod="1")
    firing = await world.told(1)
    await world.alert(alertname="A", pod="1", ends_at=stamp(dt.timedelta(0)))
    resolved = await world.told(2)
    await world.alert(alertname="B")
    await mute(world, "alertname", "B")
    alerts = (await world.http.get(f"{world.url}/api/v2/alerts")).json()
    silences = (await world.http.get(f"{world.url}/api/v2/silences")).json()
    key = "fingerprint"
    assert len(firing["alerts"][0][key]) == len(alerts[0][key]) == 16
    assert firing["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert firing["groupKey"] == '{}:{alertname="A", namespace="shop"}'
    assert firing["commonLabels"]["pod"] == "1"
    return {
        "firing": shape(firing),
        "resolved": shape(resolved),
        "alerts": shape(alerts),
        "silences": shape(silences),
    }


@pytest.mark.lab
async def test_bodies_and_lists_are_equal_in_shape(tmp_path: Path) -> None:
    async with sim(tmp_path) as simulated:
        mine = await everything(simulated)
    async with real(tmp_path) as debian:
        theirs = await everything(debian)
    assert mine == theirs
