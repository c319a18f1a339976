"""The HTTP face of the simulated archives, on a loopback port.

A ``token`` makes it ask for that bearer token, as one behind a proxy does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsagent.runtime.serving import serve
from opsagent.sim.archive import ArchiveFace

HOST = "127.0.0.1"


@asynccontextmanager
async def archive_serving(archive: ArchiveFace, *, token: str = "") -> AsyncIterator[str]:
    """Serve ``archive`` inside the block; yield the base URL."""

    async def answer(http: Request) -> Response:
        if token and http.headers.get("authorization") != f"Bearer {token}":
            return Response("Unauthorized\n", 401)
        found = archive.handle(http.url.path, dict(http.query_params), http.headers)
        return Response(found.body, found.status, dict(found.headers))

    app = Starlette(routes=[Route("/{path:path}", answer)])
    async with serve(app, HOST, 0) as bound:
        yield f"http://{HOST}:{bound}"
