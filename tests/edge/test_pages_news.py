"""News on the pages: told at once to who looks, about what is looked at, bounded, and never a page that moves."""

import asyncio
import dataclasses
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from opsagent.api.app import create_app, link_path
from opsagent.api.live import SILENT_SECONDS, STREAMS_MAX
from opsagent.controllers.news import INCIDENTS_MAX, News
from opsagent.controllers.pipeline import Step
from opsagent.ports import Batch
from opsagent.runtime.serving import serve
from tests.fakes import virtual_time
from tests.fakes.browser import furnished, visitor
from tests.fakes.desk_view import fresh_sessions
from tests.fakes.incidents import PLAIN


def change(*incident_ids: str) -> Step:
    return Step(
        Batch(
            incidents=tuple(dataclasses.replace(PLAIN, incident_id=each) for each in incident_ids)
        )
    )


def browser(port: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)


async def first_news(client: httpx2.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                return line
    return "the end"


async def test_a_page_hears_of_its_own_incident() -> None:
    view, sessions = furnished(), fresh_sessions()
    app = create_app(view, "token", sessions)
    async with serve(app, "127.0.0.1", 0) as port, browser(port) as client:
        await client.get(link_path(sessions))
        assert 'data-news="0" data-about="inc_1"' in (await client.get("/incidents/inc_1")).text
        async with asyncio.TaskGroup() as group:
            about = group.create_task(first_news(client, "/news?after=0&about=inc_1"))
            anything = group.create_task(first_news(client, "/news?after=0&about="))
            view.changes.notice(change("inc_2"))
            assert await anything == "data: 1"
            assert not about.done()
            view.changes.notice(change("inc_1"))
            assert await about == "data: 2"
        missed = await first_news(client, "/news?after=1&about=inc_1")
        assert missed == "data: 2", "what was missed is told at once"
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(first_news(client, "/news?after=2&about="))
            view.changes.close()
        assert waiting.result() == "the end"


async def test_of_too_many_listeners_the_last_is_told_so() -> None:
    view, sessions = furnished(), fresh_sessions()
    view.changes.notice(change("inc_1"))
    app = create_app(view, "token", sessions)
    async with serve(app, "127.0.0.1", 0) as port, browser(port) as client:
        await client.get(link_path(sessions))
        async with AsyncExitStack() as stack:
            listening = []
            for _ in range(STREAMS_MAX):
                answer = await stack.enter_async_context(client.stream("GET", "/news?after=0"))
                listening.append(answer.aiter_lines())
                assert await anext(listening[-1]) == "event: news"
            assert (await client.get("/news?after=0")).status_code == 503
        view.changes.close()


def test_a_silent_stream_says_that_it_is_still_there() -> None:
    async def listen() -> tuple[bytes, float]:
        view, sessions = furnished(), fresh_sessions()
        app = create_app(view, "token", sessions)
        cookie = sessions.redeem(sessions.link())
        said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def send(message: MutableMapping[str, Any]) -> None:
            if message.get("body") and not said.done():
                said.set_result(message["body"])
                view.changes.close()

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError("nothing is received")

        scope = {
            "type": "http", "method": "GET", "path": "/news", "raw_path": b"/news", "root_path": "",
            "query_string": b"after=0", "scheme": "http", "http_version": "1.1",
            "headers": [(b"host", b"127.0.0.1:8321"), (b"cookie", f"opsagent_8321={cookie}".encode())],
        }  # fmt: skip
        await app(scope, receive, send)
        return await said, asyncio.get_running_loop().time()

    comment, seconds = virtual_time.run(listen())
    assert comment == b":\n\n"
    assert seconds == SILENT_SECONDS


@pytest.mark.parametrize("after", ["", "x", "-1", "9" * 30, "٣"])
async def test_news_are_asked_for_with_a_number(after: str) -> None:
    async with visitor(furnished()) as client:
        assert (await client.get("/news", params={"after": after})).status_code == 400


async def test_changes_are_numbered_and_the_numbers_of_old_ones_are_bounded() -> None:
    news = News()
    assert news.newest() == news.newest("inc_1") == 0
    news.notice(change("inc_1", "inc_2"))
    assert (news.newest(), news.newest("inc_1"), news.newest("inc_2")) == (2, 1, 2)
    news.notice(change())
    assert news.newest() == 2
    for number in range(INCIDENTS_MAX):
        news.notice(change(f"inc_{number + 3}"))
    assert news.newest("inc_1") == news.newest("inc_2") == 0
    assert await news.wait(1) == news.newest() == INCIDENTS_MAX + 2
    news.close()
    assert await news.wait(0) is None
