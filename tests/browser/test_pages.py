"""The pages in a real Chromium: a person approves and sees it resolved; other pages, names and links get nowhere."""

import asyncio
import contextlib
import html
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from opsagent.api.app import create_app, link_path
from opsagent.model.plan import PlanState
from opsagent.runtime.serving import serve
from tests.browser.chromium import Chromium, Page
from tests.fakes.browser import PLAN, RECORD, furnished
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.hostile import MARKUP, STEERING
from tests.fakes.http_server import HttpServer, Reply, Request, serve as serve_anything
from tests.fakes.incidents import hostile_incident, hostile_record, hostile_row

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
DEMO = "from opsagent.cli import main; main()"


@dataclass
class Running:
    """A demo in its own process. ``told`` are the lines that were read."""

    process: asyncio.subprocess.Process
    told: list[dict[str, str]]

    async def until(self, step: str) -> dict[str, str]:
        """Return the line of a step, as soon as it is told."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while not any(line["step"] == step for line in self.told):
                line = await self.process.stdout.readline()
                assert line, f"the demo ended before {step}"
                self.told.append(json.loads(line))
        return next(line for line in self.told if line["step"] == step)


@contextlib.asynccontextmanager
async def demo(state: Path) -> AsyncIterator[Running]:
    """Run the demo as a stranger would, eight times as fast as life."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DEMO, "demo", "--headless", "--json", "--stay", "--state", str(state),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Running(process, [])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def served(view: ScriptedView) -> AsyncIterator[tuple[str, str]]:
    """Serve a scripted daemon; yield its address and a fresh link."""
    sessions = fresh_sessions()
    async with serve(create_app(view, "the-daemons-token", sessions), "127.0.0.1", 0) as port:
        here = f"http://127.0.0.1:{port}"
        try:
            yield here, here + link_path(sessions)
        finally:
            view.changes.close()


async def news(page: Page) -> None:
    """Wait until the page says that there is news, and have it shown."""
    await page.wait_for("document.querySelector('#news.is-there')")
    async with page.loading():
        await page.click("#news")


async def test_a_person_approves_on_the_page_and_sees_it_resolved(
    browser: Chromium, tmp_path: Path
) -> None:
    async with demo(tmp_path / "state") as running:
        page = await browser.page()
        assert await page.goto((await running.until("page"))["text"]) == 200
        here = await page.url()
        assert "/open/" not in here
        # Eight times as fast as life, a busy machine may lag: then the page says so.
        calm = {"Nothing is wrong.", "No incident is open, but what I see is limited."}
        assert await page.text("h1") in calm

        await running.until("plan")
        while await page.evaluate("document.querySelector('.mark.ask') === null"):
            await news(page)
        assert "1 plan waits for a decision." in await page.text("h1")
        async with page.loading():
            await page.click("main a[href^='/incidents/']")
        incident = await page.url()
        seen = await page.text("main")
        assert (
            seen.index("What will change") < seen.index('"shop/web:v1"') < seen.index("Offer ends")
        )
        assert (
            seen.index("Offer ends") < seen.index("Your own cluster token") < seen.index("Timeline")
        )

        token = (tmp_path / "state" / "alice.token").read_text()
        await page.type("#token", token)
        await page.press_enter()
        assert await page.url() == incident, "Enter decides nothing"
        await page.type("#reason", "seen at the desk")
        async with page.loading():
            await page.click("button.approve")
        assert await page.url() == incident
        assert (await running.until("approved"))["actor"] == "alice"

        await running.until("resolved")
        while "resolved" not in await page.text("main h1 + p"):
            await news(page)
        seen = await page.text("main")
        assert "approved by alice" in seen
        assert "State: succeeded; verification passed." in seen
        assert "1" in (await running.until("summary"))["text"].split("writes by opsagent:")[1]

        assert token not in await page.evaluate("document.documentElement.outerHTML")
        assert all(url.startswith(here) for url in page.requests), "no other host"
        assert not any(token in url for url in page.requests)
        assert page.complaints == []


async def test_a_link_opens_for_the_first_browser_alone(browser: Chromium) -> None:
    async with served(furnished()) as (here, link):
        first, second = await browser.page(), await browser.page()
        assert await first.goto(link) == 200
        assert await second.goto(link) == 403
        assert "used already" in await second.text("main")
        assert await second.goto(f"{here}/") == 403
        assert await first.goto(f"{here}/incidents") == 200
        assert await first.evaluate("document.cookie") == "", "no script reads the session"


async def test_another_name_for_this_host_is_turned_away(browser: Chromium) -> None:
    async with served(furnished()) as (here, link):
        page = await browser.page()
        for url in (here, link):
            assert await page.goto(url.replace("127.0.0.1", "evil.example")) == 421
        assert await page.goto(link) == 200, "the link is still good"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "evil.example"])
