"""The weather is what it says it is, and whatever is not refused passes as it came."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from opsagent.clients.kube_transport import ApiTransport, connect
from opsagent.ports import Transient
from tests.fakes.http_server import HttpServer, Reply, Request
from tests.lab import pki
from tests.lab.storms.proxy import Ask, Proxy, Weather, serving

pytestmark = pytest.mark.timeout(60)  # keys are made, the official client is imported

PODS = "/api/v1/pods"
WATCH = {"watch": "true"}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/ops/leases/ops"


async def answer(request: Request) -> Reply:
    if "watch" in request.target:
        gone = b'{"type":"ERROR","object":{"code":410}}\n'
        return Reply(chunks=(b"first\n", gone), hold=asyncio.Event())
    return Reply(chunks=(request.body or b"all of it",), headers={"X-Mark": "kept"})


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[Proxy, HttpServer, ApiTransport]]:
    """A server behind TLS, the proxy before it, a client before that."""
    keys = folder / "pki"
    pki.create(keys)
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(keys / "server.crt", keys / "server.key")
    behind = HttpServer(answer)
    listener = await asyncio.start_server(behind.handle, "127.0.0.1", 0, ssl=identity)
    port = listener.sockets[0].getsockname()[1]
    async with listener, serving(f"https://127.0.0.1:{port}", keys) as proxy:
        config = pki.write_kubeconfig(
            folder / "config", server=proxy.url, authority=keys / "ca.crt", user={"token": "sesame"}
        )
        client = await connect(config)
        yield proxy, behind, client
        await client.aclose()


def told(asks: list[Ask]) -> list[tuple[str, str, int]]:
    return [(ask.what, ask.how, ask.status) for ask in asks]


async def test_what_is_not_refused_passes_and_is_counted(tmp_path: Path):
    async with stage(tmp_path) as (proxy, behind, client):
        found = await client.request("GET", PODS, query={"limit": "500"})
        more = await client.request("GET", PODS, query={"continue": "token"})
        written = await client.request("PUT", LEASE, body=b'{"held": true}')
    assert (found.status, found.body, found.headers["x-mark"]) == (200, b"all of it", "kept")
    assert more.status == 200
    assert written.body == b'{"held": true}'
    assert {each.headers["authorization"] for each in behind.requests} == {"Bearer sesame"}
    assert told(proxy.asks) == [("pods", "list", 200), ("pods", "more", 200), ("", "other", 200)]


async def test_a_watch_streams_until_it_is_cut(tmp_path: Path):
    async with (
        stage(tmp_path) as (proxy, _, client),
        client.stream(PODS, query=WATCH) as (status, chunks),
    ):
        assert status == 200
        assert await anext(chunks) == b"first\n"
        assert proxy.cut() == 2  # our side and the server's
        with pytest.raises(Transient):
            await anext(chunks)
    assert told(proxy.asks) == [("pods", "watch", 200)]


async def test_what_is_refused_never_reaches_the_server(tmp_path: Path):
    async with stage(tmp_path) as (proxy, behind, client):
        proxy.weather = Weather(refused=frozenset({"list"}), retry_after_seconds=7)
        refused = await client.request("GET", PODS)
        passed = await client.request("GET", LEASE)
    assert (refused.status, refused.headers["retry-after"]) == (429, "7")
    assert b"TooManyRequests" in refused.body
    assert passed.status == 200
    assert [each.target for each in behind.requests] == [LEASE]


async def test_closed_means_closed_for_all(tmp_path: Path):
    async with stage(tmp_path) as (proxy, behind, client):
        proxy.weather = Weather(is_closed=True)
        for path in (PODS, LEASE):
            with pytest.raises(Transient):
                await client.request("GET", path)
    assert behind.requests == []


async def test_lists_can_be_slow(tmp_path: Path):
    async with stage(tmp_path) as (proxy, _, client):
        proxy.weather = Weather(list_seconds=3600)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.request("GET", PODS)
        assert (await client.request("GET", LEASE)).status == 200
