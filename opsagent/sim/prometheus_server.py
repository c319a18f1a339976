"""The HTTP face of the simulated Prometheus: the same answers on a loopback port.

A ``token`` makes it ask for that bearer token, as one behind a proxy does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsagent.ports import Clock
from opsagent.runtime.serving import serve
from opsagent.sim.prometheus import Prometheus

HOST = "127.0.0.1"


@asynccontextmanager
async def prometheus_serving(
    prometheus: Prometheus, clock: Clock, *, token: str = "", port: int = 0
) -> AsyncIterator[str]:
    """Serve ``prometheus`` inside the block; yield the base URL."""

    async def answer(http: Request) -> Response:
        if prometheus.answer_delay_seconds:
            await asyncio.sleep(prometheus.answer_delay_seconds)
        if token and http.headers.get("authorization") != f"Bearer {token}":
            return Response("Unauthorized\n", 401)
        asked, body = dict(http.query_params), await http.body()
        found = prometheus.handle(http.url.path, asked, clock.now(), body)
        return Response(found.body, found.status, dict(found.headers))

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    async with serve(app, HOST, port) as bound:
        yield f"http://{HOST}:{bound}"
