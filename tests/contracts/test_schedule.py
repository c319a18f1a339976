"""``ports.Schedule``: one suite for the production scheduler and the loop on Clock, on real time, in short periods."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable

import pytest
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from opsagent.ports import Schedule, Trigger
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.schedule import ApschedulerSchedule, LoopSchedule

PERIOD = 0.1
SCHEDULES: list[Callable[[], Schedule]] = [ApschedulerSchedule, lambda: LoopSchedule(SystemClock())]


@pytest.fixture(params=SCHEDULES, ids=["apscheduler", "loop"])
def schedule(request: pytest.FixtureRequest) -> Schedule:
    made: Schedule = request.param()
    return made


def each_period(first: float = PERIOD) -> Trigger:
    start = SystemClock().now() + dt.timedelta(seconds=first)
    trigger: Trigger = IntervalTrigger(seconds=PERIOD, start_date=start, timezone=dt.UTC)
    return trigger


async def run_until(schedule: Schedule, is_done: Callable[[], bool]) -> None:
    """Run ``schedule`` until ``is_done``; jobs call it often enough."""
    running = asyncio.ensure_future(schedule.run())
    async with asyncio.timeout(4):
        while not is_done() and not running.done():  # noqa: ASYNC110 - bounded polling
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    if not running.cancelled():
        running.result()


class Counter:
    def __init__(self) -> None:
        self.runs = 0
        self.at: list[float] = []

    async def job(self) -> None:
        self.runs += 1
        self.at.append(SystemClock().monotonic())


async def test_a_job_runs_each_time_its_trigger_says(schedule: Schedule):
    counter = Counter()
    schedule.add("count", each_period(), counter.job)
    await run_until(schedule, lambda: counter.runs == 3)
    assert counter.runs == 3
    gaps = [after - before for before, after in zip(counter.at, counter.at[1:], strict=False)]
    assert all(gap > PERIOD / 2 for gap in gaps)
    assert schedule.missed_total == 0


async def test_a_job_added_while_running_runs_too(schedule: Schedule):
    late = Counter()

    async def add_late() -> None:
        schedule.add("late", DateTrigger(SystemClock().now(), timezone=dt.UTC), late.job)

    schedule.add("first", DateTrigger(SystemClock().now(), timezone=dt.UTC), add_late)
    await run_until(schedule, lambda: late.runs == 1)
    assert late.runs == 1


async def test_a_trigger_that_ends_ends_its_job_and_not_the_schedule(schedule: Schedule):
    once, often = Counter(), Counter()
    schedule.add("once", DateTrigger(SystemClock().now(), timezone=dt.UTC), once.job)
    schedule.add("often", each_period(), often.job)
    await run_until(schedule, lambda: often.runs == 2)
    assert (once.runs, often.runs) == (1, 2)


async def test_a_job_never_overlaps_itself_and_the_runs_left_out_are_counted(schedule: Schedule):
    state = {"inside": 0, "most": 0, "runs": 0}

    async def slow() -> None:
        state["inside"] += 1
        state["most"] = max(state["most"], state["inside"])
        await asyncio.sleep(3.5 * PERIOD)
        state["inside"] -= 1
        state["runs"] += 1

    schedule.add("slow", each_period(), slow)
    await run_until(schedule, lambda: state["runs"] == 1)
    assert state["most"] == 1
    assert schedule.missed_total == 3


async def test_a_stalled_loop_delays_a_job_once_and_counts_what_it_merged(schedule: Schedule):
    counter, stalls = Counter(), Counter()

    async def stall() -> None:
        stalls.runs += 1
        time.sleep(3.5 * PERIOD)  # noqa: ASYNC251, TID251 - blocks the whole loop on purpose

    schedule.add("count", each_period(first=2 * PERIOD), counter.job)
    schedule.add("stall", DateTrigger(SystemClock().now(), timezone=dt.UTC), stall)
    await run_until(schedule, lambda: counter.runs == 1)
    assert (stalls.runs, counter.runs) == (1, 1)
    assert schedule.missed_total == 1  # due at 2 and 3 periods, found at 3.5


async def test_a_job_that_raises_ends_the_run_with_its_error(schedule: Schedule):
    async def broken() -> None:
        raise ZeroDivisionError("broken")

    schedule.add("broken", DateTrigger(SystemClock().now(), timezone=dt.UTC), broken)
    with pytest.raises(ZeroDivisionError, match="broken"):
        await run_until(schedule, lambda: False)


async def test_a_schedule_can_run_again_after_it_was_stopped(schedule: Schedule):
    counter = Counter()
    schedule.add("count", each_period(), counter.job)
    await run_until(schedule, lambda: counter.runs == 1)
    await run_until(schedule, lambda: counter.runs == 2)
    assert counter.runs == 2


async def test_stopping_cancels_a_running_job_and_waits_for_its_end(schedule: Schedule):
    steps: list[str] = []

    async def long() -> None:
        steps.append("begun")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")

    schedule.add("long", DateTrigger(SystemClock().now(), timezone=dt.UTC), long)
    await run_until(schedule, lambda: bool(steps))
    assert steps == ["begun", "cleaned up"]
