"""kill -9 at random points of a bad rollout: nothing lost, nothing doubled.

The daemon is a real process on a real state folder; the cluster in a box, the receiver of messages and
the approver are in the test and survive. Each run kills the daemon once, at a seeded instant of the
scenario, starts it again on the same folder, and plays on to the end.
"""

import asyncio
import base64
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from opsagent.clients.daemon import ADDRESS_FILE
from opsagent.clients.kube_status import raise_for_status
from opsagent.model.canonical import JsonValue, canonical
from opsagent.runtime.clock import SystemClock
from opsagent.sim import (
    ADMIN,
    ALICE,
    EXECUTOR,
    OPSAGENT,
    SHOP,
    Fault,
    SimTransport,
    fault_patch,
    shop,
)
from opsagent.sim.cluster import Cluster
from opsagent.sim.receiver import Receiver, receiving
from opsagent.sim.server import serving, write_kubeconfig

KILLS = 20
SEED = 20260105
WINDOW_SECONDS = 10
SCENARIO_SECONDS = 24.0  # from the start to the verified end, undisturbed
DEADLINE_SECONDS = 90.0
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SHOP}/deployments/web"


class Process:
    """The daemon as an operating system sees it."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self._log = log
        self._child: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "opsagent",
                "run",
                "--config",
                str(self._config),
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    async def kill(self) -> None:
        assert self._child is not None
        assert self._child.returncode is None, (
            f"the daemon had already ended: {self._log.read_text()[-2000:]}"
        )
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()

    async def stop(self) -> int:
        assert self._child is not None
        if self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)
        return await self._child.wait()


@dataclass
class Place:
    """Everything that survives the kill."""

    cluster: Cluster
    clock: SystemClock
    receiver: Receiver
    state: Path
    process: Process

    async def ask(
        self, method: str, path: str, body: JsonValue = None
    ) -> dict[str, JsonValue] | None:
        """Ask the daemon, None while it does not answer."""
        try:
            address = json.loads((self.state / ADDRESS_FILE).read_text())
            headers = {"authorization": f"Bearer {address['token']}"}
            async with httpx2.AsyncClient(
                base_url=address["url"], headers=headers, timeout=5
            ) as http:
                answer = await http.request(method, path, json=body)
        except (OSError, httpx2.TransportError, json.JSONDecodeError):
            return None
        found: dict[str, JsonValue] | None = answer.json() if answer.status_code == 200 else None
        return found

    @property
    def writes(self) -> int:
        return sum(
            entry.user in (OPSAGENT, EXECUTOR)
            and not entry.is_dry_run
            and entry.status < 300
            and entry.resource.startswith("deployments")
            for entry in self.cluster.audit
        )


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    clock = SystemClock()
    cluster = shop(clock.now())
    receiver = Receiver(random.Random(SEED).randbytes(32))
    secret = folder / "secret"
    secret.write_text(base64.b64encode(receiver.secret).decode())
    async with serving(cluster, clock) as url, receiving(receiver) as hook:
        for user, name in ((OPSAGENT, "daemon"), (EXECUTOR, "executor")):
            write_kubeconfig(folder / f"{name}.kubeconfig", url, cluster.access.token(user), name)
        config = {
            "kubernetes": {"kubeconfig": "daemon.kubeconfig"},
            "executor": {"kubeconfig": "executor.kubeconfig"},
            "policy": {
                "level": "approve",
                "namespaces": [SHOP],
                "verify_window_seconds": WINDOW_SECONDS,
            },
            "webhook": {"url": hook, "secret_file": "secret"},
        }
        (folder / "opsagent.yaml").write_text(json.dumps(config))  # JSON is YAML
        process = Process(folder / "opsagent.yaml", folder / "daemon.log")
        try:
            yield Place(cluster, clock, receiver, folder / "state", process)
        finally:
            await process.stop()


async def rollout(place: Place) -> None:
    """Somebody rolls out a release that crashes, three seconds after the daemon was first started."""
    await asyncio.sleep(3)
    transport = SimTransport(place.cluster, place.cluster.access.token(ADMIN), place.clock)
    answer = await transport.request(
        "PATCH",
        DEPLOYMENT,
        query={"fieldManager": "kubectl-set"},
        body=canonical(fault_patch(Fault.MISSING_IMAGE)),
        content_type="application/strategic-merge-patch+json",
    )
    raise_for_status(answer, "rollout")


async def approver(place: Place) -> None:
    """Alice approves whatever waits, whenever the daemon answers, as often as she is asked."""
    while True:
        waiting = await place.ask("GET", "/v1/approvals")
        for plan in (waiting or {}).get("approvals") or []:
            click = {
                "verdict": "approve",
                "plan_hash": plan["plan_hash"],
                "token": place.cluster.access.token(ALICE),
            }
            await place.ask("POST", f"/v1/approvals/{plan['plan_id']}", click)
        await asyncio.sleep(0.2)


async def until_resolved(place: Place) -> dict[str, JsonValue]:
    """Wait for the end: the incident resolved and people told."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            found = await place.ask("GET", "/v1/incidents")
            incidents = (found or {}).get("incidents") or []
            is_over = incidents and all(item["state"] == "resolved" for item in incidents)
            if is_over and "resolved" in place.receiver.reasons:
                return incidents
            await asyncio.sleep(0.2)


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", range(KILLS))
async def test_kill_at_a_random_point(number: int, tmp_path: Path) -> None:
    delay = random.Random(SEED + number).uniform(0.5, SCENARIO_SECONDS)
    async with place(tmp_path) as here, asyncio.TaskGroup() as group:
        await here.process.start()
        people = [group.create_task(rollout(here)), group.create_task(approver(here))]
        await asyncio.sleep(delay)
        await here.process.kill()
        await here.process.start()
        incidents = await until_resolved(here)
        for task in people:
            task.cancel()
    log = (tmp_path / "daemon.log").read_text()
    assert len(incidents) == 1, "one trouble, one incident"
    assert here.writes == 1, log
    reasons = here.receiver.reasons
    assert sorted(set(reasons) - {"worse"}) == ["approval_needed", "opened", "resolved"]
    assert len(reasons) == len(set(reasons)), "each message under one key"
    assert here.receiver.refused_total == 0
