"""A transport that gives prepared answers, in order, and remembers what it was asked."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opsagent.ports import KubeAnswer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Stream:
    """The answer to one stream; an exception among ``chunks`` is raised in its place."""

    status: int = 200
    chunks: tuple[bytes | Exception, ...] = ()


class ScriptedTransport:
    """``answers`` serve requests and streams alike; the last one stays."""

    def __init__(self, *answers: KubeAnswer | Stream | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[Asked] = []
        self.closed_streams = 0
        self.idle_seconds: float | None = None

    def _next(self) -> KubeAnswer | Stream:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - the port's
    ) -> KubeAnswer:
        self.asked.append(Asked(method, path, query or {}, body and json.loads(body)))
        answer = self._next()
        assert isinstance(answer, KubeAnswer)
        return answer

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        self.idle_seconds = idle_seconds
        self.asked.append(Asked("GET", path, query or {}, None))
        return self._stream()

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        answer = self._next()
        assert isinstance(answer, Stream)
        try:
            yield answer.status, _chunks(answer.chunks)
        finally:
            self.closed_streams += 1

    async def aclose(self) -> None:
        pass


async def _chunks(chunks: Iterable[bytes | Exception]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


def answer(content: object, status: int = 200, **headers: str) -> KubeAnswer:
    """Return ``content`` as a JSON answer."""
    return KubeAnswer(status, json.dumps(content).encode(), headers)
