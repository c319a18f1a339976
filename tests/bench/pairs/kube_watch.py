"""A watch of pods through our reader, beside the official client's and beside a bare socket.

``kube.watch``: the official client's ``Watch`` over its typed list call. ``kube.watch.floor``: an asyncio protocol that cuts
lines itself and decodes the same fields into msgspec structs, the least that Python can do: the goal 0.5 means twice that.
Both sides count events and sum up names and resource versions.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_struct import Instant, OwnerReference, Struct, Texts, Watched
from opsagent.clients.kube_struct_pod import PodSpec, PodStatus
from opsagent.clients.kube_transport import ApiTransport, connect
from opsagent.model.entity import Kind
from tests.bench.frame import Pair, Sides
from tests.bench.kube_server import kubeconfig, serving
from tests.bench.kube_sum import Sum

EVENTS = 10_000
PATH = "/api/v1/pods?watch=true&resourceVersion=1"


async def _read(transport: ApiTransport) -> Sum:
    seen = Sum()
    async for event in KubeReader(transport).watch(Kind.POD, "1"):
        assert event.item is not None
        seen.add(event.item.meta.name, event.resource_version)
    return seen


def official(port: int) -> Sum:
    """Watch with the official client."""
    # Late: a second of CPU that only this side pays.
    from kubernetes import client, watch  # noqa: PLC0415 - see above

    seen = Sum()
    configuration = client.Configuration(host=f"http://127.0.0.1:{port}")
    with client.ApiClient(configuration) as api:
        stream = watch.Watch().stream(
            client.CoreV1Api(api).list_pod_for_all_namespaces,
            resource_version="1",
            timeout_seconds=300,
        )
        for event in stream:
            meta = event["object"].metadata
            seen.add(meta.name, meta.resource_version)
            if seen.count == EVENTS:
                break  # it would watch again for ever
    return seen


class TypedMeta(Struct):
    """Metadata with every part decoded."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: Instant | None = None
    deletion_timestamp: Instant | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    owner_references: tuple[OwnerReference, ...] = ()


class TypedPod(Struct):
    """A pod with the fields that our reader gives, every part decoded."""

    metadata: TypedMeta
    spec: PodSpec
    status: PodStatus


class _Bare(asyncio.Protocol):
    """Takes chunks off the wire, cuts lines, decodes them, sums up."""

    def __init__(self, done: asyncio.Future[Sum]) -> None:
        self._done = done
        self._decode = msgspec.json.Decoder(Watched[TypedPod]).decode
        self._rest = b""
        self._seen = Sum()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                meta = self._decode(line).object.metadata
                self._seen.add(meta.name, meta.resource_version)
            elif line == b"0\r":
                self._done.set_result(self._seen)
                return


async def _bare(port: int) -> Sum:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Sum] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Bare(done), "127.0.0.1", port)
    try:
        return await done
    finally:
        transport.close()


def _opened(yardstick: Callable[[int], Sum]) -> Callable[[], object]:
    @contextmanager
    def opened() -> Iterator[Sides]:
        with serving(EVENTS) as port, kubeconfig(port) as config, asyncio.Runner() as loop:
            transport = loop.run(connect(config))
            yield Sides(lambda: loop.run(_read(transport)), partial(yardstick, port), EVENTS)
            loop.run(transport.aclose())

    return opened


ROWS = (
    Pair("kube.watch", 20, _opened(official)),
    Pair("kube.watch.floor", 0.5, _opened(lambda port: asyncio.run(_bare(port)))),
)
