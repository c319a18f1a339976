"""Where the contract of Alertmanager runs: the simulated one and Debian's, both over HTTP, told in short intervals.

A check posts alerts and silences by API v2, reads them through the product's own client, and gets every
body that the webhook was sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from opsagent.clients.alertmanager import AlertmanagerClient
from opsagent.clients.rest import RestReader
from opsagent.runtime.clock import SystemClock
from opsagent.sim.alertmanager import Alertmanager, Timing
from opsagent.sim.alertmanager_server import alertmanager_serving
from tests.fakes.http_server import Reply, Request, serve
from tests.lab.telemetry_binaries import alertmanager as running_alertmanager

TOKEN = "webhook-token"
PATIENCE_SECONDS = 20.0
SECOND = timedelta(seconds=1)
CONFIG = """
route:
  receiver: opsagent
  group_by: [alertname, namespace]
  group_wait: 300ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: opsagent
    webhook_configs:
      - url: {url}/v1/alertmanager
        send_resolved: true
        http_config:
          authorization: {{type: Bearer, credentials: webhook-token}}
"""


@dataclass
class World:
    """One Alertmanager: its API, the product's client of it, and what its webhook was sent."""

    url: str
    client: AlertmanagerClient
    http: httpx2.AsyncClient
    bodies: list[bytes] = field(default_factory=list)

    async def post(self, path: str, item: object) -> Any:
        answer = await self.http.post(f"{self.url}{path}", json=item)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    async def alert(self, *, ends_at: str = "", **labels: str) -> None:
        item = {"labels": {"namespace": "shop", "severity": "warning"} | labels}
        item["annotations"] = {"summary": "It hurts."}
        item["generatorURL"] = "http://prometheus/graph"
        await self.post("/api/v2/alerts", [item | ({"endsAt": ends_at} if ends_at else {})])

    async def eventually(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (found := await look()):  # noqa: ASYNC110 - the world is elsewhere
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"not within {PATIENCE_SECONDS} s: {what}")
        return found

    async def told(self, number: int) -> dict[str, Any]:
        """Return the body of that number, from 1, as JSON; wait for it."""

        async def look() -> bool:
            return len(self.bodies) >= number

        await self.eventually(look, f"webhook body {number}")
        return json.loads(self.bodies[number - 1])


Environment = Callable[[Path], AbstractAsyncContextManager[World]]


@asynccontextmanager
async def _world(url: str, bodies: list[bytes]) -> AsyncIterator[World]:
    client = AlertmanagerClient(RestReader("alertmanager", url))
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield World(url, client, http, bodies)
    await client.aclose()


@asynccontextmanager
async def sim(_folder: Path) -> AsyncIterator[World]:
    bodies: list[bytes] = []

    async def deliver(body: bytes) -> None:
        bodies.append(body)

    timing = Timing(group_wait=0.3 * SECOND, group_interval=SECOND, repeat_interval=3600 * SECOND)
    async with (
        alertmanager_serving(Alertmanager(timing), SystemClock(), deliver) as url,
        _world(url, bodies) as world,
    ):
        yield world


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[World]:
    bodies: list[bytes] = []

    async def answer(request: Request) -> Reply:
        assert request.target == "/v1/alertmanager"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        bodies.append(request.body)
        return Reply(200)

    async with serve(answer) as receiver:
        with running_alertmanager(folder, CONFIG.format(url=receiver.url)) as url:
            async with _world(url, bodies) as world:
                yield world


everywhere = pytest.mark.parametrize(
    "environment", [sim, pytest.param(real, marks=pytest.mark.lab)]
)
