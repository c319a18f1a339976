"""The real transport against a loopback server: identity, exact JSON, streams, failures in plain words."""

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml

from opsagent.clients import kube_transport
from opsagent.clients.kube_transport import ApiTransport, connect
from opsagent.ports import Terminal, Transient
from tests.fakes.http_server import Reply, Request, serve

# The official client takes about a second to import on a busy machine.
pytestmark = pytest.mark.timeout(30)


def kubeconfig(folder: Path, server: str, user: dict[str, object] | None = None) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "watcher"}}],
        "clusters": [{"name": "lab", "cluster": {"server": server}}],
        "users": [{"name": "watcher", "user": user or {"token": "sesame"}}],
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


async def ok(_: Request) -> Reply:
    return Reply(chunks=(b'{"kind": "PodList"}',), headers={"X-Probe": "yes"})


async def test_a_request_carries_the_token_and_the_query_as_given(tmp_path: Path):
    async with serve(ok) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        answer = await transport.request(
            "GET", "/api/v1/pods", query={"labelSelector": "app=cart,tier in (a)", "limit": "5"}
        )
        await transport.aclose()
    assert answer.status == 200
    assert answer.body == b'{"kind": "PodList"}'
    assert answer.headers["x-probe"] == "yes"
    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer sesame"
    assert request.headers["user-agent"].startswith("opsagent/")
    path, _, query = request.target.partition("?")
    assert path == "/api/v1/pods"
    assert parse_qs(query) == {"labelSelector": ["app=cart,tier in (a)"], "limit": ["5"]}


@pytest.mark.parametrize(
    ("method", "content_type", "body"),
    [
        (
            "POST",
            "application/json",
            {"kind": "Lease", "spec": {"n": 1, "half": 0.5, "none": None}},
        ),
        ("PUT", "application/json", {}),
        (
            "PATCH",
            "application/json-patch+json",
            [{"op": "replace", "path": "/spec", "value": "é"}],
        ),
        ("PATCH", "application/merge-patch+json", {"metadata": {"annotations": {"a": None}}}),
        ("PATCH", "application/apply-patch+yaml", {"kind": "Deployment"}),
    ],
)
async def test_a_body_arrives_as_the_same_json_value_under_its_own_content_type(
    tmp_path: Path, method: str, content_type: str, body: object
):
    async with serve(ok) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        await transport.request(
            method, "/apis/x", body=json.dumps(body).encode(), content_type=content_type
        )
        await transport.aclose()
    (request,) = server.requests
    assert request.method == method
    assert request.headers["content-type"] == content_type
    assert json.loads(request.body) == body


async def test_a_json_patch_that_is_no_list_is_refused_before_it_becomes_another_operation(
    tmp_path: Path,
):
    async with serve(ok) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        with pytest.raises(ValueError, match="list of operations"):
            await transport.request(
                "PATCH", "/x", body=b'{"spec": {}}', content_type="application/json-patch+json"
            )
        await transport.aclose()
    assert server.requests == []


async def test_a_failure_status_is_an_answer_not_an_error(tmp_path: Path):
    async def refuse(_: Request) -> Reply:
        return Reply(503, (b"busy",), {"Retry-After": "3"})

    async with serve(refuse) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        answer = await transport.request("GET", "/api")
        await transport.aclose()
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"busy", "3")


async def test_a_stream_yields_chunks_while_the_server_still_holds_the_rest(tmp_path: Path):
    is_read = asyncio.Event()

    async def watch(_: Request) -> Reply:
        return Reply(chunks=(b'{"type": ', b'"ADDED"}\n'), hold=is_read)

    async with serve(watch) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        async with transport.stream("/watch", query={"watch": "true"}) as (status, chunks):
            first = await anext(chunks)
            is_read.set()
            rest = b"".join([chunk async for chunk in chunks])
        await transport.aclose()
    assert (status, first, rest) == (200, b'{"type": ', b'"ADDED"}\n')


async def test_a_stream_that_breaks_in_the_middle_is_transient(tmp_path: Path):
    async def cut(_: Request) -> Reply:
        return Reply(chunks=(b"half",), is_cut=True)

    async with serve(cut) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        async with transport.stream("/watch") as (_, chunks):
            assert await anext(chunks) == b"half"
            with pytest.raises(Transient, match=r"127\.0\.0\.1.*ClientPayloadError"):
                await anext(chunks)
        with pytest.raises(Transient, match="ClientPayloadError"):
            await transport.request("GET", "/list")
        await transport.aclose()


async def test_a_trouble_of_the_caller_inside_a_stream_keeps_its_name(tmp_path: Path):
    async with serve(ok) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        with pytest.raises(OSError, match="the disk is full"):
            async with transport.stream("/watch"):
                raise OSError("the disk is full")
        await transport.aclose()


async def test_no_server_is_transient_and_names_the_host(tmp_path: Path):
    transport = await connect(kubeconfig(tmp_path, "http://127.0.0.1:1"))
    with pytest.raises(Transient, match=r"http://127\.0\.0\.1:1: ClientConnector"):
        await transport.request("GET", "/api")
    with pytest.raises(Transient, match="ClientConnector"):
        async with transport.stream("/api"):
            pass
    await transport.aclose()


async def test_a_silent_server_is_transient_after_the_time_limit(
    tmp_path: Path,
):
    async def never(_: Request) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with serve(never) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        quick = ApiTransport(transport.api, server.url, request_seconds=0.05, idle_seconds=0.05)
        with pytest.raises(Transient, match="Timeout"):
            await quick.request("GET", "/api")
        with pytest.raises(Transient, match="Timeout"):
            async with quick.stream("/watch"):
                pass
        await transport.aclose()


