"""A proxy before the API server that makes bad weather: it cuts, delays, refuses, and counts what was asked.

It ends TLS with the lab's own certificate and speaks HTTP/1.1, one exchange a connection: both sides are
told to close, so a response ends where the connection does and is passed on byte by byte as it comes. Only
lists and watches are refused or delayed; whatever else passes (the Lease) only feels cuts and closure.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from opsagent.clients.kube_path import collection_path
from opsagent.model.entity import FOLLOWED_KINDS

COLLECTIONS = frozenset(collection_path(kind).rpartition("/")[2] for kind in FOLLOWED_KINDS)
CHUNK_BYTES = 64 * 1024
REASONS = {429: "TooManyRequests", 410: "Expired", 503: "ServiceUnavailable"}


@dataclass
class Weather:
    """What happens to requests from now on. Those of the kinds ``refused`` are answered with ``status``."""

    is_closed: bool = False
    refused: frozenset[str] = frozenset()
    status: int = 429
    retry_after_seconds: int = 0
    list_seconds: float = 0.0


@dataclass
class Ask:
    """One request: ``what`` is the collection (empty if it is none), ``how`` is list, more (pages), watch or else other.

    ``status`` is the answer's, 0 without one. ``is_gone``: the API server itself said that the version is too old.
    """

    at: float
    what: str
    how: str
    status: int = 0
    is_gone: bool = False


@dataclass
class Proxy:
    """See the module's docstring. ``url`` is known while it serves."""

    upstream: str
    authority: Path
    weather: Weather = field(default_factory=Weather)
    asks: list[Ask] = field(default_factory=list)
    url: str = ""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def cut(self) -> int:
        """Break all connections; return how many."""
        cut = len(self._open)
        for writer in self._open:
            writer.transport.abort()
        return cut

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            await self._exchange(reader, writer)
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *headers = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        body = await reader.readexactly(_length(headers))
        ask = _ask(request)
        self.asks.append(ask)
        if self.weather.is_closed:
            return
        if ask.how in self.weather.refused:
            ask.status = self.weather.status
            writer.write(_refusal(self.weather))
            await writer.drain()
            return
        if ask.how in ("list", "more") and await _leaves(reader, self.weather.list_seconds):
            return
        kept = [each for each in headers if not each.lower().startswith(b"connection:")]
        head = b"\r\n".join([request, b"Connection: close", *kept, b"", b""])
        await self._forward(head + body, ask, reader, writer)

    async def _forward(
        self, content: bytes, ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = self.upstream.removeprefix("https://").partition(":")
        trust = ssl.create_default_context(cafile=str(self.authority / "ca.crt"))
        answer, server = await asyncio.open_connection(host, int(port), ssl=trust)
        self._open.add(server)
        try:
            server.write(content)
            await server.drain()
            async with asyncio.TaskGroup() as group:
                hanging_up = group.create_task(_hang_up(reader, server))
                while chunk := await answer.read(CHUNK_BYTES):
                    ask.status = ask.status or int(chunk.split(b" ", 2)[1])
                    ask.is_gone = ask.is_gone or (ask.how != "other" and b'"code":410' in chunk)
                    writer.write(chunk)
                    await writer.drain()
                hanging_up.cancel()
        finally:
            self._open.discard(server)
            server.transport.abort()

    async def aclose(self) -> None:
        """End what is still going on."""
        self.weather.is_closed = True
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _leaves(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Wait; return whether the client left meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await reader.read(1)
    except TimeoutError:
        return False
    return True


async def _hang_up(reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
    """When the client leaves, leave the server."""
    with suppress(OSError):
        await reader.read(1)
    server.transport.abort()


def _length(headers: Iterable[bytes]) -> int:
    lengths = [
        each.split(b":")[1] for each in headers if each.lower().startswith(b"content-length:")
    ]
    return int(lengths[0]) if lengths else 0


def _ask(request: bytes) -> Ask:
    method, target, _ = request.decode("latin-1").split(" ")
    url = urlsplit(target)
    query = parse_qs(url.query)
    last = url.path.rpartition("/")[2]
    what = last if method == "GET" and last in COLLECTIONS else ""
    way = "watch" if "watch" in query else "more" if "continue" in query else "list"
    return Ask(time.time(), what, way if what else "other")  # noqa: TID251 - across processes


def _refusal(weather: Weather) -> bytes:
    reason = REASONS[weather.status]
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    body = json.dumps({**status, "code": weather.status, "reason": reason}).encode()
    head = [
        f"HTTP/1.1 {weather.status} {reason}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if weather.retry_after_seconds:
        head.append(f"Retry-After: {weather.retry_after_seconds}")
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def serving(upstream: str, authority: Path) -> AsyncIterator[Proxy]:
    """Stand before ``upstream`` until the block ends; ``authority`` is the lab's folder of keys."""
    proxy = Proxy(upstream, authority)
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(authority / "server.crt", authority / "server.key")
    listener = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, ssl=identity)
    host, port = listener.sockets[0].getsockname()[:2]
    proxy.url = f"https://{host}:{port}"
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.aclose()
        await listener.wait_closed()
