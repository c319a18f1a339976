"""A small HTTP/1.1 server on loopback that answers by a function and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """``chunks`` are sent one by one, the second waits for ``hold``; with ``is_cut`` the connection breaks after them."""

    status: int = 200
    chunks: tuple[bytes, ...] = (b"",)
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    is_cut: bool = False


Answer = Callable[[Request], Awaitable[Reply]]


class HttpServer:
    """Serves one request per connection."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[Request] = []
        self.url = ""
        self._handling: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End what is still being answered, and see every connection closed."""
        await asyncio.sleep(0)  # a connection that was just taken has its task by now
        for task in self._handling:
            task.cancel()
        if self._handling:
            await asyncio.wait(self._handling)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            reply = await self._answer(request)
            head = [f"HTTP/1.1 {reply.status} X", "Transfer-Encoding: chunked", "Connection: close"]
            head += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write("\r\n".join([*head, "", ""]).encode())
            for chunk in filter(None, reply.chunks):
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
                if reply.hold is not None:
                    await reply.hold.wait()
            if not reply.is_cut:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._handling.discard(task)


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


@asynccontextmanager
async def serve(answer: Answer) -> AsyncIterator[HttpServer]:
    """Serve on a free loopback port until the block ends."""
    server = HttpServer(answer)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()[:2]
    server.url = f"http://{host}:{port}"
    async with listener:
        try:
            yield server
        finally:
            await server.stop()
