"""The HTTP face of the simulated Alertmanager: API v2 on a loopback port, and the task that sends what is due.

Whoever serves it says how a body is delivered, and tries again if it likes: this one sends each body once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsagent.ports import Clock
from opsagent.runtime.serving import serve
from opsagent.sim.alertmanager import Alertmanager

HOST = "127.0.0.1"
IDLE_SECONDS = 3600.0

Deliver: TypeAlias = Callable[[bytes], Awaitable[None]]


async def drive_alertmanager(
    alertmanager: Alertmanager, clock: Clock, changed: asyncio.Event, deliver: Deliver
) -> None:
    """Send what is due, as time goes by, until cancelled; ``changed`` wakes it early."""
    while True:
        for body in alertmanager.flush(clock.now()):
            await deliver(body)
        due = alertmanager.next_due()
        seconds = IDLE_SECONDS if due is None else (due - clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await changed.wait()
        except TimeoutError:
            continue
        changed.clear()


@asynccontextmanager
async def alertmanager_serving(
    alertmanager: Alertmanager, clock: Clock, deliver: Deliver
) -> AsyncIterator[str]:
    """Serve ``alertmanager`` and send what is due inside the block; yield the base URL."""
    changed = asyncio.Event()

    async def answer(http: Request) -> Response:
        body = await http.body()
        found = alertmanager.handle(http.method, http.url.path, body, clock.now())
        changed.set()
        return Response(found.body, found.status, dict(found.headers))

    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", answer, methods=methods)])
    async with serve(app, HOST, 0) as bound, asyncio.TaskGroup() as group:
        driver = group.create_task(
            drive_alertmanager(alertmanager, clock, changed, deliver), name="sim.alertmanager"
        )
        try:
            yield f"http://{HOST}:{bound}"
        finally:
            driver.cancel()
