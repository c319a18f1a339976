"""Signed messages against a real server on loopback: one id per message, no redirect, no secret in any text."""

import asyncio
import base64
import datetime as dt
import json

import pytest
from standardwebhooks import Webhook

from opsagent.clients.webhook import WebhookClient
from opsagent.ports import Terminal, Transient
from opsagent.runtime.clock import SystemClock
from tests.fakes.http_server import Reply, Request, serve

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"
BODY = json.dumps({"title": "café"}, ensure_ascii=False).encode()
AT = dt.datetime(2026, 1, 5, 1, 0, 0, 999_999, tzinfo=dt.timezone(dt.timedelta(hours=1)))


def answering(status: int, **headers: str):
    async def reply(_: Request) -> Reply:
        return Reply(status, (b"ignored",), headers)

    return reply


async def send(url: str, secret: str = SECRET, *, at: dt.datetime = AT, seconds: float = 4) -> None:
    client = WebhookClient(url, secret, seconds_max=seconds)
    try:
        await client.send(message_id="ntf_1", at=at, body=BODY)
    finally:
        await client.aclose()


async def test_a_message_carries_its_id_its_time_and_a_signature_that_verifies():
    async with serve(answering(204)) as server:
        await send(f"{server.url}/hook?team=ops", at=SystemClock().now())
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/hook?team=ops")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "ntf_1"
    assert Webhook(SECRET).verify(request.body, dict(request.headers)) == {"title": "café"}


async def test_the_stamp_is_whole_seconds_of_utc_whatever_the_zone():
    async with serve(answering(200)) as server:
        await send(server.url)
    (request,) = server.requests
    assert request.headers["webhook-timestamp"] == "1767571200"
    expected = Webhook(SECRET).sign("ntf_1", AT.astimezone(dt.UTC), BODY.decode())
    assert request.headers["webhook-signature"] == expected


async def test_sent_twice_it_is_the_same_message():
    async with serve(answering(200)) as server:
        await send(server.url)
        await send(server.url)
    first, second = server.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_a_refusal_is_final(status: int):
    async with serve(answering(status)) as server:
        with pytest.raises(Terminal, match=f"127.0.0.1: status {status}"):
            await send(server.url)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_trouble_of_the_receiver_may_pass(status: int):
    async with serve(answering(status)) as server:
        with pytest.raises(Transient, match=f"127.0.0.1: status {status}"):
            await send(server.url)


async def test_a_redirect_is_not_followed():
    async with (
        serve(answering(200)) as elsewhere,
        serve(answering(307, Location=elsewhere.url)) as server,
    ):
        with pytest.raises(Transient, match="status 307"):
            await send(server.url)
    assert elsewhere.requests == []


async def test_a_receiver_that_is_away_or_silent_may_come_back():
    with pytest.raises(Transient, match="ConnectError"):
        await send("http://127.0.0.1:1")

    async def never(_: Request) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with serve(never) as server:
        with pytest.raises(Transient, match="ReadTimeout"):
            await send(server.url, seconds=0.05)


async def test_neither_address_nor_secret_is_in_any_text():
    url = "http://127.0.0.1:1/token-in-the-path"
    client = WebhookClient(url, SECRET)
    with pytest.raises(Transient) as caught:
        await client.send(message_id="ntf_1", at=AT, body=BODY)
    await client.aclose()
    for text in (repr(client), str(client), str(caught.value)):
        assert "token-in-the-path" not in text
        assert SECRET.removeprefix("whsec_") not in text


@pytest.mark.parametrize("secret", ["", "whsec_", "no base64!", "c2hvcnQ=", "é"])
def test_a_secret_that_cannot_sign_is_refused_without_being_shown(secret: str):
    with pytest.raises(Terminal, match="secret must be base64") as caught:
        WebhookClient("https://example.org", secret)
    assert not secret or secret not in str(caught.value)


async def test_a_secret_may_have_a_line_end_and_lack_its_padding():
    padded = base64.b64encode(b"x" * 25).decode()
    assert padded.endswith("==")
    async with serve(answering(200)) as server:
        await send(server.url, f"{padded.rstrip('=')}\n", at=SystemClock().now())
    (request,) = server.requests
    Webhook(padded).verify(request.body, dict(request.headers))


@pytest.mark.parametrize("url", ["", "ftp://example.org", "example.org/hook", "https://"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(Terminal, match="must begin with"):
        WebhookClient(url, SECRET)
