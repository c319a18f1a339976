"""A model behind an OpenAI-compatible server: one streamed request, one whole turn.

Theory of operation. Every answer is streamed, so that a server that went silent is noticed in seconds and
one that never stops is cut at a number of bytes. The caller bounds the whole call with its own time-out,
which has to cover queue and prefill, for servers send nothing before the first token. Leaving in any
way closes the connection, on which SGLang and vLLM stop generating.

What it refuses: redirects and proxies (both would be handed the key), compressed answers (their size
cannot be bounded), and to judge what the model says. It retries nothing: the caller has the budget.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx2

from opsagent.clients.model_request import WireForm, request_body
from opsagent.clients.model_stream import TurnReader, failure
from opsagent.model.transcript import Prompt, Turn
from opsagent.ports import Transient

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 30.0  # a prefill of others can stall a stream for several seconds
ANSWER_BYTES_MAX = 4 * 2**20  # 16K tokens streamed one by one, about 200 bytes of JSON around each
FAILURE_BYTES_MAX = 64 * 1024
PATH = "/chat/completions"
OK = 200


class ModelTransport(Protocol):
    """The way to one server: over HTTP, or to the scripted one in the same process."""

    def post(self, body: bytes) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """Send one request; yield (status, chunks as they arrive). Raises Transient: no connection."""
        ...


class HttpModelTransport:
    """``ModelTransport`` over HTTP. ``url`` is the base that ends in ``/v1``; an empty ``key`` sends none."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._url = f"{url.rstrip('/')}{PATH}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    @asynccontextmanager
    async def post(self, body: bytes) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Send one request; yield (status, chunks as they arrive).

        Raises:
            Transient: no connection, or it broke.
        """
        try:
            async with self._client.stream("POST", self._url, content=body) as response:
                yield response.status_code, response.aiter_raw()
        except (httpx2.HTTPError, OSError) as error:
            raise Transient(f"the model's server: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a stream may be silent once it has begun, and how large an answer may be on the wire."""

    idle_seconds: float = IDLE_SECONDS
    answer_bytes_max: int = ANSWER_BYTES_MAX


class ModelClient:
    """``ports.Model`` over a transport; ``name`` is the model's name on its server."""

    def __init__(
        self,
        transport: ModelTransport,
        name: str,
        form: WireForm = WireForm.TEMPLATE,
        bounds: Bounds = Bounds(),
    ) -> None:
        self._transport = transport
        self._name = name
        self._form = form
        self._bounds = bounds

    @property
    def name(self) -> str:
        """The model's name on its server."""
        return self._name

    async def complete(self, prompt: Prompt) -> Turn:
        """Return one whole turn.

        Raises:
            Transient: no connection, silence, a broken stream, 408, 429 or 5xx.
            Terminal: another refusal, or an answer beyond the bounds.
        """
        body = request_body(prompt, self._name, self._form)
        reader = TurnReader(self._bounds.answer_bytes_max)
        async with self._transport.post(body) as (status, chunks):
            if status != OK:
                raise failure(status, await self._failure(chunks))
            reader.feed(await anext(chunks, b""))  # however long: the caller's time-out is over it
            while not reader.is_over:
                chunk = await self._next(chunks)
                if chunk is None:
                    break
                reader.feed(chunk)
        return reader.turn(len(body))

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self._bounds.idle_seconds):
                return await anext(chunks, None)
        except TimeoutError:
            raise Transient(
                f"the model went silent for {self._bounds.idle_seconds:g} s in its answer"
            ) from None

    async def _failure(self, chunks: AsyncIterator[bytes]) -> bytes:
        body = bytearray()
        while len(body) < FAILURE_BYTES_MAX and (chunk := await self._next(chunks)) is not None:
            body += chunk
        return bytes(body[:FAILURE_BYTES_MAX])


@asynccontextmanager
async def connect_model(
    url: str,
    name: str,
    key: str = "",
    form: WireForm = WireForm.TEMPLATE,
    bounds: Bounds = Bounds(),
) -> AsyncIterator[ModelClient]:
    """Yield a client of the model ``name`` behind ``url``; leaving closes its connections."""
    transport = HttpModelTransport(url, key)
    try:
        yield ModelClient(transport, name, form, bounds)
    finally:
        await transport.aclose()
