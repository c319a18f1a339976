"""A transport to an API server that knows nothing but Leases: compare-and-swap, latency, and trouble on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from opsagent.ports import KubeAnswer, Transient

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"


class LeaseServer:
    """All candidates share one. ``is_down`` makes every request fail, ``status`` answers with it instead."""

    def __init__(self, latency_seconds: float = 0.01) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.latency_seconds = latency_seconds
        self.is_down = False
        self.status: int | None = None
        self.writes: list[str] = []
        self._version = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002 - the port's
        body: bytes | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - the port's
    ) -> KubeAnswer:
        await asyncio.sleep(self.latency_seconds)
        if self.is_down:
            raise Transient("the server is down")
        if self.status is not None:
            return KubeAnswer(self.status, b'{"message": "as told"}')
        name = path.removeprefix(COLLECTION).lstrip("/")
        if method == "GET":
            return _answer(200, self.leases[name]) if name in self.leases else KubeAnswer(404, b"")
        assert body is not None
        return self._write(method, name, json.loads(body))

    def _write(self, method: str, name: str, lease: dict[str, Any]) -> KubeAnswer:
        is_new = method == "POST"
        name = name or lease["metadata"]["name"]
        old = self.leases.get(name)
        if is_new != (old is None):
            return KubeAnswer(409 if is_new else 404, b"")
        version = old and old["metadata"]["resourceVersion"]
        if lease["metadata"].get("resourceVersion") != version:
            return KubeAnswer(409, b"")
        self._version += 1
        lease["metadata"]["resourceVersion"] = str(self._version)
        self.leases[name] = lease
        self.writes.append(f"{method} {lease['spec'].get('holderIdentity')}")
        return _answer(201 if is_new else 200, lease)

    def stream(
        self, path: str, *, query: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def _answer(status: int, lease: dict[str, Any]) -> KubeAnswer:
    return KubeAnswer(status, json.dumps(lease).encode())
