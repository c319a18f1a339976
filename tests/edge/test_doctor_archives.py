"""An archive that will not work is found before the start, by name, with what to do."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opsagent.doctor_telemetry import telemetry
from opsagent.finding import Finding, Verdict
from opsagent.ports import Clock, KubeAnswer
from opsagent.runtime.clock import SystemClock
from opsagent.settings import Settings
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.loki import Loki
from opsagent.sim.tempo import Tempo
from opsagent.sim.victorialogs import VictoriaLogs
from tests.fakes.http_server import Reply, Request, serve


async def found(clock: Clock | None = None, **sections: Any) -> list[Finding]:
    settings = Settings.model_validate(sections)
    return [each async for each in telemetry(settings, clock or SystemClock())]


def logs(url: str, **more: Any) -> dict[str, Any]:
    return {"kind": "loki", "url": url} | more


def loki(namespace: str = "shop", *, age_minutes: float = 5) -> Loki:
    box = Loki()
    at = SystemClock().now() - dt.timedelta(minutes=age_minutes)
    box.shelf.put(at, "a", {"namespace": namespace, "pod": "cart-0"}, "fake")
    return box


async def test_nothing_configured_is_nothing_found() -> None:
    assert await found() == []


async def test_an_archive_with_lines_is_well() -> None:
    async with archive_serving(loki()) as url:
        for places in (
            {"kubernetes": {"namespaces": ["shop"]}},
            {"policy": {"namespaces": ["shop"]}},
        ):
            (finding,) = await found(log_archive=logs(url), **places)
            assert finding == Finding("log_archive", Verdict.OK, "loki has lines of the last hour")
    async with archive_serving(loki("opsagent")) as url:
        (finding,) = await found(log_archive=logs(url))
        assert finding.verdict is Verdict.OK


async def test_one_without_lines_of_a_namespace_is_a_warning() -> None:
    places = {"kubernetes": {"namespaces": ["shop", "other"]}}
    async with archive_serving(loki()) as url:
        (finding,) = await found(log_archive=logs(url), **places)
        assert finding.verdict is Verdict.WARN
        assert "no line of the last hour from other" in finding.text
        (finding,) = await found(log_archive=logs(url, namespace_field="ns"), **places)
        assert "from shop, other" in finding.text
        assert "'ns'; else set log_archive.namespace_field" in finding.advice
    async with archive_serving(loki(age_minutes=61)) as url:
        (finding,) = await found(log_archive=logs(url), kubernetes={"namespaces": ["shop"]})
        assert finding.verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("box", "section", "said"),
    [
        (VictoriaLogs(), {"log_archive": {"kind": "loki"}}, "log_archive: 400 unsupported path"),
        (Tempo(), {"log_archive": {"kind": "loki"}}, "log_archive: 404"),
        (Loki(), {"log_archive": {"kind": "victorialogs"}}, "log_archive: 404"),
        (Loki(), {"trace_archive": {}}, "trace_archive: 404"),
        (Loki(is_multi_tenant=True), {"log_archive": {"kind": "loki"}}, "401 no org id"),
    ],
)
async def test_one_of_another_kind_fails(box: Any, section: dict[str, Any], said: str) -> None:
    async with archive_serving(box) as url:
        (finding,) = await found(**{name: {"url": url} | more for name, more in section.items()})
    assert finding.verdict is Verdict.FAIL
    assert said in finding.text
    assert f"correct the {finding.check} section, or leave it out" in finding.advice


async def test_one_that_is_away_or_wants_a_token_fails(tmp_path: Path) -> None:
    token = tmp_path / "token"
    for check, more in (("log_archive", {"kind": "victorialogs"}), ("trace_archive", {})):
        (finding,) = await found(**{check: {"url": "http://127.0.0.1:9"} | more})
        assert (finding.check, finding.verdict) == (check, Verdict.FAIL)
        assert "ConnectError" in finding.text
        async with archive_serving(Tempo(), token="secret") as url:
            (finding,) = await found(**{check: {"url": url, "token_file": token} | more})
        assert "token file" in finding.text


async def test_a_page_for_people_is_no_archive() -> None:
    async def page(_request: Request) -> Reply:
        return Reply(200, (b"<!doctype html><title>Welcome</title>",))

    async with serve(page) as server:
        findings = await found(
            log_archive={"kind": "victorialogs", "url": server.url},
            trace_archive={"url": server.url},
        )
    assert [each.verdict for each in findings] == [Verdict.FAIL, Verdict.FAIL]
    assert all("no known form" in each.text for each in findings)


async def test_a_tempo_that_answers_is_well() -> None:
    async with archive_serving(Tempo()) as url:
        (finding,) = await found(trace_archive={"url": url})
    assert finding == Finding("trace_archive", Verdict.OK, "Tempo answers")


async def test_what_cannot_tell_who_calls_whom_is_a_warning_unless_nobody_asks() -> None:
    class Plain(Tempo):
        """Speaks the API, but knows no parents of spans."""

        def handle(
            self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]
        ) -> KubeAnswer:
            if " > " in parameters.get("q", ""):
                return KubeAnswer(400, b"structural operators are not supported\n")
            return super().handle(path, parameters, headers)

    async with archive_serving(Plain()) as url:
        (finding,) = await found(trace_archive={"url": url})
        assert finding.verdict is Verdict.WARN
        assert "who calls whom: trace_archive: 400 structural operators" in finding.text
        assert "trace_archive.follow" in finding.advice
        (finding,) = await found(trace_archive={"url": url, "follow": False})
        assert finding.verdict is Verdict.OK
