"""A real Chromium for tests, driven over its debugging pipe: no driver program, no port, no further package.

``python -m tests.browser.chromium`` installs it (Debian, as root). Where none is installed the browser suite
is skipped, but in CI and with LAB=1 it fails: there it must have been installed before.
"""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INSTALL = (
    ("apt-get", "update", "-qq"),
    ("apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"),
)
ARGUMENTS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example 127.0.0.1",  # names that are ours to play with
)
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
WAIT_SECONDS = 20.0
Tree = dict[str, Any]


def program() -> str | None:
    """Return the path of Chromium, None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def is_demanded() -> bool:
    """Return whether its absence is a failure."""
    return os.environ.get("CI") == "true" or os.environ.get("LAB") == "1"  # noqa: TID251 - as tests.run does


@dataclass
class Page:
    """One tab. ``requests`` are the addresses it asked for, ``complaints`` what its console said in anger."""

    call: Callable[..., Any]
    session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    loads: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self, method: str, event: Tree) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(event["request"]["url"])
            case "Network.responseReceived" if event["type"] == "Document":
                self.statuses[event["response"]["url"]] = event["response"]["status"]
            case "Log.entryAdded" if event["entry"]["source"] in ("security", "violation"):
                self.complaints.append(event["entry"]["text"])
            case "Page.javascriptDialogOpening" | "Runtime.exceptionThrown":
                self.complaints.append(method)
            case "Page.loadEventFired":
                self.loads += 1
        self.news.set()

    async def send(self, method: str, **parameters: Any) -> Tree:
        return await self.call(method, parameters, self.session)

    async def goto(self, url: str) -> int:
        """Load ``url``; return the status of the document that it ended at."""
        async with self.loading():
            await self.send("Page.navigate", url=url)
        return self.status(await self.url())

    @contextlib.asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """Wait at the end until what was done inside has loaded a page."""
        before = self.loads
        yield
        async with asyncio.timeout(WAIT_SECONDS):
            while self.loads == before:
                self.news.clear()
                await self.news.wait()

    def status(self, url: str) -> int:
        return self.statuses[url.partition("#")[0]]

    async def url(self) -> str:
        return str(await self.evaluate("location.href"))

    async def text(self, selector: str) -> str:
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a script's expression."""
        answer = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression is true, whatever page is loaded meanwhile."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self._is_true(expression):  # noqa: ASYNC110 - what happens in a browser is only seen by asking
                await asyncio.sleep(0.05)

    async def _is_true(self, expression: str) -> bool:
        try:
            return bool(await self.evaluate(f"Boolean({expression})"))
        except AssertionError:
            return False  # the page it was asked of went away

    async def click(self, selector: str) -> None:
        """Press the middle of an element with the mouse."""
        box = await self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.send(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    async def type(self, selector: str, text: str) -> None:
        """Put ``text`` into a field, as pasting does."""
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.send("Input.insertText", text=text)

    async def press_enter(self) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                text="\r",
                windowsVirtualKeyCode=13,
            )

    async def look(self, *, width: int, height: int, is_dark: bool = False) -> None:
        """Give the page a size and a colour scheme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        answer = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])


class Chromium:
    """One browser process. Tabs of different visitors share no cookies."""

    def __init__(self, writer: asyncio.WriteTransport) -> None:
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Tree]] = {}
        self._pages: dict[str, Page] = {}
        self._sent = 0

    async def page(self, visitor: str = "") -> Page:
        """Return a new tab of a visitor, or of a new one."""
        context = visitor or await self.visitor()
        target = await self._call(
            "Target.createTarget", {"url": "about:blank", "browserContextId": context}
        )
        attached = await self._call(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        page = Page(self._call, attached["sessionId"])
        self._pages[page.session] = page
        for domain in ("Page", "Network", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        return page

    async def visitor(self) -> str:
        """Return a new visitor, who has no cookies."""
        return str((await self._call("Target.createBrowserContext", {}))["browserContextId"])

    async def _call(self, method: str, parameters: Tree, session: str = "") -> Tree:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        answer: asyncio.Future[Tree] = asyncio.get_running_loop().create_future()
        self._answers[self._sent] = answer
        self._writer.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(WAIT_SECONDS):
            return await answer

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take in what the browser says until it ends."""
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                self._take(json.loads((await reader.readuntil(b"\0"))[:-1]))

    def _take(self, message: Tree) -> None:
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if answer.done():
                return
            if "error" in message:
                answer.set_exception(AssertionError(message["error"]["message"]))
            else:
                answer.set_result(message["result"])
        elif page := self._pages.get(message.get("sessionId", "")):
            page.notice(message["method"], message["params"])


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Chromium]:
    """Run a browser with its profile in the folder ``profile``."""
    path = program()
    assert path is not None
    arguments = [*ARGUMENTS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # it refuses to start as root otherwise
    to_browser, from_browser = os.pipe(), os.pipe()
    # It reads descriptor 3 and writes 4; a shell puts ours there.
    shell = f'exec "$0" "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",  # dash knows descriptors of one digit only
        "-c",
        shell,
        path,
        *arguments,
        pass_fds=(to_browser[0], from_browser[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it starts many processes: they end together
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MESSAGE_BYTES_MAX)
    source, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_browser[0], "rb")
    )
    writer, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(to_browser[1], "wb"))
    browser = Chromium(writer)
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(browser.listen(reader), name="listen")
            try:
                yield browser
            finally:
                listening.cancel()
    finally:
        writer.close()
        source.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def install() -> int:
    """Install Chromium if it is absent; return the exit status."""
    if program() is not None:
        return 0
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}  # noqa: TID251 - for apt-get alone
    for command in INSTALL:
        status = subprocess.run(command, env=environment, check=False).returncode
        if status:
            return status
    return 0 if program() is not None else 1


if __name__ == "__main__":
    sys.exit(install())
