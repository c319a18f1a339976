"""The HTTP face: the same cluster behind bearer tokens on a loopback port, and kubeconfigs for it.

Watches are chunked streams of JSON lines, logs that are followed of text. Plain HTTP: it listens on loopback only.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as HttpRoute

from opsagent.ports import Clock, KubeAnswer
from opsagent.runtime.serving import serve
from opsagent.sim.api import Stream
from opsagent.sim.cluster import Cluster
from opsagent.sim.requests import Request
from opsagent.sim.transport import Alarm, drive, stream_chunks
from opsagent.sim.watch import Watch

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
HOST = "127.0.0.1"


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _read(http: HttpRequest) -> Request:
    return Request(
        method=http.method,
        path=http.url.path,
        query=dict(http.query_params),
        body=await http.body(),
        content_type=http.headers.get("content-type", "application/json"),
        token=_bearer(http.headers.get("authorization", "")),
        user_agent=http.headers.get("user-agent", ""),
    )


def app(cluster: Cluster, clock: Clock) -> Starlette:
    """Return the ASGI application of ``cluster``."""

    async def chunks(stream: Stream) -> AsyncIterator[bytes]:
        alarm = Alarm(cluster, stream)
        try:
            async for chunk in stream_chunks(stream, alarm, clock):
                yield chunk
        finally:
            alarm.close()

    async def answer(http: HttpRequest) -> Response:
        if cluster.answer_delay_seconds:
            await asyncio.sleep(cluster.answer_delay_seconds)
        found = cluster.handle(await _read(http), clock.now())
        if isinstance(found, KubeAnswer):
            return Response(found.body, found.status, dict(found.headers))
        media_type = "application/json" if isinstance(found, Watch) else "text/plain"
        return StreamingResponse(chunks(found), media_type=media_type)

    return Starlette(routes=[HttpRoute("/{path:path}", answer, methods=_METHODS)])


@asynccontextmanager
async def serving(cluster: Cluster, clock: Clock, port: int = 0) -> AsyncIterator[str]:
    """Serve ``cluster`` and move it along with ``clock`` inside the block; yield the base URL.

    ``port`` 0 takes a free one. Leaving the block cuts the watches and stops the server.
    """
    async with serve(app(cluster, clock), HOST, port) as bound, asyncio.TaskGroup() as group:
        driver = group.create_task(drive(cluster, clock), name="sim.drive")
        try:
            yield f"http://{HOST}:{bound}"
        finally:
            driver.cancel()
            cluster.cut_watches()


def write_kubeconfig(path: Path, url: str, token: str, user: str = "sim") -> None:
    """Write a kubeconfig for the holder of ``token``, readable by its owner alone."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sim",
        "clusters": [{"name": "sim", "cluster": {"server": url}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "sim", "context": {"cluster": "sim", "user": user}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML
