"""Named tasks that are kept alive, watched and stopped in order.

Theory. A daemon is a handful of endless loops. Each runs as one supervised task: if it fails it is
started again after a jittered wait, so one bad answer of the world costs seconds and not the process.
A ``Terminal`` error ends them all, because starting again would only repeat it; so does a failure
that is not an ``Exception``, and any failure of a task that keeps state between its inputs: after a bug in the
middle of one nobody knows what it believes. A task that returns is done. Each task beats its heart while it makes
progress; liveness reads the ages, since a task that hangs raises nothing.

Stopping is cancelling :meth:`Supervisor.run`: tasks end one after another, the last added first, so
that producers are gone before what they fill, within ``stop_seconds`` altogether. After that whatever
still runs is cancelled at once, and who is in the middle of cleaning up is cancelled again. Source: Kubernetes gives a pod 30 s of grace; 25 leave room to close files.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from opsagent.ports import Chance, Terminal
from opsagent.runtime.retry import DEFAULT_POLICY, Backoff, BackoffPolicy

STOP_SECONDS = 25.0
SILENT_SECONDS_MAX = 120.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Task:
    name: str
    run: Callable[[], Awaitable[None]]
    silent_seconds_max: float | None
    is_stateful: bool
    beaten_at: float = 0.0
    is_done: bool = False
    restarts: int = 0
    last_error: str = ""
    handle: "asyncio.Task[None] | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How one task is doing. ``age_seconds`` is the time since its last heartbeat."""

    name: str
    age_seconds: float
    is_done: bool
    restarts: int
    last_error: str


class Supervisor:
    """Owner of a set of tasks; see the module's docstring. All methods belong to one event loop."""

    def __init__(
        self,
        chance: Chance,
        *,
        policy: BackoffPolicy = DEFAULT_POLICY,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._chance = chance
        self._policy = policy
        self._stop_seconds = stop_seconds
        self._tasks: dict[str, _Task] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # since ``run``

    def add(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        *,
        silent_seconds_max: float | None = SILENT_SECONDS_MAX,
        is_stateful: bool = False,
    ) -> None:
        """Register a task under an unused name, before :meth:`run`.

        Args:
            name: its name in status and log.
            run: its endless loop.
            silent_seconds_max: how long it may go without a heartbeat before it counts as hung;
                None for a task that may rightly wait for ever.
            is_stateful: whether a failure may leave what it knows half changed; then it is not started again.
        """
        assert name not in self._tasks, f"two tasks named {name}"
        self._tasks[name] = _Task(name, run, silent_seconds_max, is_stateful)

    def beat(self, name: str) -> None:
        """Note that the task ``name`` makes progress."""
        # To ask for the running loop is a system call, and a busy task beats its heart at each word that it hears.
        loop = self._loop or asyncio.get_running_loop()
        self._tasks[name].beaten_at = loop.time()

    def status(self) -> tuple[TaskStatus, ...]:
        """Return every task, in the order they were added."""
        now = asyncio.get_running_loop().time()
        return tuple(
            TaskStatus(
                each.name, now - each.beaten_at, each.is_done, each.restarts, each.last_error
            )
            for each in self._tasks.values()
        )

    def overdue(self) -> Mapping[str, float]:
        """Return the tasks that seem hung, with their age in seconds; empty is healthy."""
        return {
            each.name: each.age_seconds
            for each in self.status()
            if not each.is_done and _is_longer(each.age_seconds, self._tasks[each.name])
        }

    async def run(self) -> None:
        """Run all tasks until cancelled, until one fails for good, or until all are done.

        Raises:
            Terminal: what a task raised; all others have ended.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                for task in self._tasks.values():
                    self.beat(task.name)
                    task.handle = group.create_task(self._keep(task), name=task.name)
                await self._wait_or_stop()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _keep(self, task: _Task) -> None:
        """Run ``task``, again and again while it fails in ways that may pass."""
        backoff = Backoff(self._chance, self._policy)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            self.beat(task.name)
            try:
                await task.run()
            except Terminal:
                raise
            except Exception as error:  # the one place where a bug is survived
                if task.is_stateful:
                    raise _torn(task.name, error) from error
                # A task that ran well for a while starts over with short waits.
                if loop.time() - started > self._policy.limit_seconds:
                    backoff.reset()
                await self._wait_to_restart(task, error, backoff.next_seconds(error))
            else:
                task.is_done = True
                return

    async def _wait_to_restart(self, task: _Task, error: Exception, seconds: float) -> None:
        task.restarts += 1
        task.last_error = f"{type(error).__name__}: {error}"
        self.beat(task.name)
        _log.warning("task.failed", task=task.name, retry_seconds=seconds, exc_info=error)
        await asyncio.sleep(seconds)

    async def _wait_or_stop(self) -> None:
        handles = [task.handle for task in self._tasks.values() if task.handle is not None]
        try:
            if handles:
                await asyncio.wait(handles)
        except asyncio.CancelledError:
            if not any(_has_failed(handle) for handle in handles):
                await self._stop_in_order()
            raise

    async def _stop_in_order(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stop_seconds
        for task in reversed(self._tasks.values()):
            if task.handle is None or task.handle.done():
                continue
            task.handle.cancel()
            _, late = await asyncio.wait({task.handle}, timeout=deadline - loop.time())
            if late:
                _log.error("task.stuck", task=task.name)
                return


def _torn(name: str, error: Exception) -> Terminal:
    """Log a failure that is not survived; return it in words that quote nothing of what was being worked on."""
    _log.error("task.failed_for_good", task=name, exc_info=error)
    return Terminal(
        f"the task {name} failed in the middle of its work ({type(error).__name__}): a bug in opsagent, please "
        "report it with the traceback in the log. Nothing half done was stored; started again it goes on from "
        "the last commit"
    )


def _is_longer(age_seconds: float, task: _Task) -> bool:
    return task.silent_seconds_max is not None and age_seconds > task.silent_seconds_max


def _has_failed(handle: "asyncio.Task[None]") -> bool:
    return handle.done() and not handle.cancelled() and handle.exception() is not None