async def test_a_stream_may_be_given_its_own_time_of_silence(tmp_path: Path):
    is_read = asyncio.Event()

    async def late(_: Request) -> Reply:
        return Reply(chunks=(b"first", b"second"), hold=is_read)

    async with serve(late) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        async with transport.stream("/log", idle_seconds=0.05) as (_, chunks):
            assert await anext(chunks) == b"first"
            with pytest.raises(Transient, match="Timeout"):
                await anext(chunks)
        await transport.aclose()


async def test_many_open_streams_leave_room_for_a_request(tmp_path: Path):
    is_read = asyncio.Event()

    async def hold(request: Request) -> Reply:
        is_log = request.target == "/log"
        return Reply(chunks=(b"a", b"b"), hold=is_read if is_log else None)

    async with serve(hold) as server, AsyncExitStack() as stack:
        transport = await connect(kubeconfig(tmp_path, server.url))
        stack.push_async_callback(transport.aclose)
        async with asyncio.timeout(10):
            for _ in range(120):  # the pool of the official client holds 100
                await stack.enter_async_context(transport.stream("/log"))
            assert (await transport.request("GET", "/api")).status == 200
        is_read.set()


async def test_an_answer_without_end_is_cut_off(tmp_path: Path):
    async def flood(_: Request) -> Reply:
        return Reply(chunks=(b"x" * 1000,) * 10)

    async with serve(flood) as server:
        transport = await connect(kubeconfig(tmp_path, server.url))
        small = ApiTransport(transport.api, server.url, answer_bytes_max=5000)
        with pytest.raises(Transient, match="larger than 5000 bytes"):
            await small.request("GET", "/api")
        await transport.aclose()


async def test_a_rotated_token_file_is_read_again(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("old")
    async with serve(ok) as server:
        path = kubeconfig(tmp_path, server.url, {"tokenFile": "token"})
        transport = await connect(path, credential_seconds=0.0)
        await transport.request("GET", "/one")
        token.write_text("new")
        await transport.request("GET", "/two")
        token.unlink()
        with pytest.raises(Transient, match="token"):
            await transport.request("GET", "/three")
        await transport.aclose()
    assert [each.headers["authorization"] for each in server.requests] == [
        "Bearer old",
        "Bearer new",
    ]


async def test_a_token_that_was_replaced_in_the_file_is_seen_after_a_while(tmp_path: Path):
    async with serve(ok) as server:
        path = kubeconfig(tmp_path, server.url, {"token": "old"})
        transport = await connect(path, credential_seconds=0.0)
        await transport.request("GET", "/one")
        path.write_text("half a fi: [")
        with pytest.raises(Transient, match="not YAML"):
            await transport.request("GET", "/two")
        kubeconfig(tmp_path, server.url, {"token": "new"})
        await transport.request("GET", "/three")
        await transport.aclose()
    assert [each.headers["authorization"] for each in server.requests] == [
        "Bearer old",
        "Bearer new",
    ]


async def test_a_refused_token_is_read_again_at_once(tmp_path: Path):
    async def only_new(request: Request) -> Reply:
        return Reply(200 if request.headers["authorization"] == "Bearer new" else 401)

    async with serve(only_new) as server:
        path = kubeconfig(tmp_path, server.url, {"token": "old"})
        transport = await connect(path, credential_seconds=3600.0)
        kubeconfig(tmp_path, server.url, {"token": "new"})
        statuses = [(await transport.request("GET", "/api")).status for _ in range(2)]
        path = kubeconfig(tmp_path, server.url, {"token": "newer"})
        async with transport.stream("/api") as (status, _):
            statuses.append(status)
        await transport.aclose()
    assert statuses == [401, 200, 200]


def with_cluster(cluster: str) -> str:
    return f"""
current-context: lab
contexts: [{{name: lab, context: {{cluster: c, user: u}}}}]
users: [{{name: u, user: {{token: t}}}}]
clusters: [{{name: c, cluster: {cluster}}}]
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{unclosed", "is not YAML"),
        ("[]", "is not a mapping"),
        ("kind: Config", "is not usable"),
        ("current-context: lab\ncontexts: 5", "is not usable"),
        (with_cluster("{}"), "names no server"),
        (with_cluster("{server: 5}"), "is not usable"),
        (with_cluster("{server: 'https://h', certificate-authority: gone.crt}"), "is not usable"),
        (with_cluster("{server: 'https://h', certificate-authority-data: eA==}"), "TLS material"),
    ],
)
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, content: str, message: str):
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(Terminal, match=message) as caught:
        await connect(path)
    assert str(path) in str(caught.value)


async def test_a_missing_kubeconfig_is_named_with_what_to_do(tmp_path: Path):
    with pytest.raises(
        Terminal, match=r"nowhere\.yaml cannot be read.*check kubernetes.kubeconfig"
    ):
        await connect(tmp_path / "nowhere.yaml")


async def test_an_unknown_context_is_named(tmp_path: Path):
    with pytest.raises(Terminal, match="production"):
        await connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), "production")


async def test_without_a_file_outside_a_pod_it_says_what_to_set():
    with pytest.raises(Terminal, match="set kubernetes"):
        await connect()


def test_importing_the_transport_does_not_import_the_official_client():
    code = f"import sys, {kube_transport.__name__}; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_connecting_never_loads_the_generated_api_classes(tmp_path: Path):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    code = f"""
import asyncio, pathlib, sys
from opsagent.clients.kube_transport import connect
asyncio.run(connect(pathlib.Path({str(path)!r})))
sys.exit(any(name.startswith("kubernetes.aio.client.api.") for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
