"""A Prometheus or an Alertmanager's token that will not work is found before the start, by name, with what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opsagent import doctor_telemetry
from opsagent.doctor import Finding, Verdict
from opsagent.runtime.clock import SystemClock
from opsagent.sim.prometheus import Prometheus
from opsagent.sim.prometheus_server import prometheus_serving
from tests.edge.test_doctor import findings
from tests.fakes.http_server import Reply, Request, serve
from tests.fakes.served_shop import Served, served_shop

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def watched_shop(folder: Path) -> AsyncIterator[tuple[Served, Prometheus, str]]:
    async with served_shop(folder) as served:
        prometheus = Prometheus(served.cluster)
        async with prometheus_serving(prometheus, SystemClock(), token="secret") as url:
            (folder / "token").write_text("secret\n")
            yield served, prometheus, url


async def found(served: Served, url: str, **more: Any) -> Finding:
    metrics = {"url": url, "token_file": "token"} | more
    return (await findings(served.write_config(metrics=metrics)))["metrics"]


async def test_a_source_that_answers_is_named_by_its_version(tmp_path: Path) -> None:
    async with watched_shop(tmp_path) as (served, _, url):
        finding = await found(served, url)
    assert finding == Finding("metrics", Verdict.OK, "Prometheus 2.42.0 answers")


async def test_a_source_that_is_away_or_refuses_fails(tmp_path: Path) -> None:
    async with watched_shop(tmp_path) as (served, prometheus, url):
        assert "ConnectionError" in (await found(served, "http://127.0.0.1:9")).text
        (tmp_path / "token").write_text("wrong")
        assert "401" in (await found(served, url)).text
        (tmp_path / "token").unlink()
        assert "token file" in (await found(served, url)).text
        (tmp_path / "token").write_text("secret")
        (tmp_path / "ca").write_text("none")
        assert "metrics.ca_file" in (await found(served, url, ca_file="ca")).text
        prometheus.refusals.append(422)
        finding = await found(served, url)
    assert finding.verdict is Verdict.FAIL
    assert "422" in finding.text
    assert "metrics section" in finding.advice


async def test_a_source_that_is_silent_is_said_to_be_and_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silence(_: Request) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(doctor_telemetry, "SECONDS_MAX", 0.2)
    async with serve(silence) as server, watched_shop(tmp_path) as (served, _, _):
        finding = await found(served, server.url)
    assert finding.text == "metrics: timed out after 0.2 s"
    assert finding.advice.startswith("check that metrics.url is right and can be reached from here")


async def test_a_source_that_knows_no_deployment_or_answers_in_part_is_a_warning(
    tmp_path: Path,
) -> None:
    async with watched_shop(tmp_path) as (served, prometheus, url):
        prometheus.warnings.append("store-1 is away")
        finding = await found(served, url)
        assert (finding.verdict, "['shop']" in finding.text) == (Verdict.WARN, True)
        prometheus.warnings.clear()
        metrics = {"url": url, "token_file": "token"}
        config = served.write_config(
            metrics=metrics, policy={"level": "approve", "namespaces": ["elsewhere"]}
        )
        finding = (await findings(config))["metrics"]
    assert finding.verdict is Verdict.WARN
    assert "no Deployment known in ['elsewhere']" in finding.text
    assert "kube-state-metrics" in finding.advice


@pytest.mark.parametrize(
    ("content", "verdict"), [("secret", Verdict.OK), ("", Verdict.WARN), (None, Verdict.FAIL)]
)
async def test_an_alertmanagers_token_has_to_be_there(
    tmp_path: Path, content: str | None, verdict: Verdict
) -> None:
    async with served_shop(tmp_path) as served:
        if content is not None:
            (tmp_path / "hook").write_text(content)
        config = served.write_config(alertmanager={"token_file": "hook"})
        finding = (await findings(config))["alertmanager"]
    assert finding.verdict is verdict
