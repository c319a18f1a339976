"""The daemon follows logs by itself, keeps what they say, and goes on where that cannot be kept."""

import asyncio
import datetime as dt
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opsagent.app import Daemon
from opsagent.settings import LogsSettings, Settings
from opsagent.sim import Fault, fault_patch
from opsagent.store.raw import RawStore
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
