"""The client of Prometheus against servers that misbehave: it waits, reads and trusts within limits."""

import asyncio
import gzip
import json
import math
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from opsagent.clients.prometheus import PrometheusSource
from opsagent.clients.prometheus_wire import answer_of
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.ports import Terminal, Transient
from opsagent.runtime.clock import SystemClock
from tests.fakes.http_server import Answer, Reply, Request, serve
from tests.fakes.virtual_time import EPOCH

UP = (MetricTemplate.TARGETS_UP_RATIO, MetricArguments(), EPOCH)


def good(*values: str, **more: object) -> bytes:
    result = [
        {"metric": {"job": f"job-{number}"}, "value": [1767571200.25, value]}
        for number, value in enumerate(values)
    ]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def always(reply: Reply) -> Answer:
    async def answer(_request: Request) -> Reply:
        return reply

    return answer


async def asked(answer: Answer, **options: object):
    """Return what the source makes of one answer, and the server."""
    async with serve(answer) as server:
        source = PrometheusSource(server.url, SystemClock(), **options)
        try:
            return await source.query(*UP), server
        finally:
            await source.aclose()


async def test_values_are_read_as_they_are_written() -> None:
    body = good("1.5", "NaN", "+Inf", "-Inf", "1e-09")
    answer, _ = await asked(always(Reply(200, (body,))))
    values = [series.points[0].value for series in answer.series]
    assert values[0] == 1.5
    assert math.isnan(values[1])
    assert values[2:] == [math.inf, -math.inf, 1e-9]
    assert answer.series[0].points[0].at.microsecond == 250_000


async def test_series_come_sorted_by_labels() -> None:
    result = [{"metric": {"job": name}, "value": [0, "1"]} for name in "cab"]
    body = json.dumps({"status": "success", "data": {"result": result}}).encode()
    answer, _ = await asked(always(Reply(200, (body,))))
    assert [series.labels["job"] for series in answer.series] == ["a", "b", "c"]


async def test_partial_in_victoria_metrics_words() -> None:
    answer, _ = await asked(always(Reply(200, (good("1", isPartial=True),))))
    assert answer.is_partial
    answer, _ = await asked(always(Reply(200, (good("1", isPartial=False, infos=["hm"]),))))
    assert not answer.is_partial


async def test_many_long_warnings_are_cut() -> None:
    body = good("1", warnings=["x\n" * 1000] * 1000)
    answer, _ = await asked(always(Reply(200, (body,))))
    assert len(answer.warnings) == 10
    assert all(len(each) <= 300 and each.isprintable() for each in answer.warnings)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"[]",
        b'{"status": "success"}',
        b'{"status": "success", "data": null}',
        b'{"status": "success", "data": {"result": [{"metric": {}}]}}',
        b'{"status": "success", "data": {"result": [{"metric": {}, "value": [0, "many"]}]}}',
        b'{"status": "success", "data": {"result": [{"metric": {}, "value": [1e300, "1"]}]}}',
        b'{"status": "success", "data": {"result": [{"metric": {"a": 1}, "value": [0, "1"]}]}}',
        b'{"status": "success", "data": {"result": "a lot"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_what_is_no_answer_is_terminal(body: bytes) -> None:
    with pytest.raises(Terminal):
        await asked(always(Reply(200, (body,))))


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_not_followed(status: int) -> None:
    replies = always(Reply(status, (b"",), {"location": "/elsewhere"}))
    async with serve(replies) as server:
        source = PrometheusSource(server.url, SystemClock())
        with pytest.raises(Terminal, match=str(status)):
            await source.query(*UP)
        with pytest.raises(Terminal, match=str(status)):
            await source.health()
        await source.aclose()
    assert [request.target.split("?")[0] for request in server.requests] == [
        "/api/v1/query",
        "/api/v1/status/buildinfo",
    ]


async def test_a_refusal_is_asked_once_and_says_what_the_server_said() -> None:
    body = json.dumps({"status": "error", "errorType": "timeout", "error": "query\n timed out"})
    async with serve(always(Reply(503, (body.encode(),)))) as server:
        source = PrometheusSource(server.url, SystemClock())
        with pytest.raises(Transient, match="503 query  timed out"):
            await source.query(*UP)
        await source.aclose()
    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_huge_answer_is_not_read_to_its_end(encoding: str) -> None:
    whole = good("1", padding="x" * 3_000_000)
    body = gzip.compress(whole) if encoding == "gzip" else whole
    headers = {"content-encoding": encoding} if encoding == "gzip" else {}
    with pytest.raises(Terminal, match="more than 1000000 bytes"):
        await asked(always(Reply(200, (body,), headers)), bytes_max=1_000_000)
    answer, _ = await asked(always(Reply(200, (body,), headers)), bytes_max=4_000_000)
    assert answer.series


async def test_silence_is_transient() -> None:
    held = asyncio.Event()

    async def answer(_request: Request) -> Reply:
        await held.wait()
        return Reply()

    with pytest.raises(Transient):
        await asked(answer, seconds_max=0.2)
    held.set()


