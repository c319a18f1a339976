"""Serves an ASGI application on a socket of ours, inside the running loop, and stops when it is left.

uvicorn is told to leave signals, logging and lifespan alone: the daemon stops its parts in its own order.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TypeAlias

import uvicorn

from opsagent.ports import Terminal

Application: TypeAlias = Callable[..., Awaitable[None]]  # ASGI 3: scope, receive, send

STOP_SECONDS = 5  # for requests in flight; the whole daemon has 25
CONNECTIONS_MAX = 64
KEEP_ALIVE_SECONDS = 300  # on a loop that runs faster than the world, short ones end under a client


class _Server(uvicorn.Server):
    """A server that tells when it is up and takes no signal."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the process' signals to the daemon."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self.is_up.set()


@contextlib.asynccontextmanager
async def serve(app: Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` while the context is open; yield the bound port (``port`` 0 takes any free one).

    Leaving the context stops accepting, lets requests in flight end for up to five seconds, and closes.

    Raises:
        Terminal: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise Terminal(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another api.port, or 0 for any"
        ) from error
    # asyncio sets it only on sockets that name their protocol; without it answers wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_graceful_shutdown=STOP_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]), name="api.serve")
            try:
                await server.is_up.wait()
                yield int(listener.getsockname()[1])
            finally:
                server.should_exit = True
                await asyncio.wait((serving,))
