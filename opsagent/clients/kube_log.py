"""``ports.LogSource`` over any ``KubeTransport``: one container's log as bytes, as long as it is written.

Refuses to read lines: a line may be of any length, and whoever keeps them knows how long a line may be. It
holds no state and tries nothing twice; ``sources.pod_logs`` does both.

Source: kube-apiserver's pods/log and kubelet's log reader. ``sinceTime`` is cut to the second on its way to
the kubelet, so a seam between two connections is known by its lines and never by time.
"""

import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from opsagent.clients.kube_path import object_path
from opsagent.clients.kube_read import check_stream
from opsagent.model.entity import Entity
from opsagent.ports import KubeTransport, NotFound

# A log may be silent for days. A connection that was lost without a word is noticed no sooner.
IDLE_SECONDS = 300.0


class KubeLogs:
    """Reads logs as the transport's identity."""

    def __init__(self, transport: KubeTransport) -> None:
        self._transport = transport

    @asynccontextmanager
    async def follow_log(
        self,
        pod: Entity,
        container: str,
        since: dt.datetime | None = None,
        *,
        is_previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield chunks as they arrive, cut anywhere, until the container ends or the server closes.

        Raises:
            NotFound: no such pod, or its container has no such log (yet). Transient: also while chunks are
                read, and after five silent minutes. Forbidden, Terminal: see ``kube_status``.
        """
        path = f"{object_path(pod)}/log"
        query = {"container": container, "follow": "true", "timestamps": "true"}
        if since is not None:
            query["sinceTime"] = since.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if is_previous:
            query["previous"] = "true"
        stream = self._transport.stream(path, query=query, idle_seconds=IDLE_SECONDS)
        async with stream as (status, chunks):
            if status == 400:  # noqa: PLR2004 - HTTP: waiting to start, or no previous container
                raise NotFound(f"{pod} has no such log of container {container[:80]!r}")
            await check_stream(status, chunks, f"log {path}")
            try:
                yield chunks
            finally:
                if isinstance(chunks, AsyncGenerator):
                    await chunks.aclose()  # now, and not when the collector comes by
