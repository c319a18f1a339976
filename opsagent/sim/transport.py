"""The in-process face: requests and streams without a socket, on the caller's own loop and time.

Also what the HTTP face shares with it: how an open watch waits for the cluster, and the task that
moves the cluster through time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from opsagent.ports import Clock, KubeAnswer
from opsagent.sim.api import Stream
from opsagent.sim.cluster import Cluster
from opsagent.sim.requests import Request
from opsagent.sim.watch import Watch


class Alarm:
    """Wakes one waiter when the cluster changes; with a ``stream``, when that may have something to say."""

    def __init__(self, cluster: Cluster, stream: Stream | None = None) -> None:
        self._event = asyncio.Event()
        match stream:
            case None:
                self._unsubscribe = cluster.subscribe(self._event.set)
            case Watch():
                self._unsubscribe = cluster.subscribe(self._event.set, stream.wanted.resource)
            case _:
                self._unsubscribe = stream.subscribe(self._event.set)

    def ring(self) -> None:
        """Wake the waiter now."""
        self._event.set()

    async def wait(self, timeout_seconds: float | None) -> None:
        """Wait for a change since the last wait, at most so long; None means for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()


async def drive(cluster: Cluster, clock: Clock) -> None:
    """Move the cluster along with ``clock`` until cancelled; sleeps while nothing is due."""
    alarm = Alarm(cluster)
    try:
        while True:
            cluster.advance(clock.now())
            due = cluster.next_due()
            await alarm.wait(None if due is None else (due - clock.now()).total_seconds())
    finally:
        alarm.close()


async def stream_chunks(stream: Stream, alarm: Alarm, clock: Clock) -> AsyncIterator[bytes]:
    """Yield what an open watch or log has to say, as it comes, until it is over."""
    while True:
        chunk = stream.take(clock.now())
        if chunk:
            yield chunk
        if stream.is_over:
            return
        due = stream.next_due()
        await alarm.wait(None if due is None else (due - clock.now()).total_seconds())


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    if chunk:
        yield chunk


class SimTransport:
    """``ports.KubeTransport`` to a cluster in the same process, as the holder of ``token``."""

    def __init__(
        self, cluster: Cluster, token: str, clock: Clock, *, user_agent: str = "opsagent"
    ) -> None:
        self._cluster = cluster
        self._token = token
        self._clock = clock
        self._user_agent = user_agent
        self._open: set[tuple[Stream, Alarm]] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        """Send one request and read the whole answer; of what is fed as it comes, everything until its end."""
        await self._delay()
        sent = Request(
            method,
            path,
            dict(query or {}),
            body or b"",
            content_type,
            self._token,
            self._user_agent,
        )
        answer = self._cluster.handle(sent, self._clock.now())
        if isinstance(answer, KubeAnswer):
            return answer
        async with self._chunks(answer) as chunks:
            return KubeAnswer(200, b"".join([chunk async for chunk in chunks]))

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,  # noqa: ARG002 - no connection is ever lost here
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """GET and yield (status, chunks as they come). Leaving the block ends the watch."""
        await self._delay()
        sent = Request(
            "GET", path, dict(query or {}), token=self._token, user_agent=self._user_agent
        )
        answer = self._cluster.handle(sent, self._clock.now())
        if isinstance(answer, KubeAnswer):
            yield answer.status, _once(answer.body)
            return
        async with self._chunks(answer) as chunks:
            yield 200, chunks

    async def aclose(self) -> None:
        """End all open streams."""
        for stream, alarm in list(self._open):
            stream.cut()
            alarm.ring()

    async def _delay(self) -> None:
        if self._cluster.answer_delay_seconds:
            await asyncio.sleep(self._cluster.answer_delay_seconds)

    @asynccontextmanager
    async def _chunks(self, stream: Stream) -> AsyncIterator[AsyncIterator[bytes]]:
        alarm = Alarm(self._cluster, stream)
        self._open.add((stream, alarm))
        chunks = stream_chunks(stream, alarm, self._clock)
        try:
            yield chunks
        finally:
            self._open.discard((stream, alarm))
            alarm.close()
