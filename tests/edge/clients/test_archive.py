"""The clients of archives against answers that are late, wrong, huge or hostile."""

import asyncio
import datetime as dt
import json
import zlib
from collections.abc import Callable
from contextlib import aclosing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.archive_query import Address, LogFields
from opsagent.clients.loki import LokiArchive
from opsagent.clients.rest import BODY_BYTES_MAX
from opsagent.clients.tempo import TempoArchive
from opsagent.clients.victorialogs import VictoriaLogsArchive
from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.trace import Trace, TraceAnswer, TraceSearch
from opsagent.ports import NotFound, Terminal, Transient
from tests.fakes.http_server import HttpServer, Reply, Request, serve
from tests.fakes.virtual_time import EPOCH

END = EPOCH + dt.timedelta(hours=1)
SEARCH = LogSearch(Entity(Kind.POD, "shop", "cart-0"), EPOCH, END, lines_max=10)
NOW = 1767571200 * 10**9  # EPOCH
LABELS = {"namespace": "shop", "pod": "cart-0", "container": "cart"}
PAGE = b"<!doctype html><html><script>pwned()</script></html>"
DEEP = b"[" * 100_000

Ask = Callable[[Address], Any]


async def loki(address: Address, fields: LogFields | None = None) -> LogAnswer:
    async with aclosing(LokiArchive(address, *([fields] if fields else []))) as client:
        return await client.search(SEARCH)


async def victorialogs(address: Address, fields: LogFields | None = None) -> LogAnswer:
    async with aclosing(VictoriaLogsArchive(address, *([fields] if fields else []))) as client:
        return await client.search(SEARCH)


async def tempo(address: Address) -> TraceAnswer:
    async with aclosing(TempoArchive(address)) as client:
        return await client.search(TraceSearch("cart", EPOCH, END))


async def trace(address: Address) -> Trace:
    async with aclosing(TempoArchive(address)) as client:
        return await client.trace("1f")


LOGS = pytest.mark.parametrize("ask", [loki, victorialogs])
ALL = pytest.mark.parametrize("ask", [loki, victorialogs, tempo, trace])
SECTIONS = {loki: "log_archive", victorialogs: "log_archive"}


async def told(reply: Reply, ask: Ask, **more: Any) -> tuple[Any, HttpServer]:
    """Return what the client makes of the reply, and the server that was asked."""

    async def answer(_request: Request) -> Reply:
        return reply

    async with serve(answer) as server:
        return await ask(Address(server.url, **more)), server


async def made(body: bytes | dict[str, Any], ask: Ask, status: int = 200) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (await told(Reply(status, (content,)), ask))[0]


def streams(*values: object, **more: object) -> dict[str, Any]:
    result = [{"stream": LABELS, "values": list(values)}]
    return {"status": "success", "data": {"resultType": "streams", "result": result}} | more


def line(**fields: object) -> bytes:
    whole = {"_time": "2026-01-05T00:00:01.123456789Z", "_msg": "a"} | fields
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


# Refusals


@ALL
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Terminal),
        (401, Terminal),
        (403, Terminal),
        (302, Terminal),
        (408, Transient),
        (429, Transient),
        (500, Transient),
        (503, Transient),
    ],
)
async def test_a_refusal_is_told_apart_with_the_server_s_words(
    ask: Ask, status: int, error: type[Exception]
) -> None:
    section = SECTIONS.get(ask, "trace_archive")
    with pytest.raises(error, match=f"^{section}: {status}"):
        await made(b"", ask, status)
    with pytest.raises(error) as caught:
        await made(b"no\x1b[31m\n way: password=hunter2 " + b"x " * 10**6, ask, status)
    said = str(caught.value)
    assert said.startswith(f"{section}: {status} no\ufffd[31m way: password=[redacted] x x")
    assert len(said) < 350


@pytest.mark.parametrize("ask", [loki, victorialogs, tempo])
async def test_what_is_not_there_is_a_wrong_address(ask: Ask) -> None:
    with pytest.raises(Terminal, match="404"):
        await made(b"404 page not found", ask, 404)


async def test_a_trace_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no trace 1f"):
        await made(b"trace not found", trace, 404)


@ALL
async def test_nobody_there_a_broken_line_and_silence_are_transient(ask: Ask) -> None:
    with pytest.raises(Transient, match="ConnectError"):
        await ask(Address("http://127.0.0.1:9"))
    with pytest.raises(Transient):
        await told(Reply(200, (b"{",), is_cut=True), ask)


# Bodies


@ALL
@pytest.mark.parametrize("body", [PAGE, b"\xff\xfe", b"[]", b"null", b'"text"', b'{"a": ', DEEP])
async def test_what_is_no_answer_is_terminal(ask: Ask, body: bytes) -> None:
    with pytest.raises(Terminal, match="no known form: check"):
        await made(body, ask)


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (loki, b""),
        (loki, b'{"data": {"resultType": "matrix", "result": []}}'),
        (loki, b'{"data": {"resultType": "streams", "result": [{"stream": 1, "values": []}]}}'),
        (tempo, b"{}"),
        (tempo, b'{"traces": [1, 2]}'),
        (trace, b"{}"),
        (trace, b'{"batches": [{"scopeSpans": [{"spans": [1]}]}]}'),
    ],
)
async def test_nor_is_what_only_looks_like_one(ask: Ask, body: bytes) -> None:
    with pytest.raises(Terminal, match="no known form"):
        await made(body, ask)