async def test_an_answer_that_drips_is_given_up() -> None:
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    listener = await asyncio.start_server(drip, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()[:2]
    async with listener:
        source = PrometheusSource(f"http://{host}:{port}", SystemClock(), seconds_max=0.4)
        with pytest.raises(Transient, match="takes too long"):
            await source.query(*UP)
        await source.aclose()
        await ended.wait()  # it feels that nobody reads any more


@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_connection_that_breaks_is_transient(is_cut: bool) -> None:
    body = good("1")
    with pytest.raises(Transient if is_cut else Terminal):
        await asked(always(Reply(200, (body[:20],), is_cut=is_cut)))


async def test_nobody_there_is_transient() -> None:
    async with serve(always(Reply())) as server:
        url = server.url
    source = PrometheusSource(url, SystemClock())
    for question in (source.query(*UP), source.health()):
        with pytest.raises(Transient):
            await question
    await source.aclose()


async def test_the_token_is_read_anew_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"

    async def answer(request: Request) -> Reply:
        if "buildinfo" in request.target:
            return Reply(200, (b'{"status": "success", "data": {"version": "3.1.0"}}',))
        return Reply(404) if "rules" in request.target else Reply(200, (good("1"),))

    async with serve(answer) as server:
        source = PrometheusSource(server.url, SystemClock(), token_file=token)
        with pytest.raises(Terminal, match="cannot read the token file"):
            await source.query(*UP)
        for text in ("first\n", "second\n"):
            token.write_text(text)
            await source.query(*UP)
        assert (await source.health()).version == "3.1.0"
        await source.aclose()
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first", "Bearer second", "Bearer second", "Bearer second"]


async def test_the_environment_is_not_asked_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answer, _ = await asked(always(Reply(200, (good("1"),))))
    assert answer.series


def test_bytes_in_no_known_form_are_terminal_also_without_the_library() -> None:
    assert answer_of(200, good("1")).series[0].labels == {"job": "job-0"}
    for body in (
        b'{"status": "success", "data": {}}',
        b'{"status": "success", "data": {"result": [7]}}',
    ):
        with pytest.raises(Terminal, match="no known form"):
            answer_of(200, body)


async def test_rules_that_cannot_be_evaluated_are_named_and_firing_alerts_counted() -> None:
    rules = [
        {"name": "Down", "type": "alerting", "state": "firing", "health": "ok"},
        {"name": "Slow", "type": "alerting", "state": "pending", "health": "err"},
        {"name": "job:up", "type": "recording", "health": "err"},
        {"name": "job:up", "type": "recording", "health": "err"},
    ]
    groups = {"status": "success", "data": {"groups": [{"rules": rules}]}}

    async def answer(request: Request) -> Reply:
        return (
            Reply(200, (json.dumps(groups).encode(),)) if "rules" in request.target else Reply(404)
        )

    async with serve(answer) as server:
        source = PrometheusSource(server.url, SystemClock())
        health = await source.health()
        await source.aclose()
    assert health.version == ""
    assert health.alerts_firing == 1
    assert health.rules_failing == ("Slow", "job:up")


async def test_what_is_no_fact_is_terminal() -> None:
    body = b'{"status": "success", "data": []}'
    async with serve(always(Reply(200, (body,)))) as server:
        source = PrometheusSource(server.url, SystemClock())
        with pytest.raises(Terminal):
            await source.health()
        await source.aclose()


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Terminal, match=r"metrics\.url"):
        PrometheusSource(url, SystemClock())


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "ca.crt"
    for text in (None, "no certificate"):
        if text is not None:
            bad.write_text(text)
        with pytest.raises(Terminal, match=r"metrics\.ca_file"):
            PrometheusSource("https://127.0.0.1", SystemClock(), ca_file=bad)


async def test_connections_are_used_again_and_questions_run_beside_each_other() -> None:
    connections = ended = waiting = 0
    all_here, all_gone = asyncio.Event(), asyncio.Event()
    body = good("1")

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, ended, waiting
        connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                waiting += 1
                if waiting == 4:
                    all_here.set()
                await all_here.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except asyncio.IncompleteReadError:
            writer.close()
            ended += 1
            if ended == connections:
                all_gone.set()

    listener = await asyncio.start_server(keep, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()[:2]
    async with listener:
        source = PrometheusSource(f"http://{host}:{port}", SystemClock())
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(source.query(*UP))
        for _ in range(5):
            await source.query(*UP)
        assert connections == 4
        await source.aclose()
        await all_gone.wait()


async def test_a_question_on_its_way_when_the_source_closes_ends_in_peace() -> None:
    arrived, held = asyncio.Event(), asyncio.Event()

    async def answer(_request: Request) -> Reply:
        arrived.set()
        await held.wait()
        return Reply(200, (good("1"),))

    async with serve(answer) as server:
        source = PrometheusSource(server.url, SystemClock())
        async with asyncio.TaskGroup() as group:
            question = group.create_task(source.query(*UP))
            await arrived.wait()
            await source.aclose()
            held.set()
        assert question.result().series


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a self-signed certificate for 127.0.0.1 and a server's context with it."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=x"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", *options.split(), "-addext", "subjectAltName=IP:127.0.0.1", *files],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def answer_once(listener: socket.socket, context: ssl.SSLContext, body: bytes) -> None:
    """Answer one request, if the client trusts us that far."""
    connection, _ = listener.accept()
    with (
        connection,
        suppress(OSError),
        context.wrap_socket(connection, server_side=True) as secured,
    ):
        secured.recv(65_536)
        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_private_authority_is_trusted_if_it_is_named(
    tmp_path: Path, is_named: bool
) -> None:
    certificate, context = make_certificate(tmp_path)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        source = PrometheusSource(url, SystemClock(), ca_file=certificate if is_named else None)
        served = loop.run_in_executor(None, answer_once, listener, context, good("1"))
        if is_named:
            assert (await source.query(*UP)).series
        else:
            with pytest.raises(Terminal, match="certificate is not trusted"):
                await source.query(*UP)
        await served
        await source.aclose()
