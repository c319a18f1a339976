"""Series in bulk against servers that misbehave: the client waits, reads and trusts within limits."""

import asyncio
import datetime as dt
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from opsagent.clients.download import Place
from opsagent.clients.prometheus_remote import READ
from opsagent.clients.prometheus_selections import (
    Comparison,
    Matcher,
    is_known,
    matchers,
    recognise,
    selector,
    selects,
)
from opsagent.clients.prometheus_series import PrometheusSeries, milliseconds
from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import NotFound, SeriesSource, Terminal, Transient
from opsagent.sim.remote_read import answer_to
from tests.edge.clients.test_prometheus import always, answer_once, make_certificate
from tests.fakes.http_server import Answer, HttpServer, Reply, Request, serve
from tests.fakes.virtual_time import EPOCH

UP = (("__name__", "up"), ("job", "j"))
NOW_MS = milliseconds(EPOCH)
SAMPLES = answer_to([(UP, [(NOW_MS, 1.5), (NOW_MS + 1, 0.0)])])
RANGE = json.dumps(
    {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": dict(UP), "values": [[1, "2.5"]]}]},
    }
).encode()


async def samples(source: SeriesSource) -> SeriesBlock:
    return await source.samples(Selection.TARGETS_UP, start=EPOCH, end=EPOCH)


async def ranged(source: SeriesSource) -> SeriesBlock:
    step = dt.timedelta(seconds=15)
    return await source.range(Selection.TARGETS_UP, start=EPOCH, end=EPOCH, step=step)


both = pytest.mark.parametrize("ask", [samples, ranged])


async def right(request: Request) -> Reply:
    return Reply(200, (SAMPLES if request.target == READ else RANGE,))


@asynccontextmanager
async def asking(
    answer: Answer, **options: object
) -> AsyncIterator[tuple[PrometheusSeries, HttpServer]]:
    async with serve(answer) as server:
        source = PrometheusSeries(Place("metrics", f"{server.url}/base/"), **options)
        try:
            yield source, server
        finally:
            await source.aclose()


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[PrometheusSeries]:
    """Yield a source that asks a server which is a function; at the end every connection is closed."""
    ended: list[asyncio.Event] = []

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        mine = ended[-1]
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        mine.set()

    listener = await asyncio.start_server(whole, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()[:2]
    async with listener:
        source = PrometheusSeries(Place("metrics", f"http://{host}:{port}"), seconds_max=0.4)
        try:
            yield source
        finally:
            await source.aclose()
            for each in ended:
                await each.wait()


async def under_base(request: Request) -> Reply:
    assert request.target.startswith("/base/")
    return await right(
        Request(request.method, request.target.removeprefix("/base"), request.headers, request.body)
    )


async def test_samples_are_asked_by_post_and_ranges_by_get() -> None:
    async with asking(under_base) as (source, server):
        assert (await samples(source)).values.tolist() == [1.5, 0.0]
        assert (await ranged(source)).values.tolist() == [2.5]
    post, get = server.requests
    assert (post.method, post.target) == ("POST", f"/base{READ}")
    assert post.headers["content-encoding"] == "snappy"
    assert post.headers["x-prometheus-remote-read-version"] == "0.1.0"
    assert get.method == "GET"
    assert "query=%7B__name__%3D%22up%22%7D" in get.target
    assert get.headers["accept-encoding"] == "identity"


@both
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, Terminal),
        (400, Terminal),
        (401, Terminal),
        (422, Terminal),
        (429, Transient),
        (500, Transient),
        (503, Transient),
    ],
)
async def test_a_refusal_is_told_apart_and_not_asked_twice(
    ask, status: int, error: type[Exception]
) -> None:
    async with asking(always(Reply(status, (b"no\nthanks",), {"location": "/x"}))) as (
        source,
        server,
    ):
        with pytest.raises(error, match=f"{status} no thanks"):
            await ask(source)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, b"404 page not found"),
        (405, b""),
        (501, b""),
        (400, b'unsupported path requested: "/api/v1/read"'),
    ],
)
async def test_a_server_without_remote_read_is_no_trouble(status: int, words: bytes) -> None:
    async with asking(always(Reply(status, (words,)))) as (source, _):
        with pytest.raises(NotFound):
            await samples(source)


@both
@pytest.mark.parametrize(
    "body", [b"", b"<html>welcome</html>", SAMPLES[:20], RANGE[:40], b"\xff" * 9]
)
async def test_what_is_no_answer_is_terminal(ask, body: bytes) -> None:
    async with asking(always(Reply(200, (body,)))) as (source, _):
        with pytest.raises(Terminal, match="no known form"):
            await ask(source)


@both
async def test_a_huge_answer_is_not_read_to_its_end(ask) -> None:
    huge = always(Reply(200, (b"x" * 3_000_000,)))
    async with asking(huge, bytes_max=1_000_000) as (source, _):
        with pytest.raises(Terminal, match="more than 1000000 bytes"):
            await ask(source)


