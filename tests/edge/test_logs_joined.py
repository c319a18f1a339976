"""The daemon follows logs by itself, keeps what they say, and goes on where that cannot be kept."""

import asyncio
import datetime as dt
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opsagent.app import Daemon
from opsagent.settings import LogsSettings, Settings
from opsagent.sim import Fault, fault_patch
from opsagent.sim.images import ImageBehaviour, ImageRegistry
from opsagent.store.raw import RawStore
from opsagent.store.raw_file import BLOCK_ROWS
from tests.fakes.virtual_time import LoopClock, run
from tests.fakes.worlds import world_of
from tests.scenarios.places import box
from tests.scenarios.stage import Stage

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
Look = Callable[[Stage, dict[str, Any]], Awaitable[None]]


def led(state: Path, look: Look, **settings: Any) -> None:
    """Let a daemon lead a shop whose web server crashes for ten minutes; show the stage and the status."""

    async def scene() -> None:
        async with box() as stage, asyncio.TaskGroup() as group:
            daemon = Daemon(
                Settings(state_dir=state, **settings),
                world_of(
                    clock=stage.clock,
                    cluster=stage.daemon,
                ),
            )
            running = group.create_task(daemon.run())
            report = await daemon.report()
            await asyncio.sleep(60)
            await stage.admin.request(
                "PATCH",
                WEB,
                body=json.dumps(fault_patch(Fault.CRASH_LOOP)).encode(),
                content_type="application/strategic-merge-patch+json",
            )
            await asyncio.sleep(600)
            status: Any = await report.status()
            running.cancel()
            await asyncio.wait([running])
            await look(stage, status)

    run(scene())


def test_the_words_of_a_crashing_container_are_kept_and_found(tmp_path: Path) -> None:
    async def look(_: Stage, status: dict[str, Any]) -> None:
        followed, kept = status["logs"]["followed"], status["logs"]["kept"]
        assert followed["streams_open"] > 0
        assert followed["entries_total"] == kept["entries_total"] > 0
        assert kept["lost_total"] == kept["waiting"] == 0
        store = await RawStore.open(tmp_path / "raw", LoopClock().now())
        try:
            found = await store.search("cannot parse configuration")
            assert "fatal: cannot parse configuration: unknown key" in {each.text for each in found}
            assert {each.origin.pod.namespace for each in found} == {"shop"}
        finally:
            await store.aclose()

    led(tmp_path, look)


# The shop is an hour old when a daemon comes.
BEATS = ImageBehaviour(
    prints=tuple((3600 + 7.3 * number, f"beat {number}") for number in range(400))
)


def test_what_a_kill_lost_is_read_again_at_the_next_start(tmp_path: Path) -> None:
    """The state is copied while it is written, as a kill leaves it; the next daemon goes on with the copy."""

    async def said(state: Path) -> Counter[tuple[str, str]]:
        store = await RawStore.open(state / "raw", LoopClock().now())
        rows = range(1, 2 * BLOCK_ROWS)
        found = [await store.entry(f"log:{LoopClock().now():%Y-%m-%d}.{row}") for row in rows]
        await store.aclose()
        return Counter((each.origin.pod.name, each.text) for each in found if each is not None)

    async def lead(stage: Stage, state: Path, seconds: float, *copies: Path) -> None:
        daemon = Daemon(
            Settings(state_dir=state), world_of(clock=stage.clock, cluster=stage.daemon)
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(daemon.run())
            await daemon.report()
            await asyncio.sleep(seconds)
            for copy in copies:
                shutil.copytree(state, copy)
            running.cancel()

    async def scene() -> list[Counter[tuple[str, str]]]:
        whole, goes_on, lost = (tmp_path / name for name in ("whole", "goes on", "lost"))
        registry = ImageRegistry({"shop/web:v1": BEATS}, frozenset({"shop/cart"}))
        async with box(registry) as stage:
            await lead(stage, whole, 850, goes_on, lost)
            await lead(stage, goes_on, 60)
        return [await said(state) for state in (whole, goes_on, lost)]

    whole, goes_on, lost = run(scene())
    assert sum(lost.values()) < sum(whole.values()) - 10, "much was not durable yet"
    assert goes_on >= whole
    assert sum((goes_on - Counter(set(goes_on))).values()) <= len({pod for pod, _ in whole}), (
        "at the most the last line of each that was durable comes twice"
    )


def test_without_streams_nothing_is_followed_nor_opened(tmp_path: Path) -> None:
    async def look(_: Stage, status: dict[str, Any]) -> None:
        assert status["logs"] == "not followed"
        assert not (tmp_path / "raw").exists()

    led(tmp_path, look, logs=LogsSettings(streams_max=0))


def test_a_raw_store_that_cannot_be_opened_costs_the_logs_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").write_text("in the way")

    async def look(_: Stage, status: dict[str, Any]) -> None:
        assert status["logs"].startswith(f"not followed: {tmp_path / 'raw'}")
        assert status["incidents_open"] == 1

    led(tmp_path, look)
    assert "logs.not_followed" in capsys.readouterr().out


def test_a_day_that_somebody_else_holds_costs_the_logs_alone(tmp_path: Path) -> None:
    async def of_yesterday() -> None:
        yesterday = LoopClock().now() - dt.timedelta(days=1)
        await (await RawStore.open(tmp_path / "raw", yesterday)).aclose()

    async def look(_: Stage, status: dict[str, Any]) -> None:
        assert status["logs"].endswith("database is locked")
        assert status["incidents_open"] == 1

    run(of_yesterday())
    (file,) = (tmp_path / "raw").glob("*.db")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        led(tmp_path, look)