@pytest.mark.parametrize("ask", [loki, tempo, trace])
async def test_one_value_that_is_too_long_is_not_read_to_its_end(ask: Ask) -> None:
    reply = Reply(200, (b" " * 2**20,) * (BODY_BYTES_MAX // 2**20 + 1))
    with pytest.raises(Terminal, match="longer than 16777216 bytes: ask for less"):
        await told(reply, ask)


async def test_of_too_many_lines_the_whole_ones_are_shown() -> None:
    many = b"".join(line(_msg="x" * 1000) + b"\n" for _ in range(1024))
    reply = Reply(200, (many,) * 20)
    answer, _ = await told(reply, victorialogs)
    assert len(answer.lines) == 10
    assert answer.warnings == (
        "the answer was longer than 16777216 bytes",
        "there are more lines: these are the newest 10",
    )


async def test_one_line_without_an_end_shows_nothing_and_says_so() -> None:
    reply = Reply(200, (b"x" * 2**20,) * 17)
    answer, _ = await told(reply, victorialogs)
    assert answer == LogAnswer((), ("the answer was longer than 16777216 bytes",))


@cache
def gigabyte() -> bytes:
    """Return a gigabyte of zeros as 4.5 MB of gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()


@ALL
async def test_a_gigabyte_in_a_nutshell_is_not_unpacked_to_its_end(ask: Ask) -> None:
    body = gigabyte()
    chunks = tuple(body[at : at + 2**16] for at in range(0, len(body), 2**16))
    reply = Reply(200, chunks, {"content-encoding": "gzip"})
    if ask is victorialogs:
        answer, _ = await told(reply, ask)
        assert answer == LogAnswer((), ("the answer was longer than 16777216 bytes",))
    else:
        with pytest.raises(Terminal, match="longer than"):
            await told(reply, ask)


# Rows


async def test_a_bad_row_costs_only_itself_in_loki() -> None:
    bad = [None, [], ["x", "no number"], [str(NOW)], [str(NOW), 1], [str(10**30), "late"], {"a": 1}]
    answer = await made(streams([str(NOW), "good"], *bad), loki)
    assert [each.text for each in answer.lines] == ["good"]
    assert answer.warnings == ("7 lines could not be read",)


async def test_a_bad_row_costs_only_itself_in_victorialogs() -> None:
    bad = [
        b"<html>",
        b'{"_time": ',
        b"[]",
        line(_msg=None),
        line(_msg=1),
        line(_time=None),
        line(_time="soon"),
        line(_time="2026-01-05T00:00:01"),
        b'{"_time":"2026-01-05T00:00:01Z","_msg":"\xff"}',
    ]
    answer = await made(b"\n".join([*bad, line(), b""]), victorialogs)
    assert [each.text for each in answer.lines] == ["a"]
    assert answer.lines[0].at == EPOCH + dt.timedelta(seconds=1, microseconds=123456)
    assert answer.warnings == ("9 lines could not be read",)


async def test_a_bad_row_costs_only_itself_in_a_search_of_traces() -> None:
    good = {"traceID": "1F", "startTimeUnixNano": str(NOW)}
    bad = [
        {"traceID": "1f"},
        good | {"traceID": "../x"},
        good | {"startTimeUnixNano": str(10**30)},
        good | {"durationMs": 10**20},
        good | {"rootTraceName": 1},
    ]
    answer = await made({"traces": [good, *bad]}, tempo)
    (found,) = answer.traces
    assert (found.trace_id, found.name, found.duration) == ("1f".zfill(32), "", dt.timedelta(0))
    assert answer.warnings == ("5 traces could not be read",)


def span(**more: object) -> dict[str, object]:
    times = {"startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 1000)}
    return {"spanId": "00000000000000AB", "name": "x"} | times | more


def batch(*spans: object, **more: object) -> dict[str, Any]:
    return {"scopeSpans": [{"spans": list(spans)}]} | more


async def test_a_bad_span_costs_only_itself() -> None:
    bad = [
        None,
        span(spanId="x"),
        span(spanId="AAAA"),
        span(endTimeUnixNano=str(10**30)),
        span(status=1),
    ]
    answer = await made({"batches": [batch(span(), *bad)]}, trace)
    assert [each.span_id for each in answer.spans] == ["00000000000000ab"]
    assert answer.warnings == ("5 spans could not be read",)


async def test_otlp_by_the_book_is_read_too() -> None:
    one = span(kind=2, status={"code": 2}, parentSpanId="00000000000000AC")
    kinds = ["SPAN_KIND_CONSUMER", "SPAN_KIND_X", 9, 0, "\u00b2"]
    others = [span(kind=kind) for kind in kinds]
    answer = await made({"resourceSpans": [batch(one, *others)]}, trace)
    first, *rest = answer.spans
    assert (first.kind, first.is_error, first.parent_id) == ("server", True, "00000000000000ac")
    assert (first.service, answer.trace_id) == ("", "1f".zfill(32))
    assert [each.kind for each in rest] == ["consumer"] + ["unspecified"] * 4


async def test_attributes_are_bounded_in_number_and_length_and_of_any_sort() -> None:
    values = [{"boolValue": True}, {"doubleValue": 0.5}, {"arrayValue": {"values": []}}, {}]
    pairs = [{"key": f"k{n}", "value": value} for n, value in enumerate(values)]
    pairs += [{"key": "x" * 10**5, "value": {"stringValue": "y" * 10**5}}, {"key": "none"}]
    pairs += [{"key": f"more{n}", "value": {"stringValue": "\x1b[2J"}} for n in range(40)]
    answer = await made({"batches": [batch(span(attributes=pairs))]}, trace)
    found = answer.spans[0].attributes
    assert len(found) == 16
    assert found[:4] == ("k0=True", "k1=0.5", "k2=(not a scalar)", "k3=(not a scalar)")
    assert len(found[4]) == 200
    assert found[6] == "more0=\ufffd[2J"


async def test_what_the_server_calls_partial_is_partial() -> None:
    answer = await made({"batches": [batch(span())]}, trace, 206)
    assert answer.is_partial
    answer = await made(streams([str(NOW), "a"], warnings=["token=x \x1b" + "y" * 10**6]), loki)
    assert answer.warnings[0].startswith("token=[redacted] \ufffdyy")
    assert len(answer.warnings[0]) == 300


async def test_a_line_of_loki_may_carry_more_and_labels_may_be_missing() -> None:
    body = streams([str(NOW), "a", {"level": "error"}])
    body["data"]["result"][0]["stream"] = {"namespace": "shop"}
    (found,) = (await made(body, loki)).lines
    assert (found.pod, found.container, found.text) == ("", "", "a")


async def test_a_server_that_sends_more_than_was_asked_for_is_cut() -> None:
    answer = await made(streams(*([str(NOW + n * 1000), f"{n}"] for n in range(30))), loki)
    assert [each.text for each in answer.lines] == [f"{n}" for n in range(20, 30)]
    assert answer.is_partial


async def test_huge_lines_and_labels_are_cut() -> None:
    body = streams([str(NOW), "x" * 10**6])
    body["data"]["result"][0]["stream"] = {"pod": "p" * 10**6}
    (found,) = (await made(body, loki)).lines
    assert len(found.text) == 2048
    assert len(found.pod) == 253


# Requests


@ALL
async def test_the_token_is_sent_and_read_anew_for_each_request(ask: Ask, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")

    async def answer(_request: Request) -> Reply:
        return Reply(403)

    async with serve(answer) as server:
        for text in ("secret", "fresh"):
            token.write_text(f"{text}\n")
            with pytest.raises(Terminal, match="403"):
                await ask(Address(server.url, token_file=token))
            assert server.requests[-1].headers["authorization"] == f"Bearer {text}"
    token.unlink()
    with pytest.raises(Terminal, match="token file"):
        await ask(Address(server.url, token_file=token))


@pytest.mark.parametrize(
    ("ask", "tenant", "headers"),
    [
        (loki, "ops", {"x-scope-orgid": "ops"}),
        (tempo, "ops", {"x-scope-orgid": "ops", "accept": "application/json"}),
        (victorialogs, "12:34", {"accountid": "12", "projectid": "34"}),
    ],
)
async def test_the_tenant_is_told(ask: Ask, tenant: str, headers: dict[str, str]) -> None:
    for given, expected in ((tenant, headers), ("", {})):
        seen: list[Request] = []

        async def answer(request: Request, seen: list[Request] = seen) -> Reply:
            seen.append(request)
            return Reply(403)

        async with serve(answer) as server:
            with pytest.raises(Terminal):
                await ask(Address(server.url, given))
        names = {"x-scope-orgid", "accountid", "projectid"}
        assert names & seen[0].headers.keys() == names & expected.keys()
        assert expected.items() <= seen[0].headers.items()


@LOGS
async def test_fields_may_have_other_names(ask: Ask) -> None:
    fields = LogFields("k8s_ns", "k8s_pod", "k8s_container")
    body = streams([str(NOW), "a"])
    body["data"]["result"][0]["stream"] = {"k8s_pod": "p", "k8s_container": "c"}
    content = json.dumps(body).encode() if ask is loki else line(k8s_pod="p", k8s_container="c")

    async def with_fields(address: Address) -> LogAnswer:
        return await ask(address, fields)

    answer, server = await told(Reply(200, (content,)), with_fields)
    assert "k8s_ns" in server.requests[0].target
    assert (answer.lines[0].pod, answer.lines[0].container) == ("p", "c")


async def test_a_silent_server_is_waited_for_no_longer_than_it_takes() -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(200, (b"{", b"}"), hold=asyncio.Event())

    async with serve(answer) as server, aclosing(LokiArchive(Address(server.url))) as client:
        client._rest._seconds_max = 0.05
        with pytest.raises(Transient, match=r"timed out after 0\.1 s"):
            await client.search(SEARCH)