@both
async def test_an_answer_that_ends_too_early_is_transient(ask) -> None:
    async with asking(always(Reply(200, (SAMPLES,), is_cut=True))) as (source, _):
        with pytest.raises(Transient):
            await ask(source)


async def test_less_than_was_announced_is_transient() -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")

    async with listening(short) as source:
        with pytest.raises(Transient, match="HTTPException"):
            await ranged(source)


@pytest.mark.parametrize("drop", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
async def test_silence_and_an_answer_that_drips_are_given_up(drop: bytes) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(drop)
        while not reader.at_eof():
            writer.write(b" " if drop else b"")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with listening(drip) as source:
        with pytest.raises(Transient, match="timed out after"):
            await ranged(source)
        with pytest.raises(Transient):
            await ranged(source)  # the thread is free again


async def test_a_cancelled_question_frees_the_thread() -> None:
    arrived, held = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> Reply:
        if not arrived.is_set():
            arrived.set()
            await held.wait()
        return await under_base(request)

    async with asking(answer) as (source, _):
        async with asyncio.TaskGroup() as group:
            first = group.create_task(samples(source))
            await arrived.wait()
            first.cancel()
        assert (await samples(source)).labels
        held.set()


async def test_nobody_there_is_transient() -> None:
    async with serve(right) as server:
        url = server.url
    source = PrometheusSeries(Place("metrics", url))
    with pytest.raises(Transient, match="ConnectionRefusedError"):
        await samples(source)
    await source.aclose()


@pytest.mark.parametrize("requests_each", [1, 3])
async def test_a_connection_is_kept_and_one_that_died_meanwhile_is_replaced(
    requests_each: int,
) -> None:
    connections = 0

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(requests_each):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(RANGE)
            writer.write(head + RANGE)

    async with listening(keep) as source:
        for _ in range(6):
            assert (await ranged(source)).labels
    assert connections == 6 // requests_each


async def test_a_new_connection_that_breaks_is_not_tried_again() -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")

    async with listening(hang_up) as source:
        with pytest.raises(Transient, match="RemoteDisconnected"):
            await ranged(source)
    assert connections == 1


async def test_the_token_is_read_anew_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with serve(right) as server:
        source = PrometheusSeries(Place("metrics", server.url, token_file=token))
        with pytest.raises(Terminal, match="cannot read the token file"):
            await samples(source)
        for text in ("first\n", "second\n"):
            token.write_text(text)
            await samples(source)
        await source.aclose()
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    "url", ["", "prometheus:9090", "ftp://x", "http://", "http://x:port", "http://[x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Terminal, match=r"metrics\.url"):
        PrometheusSeries(Place("metrics", url))


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "ca.crt"
    for text in (None, "no certificate"):
        if text is not None:
            bad.write_text(text)
        with pytest.raises(Terminal, match=r"metrics\.ca_file"):
            PrometheusSeries(Place("metrics", "https://127.0.0.1", ca_file=bad))


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_private_authority_is_trusted_if_it_is_named(
    tmp_path: Path, is_named: bool
) -> None:
    certificate, context = make_certificate(tmp_path)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        place = Place("metrics", url, ca_file=certificate if is_named else None)
        source = PrometheusSeries(place)
        served = loop.run_in_executor(None, answer_once, listener, context, RANGE)
        if is_named:
            assert (await ranged(source)).labels
        else:
            with pytest.raises(Terminal, match="certificate is not trusted"):
                await ranged(source)
        await served
        await source.aclose()


def test_what_is_no_namespace_never_becomes_a_matcher() -> None:
    for name in ("", "a.b", 'x"} or up{a="', "-a", "a|b", "x" * 64):
        with pytest.raises(Terminal, match="not a namespace"):
            PrometheusSeries(Place("metrics", "http://x"), namespaces=("shop", name))


def test_a_selector_is_recognised_to_the_letter_and_no_other_is() -> None:
    for selection in Selection:
        for namespaces in ((), ("shop",), ("cart", "shop")):
            wanted = matchers(selection, namespaces)
            assert recognise(selector(wanted)) == wanted
            assert recognise(selector(wanted) + " ") is None
    assert recognise("up") is None
    assert recognise('{__name__="secrets"}') is None
    odd = (*matchers(Selection.CONTAINER_CPU), Matcher("namespace", Comparison.EQUAL, "A B"))
    assert not is_known(odd)


def test_the_pod_s_own_cgroup_and_its_sandbox_are_not_selected() -> None:
    wanted = matchers(Selection.CONTAINER_MEMORY, ("shop",))
    base = (("__name__", "container_memory_working_set_bytes"), ("namespace", "shop"))
    assert selects(wanted, (*base, ("container", "web")))
    assert not selects(wanted, (*base, ("container", "POD")))
    assert not selects(wanted, base)
    assert not selects(wanted, (*base[:1], ("namespace", "other"), ("container", "web")))
