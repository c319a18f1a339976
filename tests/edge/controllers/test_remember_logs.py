"""Entries reach the store in order and become durable; a store that fails loses some, counted, and stops nobody."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise

import pytest

from opsagent.controllers.remember_logs import (
    INBOX_MAX,
    SYNC_NEWS_SECONDS,
    SYNC_SECONDS,
    LogRetention,
    RememberLogs,
    logs_status,
)
from opsagent.model.following import LogFollowing
from opsagent.model.log import LogEntry, LogOrigin, LogSeverity
from opsagent.ports import Terminal, Transient
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import origin
from tests.fakes.log_store import MemoryLogs
from tests.fakes.virtual_time import EPOCH, LoopClock, run

FULL = Terminal("/state/logs/today.db: no space left on device")
HELD = Transient("/state/logs/yesterday.db: database is locked")
TROUBLES = pytest.mark.parametrize("trouble", [FULL, HELD])


class Disk(MemoryLogs):
    """A store that fails as it is told to, and which counts how it is used."""

    def __init__(self) -> None:
        super().__init__(EPOCH)
        self.trouble: Exception | None = None
        self.appends: list[int] = []
        self.synced_at: list[float] = []
        self.attempts = 0
        self.retained: list[tuple[dt.date, int]] = []

    async def append(self, origin: LogOrigin, entries: Sequence[LogEntry], now: dt.datetime) -> str:
        self._check()
        self.appends.append(len(entries))
        return await super().append(origin, entries, now)

    async def sync(self) -> None:
        self._check()
        self.synced_at.append(asyncio.get_running_loop().time())

    async def retain(self, oldest: dt.date, bytes_max: int) -> int:
        self._check()
        self.retained.append((oldest, bytes_max))
        return 3

    async def counts(self) -> Mapping[str, int]:
        return {}

    def _check(self) -> None:
        self.attempts += 1
        if self.trouble is not None:
            raise self.trouble

    def texts(self) -> list[str]:
        return [each.text for each in self.kept.values()]


def entry(text: str) -> LogEntry:
    return LogEntry(EPOCH, "", LogSeverity.INFO, "tpl_1", text, text, is_new=False)


def remembering(scene: Callable[[Disk, RememberLogs], Awaitable[None]]) -> tuple[Disk, RememberLogs]:  # fmt: skip
    """Run the loop on virtual time while ``scene`` plays."""

    async def play() -> tuple[Disk, RememberLogs]:
        disk = Disk()
        remember = RememberLogs(disk, LoopClock(), MiddleChance(), LogRetention(7, 1000))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(remember.run())
            await asyncio.sleep(0)
            await scene(disk, remember)
            task.cancel()
        return disk, remember

    return run(play())


async def hand_in(remember: RememberLogs, count: int, name: str = "a") -> None:
    for number in range(count):
        await remember.take(origin(name), [entry(f"{name} {number}")])


def test_entries_are_stored_at_once_log_by_log_in_order() -> None:
    async def scene(disk: Disk, remember: RememberLogs) -> None:
        for number in range(3):
            for name in "ab":
                await remember.take(origin(name), [entry(f"{name} {number}")])
        await asyncio.sleep(0.1)
        assert disk.texts() == ["a 0", "a 1", "a 2", "b 0", "b 1", "b 2"]
        assert {each.origin for each in disk.kept.values()} == {origin("a"), origin("b")}

    disk, remember = remembering(scene)
    assert disk.appends == [3, 3]
    assert remember.status().entries_total == 6


def test_they_are_durable_within_seconds_and_silence_costs_nothing() -> None:
    async def scene(disk: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 1)
        await asyncio.sleep(2)
        await hand_in(remember, 1)
        await asyncio.sleep(86_400)
        assert disk.attempts == 3

    assert remembering(scene)[0].synced_at == [SYNC_SECONDS]


@pytest.mark.parametrize("after_seconds", [0.0, 100.0, 270.0])
def test_what_is_said_for_the_first_time_is_durable_sooner(after_seconds: float) -> None:
    async def scene(_: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 1)
        await asyncio.sleep(after_seconds)
        await remember.take(origin("a"), [entry("news")._replace(is_new=True)])
        await asyncio.sleep(86_400)

    due = min(after_seconds + SYNC_NEWS_SECONDS, SYNC_SECONDS)
    assert remembering(scene)[0].synced_at == [pytest.approx(due)]


def test_a_log_that_never_rests_is_synced_all_the_same() -> None:
    async def scene(_: Disk, remember: RememberLogs) -> None:
        for _number in range(int(SYNC_SECONDS * 35)):
            await hand_in(remember, 1)
            await asyncio.sleep(0.1)

    synced = remembering(scene)[0].synced_at
    gaps = [after - before for before, after in pairwise([0.0, *synced])]
    assert len(gaps) >= 3
    assert all(gap == pytest.approx(SYNC_SECONDS, abs=0.2) for gap in gaps), gaps


def test_what_was_handed_in_before_the_end_is_kept() -> None:
    async def scene(_: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 20)

    disk, remember = remembering(scene)
    assert len(disk.texts()) == 20
    assert remember.status().waiting == 0


def test_while_too_many_wait_who_brings_more_waits_too() -> None:
    async def play() -> None:
        remember = RememberLogs(Disk(), LoopClock(), MiddleChance(), LogRetention(7, 1000))
        await hand_in(remember, INBOX_MAX)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await hand_in(remember, 1)
        assert remember.status().waiting == INBOX_MAX

    run(play())


@TROUBLES
def test_a_store_that_fails_loses_entries_counted_and_is_tried_ever_more_rarely(
    trouble: Exception,
) -> None:
    async def scene(disk: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 2)
        await asyncio.sleep(10)
        disk.trouble = trouble
        disk.attempts = 0
        for _ in range(600):
            await hand_in(remember, 1)
            await asyncio.sleep(1)
        status = remember.status()
        assert status.last_error == str(trouble)
        assert status.lost_total == 600
        assert 4 <= status.failures_total == disk.attempts <= 18
        disk.trouble = None
        for _ in range(600):
            await hand_in(remember, 1)
            await asyncio.sleep(1)
        assert remember.status().last_error == ""

    disk, remember = remembering(scene)
    status = remember.status()
    assert status.entries_total + status.lost_total == 1202
    assert len(disk.texts()) == status.entries_total > 540


@TROUBLES
def test_a_sync_that_fails_is_told_and_tried_again_with_the_next_entries(
    trouble: Exception,
) -> None:
    async def scene(disk: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 1)
        await asyncio.sleep(1)
        disk.trouble = trouble
        await asyncio.sleep(SYNC_SECONDS + 30)
        assert remember.status().failures_total == 1
        assert remember.status().lost_total == 0
        disk.trouble = None
        await hand_in(remember, 1)
        await asyncio.sleep(SYNC_SECONDS + 30)

    disk, remember = remembering(scene)
    assert len(disk.synced_at) == 1
    assert remember.status().last_error == ""


@TROUBLES
def test_retention_is_the_settings_and_its_failure_is_no_end(trouble: Exception) -> None:
    async def scene(disk: Disk, remember: RememberLogs) -> None:
        await remember.retain()
        disk.trouble = trouble
        await remember.retain()
        assert remember.status().failures_total == 1

    disk, _ = remembering(scene)
    assert disk.retained == [((EPOCH - dt.timedelta(days=7)).date(), 1000)]


def test_status_shows_the_whole_way() -> None:
    async def scene(_: Disk, remember: RememberLogs) -> None:
        await hand_in(remember, 1)

    keeping = remembering(scene)[1].status()
    following = LogFollowing(*range(15), last_error="Transient: no")
    shown = logs_status(following, keeping)
    assert shown["followed"]["streams_open"] == 0  # type: ignore[index, call-overload]
    assert shown["followed"]["last_error"] == "Transient: no"  # type: ignore[index, call-overload]
    assert shown["kept"] == {
        "entries_total": 1,
        "waiting": 0,
        "lost_total": 0,
        "failures_total": 0,
        "last_error": "",
    }
