"""The real program as a child process on loopback: what a person or an operator's script would see."""

import asyncio
import os
import signal
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsagent.clients.daemon import connect
from opsagent.ports import Terminal, Transient

PROGRAM = Path(sysconfig.get_path("scripts")) / "opsagent"
POLL_SECONDS = 0.05
LIMIT_SECONDS = 60.0  # of any wait; the machine may be busy


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Child:
    """A running command. What it says goes to files, so it never waits for a reader."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def out(self) -> str:
        return (self._folder / "stdout").read_text()

    @property
    def err(self) -> str:
        return (self._folder / "stderr").read_text()

    async def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait until ``is_so``; fail if the command ends before, or never gets there."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while not is_so():
                    assert self.process.returncode is None, f"ended before {what}: {self.err}"
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {LIMIT_SECONDS} s: {what}\n{self.err}") from None

    async def until_status(
        self, state: Path, is_so: Callable[[Mapping[str, Any]], object], what: str
    ) -> None:
        """Wait until the daemon's own status satisfies ``is_so``."""
        found: list[Mapping[str, Any]] = []

        async def look() -> None:
            while not (found and is_so(found[-1])):
                assert self.process.returncode is None, f"ended before {what}: {self.err}"
                try:
                    found.append(await asyncio.to_thread(ask_status, state))
                except (Terminal, Transient):
                    await asyncio.sleep(POLL_SECONDS)

        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await look()
        except TimeoutError:
            raise AssertionError(f"not within {LIMIT_SECONDS} s: {what}\n{found[-1:]}") from None

    async def until_ready(self, state: Path) -> None:
        """Wait until the daemon leads and has seen the cluster whole."""
        await self.until_status(state, lambda it: it["is_leader"] and not it["unready"], "ready")

    async def ended(self) -> Ended:
        """Wait for the end."""
        async with asyncio.timeout(LIMIT_SECONDS):
            code = await self.process.wait()
        return Ended(code, self.out, self.err)

    async def stop(self, number: int = signal.SIGTERM) -> Ended:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return await self.ended()


def ask_status(state: Path) -> Mapping[str, Any]:
    """Return what the daemon says about itself."""
    with connect(state) as daemon:
        return daemon.status()


@asynccontextmanager
async def running(folder: Path, *arguments: object) -> AsyncIterator[Child]:
    """Run ``opsagent ARGUMENTS`` inside the block; its output lies in a new folder below ``folder``."""
    place = Path(tempfile.mkdtemp(prefix="child-", dir=folder))
    with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *(str(argument) for argument in arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={"PATH": os.defpath, "HOME": str(folder)},
        )
    try:
        yield Child(process, place)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def opsagent(folder: Path, *arguments: object) -> Ended:
    """Run ``opsagent ARGUMENTS`` to its end."""
    async with running(folder, *arguments) as child:
        return await child.ended()
