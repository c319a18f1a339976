"""Supervised tasks: kept alive, watched by their heartbeats, stopped in reverse order of being added."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from opsagent.ports import Terminal, Transient
from opsagent.runtime.supervise import Supervisor
from tests.fakes import virtual_time
from tests.fakes.chance import MiddleChance


async def for_ever() -> None:
    await asyncio.sleep(1e9)


def failing(*errors: Exception, starts: list[float]) -> Callable[[], Awaitable[None]]:
    left = list(errors)

    async def run() -> None:
        starts.append(asyncio.get_running_loop().time())
        if left:
            raise left.pop(0)
        await for_ever()

    return run


async def run_for(supervisor: Supervisor, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await supervisor.run()


def test_a_task_that_fails_is_started_again_with_growing_waits():
    async def scenario() -> list[float]:
        starts: list[float] = []
        supervisor = Supervisor(MiddleChance())
        supervisor.add("task", failing(Transient("net"), ZeroDivisionError("bug"), starts=starts))
        await run_for(supervisor, 100)
        (status,) = supervisor.status()
        assert (status.restarts, status.last_error) == (2, "ZeroDivisionError: bug")
        return starts

    assert virtual_time.run(scenario()) == [0.0, 0.75, 2.25]


def test_a_task_that_ran_well_for_long_starts_over_with_short_waits():
    async def scenario() -> list[float]:
        starts: list[float] = []

        async def run() -> None:
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(100)
            raise Transient("now and then")

        supervisor = Supervisor(MiddleChance())
        supervisor.add("task", run)
        await run_for(supervisor, 350)
        return starts

    assert virtual_time.run(scenario()) == [0.0, 100.75, 201.5, 302.25]


def test_a_terminal_error_ends_everything_and_is_raised_as_itself():
    async def scenario() -> list[str]:
        ended: list[str] = []

        async def other() -> None:
            try:
                await for_ever()
            finally:
                ended.append("other")

        async def broken() -> None:
            await asyncio.sleep(5)
            raise Terminal("the disk is full")

        supervisor = Supervisor(MiddleChance())
        supervisor.add("other", other)
        supervisor.add("broken", broken)
        with pytest.raises(Terminal, match="the disk is full"):
            await supervisor.run()
        return ended

    assert virtual_time.run(scenario()) == ["other"]


def test_a_bug_in_a_task_that_keeps_state_ends_everything_and_is_called_a_bug():
    async def scenario() -> list[float]:
        starts: list[float] = []
        supervisor = Supervisor(MiddleChance())
        supervisor.add("other", for_ever)
        bug = failing(KeyError("password=hunter2"), starts=starts)
        supervisor.add("fold", bug, is_stateful=True)
        with (
            capture_logs() as told,
            pytest.raises(Terminal, match=r"fold failed .*KeyError.*: a bug in opsagent") as ended,
        ):
            await supervisor.run()
        assert isinstance(told[-1]["exc_info"], KeyError), "its traceback is in the log"
        assert "hunter2" not in str(ended.value)
        return starts

    assert virtual_time.run(scenario()) == [0.0]


def test_a_task_that_returns_is_done_and_never_overdue():
    async def scenario() -> None:
        async def once() -> None:
            pass

        supervisor = Supervisor(MiddleChance())
        supervisor.add("once", once)
        await supervisor.run()
        await asyncio.sleep(1000)
        (status,) = supervisor.status()
        assert status.is_done
        assert supervisor.overdue() == {}

    virtual_time.run(scenario())


def test_without_tasks_there_is_nothing_to_run():
    virtual_time.run(Supervisor(MiddleChance()).run())


def test_a_task_without_heartbeat_is_overdue_until_it_beats_again():
    async def scenario() -> None:
        supervisor = Supervisor(MiddleChance())

        async def lively() -> None:
            while True:
                supervisor.beat("lively")
                await asyncio.sleep(10)

        supervisor.add("lively", lively, silent_seconds_max=30)
        supervisor.add("hung", for_ever, silent_seconds_max=30)
        supervisor.add("patient", for_ever, silent_seconds_max=None)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(supervisor.run())
            await asyncio.sleep(30)
            assert supervisor.overdue() == {}
            await asyncio.sleep(5)
            assert supervisor.overdue() == {"hung": 35.0}
            supervisor.beat("hung")
            assert supervisor.overdue() == {}
            running.cancel()

    virtual_time.run(scenario())


def slow_to_stop(name: str, seconds: float, ended: list[tuple[str, float]]):
    async def run() -> None:
        loop = asyncio.get_running_loop()
        try:
            await for_ever()
        finally:
            await asyncio.sleep(seconds)
            ended.append((name, loop.time()))

    return run


def test_tasks_stop_one_after_another_the_last_added_first():
    async def scenario() -> list[tuple[str, float]]:
        ended: list[tuple[str, float]] = []
        supervisor = Supervisor(MiddleChance())
        for name in ("store", "fold", "watch"):
            supervisor.add(name, slow_to_stop(name, 2, ended))
        await run_for(supervisor, 10)
        return ended

    assert virtual_time.run(scenario()) == [("watch", 12.0), ("fold", 14.0), ("store", 16.0)]


def test_stopping_passes_over_what_is_done():
    async def scenario() -> list[tuple[str, float]]:
        ended: list[tuple[str, float]] = []

        async def once() -> None:
            pass

        supervisor = Supervisor(MiddleChance())
        supervisor.add("store", slow_to_stop("store", 1, ended))
        supervisor.add("once", once)
        await run_for(supervisor, 10)
        return ended

    assert virtual_time.run(scenario()) == [("store", 11.0)]


def test_a_task_that_does_not_stop_in_time_does_not_hold_up_the_others():
    async def scenario() -> list[tuple[str, float]]:
        ended: list[tuple[str, float]] = []
        supervisor = Supervisor(MiddleChance(), stop_seconds=25)
        for name, seconds in (("store", 1), ("fold", 1), ("stuck", 40)):
            supervisor.add(name, slow_to_stop(name, seconds, ended))
        await run_for(supervisor, 10)
        return ended

    # At 35 s the patience is over: what still cleans up is cut off, the rest stop together.
    assert sorted(virtual_time.run(scenario())) == [("fold", 36.0), ("store", 36.0)]


def test_two_tasks_cannot_share_a_name():
    supervisor = Supervisor(MiddleChance())
    supervisor.add("task", for_ever)
    with pytest.raises(AssertionError, match="two tasks named task"):
        supervisor.add("task", for_ever)
