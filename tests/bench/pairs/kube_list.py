"""A list of 10,000 pods through our reader, all kept, beside the official client's typed list.

Ours asks for pages of 500, as the reflector does; the official client's call has all in one answer, as it is used. Both sides
count objects and sum up names and resource versions. ``kube.list.memory``: by how much the peak of a fresh process grows.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_transport import ApiTransport, connect
from opsagent.model.entity import Kind
from opsagent.model.kube import KubeObject
from tests.bench.frame import Measure, Pair, Sides
from tests.bench.kube_server import kubeconfig, serving
from tests.bench.kube_sum import Sum

PODS = 10_000


async def _read(transport: ApiTransport) -> Sum:
    reader = KubeReader(transport)
    kept: list[KubeObject] = []
    token = ""
    while True:
        page = await reader.list_page(Kind.POD, continue_token=token)
        kept += page.items
        token = page.continue_token
        if not token:
            break
    seen = Sum()
    for item in kept:
        seen.add(item.meta.name, item.meta.resource_version)
    return seen


def official(port: int) -> Sum:
    """List with the official client."""
    # Late: a second of CPU and 100 MiB that only this side pays.
    from kubernetes import client  # noqa: PLC0415 - see above

    with client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{port}")) as api:
        kept = client.CoreV1Api(api).list_pod_for_all_namespaces().items
    seen = Sum()
    for item in kept:
        seen.add(item.metadata.name, item.metadata.resource_version)
    return seen


@contextmanager
def _opened() -> Iterator[Sides]:
    with serving(PODS) as port, kubeconfig(port) as config, asyncio.Runner() as loop:
        transport = loop.run(connect(config))
        yield Sides(lambda: loop.run(_read(transport)), lambda: official(port), PODS)
        loop.run(transport.aclose())


ROWS = (
    Pair("kube.list", 25, _opened),
    Pair("kube.list.memory", 6, _opened, Measure.MEMORY),
)
