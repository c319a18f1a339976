"""The HTTP client of a model's server: whom it tells the key, what it follows, what ends it."""

import asyncio

import pytest

from opsagent.clients.model import connect_model
from opsagent.model.transcript import Mode, Prompt
from opsagent.ports import Terminal, Transient
from opsagent.sim.model import ScriptedModel, ScriptedTurn
from opsagent.sim.model_server import serving_model
from tests.fakes.http_server import Reply, Request, serve

ASK = Prompt("system", "question", (), (), Mode.INSTANT, 100)
OPENING = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
ENDING = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


async def ask(url: str, key: str = "") -> str:
    async with connect_model(url, "k2", key) as model:
        return (await model.complete(ASK)).text


@pytest.mark.parametrize("key", ["", "sk-secret"])
async def test_it_posts_json_to_the_base_address_with_the_key_if_there_is_one(key: str) -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(200, (OPENING, ENDING))

    async with serve(answer) as server:
        assert await ask(f"{server.url}/v1/", key) == "x"
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers.get("authorization") == (f"Bearer {key}" if key else None)


async def test_a_redirect_is_not_followed() -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(307, headers={"Location": "http://127.0.0.1:1/v1/chat/completions"})

    async with serve(answer) as server:
        with pytest.raises(Terminal, match="answered 307"):
            await ask(f"{server.url}/v1", "sk-secret")
    assert len(server.requests) == 1


async def test_nobody_there_is_transient() -> None:
    with pytest.raises(Transient, match="ConnectError"):
        await ask("http://127.0.0.1:1/v1")


async def test_a_broken_connection_is_transient() -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(200, (OPENING,), is_cut=True)

    async with serve(answer) as server:
        with pytest.raises(Transient, match="RemoteProtocolError"):
            await ask(f"{server.url}/v1")


async def test_an_answer_without_a_word_is_cut_off() -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(200)

    async with serve(answer) as server:
        with pytest.raises(Transient, match="cut off"):
            await ask(f"{server.url}/v1")


async def test_a_large_failure_is_not_read_to_its_end() -> None:
    async def answer(_request: Request) -> Reply:
        return Reply(500, (b"x" * 70_000,), hold=asyncio.Event())

    async with serve(answer) as server:
        with pytest.raises(Transient, match="answered 500 xxx"):
            await ask(f"{server.url}/v1")


async def test_leaving_closes_the_connection_so_that_the_server_stops() -> None:
    """The server is left in the middle of an endless turn, and ends at once."""
    async with serving_model(
        ScriptedModel([ScriptedTurn("hm", events_max=1, is_hanging=True)])
    ) as url:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ask(url)


async def test_the_server_lists_its_model() -> None:
    async with serving_model(ScriptedModel([ScriptedTurn("x")])) as url:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(url.split(":")[2].split("/")[0])
        )
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"scripted"' in answer
