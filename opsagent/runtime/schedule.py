"""Two forms of ``ports.Schedule``: APScheduler's own loop for production, a loop on Clock for all else.

Both take APScheduler triggers, which are pure next-time functions, and both keep one promise: a job
never overlaps itself; runs that come due together are run once; each run left out is counted; a job
that raises ends :meth:`run` with its error, so that the supervisor sees it and starts again.
Triggers must be given their ``start_date`` and ``timezone``: without one they read the wall clock.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Protocol

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_SUBMITTED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from opsagent.ports import Clock, Trigger

Job = Callable[[], Awaitable[None]]


class _SubmissionEvent(Protocol):
    scheduled_run_times: list[dt.datetime]


class _FailureEvent(Protocol):
    exception: BaseException


class _Scheduler(Protocol):
    """What we use of APScheduler's scheduler, which is untyped."""

    def add_listener(self, callback: Callable[..., None], mask: int) -> None: ...

    def add_job(self, func: Job, trigger: object, **options: object) -> object: ...

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def shutdown(self, *, wait: bool) -> None: ...


def every(period: dt.timedelta, clock: Clock) -> Trigger:
    """Return a trigger that fires each ``period`` (whole seconds or more), first one period from now."""
    trigger: Trigger = IntervalTrigger(
        seconds=period.total_seconds(), start_date=clock.now() + period, timezone=dt.UTC
    )
    return trigger


class LoopSchedule:
    """Runs jobs on the event loop's time and the given Clock, virtual and scaled ones included."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[tuple[str, Trigger, Job]] = []
        self._group: asyncio.TaskGroup | None = None
        self._missed_total = 0

    @property
    def missed_total(self) -> int:
        """Runs that came due while the same job still ran, or were found too late."""
        return self._missed_total

    def add(self, name: str, trigger: Trigger, job: Job) -> None:
        """Register ``job``; before or after start."""
        self._jobs.append((name, trigger, job))
        if self._group is not None:
            self._group.create_task(self._run_job(trigger, job), name=name)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            What a job raised.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for name, trigger, job in self._jobs:
                    group.create_task(self._run_job(trigger, job), name=name)
                await asyncio.Event().wait()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._group = None

    async def _run_job(self, trigger: Trigger, job: Job) -> None:
        due = trigger.get_next_fire_time(None, self._clock.now())
        while due is not None:
            await self._sleep_until(due)
            following = self._first_in_future(trigger, due)
            await job()
            if following is not None and following <= self._clock.now():
                self._missed_total += 1
                following = self._first_in_future(trigger, following)
            due = following

    async def _sleep_until(self, due: dt.datetime) -> None:
        while (wait := (due - self._clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock may lag behind the loop
            await asyncio.sleep(wait)

    def _first_in_future(self, trigger: Trigger, due: dt.datetime) -> dt.datetime | None:
        """Return the first fire time after ``due`` that is not past yet; those that are past are missed."""
        now = self._clock.now()
        following = trigger.get_next_fire_time(due, now)
        while following is not None and following <= now:
            self._missed_total += 1
            following = trigger.get_next_fire_time(following, now)
        return following


class _CountingTrigger(BaseTrigger):  # type: ignore[misc,no-any-unimported] # APScheduler is untyped
    """A port's trigger in APScheduler's family, which remembers how many due times were found.

    The scheduler asks for the time after each due time it found, some of them more than once; it
    reports what it started. The difference is what it left out: it has an event for an overlap, but
    none for runs that it merged.
    """

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._last_due: dt.datetime | None = None
        self.due_total = 0

    def get_next_fire_time(
        self, previous_fire_time: dt.datetime | None, now: dt.datetime
    ) -> dt.datetime | None:
        """Return what the port's trigger says."""
        last = self._last_due
        if previous_fire_time is not None and (last is None or previous_fire_time > last):
            self.due_total += 1
            self._last_due = previous_fire_time
        return self._trigger.get_next_fire_time(previous_fire_time, now)


class ApschedulerSchedule:
    """Runs jobs with APScheduler's ``AsyncIOScheduler`` on the machine's own clock: for production only.

    Its defaults would drop a job whenever the event loop stalls for a second (``misfire_grace_time``),
    so every policy is given: late runs happen, once, and never beside themselves.
    """

    def __init__(self) -> None:
        self._jobs: list[tuple[str, _CountingTrigger, Job]] = []
        self._scheduler: _Scheduler | None = None
        self._started_total = 0
        self._running: set[asyncio.Task[None]] = set()

    @property
    def missed_total(self) -> int:
        """Runs that came due while the same job still ran, or were found too late."""
        return sum(trigger.due_total for _, trigger, _ in self._jobs) - self._started_total

    def add(self, name: str, trigger: Trigger, job: Job) -> None:
        """Register ``job``; before or after start."""
        counting = _CountingTrigger(trigger)
        self._jobs.append((name, counting, job))
        if self._scheduler is not None:
            self._add_to(self._scheduler, name, counting, job)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            What a job raised.
        """
        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        scheduler: _Scheduler = AsyncIOScheduler(timezone=dt.UTC)
        scheduler.add_listener(self._note_started, EVENT_JOB_SUBMITTED)
        scheduler.add_listener(_failure_listener(failure), EVENT_JOB_ERROR)
        for name, trigger, job in self._jobs:
            self._add_to(scheduler, name, trigger, job)
        scheduler.start()
        self._scheduler = scheduler
        try:
            await failure
        finally:
            self._scheduler = None
            scheduler.pause()
            await self._stop_running()
            scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # the scheduler shuts down in a callback of the loop

    async def _stop_running(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _add_to(
        self, scheduler: _Scheduler, name: str, trigger: _CountingTrigger, job: Job
    ) -> None:
        async def tracked() -> None:
            task = asyncio.current_task()
            assert task is not None, "a coroutine runs in a task"
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await job()

        scheduler.add_job(
            tracked,
            trigger,
            name=name,
            misfire_grace_time=None,
            max_instances=1,
            coalesce=True,
        )

    def _note_started(self, event: _SubmissionEvent) -> None:
        self._started_total += len(event.scheduled_run_times)


def _failure_listener(failure: "asyncio.Future[None]") -> Callable[[_FailureEvent], None]:
    def note(event: _FailureEvent) -> None:
        # The executor reports cancelled jobs as failed ones; those are ours, from stopping.
        if not failure.done() and not isinstance(event.exception, asyncio.CancelledError):
            failure.set_exception(event.exception)

    return note