async def test_a_page_of_another_origin_cannot_decide(browser: Chromium, name: str) -> None:
    """It knows everything but the session's form token, and the person is logged in in the same browser."""
    view = furnished()
    async with served(view) as (here, link):
        fields = {
            "plan_hash": RECORD.plan.plan_hash,
            "token": view.good_token,
            "verdict": "approve",
        }
        async with attacker(f"{here}/approvals/{PLAN}", fields) as evil:
            visitor = await browser.visitor()
            page = await browser.page(visitor)
            assert await page.goto(link) == 200
            async with page.loading():
                await page.goto(evil.url.replace("127.0.0.1", name))
            await page.wait_for(f"location.href.startsWith('{here}/approvals')")
            assert page.status(await page.url()) == 403
            assert "Nothing was done" in await page.text("main")
            frame = await browser.page(visitor)
            await frame.goto(evil.url.replace("127.0.0.1", name) + "/frame")
            await frame.wait_for("window.is_over")
            assert any("frame-ancestors" in each for each in frame.complaints)
    assert view.clicks == []


@contextlib.asynccontextmanager
async def attacker(target: str, fields: dict[str, str]) -> AsyncIterator[HttpServer]:
    """Serve a page that posts to ``target`` at once, and one that puts it into a frame."""
    inputs = "".join(
        f'<input name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
    )
    posting = f'<form method="post" action="{target}">{inputs}</form><script>document.forms[0].submit()</script>'
    framing = f'<iframe src="{target}" onload="window.is_over = true"></iframe>'

    async def answer(request: Request) -> Reply:
        text = framing if request.target == "/frame" else posting
        return Reply(200, (text.encode(),), {"Content-Type": "text/html"})

    async with serve_anything(answer) as server:
        yield server


async def test_hostile_texts_run_nothing_and_load_nothing(browser: Chromium) -> None:
    texts = cycle((*MARKUP, *STEERING))
    waiting = hostile_record(texts, PlanState.PENDING)
    view = ScriptedView(
        shown=(hostile_incident(texts),),
        waiting=(waiting,),
        rows={7: hostile_row(texts)},
        overdue_tasks=MARKUP,
    )
    async with served(view) as (here, link):
        page = await browser.page()
        await page.goto(link)
        for path in (
            "/",
            "/incidents",
            "/incidents/inc_1",
            f"/approvals/{waiting.plan.plan_id}",
            "/rows/7",
        ):
            assert await page.goto(here + path) == 200
            await page.evaluate(
                "document.querySelectorAll('details').forEach(each => { each.open = true })"
            )
            found = "document.querySelectorAll('img,svg,iframe,object,embed,video,style,base,dialog,math').length"
            assert await page.evaluate(found) == 0
            assert await page.evaluate("document.scripts.length") == 1
            assert await page.evaluate("typeof pwned") == "undefined"
        assert all(url.startswith(here) for url in page.requests)
        assert page.complaints == []


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_pages_fit_and_decisions_are_far_apart(
    browser: Chromium, width: int, *, is_dark: bool
) -> None:
    texts = cycle((*MARKUP, *STEERING, "x" * 300))
    view = furnished(shown=(hostile_incident(texts),))
    async with served(view) as (here, link):
        page = await browser.page()
        await page.look(width=width, height=844, is_dark=is_dark)
        await page.goto(link)
        for path in ("/", "/incidents/inc_1", f"/approvals/{PLAN}"):
            await page.goto(here + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        yes, no = [
            await page.evaluate(
                f"document.querySelector('.choice button[value={value}]').getBoundingClientRect().toJSON()"
            )
            for value in ("approve", "deny")
        ]
        assert (yes["width"], yes["height"], yes["top"]) == (no["width"], no["height"], no["top"])
        assert yes["height"] >= 44
        assert no["left"] - yes["right"] >= 44
        for selector in (
            "main p",
            "main .quiet",
            ".choice .approve",
            ".choice button:not(.approve)",
            "a",
        ):
            assert await page.evaluate(contrast(selector)) >= 4.5, selector


def contrast(selector: str) -> str:
    """Return a script that measures an element's contrast. Source: WCAG 2.2, relative luminance; AA asks for 4.5."""
    return f"""(() => {{
        const numbers = color => color.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        let element = document.querySelector({json.dumps(selector)});
        const front = light(numbers(getComputedStyle(element).color));
        while (element && numbers(getComputedStyle(element).backgroundColor)[3] === 0) element = element.parentElement;
        const back = light(numbers(getComputedStyle(element || document.documentElement).backgroundColor));
        return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    }})()"""
