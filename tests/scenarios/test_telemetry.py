"""The whole daemon with a Prometheus and an Alertmanager beside the shop: a second witness, and alerts from outside."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from opsagent.app import Daemon
from opsagent.clients.daemon import read_address
from opsagent.controllers.report import Report
from opsagent.guard.policy import Level
from opsagent.guard.verification import NO_METRICS
from opsagent.model.canonical import canonical
from opsagent.model.incident import EntryKind, Incident, IncidentState
from opsagent.model.plan import ApprovalRequest, ApprovalVerdict
from opsagent.ports import Clock, MetricsSource
from opsagent.settings import ExecutorSettings, MetricsSettings, PolicySettings, Settings
from opsagent.sim import (
    ADMIN,
    ALICE,
    EXECUTOR,
    OPSAGENT,
    SHOP,
    Cluster,
    Fault,
    SimTransport,
    drive,
    fault_patch,
    shop,
)
from opsagent.sim.alertmanager import Alertmanager, Timing
from opsagent.sim.alertmanager_server import alertmanager_serving
from opsagent.sim.prometheus import Prometheus, SimMetrics
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.scaled_time import ScaledLoop
from tests.fakes.virtual_time import LoopClock, run
from tests.fakes.worlds import world_of
from tests.scenarios.stage import until

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
TOKEN = "alertmanagers-token"
WINDOW_SECONDS = 60


@dataclass
class Place:
    """A daemon at work on the shop."""

    cluster: Cluster
    clock: Clock
    report: Report
    state: Path

    async def break_web(self) -> None:
        transport = SimTransport(self.cluster, self.cluster.access.token(ADMIN), self.clock)
        answer = await transport.request(
            "PATCH",
            WEB,
            body=canonical(fault_patch(Fault.CRASH_LOOP)),
            content_type="application/strategic-merge-patch+json",
        )
        assert answer.status == 200

    async def approve(self) -> None:
        async def offered() -> object:
            return await self.report.approvals()

        await until(offered, seconds=300)
        (record,) = await self.report.approvals()
        token = self.cluster.access.token(ALICE)
        click = ApprovalRequest(
            record.plan.plan_id, record.plan.plan_hash, ApprovalVerdict.APPROVE, token
        )
        assert (await self.report.decide(click)).is_accepted

    async def incident(self) -> Incident:
        (found,) = await self.report.incidents(10)
        return found

    async def until(self, is_so: Callable[[Incident], object], seconds: float = 900) -> Incident:
        async def look() -> object:
            found = await self.report.incidents(10)
            return bool(found) and is_so(found[0])

        await until(look, seconds=seconds)
        return await self.incident()


@asynccontextmanager
async def place(
    state: Path,
    make_metrics: Callable[[Cluster, Clock], MetricsSource] | None,
    *,
    is_serving: bool = False,
) -> AsyncIterator[Place]:
    clock = LoopClock()
    cluster = shop(clock.now())
    metrics = make_metrics and make_metrics(cluster, clock)

    def transport(user: str) -> SimTransport:
        return SimTransport(cluster, cluster.access.token(user), clock)

    policy = PolicySettings(
        level=Level.APPROVE, namespaces=(SHOP,), verify_window_seconds=WINDOW_SECONDS
    )
    section = MetricsSettings(url="http://in.this.process", scrape_seconds=15)
    settings = Settings(
        state_dir=state, executor=ExecutorSettings(), policy=policy, metrics=section
    )
    world = world_of(
        clock=clock,
        cluster=transport(OPSAGENT),
        hands=transport(EXECUTOR),
        notifier=RecordingNotifier(),
        metrics=metrics,
        alertmanager_token=TOKEN,
        is_serving=is_serving,
    )
    daemon = Daemon(settings, world)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(drive(cluster, clock)), group.create_task(daemon.run())]
        report = await daemon.report()

        async def is_ready() -> bool:
            return report.term is not None and not report.unready()

        await until(is_ready, seconds=60)
        yield Place(cluster, clock, report, state)
        for task in tasks:
            task.cancel()


def kinds(incident: Incident) -> list[EntryKind]:
    return [entry.kind for entry in incident.timeline]


def text_of(incident: Incident, kind: EntryKind) -> str:
    return next(entry.text for entry in incident.timeline if entry.kind is kind)


def test_a_verified_change_has_a_second_witness(tmp_path: Path) -> None:
    async def scene() -> None:
        made: list[Prometheus] = []

        def metrics(cluster: Cluster, clock: Clock) -> MetricsSource:
            made.append(Prometheus(cluster))
            return SimMetrics(made[0], clock)

        async with place(tmp_path, metrics) as here:
            await asyncio.sleep(60)
            status = await here.report.status()
            assert status["metrics"] == {
                "is_healthy": True,
                "is_partial": False,
                "warnings": [],
                "version": "2.42.0",
                "jobs": 3,
                "jobs_with_targets_down": [],
                "alerts_firing": 0,
                "rules_failing": [],
            }
            await here.break_web()
            await here.approve()
            incident = await here.until(lambda each: each.state is IncidentState.RESOLVED)
            assert "by the metrics all replicas are ready" in text_of(incident, EntryKind.VERIFIED)

    run(scene())


def test_without_metrics_the_outcome_and_the_status_say_so(tmp_path: Path) -> None:
    async def scene() -> None:
        async with place(tmp_path, None) as here:
            assert (await here.report.status())["metrics"] == "not configured"
            await here.break_web()
            await here.approve()
            incident = await here.until(lambda each: each.state is IncidentState.RESOLVED)
            assert NO_METRICS in text_of(incident, EntryKind.VERIFIED)

    run(scene())


@pytest.mark.parametrize("trouble", ["refuses", "partial", "no targets"])
def test_a_source_that_fails_is_unknown_and_the_change_is_taken_back(
    tmp_path: Path, trouble: str
) -> None:
    async def scene() -> None:
        made: list[Prometheus] = []

        def metrics(cluster: Cluster, clock: Clock) -> MetricsSource:
            made.append(Prometheus(cluster))
            return SimMetrics(made[0], clock)

        async with place(tmp_path, metrics) as here:
            await here.break_web()
            if trouble == "refuses":
                made[0].refusals.extend([503] * 10_000)
                status = await here.report.status()
                assert "503" in status["metrics"]["last_error"]
            elif trouble == "partial":
                made[0].warnings.append("store-1 is away")
                assert (await here.report.status())["metrics"]["is_partial"] is True
            else:
                made[0].set_down("kube-state-metrics", is_down=True)
                await asyncio.sleep(16)
                down = (await here.report.status())["metrics"]["jobs_with_targets_down"]
                assert down == ["kube-state-metrics"]
            await here.approve()
            incident = await here.until(lambda each: EntryKind.ROLLED_BACK in kinds(each))
            words = text_of(incident, EntryKind.VERIFICATION_FAILED)
            assert "unknown: the metrics could not be read whole" in words

    run(scene())


def test_an_alertmanagers_alert_joins_holds_and_leaves_the_incident(tmp_path: Path) -> None:
    """Over real sockets: a simulated Alertmanager posts to the daemon's own REST."""

    async def scene() -> None:
        async with place(tmp_path, None, is_serving=True) as here:
            address = read_address(tmp_path)
            async with httpx2.AsyncClient(trust_env=False) as http:

                async def deliver(body: bytes) -> None:
                    headers = {"authorization": f"Bearer {TOKEN}"}
                    answer = await http.post(
                        f"{address.url}/v1/alertmanager", content=body, headers=headers
                    )
                    assert answer.status_code == 200, answer.text

                timing = Timing(
                    group_wait=dt.timedelta(seconds=1), group_interval=dt.timedelta(seconds=5)
                )
                manager = Alertmanager(timing)
                async with alertmanager_serving(manager, here.clock, deliver) as url:
                    await play(here, http, url)

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(20.0)) as runner:
        runner.run(scene())


async def play(here: Place, http: httpx2.AsyncClient, url: str) -> None:
    async def post(**more: Any) -> None:
        labels = {"alertname": "KubeDeploymentReplicasMismatch", "severity": "critical"}
        labels |= {"namespace": "shop", "deployment": "web"}
        alert = {"labels": labels, "annotations": {"summary": "Not enough replicas."}} | more
        answer = await http.post(f"{url}/api/v2/alerts", content=json.dumps([alert]))
        assert answer.status_code == 200

    await here.break_web()
    await here.until(lambda each: each.diagnoses)
    await post()
    incident = await here.until(lambda each: EntryKind.JOINED in kinds(each))
    assert len(incident.firing) == 2
    assert incident.diagnoses[0].cause.value == "bad_rollout"
    await here.approve()
    incident = await here.until(lambda each: EntryKind.VERIFIED in kinds(each))
    assert incident.state is IncidentState.OPEN  # somebody still says that it hurts
    await post(endsAt=here.clock.now().isoformat())
    incident = await here.until(lambda each: each.state is IncidentState.RESOLVED)
    assert "KubeDeploymentReplicasMismatch cleared" in [each.text for each in incident.timeline]
    counters = (await here.report.status())["counters"]
    assert counters["alerts_taken_total"] == 2
