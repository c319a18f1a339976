"""The two faces of a scripted model: in this process on the caller's own time, and over HTTP on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from opsagent.runtime.serving import serve
from opsagent.sim.model import Answer, ScriptedModel

HOST = "127.0.0.1"
NAME = "scripted"


async def _begun(answer: Answer) -> AsyncIterator[bytes]:
    """Wait for the first piece, as headers do, and return all of them as they come."""
    first, *others = answer.pieces
    await asyncio.sleep(first.delay_seconds)

    async def chunks() -> AsyncIterator[bytes]:
        yield first.chunk
        for piece in others:
            await asyncio.sleep(piece.delay_seconds)
            yield piece.chunk

    return chunks()


class ScriptedTransport:
    """``clients.model.ModelTransport`` to a scripted model in the same process."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    @asynccontextmanager
    async def post(self, body: bytes) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Yield (status, chunks as they come)."""
        answer = self._model.answer(body)
        yield answer.status, await _begun(answer)


@asynccontextmanager
async def serving_model(model: ScriptedModel, port: int = 0) -> AsyncIterator[str]:
    """Serve ``model`` on loopback inside the block; yield the base URL that ends in ``/v1``."""

    async def complete(http: Request) -> Response:
        answer = model.answer(await http.body())
        is_stream = answer.status == 200  # noqa: PLR2004 - HTTP
        kind = "text/event-stream" if is_stream else "application/json"
        return StreamingResponse(await _begun(answer), answer.status, media_type=kind)

    async def models(_http: Request) -> Response:
        listed = {"object": "list", "data": [{"id": NAME, "object": "model"}]}
        return Response(json.dumps(listed), media_type="application/json")

    routes = [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models),
    ]
    async with serve(Starlette(routes=routes), HOST, port) as bound:
        yield f"http://{HOST}:{bound}/v1"
